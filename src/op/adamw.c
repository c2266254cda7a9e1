/* SPDX-License-Identifier: Apache-2.0
 *
 * AdamW (Loshchilov and Hutter 2019), as PyTorch's. One parameter a task.
 */
#include "op/common.h"

const pinion__op pinion__op_adamw = {
    .name = "adamw",
    .id = PINION__OP_adamw,
    .flags = PINION__OP_INTERNAL | PINION__OP_OPTIMIZER,
    .attributes_bytes = sizeof(pinion__adamw),
    .stored = PINION__OP_COUNT,
    .pass =
        {
            [PINION__UPDATE] = {8,
                                {{PINION__PARAM, 0, PINION__READ_WRITE},
                                 {PINION__D_PARAM, 0, PINION__READ},
                                 {PINION__SCALE, 0, PINION__READ},
                                 {PINION__MOMENT, 0, PINION__READ_WRITE},
                                 {PINION__MOMENT, 1, PINION__READ_WRITE},
                                 {PINION__D_PARAM, 1, PINION__READ | PINION__FUSED},
                                 {PINION__D_PARAM, 2, PINION__READ | PINION__FUSED},
                                 {PINION__D_PARAM, 3, PINION__READ | PINION__FUSED}}},
        },
};
