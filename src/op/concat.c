/* SPDX-License-Identifier: Apache-2.0
 *
 * The channels of a before those of b. It has no kernels: the planner lets both inputs be written where the output
 * lies, and copies an input only where that is not possible.
 */
#include "op/common.h"

static int infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                 pinion_shape *output)
{
    (void)attributes;
    int status = PINION_OK;
    const pinion__op *op = &pinion__op_concat;
    const pinion_shape *a = &inputs[0], *b = &inputs[1];
    PINION_FAIL_IF(a->h != b->h || a->w != b->w, PINION_EINVAL,
                   "layer '%s' (%s): its inputs are %dx%dx%d and %dx%dx%d; expected the same rows and columns", layer,
                   op->name, a->h, a->w, a->c, b->h, b->w, b->c);
    PINION_TRY(pinion__elements_check(ctx, layer, op, "output", a->h, a->w, 1, (int64_t)a->c + b->c));
    *output = (pinion_shape){a->h, a->w, a->c + b->c};
fail:
    return status;
}

const pinion__op pinion__op_concat = {
    .name = "concat",
    .id = PINION__OP_concat,
    .flags = PINION__OP_SIDE_BY_SIDE,
    .inputs = 2,
    .stored = PINION__OP_COUNT,
    .infer = infer,
};
