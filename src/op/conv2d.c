/* SPDX-License-Identifier: Apache-2.0
 *
 * Two-dimensional convolution: y[p,q,k] = b[k] + sum over r,s,c of x[p*stride_h + r - pad_h, q*stride_w + s - pad_w, c]
 * * w[k,r,s,c].
 */
#include "op/common.h"

const pinion__attr_field pinion__conv2d_fields[PINION__CONV2D_FIELDS] = {
    {.key = "channels",
     .type = PINION__ATTR_INT,
     .offset = offsetof(pinion_conv2d, k),
     .min = 1,
     .max = PINION__MAX_CHANNELS,
     .required = true},
    {.key = "filter",
     .type = PINION__ATTR_PAIR,
     .offset = offsetof(pinion_conv2d, r),
     .offset2 = offsetof(pinion_conv2d, s),
     .min = 1,
     .max = PINION__MAX_WINDOW,
     .required = true},
    {.key = "stride",
     .type = PINION__ATTR_PAIR,
     .offset = offsetof(pinion_conv2d, stride_h),
     .offset2 = offsetof(pinion_conv2d, stride_w),
     .fallback = 1,
     .min = 1,
     .max = PINION__MAX_WINDOW},
    {.key = "padding",
     .type = PINION__ATTR_PAIR,
     .offset = offsetof(pinion_conv2d, pad_h),
     .offset2 = offsetof(pinion_conv2d, pad_w),
     .min = 0,
     .max = PINION__MAX_WINDOW},
    {.key = "bias",
     .type = PINION__ATTR_BOOL,
     .offset = offsetof(pinion_conv2d, bias),
     .fallback = 1,
     .min = 0,
     .max = 1},
};

void pinion__conv2d_defaults(pinion_conv2d *attributes)
{
    if (attributes->stride_h == 0)
        attributes->stride_h = 1;
    if (attributes->stride_w == 0)
        attributes->stride_w = 1;
}

int pinion__conv2d_bias(const pinion_conv2d *attributes, int channels, pinion__param_spec *spec)
{
    if (!attributes->bias)
        return 0;
    *spec = (pinion__param_spec){.suffix = "bias",
                                 .n = 1,
                                 .h = 1,
                                 .w = 1,
                                 .c = channels,
                                 .layout = PINION__LAYOUT_VECTOR,
                                 .init = PINION__INIT_ZERO};
    return 1;
}

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    int status = PINION_OK;
    pinion_conv2d *a = attributes;
    pinion__conv2d_defaults(a);
    PINION_TRY(pinion__attributes_check(ctx, layer, &pinion__op_conv2d, a));
    PINION_TRY(pinion__elements_check(ctx, layer, &pinion__op_conv2d, "weight", a->k, a->r, a->s, inputs[0].c));
    pinion__window window = {"filter", a->r, a->s, a->stride_h, a->stride_w, a->pad_h, a->pad_w};
    PINION_TRY(pinion__window_output(ctx, layer, &pinion__op_conv2d, &window, inputs[0], a->k, output));
fail:
    return status;
}

static int params(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                  pinion__param_spec specs[PINION__MAX_PARAMS])
{
    (void)output;
    const pinion_conv2d *a = attributes;
    specs[0] = (pinion__param_spec){.suffix = "weight",
                                    .n = a->k,
                                    .h = a->r,
                                    .w = a->s,
                                    .c = inputs[0].c,
                                    .layout = PINION__LAYOUT_KRSC,
                                    .init = PINION__INIT_HE_FAN_OUT,
                                    .fan = a->k * a->r * a->s,
                                    .decay = true};
    return 1 + pinion__conv2d_bias(a, a->k, &specs[1]);
}

static int64_t macs(const void *attributes, const pinion_shape *inputs, const pinion_shape *output)
{
    const pinion_conv2d *a = attributes;
    return (int64_t)output->h * output->w * ((int64_t)a->k * a->r * a->s * inputs[0].c);
}

const pinion__op pinion__op_conv2d = {
    .name = "conv2d",
    .id = PINION__OP_conv2d,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion_conv2d),
    .fields = pinion__conv2d_fields,
    .field_count = PINION__CONV2D_FIELDS,
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .params = params,
    .macs = macs,
    .pass = PINION__WEIGHTED_PASSES,
};
