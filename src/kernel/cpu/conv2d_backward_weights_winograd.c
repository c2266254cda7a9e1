/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d backward_weights, 3x3 with stride 1, by Winograd's algorithm (winograd.h): patches of x and tiles of dy are
 * transformed, each of the 36 frequencies is summed over the tiles as a matrix product [filter][channel], and the sums
 * are transformed back to 3x3 taps.
 *
 * Tiles are taken in batches. An item owns the sums of some register tiles of filters and one of channels, for all
 * frequencies, and goes over the tiles of the batch in blocks that stay in the caches. With one batch the sums live
 * with the worker and are transformed back at once; with several they live in scratch until the last. So batches have
 * BATCH_FLOATS of patches where the sums are fewer than that, and BATCH_MOST where going over the sums again would cost
 * more than patches that leave the caches.
 *
 * Scratch: patches of x, of dy [frequency][tile][channel]; zeros; sums of each worker, or of each item.
 */
#include "kernel/cpu/column_sums.h"
#include "kernel/cpu/winograd.h"

enum {
    BATCH_FLOATS = 3 << 18,
    BATCH_MOST = 3 << 20,
    BLOCK_TILES = 64,
    GROUP_MOST = 4, /* register tiles of filters an item */
    LEAST_ITEMS = 8,
    FREQUENCIES = PINION__WINOGRAD_FREQUENCIES,
    IN = PINION__WINOGRAD_IN,
    TILE = PINION__TILE_ROWS * PINION__TILE_COLUMNS
};

typedef struct gradient {
    pinion__view x, dy, dw;
    pinion__conv conv;
    bool accumulate;
    pinion__winograd_tiles tiles;
    int batch, first, count; /* tiles a batch; of this batch */
    int filter_tiles, groups, column_tiles;
    ptrdiff_t x_ld, x_plane, dy_ld, dy_plane;
    float *x_patches, *dy_patches, *zeros, *sums;
    size_t group_floats; /* sums of an item */
} gradient;

static bool is_single(const gradient *g)
{
    return g->batch >= g->tiles.count;
}

static gradient gradient_of(const pinion__args *args)
{
    gradient g = {.x = args->operand[PINION__CONV_BACKWARD_WEIGHTS_X],
                  .dy = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY],
                  .dw = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DW],
                  .conv = pinion__conv_of(args),
                  .accumulate = args->accumulate};
    g.tiles = pinion__winograd_tiles_of(&g.dy);
    g.x_ld = pinion__winograd_ld(g.x.c);
    g.dy_ld = pinion__winograd_ld(g.dy.c);
    const bool small = (ptrdiff_t)FREQUENCIES * g.x.c * g.dy.c <= BATCH_FLOATS;
    const ptrdiff_t fit =
        (small ? BATCH_FLOATS : BATCH_MOST) / (FREQUENCIES * (g.x_ld + g.dy_ld)) / BLOCK_TILES * BLOCK_TILES;
    const int most = fit < BLOCK_TILES ? BLOCK_TILES : (int)fit;
    g.batch = pinion__ceil_div(g.tiles.count, pinion__ceil_div(g.tiles.count, most));
    g.x_plane = pinion__winograd_plane(g.batch, g.x_ld);
    g.dy_plane = pinion__winograd_plane(g.batch, g.dy_ld);
    g.filter_tiles = pinion__ceil_div(g.dy.c, PINION__TILE_ROWS);
    g.column_tiles = pinion__ceil_div(g.x.c, PINION__TILE_COLUMNS);
    const int share = g.filter_tiles * g.column_tiles / LEAST_ITEMS;
    const int group = share < 1 ? 1 : share < GROUP_MOST ? share : GROUP_MOST;
    g.groups = pinion__ceil_div(g.filter_tiles, group);
    g.group_floats = (size_t)pinion__ceil_div(g.filter_tiles, g.groups) * FREQUENCIES * TILE;
    return g;
}

static size_t zeros_floats(const gradient *g)
{
    const int channels = g->x.c > g->dy.c ? g->x.c : g->dy.c;
    return (size_t)pinion__ceil_div(channels, 16) * 16;
}

static size_t sums_floats(const gradient *g, int threads)
{
    return g->group_floats * (size_t)(is_single(g) ? threads : g->groups * g->column_tiles);
}

static size_t scratch_bytes(const pinion__args *args)
{
    const gradient g = gradient_of(args);
    const size_t patches = (size_t)FREQUENCIES * (size_t)(g.x_plane + g.dy_plane);
    return (patches + zeros_floats(&g) + sums_floats(&g, pinion__threads(args))) * sizeof(float);
}

static bool applicable(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    return pinion__winograd_pays(args, dy, args->operand[PINION__CONV_BACKWARD_WEIGHTS_X].c, dy->c);
}

/* Adds `count` tiles of the batch from `begin` on to the sums of one register tile, every frequency. */
static void reduce(const gradient *g, int begin, int count, int k, int rows, int c, float *sums)
{
    pinion__gemm_reduce product = {
        .a_column = g->dy_ld, .b_column = g->x_ld, .images = 1, .rows = 1, .columns = count, .count = rows};
    for (int f = 0; f < FREQUENCIES; f++) {
        product.a = g->dy_patches + f * g->dy_plane + begin * g->dy_ld + k;
        product.b = g->x_patches + f * g->x_plane + begin * g->x_ld + c;
        product.tile = sums + (ptrdiff_t)f * TILE;
        PINION__CPU_SHARED(gemm_reduce)(&product);
    }
}

/* dw of one filter and one vector of channels from its sums. */
static void transform_back(const gradient *g, const float *sums, int k, int c, int channels)
{
    pinion__vf half[3 * IN], taps[9];
#pragma GCC unroll 6
    for (int j = 0; j < IN; j++) {
        pinion__vf column[IN];
#pragma GCC unroll 6
        for (int i = 0; i < IN; i++)
            column[i] = pinion__vf_load(sums + (ptrdiff_t)(i * IN + j) * TILE);
        pinion__winograd_g_transposed(column, 1, half + j, IN);
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++)
        pinion__winograd_g_transposed(half + (ptrdiff_t)i * IN, 1, taps + (ptrdiff_t)3 * i, 1);
    float *out = (float *)g->dw.data + (ptrdiff_t)k * 9 * g->dw.ld + c;
    for (int t = 0; t < 9; t++, out += g->dw.ld) {
        if (g->accumulate)
            taps[t] = pinion__vf_add(taps[t], pinion__vf_load_part(out, channels));
        pinion__vf_store_part(out, taps[t], channels);
    }
}

static void write_tile(const gradient *g, const float *sums, int k, int rows, int c)
{
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < PINION__TILE_COLUMNS && c + v < g->x.c; v += PINION__LANES) {
            const int left = g->x.c - c - v;
            transform_back(g, sums + (ptrdiff_t)i * PINION__TILE_COLUMNS + v, k + i, c + v,
                           left < PINION__LANES ? left : PINION__LANES);
        }
}

static void item(void *user, size_t index, int lane)
{
    const gradient *g = user;
    const int group = (int)(index / (size_t)g->column_tiles);
    const int c = (int)(index % (size_t)g->column_tiles) * PINION__TILE_COLUMNS;
    const int begin = pinion__piece_begin(g->filter_tiles, g->groups, group);
    const int end = pinion__piece_begin(g->filter_tiles, g->groups, group + 1);
    float *sums = g->sums + (is_single(g) ? (size_t)lane : index) * g->group_floats;
    if (g->first == 0)
        memset(sums, 0, g->group_floats * sizeof(float));
    for (int at = 0; at < g->count; at += BLOCK_TILES)
        for (int tile = begin; tile < end; tile++) {
            const int k = pinion__piece_begin(g->dy.c, g->filter_tiles, tile);
            const int rows = pinion__piece_begin(g->dy.c, g->filter_tiles, tile + 1) - k;
            reduce(g, at, g->count - at < BLOCK_TILES ? g->count - at : BLOCK_TILES, k, rows, c,
                   sums + (ptrdiff_t)(tile - begin) * FREQUENCIES * TILE);
        }
    if (g->first + g->count < g->tiles.count)
        return;
    for (int tile = begin; tile < end; tile++) {
        const int k = pinion__piece_begin(g->dy.c, g->filter_tiles, tile);
        write_tile(g, sums + (ptrdiff_t)(tile - begin) * FREQUENCIES * TILE, k,
                   pinion__piece_begin(g->dy.c, g->filter_tiles, tile + 1) - k, c);
    }
}

static void transform(const gradient *g, pinion__workers *workers)
{
    pinion__winograd_block block = {.view = &g->x,
                                    .tiles = g->tiles,
                                    .first = g->first,
                                    .count = g->count,
                                    .pad_h = g->conv.pad_h,
                                    .pad_w = g->conv.pad_w,
                                    .zeros = g->zeros,
                                    .out = g->x_patches,
                                    .ld = g->x_ld,
                                    .plane = g->x_plane};
    PINION__CPU_SHARED(winograd_inputs)(&block, workers);
    block.view = &g->dy;
    block.pad_h = block.pad_w = 0;
    block.out = g->dy_patches;
    block.ld = g->dy_ld;
    block.plane = g->dy_plane;
    PINION__CPU_SHARED(winograd_gradients)(&block, workers);
}

static void run(const pinion__args *args)
{
    gradient g = gradient_of(args);
    g.x_patches = args->scratch;
    g.dy_patches = g.x_patches + FREQUENCIES * g.x_plane;
    g.zeros = g.dy_patches + FREQUENCIES * g.dy_plane;
    g.sums = g.zeros + zeros_floats(&g);
    memset(g.zeros, 0, zeros_floats(&g) * sizeof(float));
    for (g.first = 0; g.first < g.tiles.count; g.first += g.batch) {
        g.count = g.tiles.count - g.first < g.batch ? g.tiles.count - g.first : g.batch;
        transform(&g, args->workers);
        pinion__parallel(args->workers, (size_t)g.groups * (size_t)g.column_tiles, item, &g);
    }
    const pinion__view *db = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB];
    if (db->data != NULL)
        PINION__CPU_SHARED(column_sums)(&g.dy, db->data, args->accumulate, args->workers);
}

PINION__CPU_KERNEL(conv2d_backward_weights_winograd) = {
    .applicable = applicable, .scratch_bytes = scratch_bytes, .run = run};
