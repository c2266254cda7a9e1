/* SPDX-License-Identifier: Apache-2.0
 *
 * What the pooling kernels share: which inputs a window holds, which windows hold an input, and loops over rows of the
 * written tensor. Backward passes gather: each input pixel adds up the windows it lies in, in their order, so rows are
 * independent and nothing is scattered or zeroed.
 */
#ifndef PINION_KERNEL_CPU_POOL_H
#define PINION_KERNEL_CPU_POOL_H

#include "kernel/cpu/elementwise.h"

/* first … end-1; empty where end <= first. */
typedef struct pinion__range {
    int first, end;
} pinion__range;

/* Inputs 0 … inputs-1 in window number `output` of a row or column. */
static inline pinion__range pinion__window_inputs(int output, int window, int stride, int pad, int inputs)
{
    int first = output * stride - pad, end = first + window;
    return (pinion__range){first > 0 ? first : 0, end < inputs ? end : inputs};
}

/* Windows 0 … outputs-1 that hold an input. */
static inline pinion__range pinion__input_windows(int input, int window, int stride, int pad, int outputs)
{
    int over = input + pad - window; /* windows that start here or before end before the input */
    int first = over < 0 ? 0 : over / stride + 1, end = (input + pad) / stride + 1;
    return (pinion__range){first, end < outputs ? end : outputs};
}

/* The same from the range of an input before this one ({0, 0} at first), without a division. */
static inline pinion__range pinion__next_windows(pinion__range at, int input, int window, int stride, int pad,
                                                 int outputs)
{
    while (at.first * stride - pad + window <= input)
        at.first++;
    while (at.end < outputs && at.end * stride - pad <= input)
        at.end++;
    return at;
}

/* A pass that writes `to` pixel by pixel from ranges of pixels of `from`. */
typedef struct pinion__pooling {
    const pinion__args *args;
    const pinion_pool *pool;
    const pinion__view *from, *to;
    pinion__cut cut; /* in rows of `to`, all samples */
} pinion__pooling;

/* Address of pixel (n, y, x), in elements of 4 bytes. */
static inline float *pinion__pool_pixel(const pinion__view *view, int n, int y, int x)
{
    return (float *)view->data + (((ptrdiff_t)n * view->h + y) * view->w + x) * view->ld;
}

static inline void pinion__pooling_run(const pinion__args *args, int from, int to,
                                       void (*item)(void *user, size_t item, int lane))
{
    const pinion_pool *pool = args->attributes;
    const pinion__view *out = &args->operand[to];
    size_t row = (size_t)out->w * (size_t)out->c;
    pinion__pooling loop = {
        .args = args,
        .pool = pool,
        .from = &args->operand[from],
        .to = out,
        .cut = pinion__cut_units((size_t)out->n * (size_t)out->h, row * 2),
    };
    pinion__parallel(args->workers, loop.cut.items, item, &loop);
}

#endif
