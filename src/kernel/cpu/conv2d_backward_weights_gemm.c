/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d backward_weights: dw[k][r][s][c] = sum over pixels of dy[p][k] * x[p*stride - pad + tap][c]. A register tile
 * is up to PINION__TILE_ROWS filters times one block of channels at one tap. An item of the parallel loop owns all taps
 * of a few such tiles of one block of channels, and walks over the pixels in chunks, all taps on a chunk before the
 * next. The order of the sums depends on shapes only. The last block of channels overlaps the one before it and writes
 * only its own.
 *
 * Both operands are read where they stand, but where pixels of x are far apart in memory, and so meet in a few sets of
 * the first-level cache, an item copies its channels of a chunk first, side by side, for all its taps and tiles.
 *
 * With few pixels the time goes into the weights, so an item then owns a filter tile at one tap with all its channels,
 * and writes each filter's in one run.
 *
 * Scratch: tiles of each worker, and its copy.
 */
#include "kernel/cpu/column_sums.h"
#include "kernel/cpu/conv2d.h"
#include "kernel/cpu/update.h"

enum {
    CHUNK_PIXELS = 1024,
    BLOCK_PIXELS = 256,
    FEW_PIXELS = 256,
    LEAST_ITEMS = 16,
    MOST_TILES = 32, /* of an item that copies */
    FAR = 8,         /* times the tile's columns: pixels that far apart are copied */
    TILE = PINION__TILE_ROWS * PINION__TILE_COLUMNS
};

typedef struct gradient {
    pinion__conv conv;
    pinion__view x, dy;
    pinion__sink sink;
    int filter_tiles, column_tiles;
    bool few, copied;
    int groups;                   /* of filter tiles: an item has one group */
    int chunk_images, chunk_rows; /* of dy */
    size_t lane_tiles, copy_floats;
    float *lanes; /* of each worker: its tiles and its copy */
} gradient;

static gradient gradient_of(const pinion__args *args)
{
    gradient g = {.conv = pinion__conv_of(args),
                  .x = args->operand[PINION__CONV_BACKWARD_WEIGHTS_X],
                  .dy = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY]};
    const int taps = g.conv.r * g.conv.s;
    g.column_tiles = pinion__ceil_div(g.x.c, PINION__TILE_COLUMNS);
    g.filter_tiles = pinion__ceil_div(g.dy.c, PINION__TILE_ROWS);
    g.few = pinion__view_pixels(&g.dy) <= FEW_PIXELS;
    if (g.few) {
        g.lane_tiles = (size_t)g.column_tiles;
        return g;
    }
    const int chunk = CHUNK_PIXELS / (g.conv.stride_h * g.conv.stride_w);
    const int chunk_rows = chunk / g.dy.w < 1 ? 1 : chunk / g.dy.w;
    g.chunk_rows = chunk_rows < g.dy.h ? chunk_rows : g.dy.h;
    g.chunk_images = chunk_rows < g.dy.h ? 1 : chunk_rows / g.dy.h;
    g.copied = taps > 1 && g.x.c >= PINION__TILE_COLUMNS && g.x.ld >= FAR * PINION__TILE_COLUMNS;
    const int least = pinion__ceil_div(LEAST_ITEMS, g.column_tiles);
    const int groups = g.copied ? pinion__ceil_div(g.filter_tiles, MOST_TILES) : g.filter_tiles;
    g.groups = groups > least ? groups : least < g.filter_tiles ? least : g.filter_tiles;
    g.lane_tiles = (size_t)pinion__ceil_div(g.filter_tiles, g.groups) * (size_t)taps;
    if (g.copied) {
        const int most = (g.chunk_rows - 1) * g.conv.stride_h + g.conv.r, rows = most < g.x.h ? most : g.x.h;
        g.copy_floats = (size_t)g.chunk_images * (size_t)rows * (size_t)g.x.w * PINION__TILE_COLUMNS;
    }
    return g;
}

/* Of one worker; whole cache lines. */
static size_t lane_floats(const gradient *g)
{
    return pinion__round64((g->lane_tiles * TILE + g->copy_floats) * sizeof(float)) / sizeof(float);
}

static size_t scratch_bytes(const pinion__args *args)
{
    const gradient g = gradient_of(args);
    return (size_t)pinion__threads(args) * lane_floats(&g) * sizeof(float);
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

/* A part of an operand: images x rows x its whole width, from the channels of a tile on. */
typedef struct part {
    const float *data; /* of (image, row) */
    int image, images, row, rows;
    ptrdiff_t column_step, row_step, image_step;
} part;

static part part_of(const pinion__view *view, int image, int images, int row, int rows, int channel)
{
    const ptrdiff_t row_step = view->w * view->ld, image_step = view->h * row_step;
    return (part){.data = (const float *)view->data + image * image_step + row * row_step + channel,
                  .image = image,
                  .images = images,
                  .row = row,
                  .rows = rows,
                  .column_step = view->ld,
                  .row_step = row_step,
                  .image_step = image_step};
}

/* Copies the tile's channels of the part, and makes it the copy. */
static void copy_part(part *of, int columns, float *to)
{
    const part from = *of;
    of->data = to;
    of->column_step = PINION__TILE_COLUMNS;
    of->row_step = (ptrdiff_t)columns * PINION__TILE_COLUMNS;
    of->image_step = of->rows * of->row_step;
    for (int n = 0; n < from.images; n++)
        for (int y = 0; y < from.rows; y++) {
            const float *at = from.data + n * from.image_step + y * from.row_step;
            for (int x = 0; x < columns; x++, at += from.column_step, to += PINION__TILE_COLUMNS)
                for (int v = 0; v < PINION__TILE_COLUMNS; v += PINION__LANES)
                    pinion__vf_store(to + v, pinion__vf_load(at + v));
        }
}

/* Adds what two parts make at one tap to a tile, in blocks that keep rounding errors small. x has the rows of dy's part
 * that exist. */
static void reduce_tap(const gradient *g, const part *x, const part *dy, int r, int s, pinion__gemm_reduce product)
{
    int row, row_end, column, column_end;
    pinion__tap_range(r, g->conv.stride_h, g->conv.pad_h, g->x.h, dy->row + dy->rows, &row, &row_end);
    pinion__tap_range(s, g->conv.stride_w, g->conv.pad_w, g->x.w, g->dy.w, &column, &column_end);
    row = row > dy->row ? row : dy->row;
    if (row >= row_end || column >= column_end)
        return;
    product.columns = column_end - column;
    const int all_rows = row_end - row;
    const int rows = BLOCK_PIXELS / product.columns < all_rows ? BLOCK_PIXELS / product.columns : all_rows;
    const int step_rows = rows < 1 ? 1 : rows;
    const int images = step_rows < all_rows ? 1 : BLOCK_PIXELS / (step_rows * product.columns);
    const int step_images = images < 1 ? 1 : images;
    product.a_image = dy->image_step;
    product.a_row = dy->row_step;
    product.a_column = dy->column_step;
    product.b_image = x->image_step;
    product.b_row = g->conv.stride_h * x->row_step;
    product.b_column = g->conv.stride_w * x->column_step;
    const ptrdiff_t x_column = (ptrdiff_t)column * g->conv.stride_w - g->conv.pad_w + s;
    for (int n = 0; n < dy->images; n += step_images)
        for (int y = row; y < row_end; y += step_rows) {
            const ptrdiff_t x_row = (ptrdiff_t)y * g->conv.stride_h - g->conv.pad_h + r - x->row;
            product.images = dy->images - n < step_images ? dy->images - n : step_images;
            product.rows = row_end - y < step_rows ? row_end - y : step_rows;
            product.a = dy->data + n * dy->image_step + (y - dy->row) * dy->row_step + column * dy->column_step;
            product.b = x->data + n * x->image_step + x_row * x->row_step + x_column * x->column_step;
            PINION__CPU_SHARED(gemm_reduce)(&product);
        }
}

/* The filters of tile `tile`: the first, and how many. */
static int filters_of(const gradient *g, int tile, int *count)
{
    const int k = pinion__piece_begin(g->dy.c, g->filter_tiles, tile);
    *count = pinion__piece_begin(g->dy.c, g->filter_tiles, tile + 1) - k;
    return k;
}

/* The rows of x that `rows` rows of dy from `row` on read. */
static part x_part(const gradient *g, int image, int images, int row, int rows, int channel)
{
    const int begin = row * g->conv.stride_h - g->conv.pad_h, end = begin + (rows - 1) * g->conv.stride_h + g->conv.r;
    const int first = begin < 0 ? 0 : begin < g->x.h ? begin : g->x.h, last = end < g->x.h ? end : g->x.h;
    return part_of(&g->x, image, images, first, last > first ? last - first : 0, channel);
}

static void reduce_chunk(const gradient *g, int image, int row, int first_tile, int last_tile, block of, float *tiles)
{
    const int images = g->dy.n - image < g->chunk_images ? g->dy.n - image : g->chunk_images,
              rows = g->dy.h - row < g->chunk_rows ? g->dy.h - row : g->chunk_rows;
    part x = x_part(g, image, images, row, rows, of.channel);
    if (g->copied)
        copy_part(&x, g->x.w, tiles + g->lane_tiles * TILE);
    pinion__gemm_reduce product = {.width = g->x.c - of.channel, .tile = tiles, .tile_row = PINION__TILE_COLUMNS};
    for (int tile = first_tile; tile < last_tile; tile++) {
        const int k = filters_of(g, tile, &product.count);
        const part dy = part_of(&g->dy, image, images, row, rows, k);
        for (int r = 0; r < g->conv.r; r++)
            for (int s = 0; s < g->conv.s; s++, product.tile += TILE)
                reduce_tap(g, &x, &dy, r, s, product);
    }
}

static void many_item(void *user, size_t index, int lane)
{
    const gradient *g = user;
    const int group = (int)(index / (size_t)g->column_tiles);
    const block of = block_of(g, (int)(index % (size_t)g->column_tiles));
    const int first = pinion__piece_begin(g->filter_tiles, g->groups, group),
              last = pinion__piece_begin(g->filter_tiles, g->groups, group + 1);
    const int taps = g->conv.r * g->conv.s;
    float *tiles = g->lanes + (size_t)lane * lane_floats(g), *tile = tiles;
    memset(tiles, 0, (size_t)(last - first) * (size_t)taps * TILE * sizeof(float));
    for (int n = 0; n < g->dy.n; n += g->chunk_images)
        for (int y = 0; y < g->dy.h; y += g->chunk_rows)
            reduce_chunk(g, n, y, first, last, of, tiles);
    for (int t = first; t < last; t++) {
        int count;
        const int k = filters_of(g, t, &count);
        for (int tap = 0; tap < taps; tap++, tile += TILE)
            for (int i = 0; i < count; i++)
                write_row(g, tile + (ptrdiff_t)i * PINION__TILE_COLUMNS, k + i, tap, of);
    }
}

static void few_item(void *user, size_t index, int lane)
{
    const gradient *g = user;
    const int taps = g->conv.r * g->conv.s, tap = (int)(index % (size_t)taps);
    float *tiles = g->lanes + (size_t)lane * lane_floats(g);
    const ptrdiff_t row = (ptrdiff_t)g->column_tiles * PINION__TILE_COLUMNS, ld = g->sink.view.ld;
    memset(tiles, 0, g->lane_tiles * TILE * sizeof(float));
    pinion__gemm_reduce product = {.tile_row = row};
    const int k = filters_of(g, (int)(index / (size_t)taps), &product.count);
    const part dy = part_of(&g->dy, 0, g->dy.n, 0, g->dy.h, k);
    for (int channel = 0; channel < g->x.c; channel += PINION__TILE_COLUMNS) {
        const part x = part_of(&g->x, 0, g->x.n, 0, g->x.h, channel);
        product.width = g->x.c - channel;
        product.tile = tiles + channel;
        reduce_tap(g, &x, &dy, tap / g->conv.s, tap % g->conv.s, product);
    }
    for (int i = 0; i < product.count; i++)
        pinion__sink_row(&g->sink, ((ptrdiff_t)(k + i) * taps + tap) * ld, tiles + i * row, g->x.c);
}

static void run(const pinion__args *args)
{
    gradient g = gradient_of(args);
    g.sink = pinion__sink_of(args);
    g.lanes = args->scratch;
    const size_t items =
        g.few ? (size_t)g.filter_tiles * (size_t)(g.conv.r * g.conv.s) : (size_t)g.groups * (size_t)g.column_tiles;
    pinion__parallel(args->workers, items, g.few ? few_item : many_item, &g);
    const pinion__view *db = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB];
    if (db->data != NULL)
        PINION__CPU_SHARED(column_sums)(&g.dy, db->data, args->accumulate, args->workers);
}

PINION__CPU_KERNEL(conv2d_backward_weights_gemm) = {.scratch_bytes = scratch_bytes, .run = run};
