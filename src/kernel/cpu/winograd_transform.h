/* SPDX-License-Identifier: Apache-2.0
 *
 * The transforms of Winograd's minimal filtering in one dimension, on vectors of channels: F(4,3) of 4 outputs from 6
 * inputs, and F(2,3) of 2 outputs from 4 (winograd.h has the two-dimensional formula). Elements of in and out stand
 * `step` vectors apart. pinion__winograd_b and its sisters take the number of outputs as a constant.
 *
 * F(4,3): the points are 0, ±3/4, ±3/2 and infinity, not the usual 0, ±1, ±2: products of the points near 1 halve the
 * rounding error (to about 2.4 times that of the direct algorithm), and B and A stay exact in binary. F(2,3): the
 * points are 0, ±1 and infinity; B and A are sums and differences.
 */
#ifndef PINION_KERNEL_CPU_WINOGRAD_TRANSFORM_H
#define PINION_KERNEL_CPU_WINOGRAD_TRANSFORM_H

#include "kernel/cpu/vec.h"

#define PINION__POINT_A 0.75F
#define PINION__POINT_B 1.5F
#define PINION__SQUARE_A (PINION__POINT_A * PINION__POINT_A)
#define PINION__SQUARE_B (PINION__POINT_B * PINION__POINT_B)
#define PINION__NORM_0 (1.0F / (PINION__SQUARE_A * PINION__SQUARE_B))
#define PINION__NORM_A (1.0F / (2.0F * PINION__SQUARE_A * (PINION__SQUARE_A - PINION__SQUARE_B)))
#define PINION__NORM_B (1.0F / (2.0F * PINION__SQUARE_B * (PINION__SQUARE_B - PINION__SQUARE_A)))

PINION__INLINE pinion__vf pinion__scaled(float factor, pinion__vf v)
{
    return pinion__vf_mul(pinion__vf_set1(factor), v);
}

PINION__INLINE pinion__vf pinion__plus_scaled(pinion__vf sum, float factor, pinion__vf v)
{
    return pinion__vf_fma(pinion__vf_set1(factor), v, sum);
}

/* ---- F(4,3) ---- */

/* B': 6 inputs to 6 frequencies. */
PINION__INLINE void pinion__winograd4_b(const pinion__vf *in, pinion__vf *out, const int step)
{
    const pinion__vf d1 = in[step], d2 = in[2 * step], d3 = in[3 * step], d4 = in[4 * step];
    const float middle = -(PINION__SQUARE_A + PINION__SQUARE_B), ends = PINION__SQUARE_A * PINION__SQUARE_B;
    const pinion__vf even_a = pinion__plus_scaled(d4, -PINION__SQUARE_B, d2);
    const pinion__vf odd_a = pinion__scaled(PINION__POINT_A, pinion__plus_scaled(d3, -PINION__SQUARE_B, d1));
    const pinion__vf even_b = pinion__plus_scaled(d4, -PINION__SQUARE_A, d2);
    const pinion__vf odd_b = pinion__scaled(PINION__POINT_B, pinion__plus_scaled(d3, -PINION__SQUARE_A, d1));
    const pinion__vf first = pinion__plus_scaled(pinion__plus_scaled(d4, middle, d2), ends, in[0]);
    const pinion__vf last = pinion__plus_scaled(pinion__plus_scaled(in[5 * step], middle, d3), ends, d1);
    out[0] = first;
    out[step] = pinion__vf_add(even_a, odd_a);
    out[2 * step] = pinion__vf_sub(even_a, odd_a);
    out[3 * step] = pinion__vf_add(even_b, odd_b);
    out[4 * step] = pinion__vf_sub(even_b, odd_b);
    out[5 * step] = last;
}

/* G: 3 taps to 6 frequencies. */
PINION__INLINE void pinion__winograd4_g(const pinion__vf *in, const int in_step, pinion__vf *out, const int step)
{
    const pinion__vf g0 = in[0], g1 = in[in_step], g2 = in[2 * in_step];
    const pinion__vf even_a = pinion__scaled(PINION__NORM_A, pinion__plus_scaled(g0, PINION__SQUARE_A, g2));
    const pinion__vf even_b = pinion__scaled(PINION__NORM_B, pinion__plus_scaled(g0, PINION__SQUARE_B, g2));
    const float odd_a = PINION__POINT_A * PINION__NORM_A, odd_b = PINION__POINT_B * PINION__NORM_B;
    out[0] = pinion__scaled(PINION__NORM_0, g0);
    out[step] = pinion__plus_scaled(even_a, odd_a, g1);
    out[2 * step] = pinion__plus_scaled(even_a, -odd_a, g1);
    out[3 * step] = pinion__plus_scaled(even_b, odd_b, g1);
    out[4 * step] = pinion__plus_scaled(even_b, -odd_b, g1);
    out[5 * step] = g2;
}

/* A': 6 frequencies to 4 outputs. */
PINION__INLINE void pinion__winograd4_a(const pinion__vf *in, const int step, pinion__vf *out, const int out_step)
{
    const pinion__vf even_a = pinion__vf_add(in[step], in[2 * step]), odd_a = pinion__vf_sub(in[step], in[2 * step]);
    const pinion__vf even_b = pinion__vf_add(in[3 * step], in[4 * step]);
    const pinion__vf odd_b = pinion__vf_sub(in[3 * step], in[4 * step]);
    const float cube_a = PINION__POINT_A * PINION__SQUARE_A, cube_b = PINION__POINT_B * PINION__SQUARE_B;
    const pinion__vf last = pinion__plus_scaled(in[5 * step], cube_a, odd_a);
    out[0] = pinion__vf_add(pinion__vf_add(in[0], even_a), even_b);
    out[out_step] = pinion__plus_scaled(pinion__scaled(PINION__POINT_A, odd_a), PINION__POINT_B, odd_b);
    out[2 * out_step] = pinion__plus_scaled(pinion__scaled(PINION__SQUARE_A, even_a), PINION__SQUARE_B, even_b);
    out[3 * out_step] = pinion__plus_scaled(last, cube_b, odd_b);
}

/* A: 4 gradients of outputs to 6 frequencies. */
PINION__INLINE void pinion__winograd4_a_transposed(const pinion__vf *in, const int in_step, pinion__vf *out,
                                                   const int step)
{
    const pinion__vf e0 = in[0], e1 = in[in_step], e2 = in[2 * in_step], e3 = in[3 * in_step];
    const pinion__vf even_a = pinion__plus_scaled(e0, PINION__SQUARE_A, e2);
    const pinion__vf even_b = pinion__plus_scaled(e0, PINION__SQUARE_B, e2);
    const pinion__vf odd_a = pinion__scaled(PINION__POINT_A, pinion__plus_scaled(e1, PINION__SQUARE_A, e3));
    const pinion__vf odd_b = pinion__scaled(PINION__POINT_B, pinion__plus_scaled(e1, PINION__SQUARE_B, e3));
    out[0] = e0;
    out[step] = pinion__vf_add(even_a, odd_a);
    out[2 * step] = pinion__vf_sub(even_a, odd_a);
    out[3 * step] = pinion__vf_add(even_b, odd_b);
    out[4 * step] = pinion__vf_sub(even_b, odd_b);
    out[5 * step] = e3;
}

/* G': 6 frequencies to 3 taps. */
PINION__INLINE void pinion__winograd4_g_transposed(const pinion__vf *in, const int step, pinion__vf *out,
                                                   const int out_step)
{
    const pinion__vf even_a = pinion__scaled(PINION__NORM_A, pinion__vf_add(in[step], in[2 * step]));
    const pinion__vf even_b = pinion__scaled(PINION__NORM_B, pinion__vf_add(in[3 * step], in[4 * step]));
    const pinion__vf odd_a = pinion__vf_sub(in[step], in[2 * step]), odd_b = pinion__vf_sub(in[3 * step], in[4 * step]);
    const float factor_a = PINION__POINT_A * PINION__NORM_A, factor_b = PINION__POINT_B * PINION__NORM_B;
    const pinion__vf last = pinion__plus_scaled(in[5 * step], PINION__SQUARE_A, even_a);
    out[0] = pinion__plus_scaled(pinion__vf_add(even_a, even_b), PINION__NORM_0, in[0]);
    out[out_step] = pinion__plus_scaled(pinion__scaled(factor_a, odd_a), factor_b, odd_b);
    out[2 * out_step] = pinion__plus_scaled(last, PINION__SQUARE_B, even_b);
}

/* ---- F(2,3) ---- */

/* B': 4 inputs to 4 frequencies. */
PINION__INLINE void pinion__winograd2_b(const pinion__vf *in, pinion__vf *out, const int step)
{
    const pinion__vf d0 = in[0], d1 = in[step], d2 = in[2 * step], d3 = in[3 * step];
    out[0] = pinion__vf_sub(d0, d2);
    out[step] = pinion__vf_add(d1, d2);
    out[2 * step] = pinion__vf_sub(d2, d1);
    out[3 * step] = pinion__vf_sub(d1, d3);
}

/* G: 3 taps to 4 frequencies. */
PINION__INLINE void pinion__winograd2_g(const pinion__vf *in, const int in_step, pinion__vf *out, const int step)
{
    const pinion__vf g0 = in[0], g2 = in[2 * in_step];
    const pinion__vf even = pinion__scaled(0.5F, pinion__vf_add(g0, g2)), odd = pinion__scaled(0.5F, in[in_step]);
    out[0] = g0;
    out[step] = pinion__vf_add(even, odd);
    out[2 * step] = pinion__vf_sub(even, odd);
    out[3 * step] = g2;
}

/* A': 4 frequencies to 2 outputs. */
PINION__INLINE void pinion__winograd2_a(const pinion__vf *in, const int step, pinion__vf *out, const int out_step)
{
    const pinion__vf f1 = in[step], f2 = in[2 * step];
    out[0] = pinion__vf_add(in[0], pinion__vf_add(f1, f2));
    out[out_step] = pinion__vf_sub(pinion__vf_sub(f1, f2), in[3 * step]);
}

/* A: 2 gradients of outputs to 4 frequencies. */
PINION__INLINE void pinion__winograd2_a_transposed(const pinion__vf *in, const int in_step, pinion__vf *out,
                                                   const int step)
{
    const pinion__vf e0 = in[0], e1 = in[in_step];
    out[0] = e0;
    out[step] = pinion__vf_add(e0, e1);
    out[2 * step] = pinion__vf_sub(e0, e1);
    out[3 * step] = pinion__vf_sub(pinion__vf_zero(), e1);
}

/* G': 4 frequencies to 3 taps. */
PINION__INLINE void pinion__winograd2_g_transposed(const pinion__vf *in, const int step, pinion__vf *out,
                                                   const int out_step)
{
    const pinion__vf f1 = in[step], f2 = in[2 * step];
    const pinion__vf even = pinion__scaled(0.5F, pinion__vf_add(f1, f2));
    out[0] = pinion__vf_add(in[0], even);
    out[out_step] = pinion__scaled(0.5F, pinion__vf_sub(f1, f2));
    out[2 * out_step] = pinion__vf_add(even, in[3 * step]);
}

/* ---- either, by the number of outputs ---- */

PINION__INLINE void pinion__winograd_b(const int outputs, const pinion__vf *in, pinion__vf *out, const int step)
{
    if (outputs == 4)
        pinion__winograd4_b(in, out, step);
    else
        pinion__winograd2_b(in, out, step);
}

PINION__INLINE void pinion__winograd_g(const int outputs, const pinion__vf *in, const int in_step, pinion__vf *out,
                                       const int step)
{
    if (outputs == 4)
        pinion__winograd4_g(in, in_step, out, step);
    else
        pinion__winograd2_g(in, in_step, out, step);
}

PINION__INLINE void pinion__winograd_a(const int outputs, const pinion__vf *in, const int step, pinion__vf *out,
                                       const int out_step)
{
    if (outputs == 4)
        pinion__winograd4_a(in, step, out, out_step);
    else
        pinion__winograd2_a(in, step, out, out_step);
}

PINION__INLINE void pinion__winograd_a_transposed(const int outputs, const pinion__vf *in, const int in_step,
                                                  pinion__vf *out, const int step)
{
    if (outputs == 4)
        pinion__winograd4_a_transposed(in, in_step, out, step);
    else
        pinion__winograd2_a_transposed(in, in_step, out, step);
}

PINION__INLINE void pinion__winograd_g_transposed(const int outputs, const pinion__vf *in, const int step,
                                                  pinion__vf *out, const int out_step)
{
    if (outputs == 4)
        pinion__winograd4_g_transposed(in, step, out, out_step);
    else
        pinion__winograd2_g_transposed(in, step, out, out_step);
}

#endif
