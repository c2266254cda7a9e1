/* SPDX-License-Identifier: Apache-2.0
 *
 * Average over all rows and columns: h x w x c becomes 1 x 1 x c.
 */
#include "op/common.h"

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    (void)ctx, (void)layer, (void)attributes;
    *output = (pinion_shape){1, 1, inputs[0].c};
    return PINION_OK;
}

const pinion__op pinion__op_global_avgpool = {
    .name = "global_avgpool",
    .id = PINION__OP_global_avgpool,
    .inputs = 1,
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .pass =
        {
            [PINION__FORWARD] = {2, {{PINION__INPUT, 0, PINION__READ}, {PINION__OUTPUT, 0, PINION__WRITE}}},
            [PINION__BACKWARD_DATA] = {2, {{PINION__D_OUTPUT, 0, PINION__READ}, {PINION__D_INPUT, 0, PINION__WRITE}}},
        },
};
