/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd's minimal filtering F(4x4, 3x3) and F(2x2, 3x3) (Lavin and Gray, "Fast algorithms for convolutional neural
 * networks", 2015): tiles of 4x4 outputs of a 3x3 convolution with stride 1 are 36 products instead of 144, tiles of
 * 2x2 are 16 instead of 36. With a patch d of inputs (6x6 or 4x4) and a filter g
 *
 *     y = A' [ (G g G') * (B' d B) ] A,        dg = G' [ (A dy A') * (B' d B) ] G
 *
 * where * is element by element; summed over channels (or tiles) each of the 36 or 16 frequencies is a matrix product.
 *
 * Rounding: |error| <= (gain + sqrt(terms)) * eps * max |sum of the absolute values of the terms|, by the norm of the
 * whole result, where gain = |A'|_1 |G|_F |B'|_F of one dimension: 97.4 for F(4x4), 10.6 for F(2x2) (Barabasz,
 * Anderson, Soodhalter, Gregg, "Error analysis and improving the accuracy of Winograd convolution for deep neural
 * networks", ACM TOMS 46(4), 2020). Two dimensions square the gain in the worst case; errors of either sign stay far
 * below the factor of one, and the kernel checker holds them to it.
 */
#ifndef PINION_KERNEL_CPU_WINOGRAD_H
#define PINION_KERNEL_CPU_WINOGRAD_H

#include "kernel/cpu/activation.h"
#include "kernel/cpu/conv2d.h"
#include "op/stats.h"

/* Of the larger transform: sizes of local arrays. */
enum {
    PINION__WINOGRAD_OUT = 4,
    PINION__WINOGRAD_IN = PINION__WINOGRAD_OUT + 2,
    PINION__WINOGRAD_FREQUENCIES = PINION__WINOGRAD_IN * PINION__WINOGRAD_IN
};

/* ---- tiles ---- */

/* Tiles of out x out over the pixels of a view of n x h x w, in the order of its pixels; and the blocks of op/stats.h,
 * which are whole tiles. */
typedef struct pinion__winograd_tiles {
    int out;         /* 4 or 2 */
    int h, w, count; /* tiles an image high and wide; in all */
    int frequencies;
    pinion__stats_blocks blocks;
} pinion__winograd_tiles;

static inline pinion__winograd_tiles pinion__winograd_tiles_of(const pinion__view *view, int out)
{
    const int h = pinion__ceil_div(view->h, out), w = pinion__ceil_div(view->w, out);
    return (pinion__winograd_tiles){.out = out,
                                    .h = h,
                                    .w = w,
                                    .count = view->n * h * w,
                                    .frequencies = (out + 2) * (out + 2),
                                    .blocks = pinion__stats_blocks_of(view->n, view->h, view->w)};
}

/* The first tile of a block; of the block after the last: the number of tiles. */
static inline int pinion__winograd_block_begin(const pinion__winograd_tiles *tiles, int block)
{
    const pinion__stats_blocks *blocks = &tiles->blocks;
    const int image = block / blocks->per_image * blocks->images, row = block % blocks->per_image * blocks->rows;
    const int begin = (image * tiles->h + row / tiles->out) * tiles->w;
    return begin < tiles->count ? begin : tiles->count;
}

/* No block has more tiles than this. */
static inline int pinion__winograd_block_most(const pinion__winograd_tiles *tiles)
{
    return tiles->blocks.images * pinion__ceil_div(tiles->blocks.rows, tiles->out) * tiles->w;
}

/* Floats from one tile to the next in a transformed block: whole lines, and one more so that the rows of a register
 * tile do not meet in one set of the cache. */
static inline ptrdiff_t pinion__winograd_ld(int channels)
{
    return ((ptrdiff_t)channels + 15) / 16 * 16 + 16;
}

/* Floats from one frequency to the next: off the powers of two, for the same reason. */
static inline ptrdiff_t pinion__winograd_plane(int tiles, ptrdiff_t ld)
{
    return (ptrdiff_t)tiles * ld + (((ptrdiff_t)tiles * ld / 16) % 2 == 0 ? 16 : 0);
}

/* ---- patches to frequencies ---- */

typedef struct pinion__winograd_patches {
    const pinion__view *view;
    const pinion__winograd_tiles *tiles;
    int pad_h, pad_w;   /* tile (ty, tx) begins at pixel (out*ty - pad_h, out*tx - pad_w); pixels outside are zero */
    const float *zeros; /* as many as channels */
    float *out;         /* [channels / depth][frequency][tile][depth] */
    int depth;          /* whole vectors */
    ptrdiff_t ld, plane, step;
    bool ahead; /* nobody has asked for the pixels: ask while transforming */
} pinion__winograd_patches;

/* out = B' patch B of every channel of `count` tiles from `first` on, which is tile 0 of out. */
void PINION__CPU_SHARED(winograd_inputs)(const pinion__winograd_patches *patches, int first, int count);
/* out = A patch A'. */
void PINION__CPU_SHARED(winograd_gradients)(const pinion__winograd_patches *patches, int first, int count);

/* Asks for the pixels of tiles begin … end-1, for a transform that comes later. */
void PINION__CPU_SHARED(winograd_foresee)(const pinion__view *view, const pinion__winograd_tiles *tiles, int begin,
                                          int end);

static inline size_t pinion__winograd_zeros(int channels)
{
    return ((size_t)channels + 15) / 16 * 16;
}

/* ---- filters to frequencies ---- */

/* A panel of transformed filters: PINION__TILE_COLUMNS columns of the product from `column` on, `rows` of its rows from
 * `row` (a whole number of vectors) on: [frequency][row][column], `plane` floats a frequency. Columns are output
 * channels and rows input channels, or with `backward` the other way and the taps turned round. */
typedef struct pinion__winograd_panel {
    const pinion__view *w;
    int out;
    bool backward;
    int column, row, rows;
    float *to;
    ptrdiff_t plane;
} pinion__winograd_panel;

void PINION__CPU_SHARED(winograd_filters)(const pinion__winograd_panel *panel);

/* ---- one frequency ---- */

/* products[tile][column] = patches[tile][row] * panel[row][column], or added to what is there. */
typedef struct pinion__winograd_product {
    const float *patches, *panel;
    float *products; /* PINION__TILE_COLUMNS a tile */
    ptrdiff_t ld;    /* of patches */
    int tiles, depth;
    bool add;
} pinion__winograd_product;

void PINION__CPU_SHARED(winograd_multiply)(const pinion__winograd_product *product);
/* The first vector of columns only. */
void PINION__CPU_SHARED(winograd_multiply_narrow)(const pinion__winograd_product *product);

/* sums[row][column] = sum over tiles of a[tile][row] * b[tile][column], or added to what is there: `rows` rows of
 * PINION__TILE_COLUMNS columns. */
typedef struct pinion__winograd_reduction {
    const float *a, *b;
    ptrdiff_t a_ld, b_ld;
    float *sums;
    int tiles, rows;
    bool add;
} pinion__winograd_reduction;

void PINION__CPU_SHARED(winograd_reduce)(const pinion__winograd_reduction *reduction);

/* ---- forward and backward_data ---- */

/* The whole of forward, or of backward_data with dy for source and the filters turned round. */
typedef struct pinion__winograd_conv {
    int out; /* 4 or 2 */
    pinion__view source, target, w;
    int pad_h, pad_w;
    bool backward, accumulate;
    const float *bias;          /* NULL: none */
    pinion__view addend, stats; /* data NULL: none */
    pinion__bounds bounds;
    void *scratch;
} pinion__winograd_conv;

/* Products of tiles `first` … of one panel of columns: [frequency][tile][PINION__TILE_COLUMNS]. */
typedef struct pinion__winograd_outputs {
    const pinion__winograd_conv *conv;
    const pinion__winograd_tiles *tiles;
    const float *products;
    ptrdiff_t plane;
    int first, column;
} pinion__winograd_outputs;

/* y = activation(A' products A + bias + addend) of tiles begin … end-1 of them. */
void PINION__CPU_SHARED(winograd_write)(const pinion__winograd_outputs *outputs, int begin, int end);
/* Asks for the lines that they will be written to. */
void PINION__CPU_SHARED(winograd_expect)(const pinion__winograd_outputs *outputs, int begin, int end);

size_t PINION__CPU_SHARED(winograd_conv_scratch)(const pinion__winograd_conv *conv, int threads);
void PINION__CPU_SHARED(winograd_conv)(const pinion__winograd_conv *conv, pinion__workers *workers);

/* ---- where it applies ---- */

/* 3x3, stride 1, whole vectors of channels, some tiles to share the transformed filters, tiles that are not mostly
 * padding (2x2 tiles may be as far as they still save products), no rows of pixels of more tiles than scratch is meant
 * for. Where F(4x4) applies it is the faster one nearly always; F(2x2) takes images of 2x2 and 5x5 outputs, and few
 * tiles with many channels. */
static inline bool pinion__winograd_applies(const pinion__args *args, const pinion__view *target, int from, int to,
                                            int out)
{
    enum { LEAST_TILES = 4, MOST_BLOCK_TILES = 1024 };
    const pinion__conv conv = pinion__conv_of(args);
    const pinion__winograd_tiles tiles = pinion__winograd_tiles_of(target, out);
    const int64_t pixels = (int64_t)target->h * target->w, tiled = (int64_t)tiles.h * tiles.w;
    return conv.r == 3 && conv.s == 3 && conv.stride_h == 1 && conv.stride_w == 1 && from >= PINION__LANES &&
           to >= PINION__LANES && tiles.count >= LEAST_TILES &&
           pinion__winograd_block_most(&tiles) <= MOST_BLOCK_TILES &&
           (out == 4 ? 16 * tiled <= 2 * pixels : 16 * tiled <= 9 * pixels);
}

/* A row of kernels.def for F(out x out, 3x3), in a file whose applicable, scratch_bytes and run take `out` last. */
#define PINION__WINOGRAD_KERNEL(name, out)                                                                             \
    static bool applicable_##out(const pinion__args *args)                                                             \
    {                                                                                                                  \
        return applicable(args, out);                                                                                  \
    }                                                                                                                  \
    static size_t scratch_bytes_##out(const pinion__args *args)                                                        \
    {                                                                                                                  \
        return scratch_bytes(args, out);                                                                               \
    }                                                                                                                  \
    static void run_##out(const pinion__args *args)                                                                    \
    {                                                                                                                  \
        run(args, out);                                                                                                \
    }                                                                                                                  \
    PINION__CPU_KERNEL(name) = {.applicable = applicable_##out, .scratch_bytes = scratch_bytes_##out, .run = run_##out}

#endif
