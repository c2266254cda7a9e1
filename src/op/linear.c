/* SPDX-License-Identifier: Apache-2.0
 *
 * Fully connected layer: y[k] = b[k] + sum over c of w[k,c] * x[c], on a 1 x 1 x c input.
 */
#include "op/common.h"

static const pinion__attr_field fields[] = {
    {.key = "channels",
     .type = PINION__ATTR_INT,
     .offset = offsetof(pinion_linear, k),
     .min = 1,
     .max = PINION__MAX_CHANNELS,
     .required = true},
    {.key = "bias",
     .type = PINION__ATTR_BOOL,
     .offset = offsetof(pinion_linear, bias),
     .fallback = 1,
     .min = 0,
     .max = 1},
};

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    int status = PINION_OK;
    const pinion__op *op = &pinion__op_linear;
    const pinion_linear *a = attributes;
    PINION_TRY(pinion__attributes_check(ctx, layer, op, a));
    PINION_FAIL_IF(
        inputs[0].h != 1 || inputs[0].w != 1, PINION_EINVAL,
        "layer '%s' (%s): its input is %dx%dx%d; expected 1x1xc: put a flatten or a global_avgpool before it", layer,
        op->name, inputs[0].h, inputs[0].w, inputs[0].c);
    PINION_TRY(pinion__elements_check(ctx, layer, op, "weight", a->k, 1, 1, inputs[0].c));
    *output = (pinion_shape){1, 1, a->k};
fail:
    return status;
}

static int params(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                  pinion__param_spec specs[PINION__MAX_PARAMS])
{
    (void)output;
    const pinion_linear *a = attributes;
    specs[0] = (pinion__param_spec){.suffix = "weight",
                                    .n = a->k,
                                    .h = 1,
                                    .w = 1,
                                    .c = inputs[0].c,
                                    .layout = PINION__LAYOUT_KC,
                                    .init = PINION__INIT_UNIFORM_FAN_IN,
                                    .fan = inputs[0].c,
                                    .decay = true};
    if (!a->bias)
        return 1;
    specs[1] = (pinion__param_spec){.suffix = "bias",
                                    .n = 1,
                                    .h = 1,
                                    .w = 1,
                                    .c = a->k,
                                    .layout = PINION__LAYOUT_VECTOR,
                                    .init = PINION__INIT_UNIFORM_FAN_IN,
                                    .fan = inputs[0].c};
    return 2;
}

static int64_t macs(const void *attributes, const pinion_shape *inputs, const pinion_shape *output)
{
    (void)attributes;
    return (int64_t)inputs[0].c * output->c;
}

const pinion__op pinion__op_linear = {
    .name = "linear",
    .id = PINION__OP_linear,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion_linear),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .params = params,
    .macs = macs,
    .pass = PINION__WEIGHTED_PASSES,
};
