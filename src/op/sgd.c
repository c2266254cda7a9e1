/* SPDX-License-Identifier: Apache-2.0
 *
 * Stochastic gradient descent with (Nesterov) momentum and weight decay, as PyTorch's SGD. One parameter a task.
 */
#include "op/common.h"

const pinion__op pinion__op_sgd = {
    .name = "sgd",
    .id = PINION__OP_sgd,
    .flags = PINION__OP_INTERNAL | PINION__OP_OPTIMIZER,
    .attributes_bytes = sizeof(pinion__sgd),
    .stored = PINION__OP_COUNT,
    .pass =
        {
            [PINION__UPDATE] = {7,
                                {{PINION__PARAM, 0, PINION__READ_WRITE},
                                 {PINION__D_PARAM, 0, PINION__READ},
                                 {PINION__SCALE, 0, PINION__READ},
                                 {PINION__MOMENT, 0, PINION__READ_WRITE},
                                 {PINION__D_PARAM, 1, PINION__READ | PINION__FUSED},
                                 {PINION__D_PARAM, 2, PINION__READ | PINION__FUSED},
                                 {PINION__D_PARAM, 3, PINION__READ | PINION__FUSED}}},
        },
};
