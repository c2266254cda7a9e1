/* SPDX-License-Identifier: Apache-2.0
 *
 * Sum of squares of one parameter's gradient, for the global norm.
 */
#include "op/common.h"

const pinion__op pinion__op_grad_square = {
    .name = "grad_square",
    .id = PINION__OP_grad_square,
    .flags = PINION__OP_INTERNAL,
    .stored = PINION__OP_COUNT,
    .pass =
        {
            [PINION__UPDATE] = {2, {{PINION__D_PARAM, 0, PINION__READ}, {PINION__SQUARES, 0, PINION__WRITE}}},
        },
};
