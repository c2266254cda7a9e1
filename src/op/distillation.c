/* SPDX-License-Identifier: Apache-2.0
 *
 * The loss of a width that learns from a wider one: cross-entropy of softmax(x) with probabilities that are given.
 * Softmax is kept for backward. The probabilities have no gradient.
 */
#include "op/common.h"

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    (void)attributes;
    return pinion__loss_infer(ctx, layer, &pinion__op_distillation, inputs[0], output);
}

const pinion__op pinion__op_distillation = {
    .name = "distillation",
    .id = PINION__OP_distillation,
    .flags = PINION__OP_INTERNAL | PINION__OP_LOSS,
    .inputs = 1,
    .stored = PINION__OP_COUNT,
    .infer = infer,
    .saved = pinion__loss_saved,
    .pass =
        {
            [PINION__FORWARD] = {4,
                                 {{PINION__INPUT, 0, PINION__READ},
                                  {PINION__TARGETS, 0, PINION__READ},
                                  {PINION__SAVED, 0, PINION__WRITE},
                                  {PINION__OUTPUT, 0, PINION__WRITE}}},
            [PINION__BACKWARD_DATA] = {3,
                                       {{PINION__SAVED, 0, PINION__READ},
                                        {PINION__TARGETS, 0, PINION__READ},
                                        {PINION__D_INPUT, 0, PINION__WRITE}}},
        },
};
