/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the specification share. A reference kernel is one function over plain loops: every product and sum
 * is in double precision and is rounded to float once, when it is stored. It uses one thread, no scratch, and is
 * applicable to everything.
 *
 * Letters: n sample, h w row and column of the input, p q of the output, c input channel, k output channel, r s row and
 * column of the filter. Sums run over the indices that stand only on the right of a formula.
 */
#ifndef PINION_KERNEL_REF_H
#define PINION_KERNEL_REF_H

#include "kernel/bodies.h"
#include "op/operands.h"

#define PINION__REF_KERNEL(name) const pinion__kernel_body pinion__ref_##name = {.run = run_##name}

/* Channels of pixel (n, y, x). */
static inline float *pinion__pixel(const pinion__view *view, int n, int y, int x)
{
    ptrdiff_t pixel = ((ptrdiff_t)n * view->h + y) * view->w + x;
    return (float *)view->data + pixel * view->ld;
}

/* Channels of pixel number i in memory order. */
static inline float *pinion__nth_pixel(const pinion__view *view, size_t i)
{
    return (float *)view->data + (ptrdiff_t)i * view->ld;
}

/* Vectors: element c of a (1,1,1,c) view; 0 where the operand is absent. */
static inline double pinion__element(const pinion__view *view, int c)
{
    return view->data ? (double)((const float *)view->data)[c] : 0;
}

static inline void pinion__put(float *at, double value, bool accumulate)
{
    *at = (float)(accumulate ? (double)*at + value : value);
}

/* The output index of a window that starts at first = index*stride - pad and holds `at` as its member `offset`; -1:
 * there is none. */
static inline int pinion__window_at(int at, int offset, int pad, int stride, int count)
{
    int first = at + pad - offset;
    return first >= 0 && first % stride == 0 && first / stride < count ? first / stride : -1;
}

#endif
