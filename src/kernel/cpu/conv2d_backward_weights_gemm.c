/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d backward_weights: dw[k][r][s][c] = sum over pixels of dy[p][k] * x[p*stride - pad + tap][c]. A register tile
 * is up to PINION__TILE_ROWS filters times one block of channels at one tap; both operands are read where they stand.
 * An item of the parallel loop owns all taps of one such tile and walks over the pixels in chunks that stay in the
 * caches, all taps on a chunk before the next. The order of the sums depends on shapes only. The last block of channels
 * overlaps the one before it and writes only its own.
 *
 * With few pixels the time goes into the weights, so an item then owns a filter tile at one tap with all its channels,
 * and writes each filter's in one run.
 *
 * Scratch: tiles of each worker.
 */
#include "kernel/cpu/column_sums.h"
#include "kernel/cpu/conv2d.h"
#include "kernel/cpu/update.h"

enum { CHUNK_PIXELS = 1024, BLOCK_PIXELS = 256, FEW_PIXELS = 256, TILE = PINION__TILE_ROWS * PINION__TILE_COLUMNS };

typedef struct gradient {
    pinion__conv conv;
    pinion__view x, dy;
    pinion__sink sink;
    int filter_tiles, column_tiles;
    bool few;
    int lane_tiles;
    float *tiles; /* lane_tiles of each worker */
} gradient;

static gradient gradient_of(const pinion__args *args)
{
    gradient g = {.conv = pinion__conv_of(args),
                  .x = args->operand[PINION__CONV_BACKWARD_WEIGHTS_X],
                  .dy = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY]};
    g.column_tiles = pinion__ceil_div(g.x.c, PINION__TILE_COLUMNS);
    g.filter_tiles = pinion__ceil_div(g.dy.c, PINION__TILE_ROWS);
    g.few = pinion__view_pixels(&g.dy) <= FEW_PIXELS;
    g.lane_tiles = g.few ? g.column_tiles : g.conv.r * g.conv.s;
    return g;
}

static size_t scratch_bytes(const pinion__args *args)
{
    const gradient g = gradient_of(args);
    return (size_t)pinion__threads(args) * (size_t)g.lane_tiles * TILE * sizeof(float);
}

/* A block of channels: where its tile begins, and which of the tile's columns are its own. */
typedef struct block {
    int channel, first, last;
} block;

static block block_of(const gradient *g, int column_tile)
{
    const int begin = column_tile * PINION__TILE_COLUMNS, left = g->x.c - begin;
    if (left >= PINION__TILE_COLUMNS)
        return (block){.channel = begin, .last = PINION__TILE_COLUMNS};
    if (g->x.c < PINION__TILE_COLUMNS)
        return (block){.last = left};
    return (block){
        .channel = g->x.c - PINION__TILE_COLUMNS, .first = PINION__TILE_COLUMNS - left, .last = PINION__TILE_COLUMNS};
}

static void write_row(const gradient *g, const float *row, int k, int tap, block of)
{
    const ptrdiff_t pixel = (ptrdiff_t)k * g->conv.r * g->conv.s + tap;
    pinion__sink_row(&g->sink, pixel * g->sink.view.ld + of.channel + of.first, row + of.first, of.last - of.first);
}

/* The pixels a call of gemm_reduce covers: images x rows x columns of dy. */
typedef struct span {
    int image, images, row, rows;
} span;

/* Adds the span to one tile, in blocks that keep rounding errors small. */
static void reduce_tap(const gradient *g, span part, int r, int s, pinion__gemm_reduce product, int k, int c)
{
    int row, row_end, column, column_end;
    pinion__tap_range(r, g->conv.stride_h, g->conv.pad_h, g->x.h, part.row + part.rows, &row, &row_end);
    pinion__tap_range(s, g->conv.stride_w, g->conv.pad_w, g->x.w, g->dy.w, &column, &column_end);
    row = row > part.row ? row : part.row;
    if (row >= row_end || column >= column_end)
        return;
    product.columns = column_end - column;
    const int all_rows = row_end - row;
    const int rows = BLOCK_PIXELS / product.columns < all_rows ? BLOCK_PIXELS / product.columns : all_rows;
    const int step_rows = rows < 1 ? 1 : rows;
    const int images = step_rows < all_rows ? 1 : BLOCK_PIXELS / (step_rows * product.columns);
    const int step_images = images < 1 ? 1 : images;
    const ptrdiff_t x_column = (ptrdiff_t)column * g->conv.stride_w - g->conv.pad_w + s;
    for (int n = part.image; n < part.image + part.images; n += step_images)
        for (int y = row; y < row_end; y += step_rows) {
            const ptrdiff_t x_row = (ptrdiff_t)y * g->conv.stride_h - g->conv.pad_h + r;
            const int last = part.image + part.images;
            product.images = last - n < step_images ? last - n : step_images;
            product.rows = row_end - y < step_rows ? row_end - y : step_rows;
            product.a = (const float *)g->dy.data + (((ptrdiff_t)n * g->dy.h + y) * g->dy.w + column) * g->dy.ld + k;
            product.b = (const float *)g->x.data + (((ptrdiff_t)n * g->x.h + x_row) * g->x.w + x_column) * g->x.ld + c;
            PINION__CPU_SHARED(gemm_reduce)(&product);
        }
}

static pinion__gemm_reduce product_of(const gradient *g, float *tile, int count, int channel)
{
    return (pinion__gemm_reduce){.a_image = (ptrdiff_t)g->dy.h * g->dy.w * g->dy.ld,
                                 .a_row = (ptrdiff_t)g->dy.w * g->dy.ld,
                                 .a_column = g->dy.ld,
                                 .b_image = (ptrdiff_t)g->x.h * g->x.w * g->x.ld,
                                 .b_row = (ptrdiff_t)g->conv.stride_h * g->x.w * g->x.ld,
                                 .b_column = g->conv.stride_w * g->x.ld,
                                 .count = count,
                                 .width = g->x.c - channel,
                                 .tile = tile,
                                 .tile_row = PINION__TILE_COLUMNS};
}

static void many_item(void *user, size_t index, int lane)
{
    const gradient *g = user;
    const int filter_tile = (int)(index / (size_t)g->column_tiles);
    const block of = block_of(g, (int)(index % (size_t)g->column_tiles));
    const int k = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile);
    const int count = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile + 1) - k;
    const int taps = g->conv.r * g->conv.s;
    float *tiles = g->tiles + (ptrdiff_t)lane * g->lane_tiles * TILE;
    memset(tiles, 0, (size_t)taps * TILE * sizeof(float));

    const int chunk = CHUNK_PIXELS / (g->conv.stride_h * g->conv.stride_w);
    const int rows = chunk / g->dy.w < 1 ? 1 : chunk / g->dy.w;
    const int images = rows < g->dy.h ? 1 : rows / g->dy.h;
    for (int n = 0; n < g->dy.n; n += images)
        for (int y = 0; y < g->dy.h; y += rows) {
            const span part = {.image = n,
                               .images = g->dy.n - n < images ? g->dy.n - n : images,
                               .row = y,
                               .rows = g->dy.h - y < rows ? g->dy.h - y : rows};
            for (int tap = 0; tap < taps; tap++)
                reduce_tap(g, part, tap / g->conv.s, tap % g->conv.s,
                           product_of(g, tiles + (ptrdiff_t)tap * TILE, count, of.channel), k, of.channel);
        }
    for (int tap = 0; tap < taps; tap++)
        for (int i = 0; i < count; i++)
            write_row(g, tiles + (ptrdiff_t)tap * TILE + (ptrdiff_t)i * PINION__TILE_COLUMNS, k + i, tap, of);
}

static void few_item(void *user, size_t index, int lane)
{
    const gradient *g = user;
    const int taps = g->conv.r * g->conv.s, filter_tile = (int)(index / (size_t)taps),
              tap = (int)(index % (size_t)taps);
    const int k = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile);
    const int count = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile + 1) - k;
    const span all = {.images = g->dy.n, .rows = g->dy.h};
    float *tiles = g->tiles + (ptrdiff_t)lane * g->lane_tiles * TILE;
    const ptrdiff_t row = (ptrdiff_t)g->column_tiles * PINION__TILE_COLUMNS, ld = g->sink.view.ld;
    memset(tiles, 0, (size_t)g->column_tiles * TILE * sizeof(float));
    for (int channel = 0; channel < g->x.c; channel += PINION__TILE_COLUMNS) {
        pinion__gemm_reduce product = product_of(g, tiles + channel, count, channel);
        product.tile_row = row;
        reduce_tap(g, all, tap / g->conv.s, tap % g->conv.s, product, k, channel);
    }
    for (int i = 0; i < count; i++)
        pinion__sink_row(&g->sink, ((ptrdiff_t)(k + i) * taps + tap) * ld, tiles + i * row, g->x.c);
}

static void run(const pinion__args *args)
{
    gradient g = gradient_of(args);
    g.sink = pinion__sink_of(args);
    g.tiles = args->scratch;
    const int parts = g.few ? g.conv.r * g.conv.s : g.column_tiles;
    pinion__parallel(args->workers, (size_t)g.filter_tiles * (size_t)parts, g.few ? few_item : many_item, &g);
    const pinion__view *db = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB];
    if (db->data != NULL)
        PINION__CPU_SHARED(column_sums)(&g.dy, db->data, args->accumulate, args->workers);
}

PINION__CPU_KERNEL(conv2d_backward_weights_gemm) = {.scratch_bytes = scratch_bytes, .run = run};
