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
#include "op/stats.h"
#include <math.h>

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

/* relu(v) = max(v, 0), relu6(v) = min(max(v, 0), 6); a NaN stays one. */
static inline double pinion__activate(enum pinion__activation activation, double v)
{
    if (activation == PINION__ACTIVATION_NONE)
        return v;
    return v < 0 ? 0 : activation == PINION__ACTIVATION_RELU6 && v > 6 ? 6 : v;
}

/* Does an activation pass the gradient to where it gave y, or was given it? */
static inline bool pinion__passes(enum pinion__activation activation, double y)
{
    return activation == PINION__ACTIVATION_NONE || (y > 0 && (activation != PINION__ACTIVATION_RELU6 || y < 6));
}

/* The same behind a batch normalisation with these saved constants (mean, scale, shift). What is asked is the value
 * that the kernels compute, in float and with one rounding behind the product, as a value near 0 or 6 may lie on the
 * other side in double. */
static inline bool pinion__passes_normalised(enum pinion__activation activation, const pinion__view *constants, int c,
                                             float x)
{
    const float *mean = pinion__pixel(constants, 0, 0, 0), *scale = pinion__pixel(constants, 0, 1, 0);
    const float *shift = pinion__pixel(constants, 0, 2, 0);
    return pinion__passes(activation, (double)fmaf(x - mean[c], scale[c], shift[c]));
}

/* y = activation(value + addend) at channel c of a pixel; the addend, which y may lie over, may be absent. */
static inline void pinion__put_output(const pinion__args *args, int y, int addend, size_t pixel, int c, double value)
{
    const pinion__view *more = &args->operand[addend];
    double sum = value + (more->data ? (double)pinion__nth_pixel(more, pixel)[c] : 0);
    pinion__put(&pinion__nth_pixel(&args->operand[y], pixel)[c], pinion__activate(args->activation, sum), false);
}

/* Partial statistics of y, where they are wanted: of each block b of its pixels (op/stats.h) and channel
 *
 *     stats[b,0,0,c] = mean = sum y[i,c] / pixels        stats[b,1,0,c] = M2 = sum (y[i,c] - mean)^2
 */
static inline void pinion__put_stats(const pinion__view *y, const pinion__view *stats)
{
    pinion__stats_blocks blocks = pinion__stats_blocks_of(y->n, y->h, y->w);
    for (int b = 0; stats->data && b < blocks.count; b++) {
        size_t begin = pinion__stats_block_begin(&blocks, y->h, y->w, b);
        size_t pixels = pinion__stats_block_pixels(&blocks, y->n, y->h, y->w, b);
        for (int c = 0; c < y->c; c++) {
            double mean = 0, m2 = 0;
            for (size_t i = begin; i < begin + pixels; i++)
                mean += (double)pinion__nth_pixel(y, i)[c] / (double)pixels;
            for (size_t i = begin; i < begin + pixels; i++) {
                double distance = (double)pinion__nth_pixel(y, i)[c] - mean;
                m2 += distance * distance;
            }
            pinion__put(&pinion__pixel(stats, b, 0, 0)[c], mean, false);
            pinion__put(&pinion__pixel(stats, b, 1, 0)[c], m2, false);
        }
    }
}

/* The output index of a window that starts at first = index*stride - pad and holds `at` as its member `offset`; -1:
 * there is none. */
static inline int pinion__window_at(int at, int offset, int pad, int stride, int count)
{
    int first = at + pad - offset;
    return first >= 0 && first % stride == 0 && first / stride < count ? first / stride : -1;
}

#endif
