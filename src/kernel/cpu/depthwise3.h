/* SPDX-License-Identifier: Apache-2.0
 *
 * A row of a depthwise convolution with a 3x3 window: the nine weights of a vector of channels stay in registers while
 * the row is walked, four pixels at a time, each input loaded once for all of them. Rows outside the image are read
 * from a vector of zeros by steps of zero; pixels whose window leaves the image at the left or right are done one by
 * one.
 *
 * Forward with strides 1 and 2, and backward_data with stride 1, which is forward with the window turned round.
 */
#ifndef PINION_KERNEL_CPU_DEPTHWISE3_H
#define PINION_KERNEL_CPU_DEPTHWISE3_H

#include "kernel/cpu/activation.h"
#include "kernel/cpu/elementwise.h"

enum { PINION__TAPS = 9, PINION__ABREAST = 4 };

/* Three rows of a source, a vector of channels of them. */
typedef struct pinion__rows3 {
    const float *row[3]; /* pixel 0 */
    ptrdiff_t step[3];   /* to the next pixel */
    int width;           /* pixels */
} pinion__rows3;

static const float pinion__zeros3[PINION__LANES];

/* Rows y, y+1, y+2 of image n; `channel` is the first of the vector. */
static inline pinion__rows3 pinion__rows3_of(const pinion__view *view, int n, int y, int channel)
{
    pinion__rows3 rows = {.width = view->w};
    for (int r = 0; r < 3; r++) {
        const bool inside = y + r >= 0 && y + r < view->h;
        const ptrdiff_t first = ((ptrdiff_t)n * view->h + y + r) * view->w;
        rows.row[r] = inside ? (const float *)view->data + first * view->ld + channel : pinion__zeros3;
        rows.step[r] = inside ? view->ld : 0;
    }
    return rows;
}

/* Outputs first … end-1 of a row have their whole window inside. */
static inline void pinion__rows3_inside(int width, int outputs, int stride, int pad, int *first, int *end)
{
    const int last = width - 3 + pad;
    *end = last < 0 ? 0 : last / stride + 1;
    *end = *end < outputs ? *end : outputs;
    *first = (pad + stride - 1) / stride;
    *first = *first < *end ? *first : *end;
}

/* What a row is stored with: bias, and at each pixel an addend, an activation, or the sum with what is there. */
enum pinion__row3_end { PINION__ROW3_PLAIN, PINION__ROW3_FUSED, PINION__ROW3_ACCUMULATE };

typedef struct pinion__row3 {
    pinion__rows3 from;
    pinion__vf weights[PINION__TAPS], bias;
    float *out;
    const float *addend; /* FUSED; may be NULL */
    ptrdiff_t out_ld, addend_ld;
    pinion__bounds bounds;
    int outputs, pad;
} pinion__row3;

PINION__INLINE void pinion__row3_put(const pinion__row3 *row, int q, pinion__vf sum, int count,
                                     enum pinion__row3_end how)
{
    if (how == PINION__ROW3_FUSED) {
        if (row->addend)
            sum = pinion__vf_add(sum, pinion__vf_load_some(row->addend + q * row->addend_ld, count));
        sum = pinion__vf_clamp(sum, row->bounds);
    }
    pinion__vf_put(row->out + q * row->out_ld, sum, count, how == PINION__ROW3_ACCUMULATE);
}

PINION__INLINE void pinion__row3_edge(const pinion__row3 *row, int q, const int stride, const int count,
                                      enum pinion__row3_end how)
{
    pinion__vf sum = row->bias;
#pragma GCC unroll 3
    for (int s = 0; s < 3; s++) {
        const ptrdiff_t column = q * stride - row->pad + s;
        if (column < 0 || column >= row->from.width)
            continue;
#pragma GCC unroll 3
        for (int r = 0; r < 3; r++)
            sum = pinion__vf_fma(pinion__vf_load_some(row->from.row[r] + column * row->from.step[r], count),
                                 row->weights[3 * r + s], sum);
    }
    pinion__row3_put(row, q, sum, count, how);
}

/* `abreast` outputs from q on, whose windows lie inside. */
PINION__INLINE void pinion__row3_inner(const pinion__row3 *row, int q, const int abreast, const int stride,
                                       const int count, enum pinion__row3_end how)
{
    pinion__vf sum[PINION__ABREAST];
#pragma GCC unroll 4
    for (int j = 0; j < abreast; j++)
        sum[j] = row->bias;
#pragma GCC unroll 3
    for (int r = 0; r < 3; r++) {
        const float *at = row->from.row[r] + (ptrdiff_t)(q * stride - row->pad) * row->from.step[r];
#pragma GCC unroll 9
        for (int k = 0; k < (abreast - 1) * stride + 3; k++, at += row->from.step[r]) {
            const pinion__vf x = pinion__vf_load_some(at, count);
#pragma GCC unroll 4
            for (int j = 0; j < abreast; j++)
                if (k - j * stride >= 0 && k - j * stride < 3)
                    sum[j] = pinion__vf_fma(x, row->weights[3 * r + k - j * stride], sum[j]);
        }
    }
#pragma GCC unroll 4
    for (int j = 0; j < abreast; j++)
        pinion__row3_put(row, q + j, sum[j], count, how);
}

PINION__INLINE void pinion__row3_run(const pinion__row3 *shared, const int stride, const int count,
                                     enum pinion__row3_end how)
{
    const pinion__row3 copy = *shared, *const row = &copy;
    int first, end, q = 0;
    pinion__rows3_inside(row->from.width, row->outputs, stride, row->pad, &first, &end);
    for (; q < first; q++)
        pinion__row3_edge(row, q, stride, count, how);
    for (; q + PINION__ABREAST <= end; q += PINION__ABREAST)
        pinion__row3_inner(row, q, PINION__ABREAST, stride, count, how);
    for (; q < end; q++)
        pinion__row3_inner(row, q, 1, stride, count, how);
    for (; q < row->outputs; q++)
        pinion__row3_edge(row, q, stride, count, how);
}

#endif
