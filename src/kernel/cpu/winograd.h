/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015):
 * tiles of 4x4 outputs of a 3x3 convolution with stride 1 are 36 products instead of 144. With a patch d of 6x6 inputs
 * and a filter g
 *
 *     y = A' [ (G g G') * (B' d B) ] A,        dg = G' [ (A dy A') * (B' d B) ] G
 *
 * where * is element by element; summed over channels (or tiles) each of the 36 frequencies is a matrix product.
 *
 * The points are 0, ±3/4, ±3/2 and infinity, not the usual 0, ±1, ±2: products of the points near 1 halve the rounding
 * error (to about 2.4 times that of the direct algorithm), and B and A stay exact in binary.
 */
#ifndef PINION_KERNEL_CPU_WINOGRAD_H
#define PINION_KERNEL_CPU_WINOGRAD_H

#include "kernel/cpu/conv2d.h"

enum { PINION__WINOGRAD_OUT = 4, PINION__WINOGRAD_IN = 6, PINION__WINOGRAD_FREQUENCIES = 36 };

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

/* ---- one dimension of the transforms; elements of in and out stand `step` vectors apart ---- */

/* B': 6 inputs to 6 frequencies. */
PINION__INLINE void pinion__winograd_b(const pinion__vf *in, pinion__vf *out, const int step)
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
PINION__INLINE void pinion__winograd_g(const pinion__vf *in, const int in_step, pinion__vf *out, const int step)
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
PINION__INLINE void pinion__winograd_a(const pinion__vf *in, const int step, pinion__vf *out, const int out_step)
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
PINION__INLINE void pinion__winograd_a_transposed(const pinion__vf *in, const int in_step, pinion__vf *out,
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
PINION__INLINE void pinion__winograd_g_transposed(const pinion__vf *in, const int step, pinion__vf *out,
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

/* ---- tiles ---- */

/* Tiles of 4x4 over the pixels of a view of n x h x w, and where their transformed patches lie:
 * [frequency][tile][channel]. */
typedef struct pinion__winograd_tiles {
    int h, w, count; /* tiles an image high and wide; in all */
} pinion__winograd_tiles;

static inline pinion__winograd_tiles pinion__winograd_tiles_of(const pinion__view *out)
{
    const int h = pinion__ceil_div(out->h, PINION__WINOGRAD_OUT), w = pinion__ceil_div(out->w, PINION__WINOGRAD_OUT);
    return (pinion__winograd_tiles){.h = h, .w = w, .count = out->n * h * w};
}

/* Floats from one tile to the next in a transformed block: whole vectors, and two floats more so that the rows of a
 * register tile do not meet in one bank of the cache. */
static inline ptrdiff_t pinion__winograd_ld(int channels)
{
    return (ptrdiff_t)pinion__ceil_div(channels, PINION__LANES) * PINION__LANES + 2;
}

/* Floats from one frequency to the next: off the powers of two, which would meet in one set of the cache. */
static inline ptrdiff_t pinion__winograd_plane(int tiles, ptrdiff_t ld)
{
    return ((ptrdiff_t)tiles * ld + 15) / 16 * 16 + 16;
}

/* Tiles from `first` on of a view, `patch` pixels high and wide each, transformed. */
typedef struct pinion__winograd_block {
    const pinion__view *view;
    pinion__winograd_tiles tiles;
    int first, count;
    int pad_h, pad_w;   /* tile (ty, tx) begins at pixel (4*ty - pad_h, 4*tx - pad_w); pixels outside are zero */
    const float *zeros; /* as many as channels */
    float *out;
    ptrdiff_t ld, plane;
} pinion__winograd_block;

/* out = B' patch B of every tile and channel, in parallel. */
void PINION__CPU_SHARED(winograd_inputs)(const pinion__winograd_block *block, pinion__workers *workers);
/* out = A patch A' of every tile and channel, in parallel. */
void PINION__CPU_SHARED(winograd_gradients)(const pinion__winograd_block *block, pinion__workers *workers);

/* The whole of forward, or of backward_data with dy for source and the filters turned round. */
typedef struct pinion__winograd_conv {
    pinion__view source, target, w;
    int pad_h, pad_w;
    bool backward, accumulate;
    const float *bias;
    void *scratch;
} pinion__winograd_conv;

size_t PINION__CPU_SHARED(winograd_conv_scratch)(const pinion__winograd_conv *conv, int threads);
void PINION__CPU_SHARED(winograd_conv)(const pinion__winograd_conv *conv, pinion__workers *workers);

/* One panel of transformed filters: columns `column` … of the product, all its `depth` rows:
 * [frequency][row][PINION__TILE_COLUMNS]. */
void PINION__CPU_SHARED(winograd_filters)(const pinion__view *w, bool backward, int column, float *out,
                                          ptrdiff_t plane);

/* Does the algorithm pay: 3x3, stride 1, whole vectors of channels, tiles that are not mostly padding? */
static inline bool pinion__winograd_pays(const pinion__args *args, const pinion__view *out, int from, int to)
{
    const pinion__conv conv = pinion__conv_of(args);
    const pinion__winograd_tiles tiles = pinion__winograd_tiles_of(out);
    return conv.r == 3 && conv.s == 3 && conv.stride_h == 1 && conv.stride_w == 1 && from >= PINION__LANES &&
           to >= PINION__LANES && tiles.count >= PINION__TILE_ROWS &&
           2 * out->h * out->w >= tiles.h * tiles.w * PINION__WINOGRAD_OUT * PINION__WINOGRAD_OUT;
}

#endif
