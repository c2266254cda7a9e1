/* SPDX-License-Identifier: Apache-2.0
 *
 * The geometry of a convolution, read from attributes and views once for all kernels.
 */
#ifndef PINION_KERNEL_CPU_CONV2D_H
#define PINION_KERNEL_CPU_CONV2D_H

#include "kernel/cpu/gemm.h"

typedef struct pinion__conv {
    int r, s, stride_h, stride_w, pad_h, pad_w;
} pinion__conv;

static inline pinion__conv pinion__conv_of(const pinion__args *args)
{
    const pinion_conv2d *attributes = args->attributes;
    return (pinion__conv){.r = attributes->r,
                          .s = attributes->s,
                          .stride_h = attributes->stride_h > 0 ? attributes->stride_h : 1,
                          .stride_w = attributes->stride_w > 0 ? attributes->stride_w : 1,
                          .pad_h = attributes->pad_h,
                          .pad_w = attributes->pad_w};
}

/* Where filter tap (r, s) of output channel k begins. */
static inline const float *pinion__tap(const pinion__view *w, int k, int r, int s)
{
    return (const float *)w->data + (((ptrdiff_t)k * w->h + r) * w->w + s) * w->ld;
}

/* The output positions 0 … limit-1 whose tap lies inside the input: first and one past the last. */
static inline void pinion__tap_range(int tap, int stride, int pad, int input, int limit, int *begin, int *end)
{
    const int low = pad - tap, high = input - 1 + pad - tap; /* low <= position*stride <= high */
    *begin = low > 0 ? pinion__ceil_div(low, stride) : 0;
    *end = high < 0 ? 0 : high / stride + 1;
    *end = *end < limit ? *end : limit;
    *begin = *begin < *end ? *begin : *end;
}

#endif
