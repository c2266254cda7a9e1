/* SPDX-License-Identifier: Apache-2.0
 *
 * The loss: cross-entropy of softmax(x) with labels, smoothed. Softmax is kept for backward.
 */
#include "op/common.h"

int pinion__loss_infer(pinion_context *ctx, const char *layer, const pinion__op *op, pinion_shape input,
                       pinion_shape *output)
{
    int status = PINION_OK;
    PINION_FAIL_IF(input.h != 1 || input.w != 1, PINION_EINVAL,
                   "layer '%s' (%s): its input is %dx%dx%d; expected 1x1xclasses", layer, op->name, input.h, input.w,
                   input.c);
    *output = (pinion_shape){1, 1, 1};
fail:
    return status;
}

int pinion__loss_saved(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                       pinion__saved_spec specs[PINION__MAX_SAVED])
{
    (void)attributes, (void)output;
    specs[0] = (pinion__saved_spec){.h = 1, .w = 1, .c = inputs[0].c, .element_bytes = 4, .per_sample = true};
    return 1;
}

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    (void)attributes;
    return pinion__loss_infer(ctx, layer, &pinion__op_softmax_cross_entropy, inputs[0], output);
}

const pinion__op pinion__op_softmax_cross_entropy = {
    .name = "softmax_cross_entropy",
    .id = PINION__OP_softmax_cross_entropy,
    .flags = PINION__OP_INTERNAL | PINION__OP_LOSS,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion__softmax_cross_entropy),
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .saved = pinion__loss_saved,
    .pass =
        {
            [PINION__FORWARD] = {4,
                                 {{PINION__INPUT, 0, PINION__READ},
                                  {PINION__LABELS, 0, PINION__READ},
                                  {PINION__SAVED, 0, PINION__WRITE},
                                  {PINION__OUTPUT, 0, PINION__WRITE}}},
            [PINION__BACKWARD_DATA] = {3,
                                       {{PINION__SAVED, 0, PINION__READ},
                                        {PINION__LABELS, 0, PINION__READ},
                                        {PINION__D_INPUT, 0, PINION__WRITE}}},
        },
};
