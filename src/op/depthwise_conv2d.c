/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution: y[p,q,c] = b[c] + sum over r,s of x[p*stride_h + r - pad_h, q*stride_w + s - pad_w, c] *
 * w[r,s,c]. Output channels are the input's, so descriptions do not state them.
 */
#include "op/common.h"

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    int status = PINION_OK;
    const pinion__op *op = &pinion__op_depthwise_conv2d;
    pinion_conv2d *a = attributes;
    pinion__conv2d_defaults(a);
    PINION_TRY(pinion__attributes_check(ctx, layer, op, a));
    PINION_FAIL_IF(a->k != 0 && a->k != inputs[0].c, PINION_EINVAL,
                   "layer '%s' (%s): %d output channels were asked for but the input has %d; both must be the same",
                   layer, op->name, a->k, inputs[0].c);
    a->k = inputs[0].c;
    PINION_TRY(pinion__elements_check(ctx, layer, op, "weight", 1, a->r, a->s, a->k));
    pinion__window window = {"filter", a->r, a->s, a->stride_h, a->stride_w, a->pad_h, a->pad_w};
    PINION_TRY(pinion__window_output(ctx, layer, op, &window, inputs[0], a->k, output));
fail:
    return status;
}

static int params(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                  pinion__param_spec specs[PINION__MAX_PARAMS])
{
    (void)inputs, (void)output;
    const pinion_conv2d *a = attributes;
    specs[0] = (pinion__param_spec){.suffix = "weight",
                                    .n = 1,
                                    .h = a->r,
                                    .w = a->s,
                                    .c = a->k,
                                    .layout = PINION__LAYOUT_RSC,
                                    .init = PINION__INIT_HE_FAN_OUT,
                                    .fan = a->k * a->r * a->s,
                                    .decay = true};
    return 1 + pinion__conv2d_bias(a, a->k, &specs[1]);
}

static int64_t macs(const void *attributes, const pinion_shape *inputs, const pinion_shape *output)
{
    (void)inputs;
    const pinion_conv2d *a = attributes;
    return (int64_t)output->h * output->w * ((int64_t)a->r * a->s * a->k);
}

const pinion__op pinion__op_depthwise_conv2d = {
    .name = "depthwise_conv2d",
    .id = PINION__OP_depthwise_conv2d,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion_depthwise_conv2d),
    .fields = pinion__conv2d_fields + 1, /* all but the channels */
    .field_count = PINION__CONV2D_FIELDS - 1,
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .params = params,
    .macs = macs,
    .pass = PINION__WEIGHTED_PASSES,
};
