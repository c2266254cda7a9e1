/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout: y = x * keep / (1 - rate), where keep is drawn from (seed, layer, step, element) and drawn again in
 * backward, so nothing is kept. Outside training identity stands in.
 */
#include "op/common.h"

static const pinion__attr_field fields[] = {
    {.key = "rate",
     .type = PINION__ATTR_FLOAT,
     .offset = offsetof(pinion_dropout, rate),
     .min = 0,
     .max = 0.999,
     .required = true},
};

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    int status = PINION_OK;
    PINION_TRY(pinion__attributes_check(ctx, layer, &pinion__op_dropout, attributes));
    *output = inputs[0];
fail:
    return status;
}

const pinion__op pinion__op_dropout = {
    .name = "dropout",
    .id = PINION__OP_dropout,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion_dropout),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .stored = PINION__OP_identity,
    .infer = infer,
    .pass =
        {
            [PINION__FORWARD] = {2, {{PINION__INPUT, 0, PINION__READ}, {PINION__OUTPUT, 0, PINION__WRITE}}},
            [PINION__BACKWARD_DATA] = {2, {{PINION__D_OUTPUT, 0, PINION__READ}, {PINION__D_INPUT, 0, PINION__WRITE}}},
        },
};
