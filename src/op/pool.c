/* SPDX-License-Identifier: Apache-2.0
 *
 * What max and average pooling have in common: their attributes and the shape of their output.
 */
#include "op/common.h"

const pinion__attr_field pinion__pool_fields[PINION__POOL_FIELDS] = {
    {.key = "window",
     .type = PINION__ATTR_PAIR,
     .offset = offsetof(pinion_pool, r),
     .offset2 = offsetof(pinion_pool, s),
     .min = 1,
     .max = PINION__MAX_WINDOW,
     .required = true},
    {.key = "stride", /* fallback 0: the window */
     .type = PINION__ATTR_PAIR,
     .offset = offsetof(pinion_pool, stride_h),
     .offset2 = offsetof(pinion_pool, stride_w),
     .min = 1,
     .max = PINION__MAX_WINDOW},
    {.key = "padding",
     .type = PINION__ATTR_PAIR,
     .offset = offsetof(pinion_pool, pad_h),
     .offset2 = offsetof(pinion_pool, pad_w),
     .min = 0,
     .max = PINION__MAX_WINDOW},
};

int pinion__pool_infer(pinion_context *ctx, const char *layer, const pinion__op *op, pinion_pool *a, pinion_shape input,
                       pinion_shape *output)
{
    int status = PINION_OK;
    if (a->stride_h == 0)
        a->stride_h = a->r;
    if (a->stride_w == 0)
        a->stride_w = a->s;
    PINION_TRY(pinion__attributes_check(ctx, layer, op, a));
    PINION_FAIL_IF(2 * a->pad_h > a->r || 2 * a->pad_w > a->s, PINION_EINVAL,
                   "layer '%s' (%s): a padding of %dx%d is more than half its window of %dx%d", layer, op->name,
                   a->pad_h, a->pad_w, a->r, a->s);
    pinion__window window = {"window", a->r, a->s, a->stride_h, a->stride_w, a->pad_h, a->pad_w};
    PINION_TRY(pinion__window_output(ctx, layer, op, &window, input, input.c, output));
fail:
    return status;
}
