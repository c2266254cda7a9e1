/* SPDX-License-Identifier: Apache-2.0
 *
 * The loss: cross-entropy of softmax(x) with labels, smoothed. Softmax is kept for backward.
 */
#include "op/common.h"

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    (void)attributes;
    int status = PINION_OK;
    PINION_FAIL_IF(inputs[0].h != 1 || inputs[0].w != 1, PINION_EINVAL,
                   "layer '%s' (softmax_cross_entropy): its input is %dx%dx%d; expected 1x1xclasses", layer,
                   inputs[0].h, inputs[0].w, inputs[0].c);
    *output = (pinion_shape){1, 1, 1};
fail:
    return status;
}

static int saved(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                 pinion__saved_spec specs[PINION__MAX_SAVED])
{
    (void)attributes, (void)output;
    specs[0] = (pinion__saved_spec){.h = 1, .w = 1, .c = inputs[0].c, .element_bytes = 4, .per_sample = true};
    return 1;
}

const pinion__op pinion__op_softmax_cross_entropy = {
    .name = "softmax_cross_entropy",
    .id = PINION__OP_softmax_cross_entropy,
    .flags = PINION__OP_INTERNAL | PINION__OP_LOSS,
    .inputs = 1,
    .attributes_bytes = sizeof(pinion__softmax_cross_entropy),
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .saved = saved,
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
