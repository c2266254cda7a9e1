/* SPDX-License-Identifier: Apache-2.0
 *
 * h x w x c becomes 1 x 1 x h*w*c: the same bytes, so there is no task. Elements stay in (h,w,c) order in memory; files
 * keep PyTorch's (c,h,w), which the weights of a linear layer behind it account for (net/weights.h).
 */
#include "op/common.h"

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    (void)ctx, (void)layer, (void)attributes;
    *output = (pinion_shape){1, 1, inputs[0].h * inputs[0].w * inputs[0].c};
    return PINION_OK;
}

const pinion__op pinion__op_flatten = {
    .name = "flatten",
    .id = PINION__OP_flatten,
    .flags = PINION__OP_VIEW,
    .inputs = 1,
    .stored = PINION__OP_COUNT,
    .infer = infer,
};
