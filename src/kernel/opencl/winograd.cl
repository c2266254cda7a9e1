/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd's minimal filtering F(4x4, 3x3) (kernel/cpu/winograd.h has the formula, its source and the bound of its
 * rounding errors): the transforms of one dimension on vectors of channels, whose elements stand `step` apart, and the
 * transform of patches. The points are 0, +-3/4, +-3/2 and infinity.
 *
 * Transformed tensors are [frequency][tile][channel]: `plane` floats a frequency, `ld` a tile.
 */
#include "vector.cl"

#define OUT 4
#define IN (OUT + 2)
#define FREQUENCIES (IN * IN)
#define COLUMNS (VECTORS * VECTOR)

#define POINT_A 0.75f
#define POINT_B 1.5f
#define SQUARE_A (POINT_A * POINT_A)
#define SQUARE_B (POINT_B * POINT_B)
#define NORM_0 (1.0f / (SQUARE_A * SQUARE_B))
#define NORM_A (1.0f / (2.0f * SQUARE_A * (SQUARE_A - SQUARE_B)))
#define NORM_B (1.0f / (2.0f * SQUARE_B * (SQUARE_B - SQUARE_A)))

inline vf plus(vf sum, float factor, vf v)
{
    return factor * v + sum;
}

/* B': IN inputs to IN frequencies. */
inline void to_frequencies(const vf *in, vf *out, const int step)
{
    const vf d0 = in[0], d1 = in[step], d2 = in[2 * step], d3 = in[3 * step], d4 = in[4 * step], d5 = in[5 * step];
    const float middle = -(SQUARE_A + SQUARE_B), ends = SQUARE_A * SQUARE_B;
    const vf even_a = plus(d4, -SQUARE_B, d2), odd_a = POINT_A * plus(d3, -SQUARE_B, d1);
    const vf even_b = plus(d4, -SQUARE_A, d2), odd_b = POINT_B * plus(d3, -SQUARE_A, d1);
    out[0] = plus(plus(d4, middle, d2), ends, d0);
    out[step] = even_a + odd_a;
    out[2 * step] = even_a - odd_a;
    out[3 * step] = even_b + odd_b;
    out[4 * step] = even_b - odd_b;
    out[5 * step] = plus(plus(d5, middle, d3), ends, d1);
}

/* G: 3 taps to IN frequencies. */
inline void taps_to_frequencies(const vf *in, const int in_step, vf *out, const int step)
{
    const vf g0 = in[0], g1 = in[in_step], g2 = in[2 * in_step];
    const vf even_a = NORM_A * plus(g0, SQUARE_A, g2), even_b = NORM_B * plus(g0, SQUARE_B, g2);
    const float odd_a = POINT_A * NORM_A, odd_b = POINT_B * NORM_B;
    out[0] = NORM_0 * g0;
    out[step] = plus(even_a, odd_a, g1);
    out[2 * step] = plus(even_a, -odd_a, g1);
    out[3 * step] = plus(even_b, odd_b, g1);
    out[4 * step] = plus(even_b, -odd_b, g1);
    out[5 * step] = g2;
}

/* A': IN frequencies to OUT outputs. */
inline void to_outputs(const vf *in, const int step, vf *out, const int out_step)
{
    const vf even_a = in[step] + in[2 * step], odd_a = in[step] - in[2 * step];
    const vf even_b = in[3 * step] + in[4 * step], odd_b = in[3 * step] - in[4 * step];
    const float cube_a = POINT_A * SQUARE_A, cube_b = POINT_B * SQUARE_B;
    out[0] = in[0] + even_a + even_b;
    out[out_step] = plus(POINT_A * odd_a, POINT_B, odd_b);
    out[2 * out_step] = plus(SQUARE_A * even_a, SQUARE_B, even_b);
    out[3 * out_step] = plus(plus(in[5 * step], cube_a, odd_a), cube_b, odd_b);
}

/* A: OUT gradients of outputs to IN frequencies. */
inline void gradients_to_frequencies(const vf *in, const int in_step, vf *out, const int step)
{
    const vf e0 = in[0], e1 = in[in_step], e2 = in[2 * in_step], e3 = in[3 * in_step];
    const vf even_a = plus(e0, SQUARE_A, e2), even_b = plus(e0, SQUARE_B, e2);
    const vf odd_a = POINT_A * plus(e1, SQUARE_A, e3), odd_b = POINT_B * plus(e1, SQUARE_B, e3);
    out[0] = e0;
    out[step] = even_a + odd_a;
    out[2 * step] = even_a - odd_a;
    out[3 * step] = even_b + odd_b;
    out[4 * step] = even_b - odd_b;
    out[5 * step] = e3;
}

/* G': IN frequencies to 3 taps. */
inline void frequencies_to_taps(const vf *in, const int step, vf *out, const int out_step)
{
    const vf even_a = NORM_A * (in[step] + in[2 * step]), even_b = NORM_B * (in[3 * step] + in[4 * step]);
    const vf odd_a = in[step] - in[2 * step], odd_b = in[3 * step] - in[4 * step];
    const float factor_a = POINT_A * NORM_A, factor_b = POINT_B * NORM_B;
    out[0] = plus(even_a + even_b, NORM_0, in[0]);
    out[out_step] = plus(factor_a * odd_a, factor_b, odd_b);
    out[2 * out_step] = plus(plus(in[5 * step], SQUARE_A, even_a), SQUARE_B, even_b);
}

/* The pixels of a patch of SIZE x SIZE from pixel (y, x) on, a column of it; those outside are 0. */
#define LOAD_COLUMN(SIZE, column, from, ld, h, w, y, x)                                                                \
    _Pragma("unroll") for (int i = 0; i < SIZE; i++) column[i] =                                                       \
        (y) + i >= 0 && (y) + i < (h) && (x) >= 0 && (x) < (w) ? vf_load((from) + (((y) + i) * (w) + (x)) * (ld))      \
                                                               : vf_set1(0.0f);

/* out = B' patch B of tiles first ... first+count-1 of x, `strips` vectors of channels. Tile (ty, tx) begins at pixel
 * (OUT*ty - pad_h, OUT*tx - pad_w). Id: vector of channels of a tile. */
__kernel void patches(const __global float *x, int x_offset, int x_ld, int h, int w, int pad_h, int pad_w, int tiles_h,
                      int tiles_w, int first, int count, int strips, __global float *out, int out_offset, int ld,
                      int plane)
{
    const int index = (int)get_global_id(0) / strips, c = (int)get_global_id(0) % strips * VECTOR;
    if (index >= count)
        return;
    const int tile = first + index, n = tile / (tiles_h * tiles_w);
    const int y = tile / tiles_w % tiles_h * OUT - pad_h, x0 = tile % tiles_w * OUT - pad_w;
    const __global float *from = x + x_offset + n * h * w * x_ld + c;
    vf half_way[FREQUENCIES];
#pragma unroll
    for (int j = 0; j < IN; j++) {
        vf column[IN], frequency[IN];
        LOAD_COLUMN(IN, column, from, x_ld, h, w, y, x0 + j)
        to_frequencies(column, frequency, 1);
#pragma unroll
        for (int i = 0; i < IN; i++)
            half_way[i * IN + j] = frequency[i];
    }
    __global float *to = out + out_offset + index * ld + c;
#pragma unroll
    for (int i = 0; i < IN; i++) {
        vf frequency[IN];
        to_frequencies(half_way + i * IN, frequency, 1);
#pragma unroll
        for (int j = 0; j < IN; j++)
            vf_store(to + (i * IN + j) * plane, frequency[j]);
    }
}
