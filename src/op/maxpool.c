/* SPDX-License-Identifier: Apache-2.0
 *
 * Max pooling. Forward keeps where in its window each maximum was found (one byte an output element), which is all that
 * backward needs.
 */
#include "op/common.h"

enum { INDICES = 255 };

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    int status = PINION_OK;
    pinion_pool *a = attributes;
    PINION_TRY(pinion__pool_infer(ctx, layer, &pinion__op_maxpool, a, inputs[0], output));
    PINION_FAIL_IF(a->r * a->s > INDICES, PINION_EINVAL,
                   "layer '%s' (maxpool): its window of %dx%d has %d elements; at most %d are possible", layer, a->r,
                   a->s, a->r * a->s, INDICES);
fail:
    return status;
}

static int saved(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                 pinion__saved_spec specs[PINION__MAX_SAVED])
{
    (void)attributes, (void)inputs;
    specs[0] =
        (pinion__saved_spec){.h = output->h, .w = output->w, .c = output->c, .element_bytes = 1, .per_sample = true};
    return 1;
}

const pinion__op pinion__op_maxpool = {
    .name = "maxpool",
    .id = PINION__OP_maxpool,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion_pool),
    .fields = pinion__pool_fields,
    .field_count = PINION__POOL_FIELDS,
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .saved = saved,
    .pass =
        {
            [PINION__FORWARD] = {3,
                                 {{PINION__INPUT, 0, PINION__READ},
                                  {PINION__OUTPUT, 0, PINION__WRITE},
                                  {PINION__SAVED, 0, PINION__WRITE}}},
            [PINION__BACKWARD_DATA] = {3,
                                       {{PINION__D_OUTPUT, 0, PINION__READ},
                                        {PINION__SAVED, 0, PINION__READ},
                                        {PINION__D_INPUT, 0, PINION__WRITE}}},
        },
};
