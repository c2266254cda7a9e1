/* SPDX-License-Identifier: Apache-2.0
 *
 * Average pooling; padding counts as zeros and in the divisor (PyTorch's default).
 */
#include "op/common.h"

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    return pinion__pool_infer(ctx, layer, &pinion__op_avgpool, attributes, inputs[0], output);
}

const pinion__op pinion__op_avgpool = {
    .name = "avgpool",
    .id = PINION__OP_avgpool,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion_pool),
    .fields = pinion__pool_fields,
    .field_count = PINION__POOL_FIELDS,
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .pass =
        {
            [PINION__FORWARD] = {2, {{PINION__INPUT, 0, PINION__READ}, {PINION__OUTPUT, 0, PINION__WRITE}}},
            [PINION__BACKWARD_DATA] = {2, {{PINION__D_OUTPUT, 0, PINION__READ}, {PINION__D_INPUT, 0, PINION__WRITE}}},
        },
};
