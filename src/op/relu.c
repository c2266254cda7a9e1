/* SPDX-License-Identifier: Apache-2.0
 *
 * y = max(x, 0). Backward reads the output, so the input need not be kept.
 */
#include "op/common.h"

const pinion__op pinion__op_relu = {
    .name = "relu",
    .id = PINION__OP_relu,
    .inputs = 1,
    .stored = PINION__OP_COUNT,
    .infer = pinion__infer_same,
    .pass =
        {
            [PINION__FORWARD] = {2, {{PINION__INPUT, 0, PINION__READ}, {PINION__OUTPUT, 0, PINION__WRITE}}},
            [PINION__BACKWARD_DATA] = {3,
                                       {{PINION__OUTPUT, 0, PINION__READ},
                                        {PINION__D_OUTPUT, 0, PINION__READ},
                                        {PINION__D_INPUT, 0, PINION__WRITE}}},
        },
};
