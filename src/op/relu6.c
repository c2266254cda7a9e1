/* SPDX-License-Identifier: Apache-2.0
 *
 * y = min(max(x, 0), 6). Backward reads the output, so the input need not be kept.
 */
#include "op/common.h"

const pinion__op pinion__op_relu6 = {
    .name = "relu6",
    .id = PINION__OP_relu6,
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
