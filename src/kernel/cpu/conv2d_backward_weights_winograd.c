/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d backward_weights, 3x3 with stride 1, by Winograd's algorithm (winograd.h), F(4x4, 3x3), and as a row of its
 * own F(2x2, 3x3): patches of x and tiles of dy are transformed, each frequency is summed over the tiles as a matrix
 * product [filter][channel], and the sums are transformed back to 3x3 taps, which go to the sink (update.h).
 *
 * Tiles are taken in batches. Wide, where all sums stay in a last-level cache and are fewer than the patches: an item
 * owns the sums of one frequency, or a part of their filters, so patches are read once; when all batches are done the
 * sums are transformed back. Deep: there is one batch, and an item owns all frequencies of a group of filters and
 * channels, whose sums stay in the cache of its core until it transforms them back itself.
 *
 * Scratch: patches of x and of dy [frequency][tile][channel]; zeros; sums [filter tile][channel tile][frequency][row]
 * [column], of all filters and channels or of each worker's group.
 */
#include "kernel/cpu/column_sums.h"
#include "kernel/cpu/update.h"
#include "kernel/cpu/winograd.h"
#include "kernel/cpu/winograd_transform.h"

enum {
    BATCH_FLOATS = 3 << 18, /* patches of a batch */
    WIDE_SUMS = 5 << 17,    /* sums that stay in a last-level cache */
    GROUP_FLOATS = 5 << 15, /* sums that stay in a second-level cache */
    LEAST_ITEMS = 8,
    LEAST_TILES = 64,
    PATCH_TILES = 8, /* of an item that transforms patches */
    LINE_FLOATS = 16,
    IN = PINION__WINOGRAD_IN,
    TILE = PINION__TILE_ROWS * PINION__TILE_COLUMNS
};

typedef struct gradient {
    pinion__view x, dy, w;
    pinion__conv conv;
    pinion__sink sink;
    pinion__winograd_tiles tiles;
    bool wide;
    int batch, first, count; /* tiles a batch; of this batch */
    int filter_tiles, channel_tiles;
    int filter_group, channel_group; /* tiles of an item */
    ptrdiff_t x_ld, x_plane, dy_ld, dy_plane;
    float *x_patches, *dy_patches, *zeros, *sums;
} gradient;

/* Filter tiles and channel tiles of an item, and where its sums lie. */
typedef struct part {
    int k, k_end, c, c_end;
    float *sums;
} part;

static void plan_wide(gradient *g)
{
    const ptrdiff_t fit = BATCH_FLOATS / (g->tiles.frequencies * (g->x_ld + g->dy_ld));
    const int most = fit < LEAST_TILES ? LEAST_TILES : (int)fit;
    g->batch = pinion__ceil_div(g->tiles.count, pinion__ceil_div(g->tiles.count, most));
    g->filter_group = pinion__ceil_div(g->filter_tiles, g->filter_tiles >= 4 ? 2 : 1);
    g->channel_group = g->channel_tiles;
}

/* A group is about as many filters as channels, and there are enough of them for the workers. */
static void plan_deep(gradient *g)
{
    int most = GROUP_FLOATS / (g->tiles.frequencies * TILE);
    const int share = g->filter_tiles * g->channel_tiles / LEAST_ITEMS;
    most = most < share ? most : share;
    g->batch = g->tiles.count;
    g->channel_group = most >= 6 && g->channel_tiles >= 2 ? 2 : 1;
    g->filter_group = most / g->channel_group < 1 ? 1 : most / g->channel_group;
    g->filter_group = pinion__ceil_div(g->filter_tiles, pinion__ceil_div(g->filter_tiles, g->filter_group));
}

static gradient gradient_of(const pinion__args *args, int out)
{
    gradient g = {.x = args->operand[PINION__CONV_BACKWARD_WEIGHTS_X],
                  .dy = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY],
                  .w = *pinion__sink_view(args),
                  .conv = pinion__conv_of(args)};
    g.tiles = pinion__winograd_tiles_of(&g.dy, out);
    g.x_ld = pinion__winograd_ld(g.x.c);
    g.dy_ld = pinion__winograd_ld(g.dy.c);
    g.filter_tiles = pinion__ceil_div(g.dy.c, PINION__TILE_ROWS);
    g.channel_tiles = pinion__ceil_div(g.x.c, PINION__TILE_COLUMNS);
    g.wide = (int64_t)g.tiles.frequencies * g.x.c * g.dy.c <= WIDE_SUMS &&
             (int64_t)g.x.c * g.dy.c <= (int64_t)g.tiles.count * (g.x.c + g.dy.c);
    if (g.wide)
        plan_wide(&g);
    else
        plan_deep(&g);
    g.x_plane = pinion__winograd_plane(g.batch, g.x_ld);
    g.dy_plane = pinion__winograd_plane(g.batch, g.dy_ld);
    return g;
}

static size_t zeros_floats(const gradient *g)
{
    return pinion__winograd_zeros(g->x.c > g->dy.c ? g->x.c : g->dy.c);
}

static size_t sums_floats(const gradient *g, int threads)
{
    const size_t tiles = g->wide ? (size_t)g->filter_tiles * (size_t)g->channel_tiles
                                 : (size_t)g->filter_group * (size_t)g->channel_group * (size_t)threads;
    return tiles * (size_t)g->tiles.frequencies * TILE;
}

static size_t scratch_bytes(const pinion__args *args, int out)
{
    const gradient g = gradient_of(args, out);
    const size_t patches = (size_t)g.tiles.frequencies * (size_t)(g.x_plane + g.dy_plane);
    return (patches + zeros_floats(&g) + sums_floats(&g, pinion__threads(args))) * sizeof(float);
}

static bool applicable(const pinion__args *args, int out)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    return pinion__winograd_applies(args, dy, args->operand[PINION__CONV_BACKWARD_WEIGHTS_X].c, dy->c, out);
}

static int filter_of(const gradient *g, int tile)
{
    return pinion__piece_begin(g->dy.c, g->filter_tiles, tile);
}

static float *sums_of(const gradient *g, const part *p, int k, int c)
{
    return p->sums + (ptrdiff_t)((k - p->k) * (p->c_end - p->c) + c - p->c) * g->tiles.frequencies * TILE;
}

/* Sums of one frequency over the tiles of the batch. */
static void reduce(const gradient *g, const part *p, int f)
{
    pinion__winograd_reduction reduction = {.a_ld = g->dy_ld, .b_ld = g->x_ld, .tiles = g->count, .add = g->first > 0};
    for (int c = p->c; c < p->c_end; c++)
        for (int k = p->k; k < p->k_end; k++) {
            reduction.a = g->dy_patches + f * g->dy_plane + filter_of(g, k);
            reduction.b = g->x_patches + f * g->x_plane + (ptrdiff_t)c * PINION__TILE_COLUMNS;
            reduction.rows = filter_of(g, k + 1) - filter_of(g, k);
            reduction.sums = sums_of(g, p, k, c) + (ptrdiff_t)f * TILE;
            PINION__CPU_SHARED(winograd_reduce)(&reduction);
        }
}

/* ---- sums to taps ---- */

PINION__INLINE void transform_back(const gradient *g, const int out, const float *sums, ptrdiff_t offset, int channels)
{
    const int in = out + 2;
    pinion__vf half[3 * IN], taps[9], column[IN];
#pragma GCC unroll 6
    for (int j = 0; j < in; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < in; i++)
            column[i] = pinion__vf_load(sums + (ptrdiff_t)(i * in + j) * TILE);
        pinion__winograd_g_transposed(out, column, 1, half + j, in);
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++)
        pinion__winograd_g_transposed(out, half + (ptrdiff_t)i * in, 1, taps + (ptrdiff_t)3 * i, 1);
    for (int t = 0; t < 9; t++)
        pinion__sink_vector(&g->sink, offset + t * g->w.ld, taps[t], channels);
}

/* Asks for the lines that the taps of a filter in a tile of channels will go to. */
static void expect(const gradient *g, int k, int c)
{
    const float *places[] = {g->sink.view.data, g->sink.moment_0, g->sink.moment_1};
    for (int t = 0; t < 9; t++)
        for (int i = 0; i < 3 && places[i]; i++)
            for (int v = 0; v < PINION__TILE_COLUMNS && c + v < g->x.c; v += LINE_FLOATS)
                __builtin_prefetch(places[i] + ((ptrdiff_t)k * 9 + t) * g->w.ld + c + v);
}

PINION__INLINE void write_tile(const gradient *g, const int out, const part *p, int k, int c)
{
    const float *sums = sums_of(g, p, k, c);
    const int channel = c * PINION__TILE_COLUMNS;
    for (int filter = filter_of(g, k); filter < filter_of(g, k + 1); filter++, sums += PINION__TILE_COLUMNS) {
        if (filter + 1 < g->dy.c)
            expect(g, filter + 1, channel);
        for (int v = 0; v < PINION__TILE_COLUMNS && channel + v < g->x.c; v += PINION__LANES) {
            const int left = g->x.c - channel - v;
            transform_back(g, out, sums + v, (ptrdiff_t)filter * 9 * g->w.ld + channel + v,
                           left < PINION__LANES ? left : PINION__LANES);
        }
    }
}

static void write_part(const gradient *g, const part *p, int k, int k_end)
{
    for (; k < k_end; k++)
        for (int c = p->c; c < p->c_end; c++) {
            if (g->tiles.out == 4)
                write_tile(g, 4, p, k, c);
            else
                write_tile(g, 2, p, k, c);
        }
}

/* ---- items ---- */

static int groups(int tiles, int group)
{
    return pinion__ceil_div(tiles, group);
}

static int end_of(int begin, int group, int tiles)
{
    return begin + group < tiles ? begin + group : tiles;
}

static void wide_item(void *user, size_t index, int lane)
{
    (void)lane;
    const gradient *g = user;
    const int f = (int)index % g->tiles.frequencies, k = (int)index / g->tiles.frequencies * g->filter_group;
    const part all = {.k_end = g->filter_tiles, .c_end = g->channel_tiles, .sums = g->sums};
    part p = all;
    p.k = k;
    p.k_end = end_of(k, g->filter_group, g->filter_tiles);
    p.sums = sums_of(g, &all, k, 0);
    reduce(g, &p, f);
}

static void wide_write_item(void *user, size_t index, int lane)
{
    (void)lane;
    const gradient *g = user;
    const part all = {.k_end = g->filter_tiles, .c_end = g->channel_tiles, .sums = g->sums};
    write_part(g, &all, (int)index, (int)index + 1);
}

static void deep_item(void *user, size_t index, int lane)
{
    const gradient *g = user;
    const int columns = groups(g->channel_tiles, g->channel_group);
    const int k = (int)index / columns * g->filter_group, c = (int)index % columns * g->channel_group;
    const part p = {.k = k,
                    .k_end = end_of(k, g->filter_group, g->filter_tiles),
                    .c = c,
                    .c_end = end_of(c, g->channel_group, g->channel_tiles),
                    .sums =
                        g->sums + (ptrdiff_t)lane * g->filter_group * g->channel_group * g->tiles.frequencies * TILE};
    for (int f = 0; f < g->tiles.frequencies; f++)
        reduce(g, &p, f);
    write_part(g, &p, p.k, p.k_end);
}

static void patch_item(void *user, size_t index, int lane)
{
    (void)lane;
    const gradient *g = user;
    const int at = (int)index * PATCH_TILES, left = g->count - at;
    const int count = left < PATCH_TILES ? left : PATCH_TILES;
    pinion__winograd_patches patches = {.view = &g->x,
                                        .tiles = &g->tiles,
                                        .pad_h = g->conv.pad_h,
                                        .pad_w = g->conv.pad_w,
                                        .zeros = g->zeros,
                                        .out = g->x_patches + at * g->x_ld,
                                        .depth = g->x.c,
                                        .ld = g->x_ld,
                                        .plane = g->x_plane,
                                        .ahead = true};
    PINION__CPU_SHARED(winograd_inputs)(&patches, g->first + at, count);
    patches.view = &g->dy;
    patches.pad_h = patches.pad_w = 0;
    patches.out = g->dy_patches + at * g->dy_ld;
    patches.depth = g->dy.c;
    patches.ld = g->dy_ld;
    patches.plane = g->dy_plane;
    PINION__CPU_SHARED(winograd_gradients)(&patches, g->first + at, count);
}

static void run(const pinion__args *args, int out)
{
    gradient g = gradient_of(args, out);
    g.sink = pinion__sink_of(args);
    g.x_patches = args->scratch;
    g.dy_patches = g.x_patches + g.tiles.frequencies * g.x_plane;
    g.zeros = g.dy_patches + g.tiles.frequencies * g.dy_plane;
    g.sums = g.zeros + zeros_floats(&g);
    memset(g.zeros, 0, zeros_floats(&g) * sizeof(float));
    const size_t filter_groups = (size_t)groups(g.filter_tiles, g.filter_group);
    for (g.first = 0; g.first < g.tiles.count; g.first += g.batch) {
        g.count = g.tiles.count - g.first < g.batch ? g.tiles.count - g.first : g.batch;
        pinion__parallel(args->workers, (size_t)pinion__ceil_div(g.count, PATCH_TILES), patch_item, &g);
        if (g.wide)
            pinion__parallel(args->workers, filter_groups * (size_t)g.tiles.frequencies, wide_item, &g);
        else
            pinion__parallel(args->workers, filter_groups * (size_t)groups(g.channel_tiles, g.channel_group), deep_item,
                             &g);
    }
    if (g.wide)
        pinion__parallel(args->workers, (size_t)g.filter_tiles, wide_write_item, &g);
    const pinion__view *db = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB];
    if (db->data)
        PINION__CPU_SHARED(column_sums)(&g.dy, db->data, args->accumulate, args->workers);
}

PINION__WINOGRAD_KERNEL(conv2d_backward_weights_winograd, 4);
PINION__WINOGRAD_KERNEL(conv2d_backward_weights_winograd_f2, 2);
