/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d backward_weights: dw[k][r][s][c] = sum over pixels of dy[p][k] * x[p*stride - pad + tap][c]. A register tile
 * is up to PINION__TILE_ROWS filters times one block of channels at one tap; both operands are read where they stand.
 * An item of the parallel loop owns all taps of one such tile and walks over the pixels in chunks that stay in the
 * caches, all taps on a chunk before the next. The order of the sums depends on shapes only. The last block of channels
 * overlaps the one before it and writes only its own.
 *
 * Fewer channels than a block (the first layer): patches of x are unfolded to rows of r*s*c, a batch of rows at a time,
 * and take the place of x with a single tap; the tiles then live in scratch from batch to batch.
 *
 * Scratch: tiles of each worker; or unfolded rows and all tiles.
 */
#include "kernel/cpu/column_sums.h"
#include "kernel/cpu/conv2d.h"

enum {
    CHUNK_PIXELS = 1024,
    BLOCK_PIXELS = 256,
    UNFOLDED_FLOATS = 1 << 21,
    TILE = PINION__TILE_ROWS * PINION__TILE_COLUMNS
};

typedef struct gradient {
    pinion__conv conv;
    pinion__view x, dy, dw;
    bool accumulate, unfold;
    int width; /* columns of the product: channels, or the unfolded r*s*c rounded up to blocks */
    int filter_tiles, column_tiles;
    float *tiles;    /* taps tiles a worker; unfolded: all tiles */
    float *unfolded; /* rows x dy.w x width */
    int first, rows; /* unfolded: the output rows of this batch, counted over the images */
} gradient;

static gradient gradient_of(const pinion__args *args)
{
    gradient g = {.conv = pinion__conv_of(args),
                  .x = args->operand[PINION__CONV_BACKWARD_WEIGHTS_X],
                  .dy = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY],
                  .dw = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DW],
                  .accumulate = args->accumulate};
    g.unfold = g.x.c < PINION__TILE_COLUMNS;
    g.column_tiles = pinion__ceil_div(g.unfold ? g.conv.r * g.conv.s * g.x.c : g.x.c, PINION__TILE_COLUMNS);
    g.width = g.unfold ? g.column_tiles * PINION__TILE_COLUMNS : g.x.c;
    g.filter_tiles = pinion__ceil_div(g.dy.c, PINION__TILE_ROWS);
    const int rows = UNFOLDED_FLOATS / (g.width * g.dy.w);
    g.rows = rows < 1 ? 1 : rows < g.dy.n * g.dy.h ? rows : g.dy.n * g.dy.h;
    return g;
}

static size_t tiles_bytes(const gradient *g, int threads)
{
    const size_t tiles = g->unfold ? (size_t)g->filter_tiles * (size_t)g->column_tiles
                                   : (size_t)threads * (size_t)(g->conv.r * g->conv.s);
    return tiles * TILE * sizeof(float);
}

static size_t scratch_bytes(const pinion__args *args)
{
    const gradient g = gradient_of(args);
    const size_t unfolded = g.unfold ? (size_t)g.rows * (size_t)g.dy.w * (size_t)g.width * sizeof(float) : 0;
    return tiles_bytes(&g, pinion__threads(args)) + unfolded;
}

/* The rows of the tile that begins at filter `k`, columns first … last of it at `tap`, into dw. */
static void write_tile(const gradient *g, const float *tile, int k, int count, int tap, int channel, int first,
                       int last)
{
    const ptrdiff_t filter = (ptrdiff_t)g->conv.r * g->conv.s * g->dw.ld;
    for (int i = 0; i < count; i++) {
        float *out = (float *)g->dw.data + (k + i) * filter + tap * g->dw.ld + channel;
        const float *row = tile + (ptrdiff_t)i * PINION__TILE_COLUMNS;
        for (int j = first; j < last; j++)
            out[j - first] = g->accumulate ? out[j - first] + row[j] : row[j];
    }
}

/* ---- in place ---- */

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

static void reduce_span(const gradient *g, span part, float *tiles, int k, int count, int c)
{
    pinion__gemm_reduce product = {.a_image = (ptrdiff_t)g->dy.h * g->dy.w * g->dy.ld,
                                   .a_row = (ptrdiff_t)g->dy.w * g->dy.ld,
                                   .a_column = g->dy.ld,
                                   .b_image = (ptrdiff_t)g->x.h * g->x.w * g->x.ld,
                                   .b_row = (ptrdiff_t)g->conv.stride_h * g->x.w * g->x.ld,
                                   .b_column = g->conv.stride_w * g->x.ld,
                                   .count = count,
                                   .tile = tiles};
    for (int r = 0; r < g->conv.r; r++)
        for (int s = 0; s < g->conv.s; s++, product.tile += TILE)
            reduce_tap(g, part, r, s, product, k, c);
}

static void item(void *user, size_t index, int lane)
{
    const gradient *g = user;
    const int filter_tile = (int)(index / (size_t)g->column_tiles),
              column_tile = (int)(index % (size_t)g->column_tiles);
    const int k = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile);
    const int count = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile + 1) - k;
    const int begin = column_tile * PINION__TILE_COLUMNS;
    const int c = begin + PINION__TILE_COLUMNS <= g->x.c ? begin : g->x.c - PINION__TILE_COLUMNS;
    const int taps = g->conv.r * g->conv.s;
    float *tiles = g->tiles + (ptrdiff_t)lane * taps * TILE;
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
            reduce_span(g, part, tiles, k, count, c);
        }
    for (int tap = 0; tap < taps; tap++)
        write_tile(g, tiles + (ptrdiff_t)tap * TILE, k, count, tap, begin, begin - c, PINION__TILE_COLUMNS);
}

/* ---- unfolded ---- */

static void unfold_pixel(const gradient *g, int n, int y, int x, float *out)
{
    const int channels = g->x.c;
    const float *image = (const float *)g->x.data + (ptrdiff_t)n * g->x.h * g->x.w * g->x.ld;
    const int x0 = x * g->conv.stride_w - g->conv.pad_w;
    const bool run = g->x.ld == channels && x0 >= 0 && x0 + g->conv.s <= g->x.w;
    for (int r = 0; r < g->conv.r; r++, out += (ptrdiff_t)g->conv.s * channels) {
        const int row = y * g->conv.stride_h - g->conv.pad_h + r;
        const bool inside = row >= 0 && row < g->x.h;
        const float *from = image + ((ptrdiff_t)(inside ? row : 0) * g->x.w + x0) * g->x.ld;
        if (inside && run) {
            memcpy(out, from, (size_t)(g->conv.s * channels) * sizeof(float));
            continue;
        }
        for (int s = 0; s < g->conv.s; s++)
            for (int c = 0; c < channels; c++)
                out[s * channels + c] = inside && x0 + s >= 0 && x0 + s < g->x.w ? from[s * g->x.ld + c] : 0.0F;
    }
}

static void unfold_row(void *user, size_t index, int lane)
{
    (void)lane;
    const gradient *g = user;
    const int row = g->first + (int)index;
    const int used = g->conv.r * g->conv.s * g->x.c;
    float *out = g->unfolded + (ptrdiff_t)index * g->dy.w * g->width;
    for (int x = 0; x < g->dy.w; x++, out += g->width) {
        unfold_pixel(g, row / g->dy.h, row % g->dy.h, x, out);
        memset(out + used, 0, (size_t)(g->width - used) * sizeof(float));
    }
}

static void unfolded_item(void *user, size_t index, int lane)
{
    (void)lane;
    const gradient *g = user;
    const int filter_tile = (int)(index / (size_t)g->column_tiles),
              column_tile = (int)(index % (size_t)g->column_tiles);
    const int k = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile);
    const int pixels = g->rows * g->dy.w;
    pinion__gemm_reduce product = {.a_column = g->dy.ld,
                                   .b_column = g->width,
                                   .images = 1,
                                   .rows = 1,
                                   .count = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile + 1) - k,
                                   .tile = g->tiles + (ptrdiff_t)index * TILE};
    for (int pixel = 0; pixel < pixels; pixel += BLOCK_PIXELS) {
        product.columns = pixels - pixel < BLOCK_PIXELS ? pixels - pixel : BLOCK_PIXELS;
        product.a = (const float *)g->dy.data + ((ptrdiff_t)g->first * g->dy.w + pixel) * g->dy.ld + k;
        product.b = g->unfolded + (ptrdiff_t)pixel * g->width + (ptrdiff_t)column_tile * PINION__TILE_COLUMNS;
        PINION__CPU_SHARED(gemm_reduce)(&product);
    }
}

/* One column of the tile after the other: it is (tap, channel) of the unfolded row. */
static void write_unfolded(const gradient *g, size_t index)
{
    const int filter_tile = (int)(index / (size_t)g->column_tiles),
              column_tile = (int)(index % (size_t)g->column_tiles);
    const int k = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile);
    const int count = pinion__piece_begin(g->dy.c, g->filter_tiles, filter_tile + 1) - k;
    const int used = g->conv.r * g->conv.s * g->x.c, begin = column_tile * PINION__TILE_COLUMNS;
    for (int j = 0; j < PINION__TILE_COLUMNS && begin + j < used; j++)
        write_tile(g, g->tiles + (ptrdiff_t)index * TILE, k, count, (begin + j) / g->x.c, (begin + j) % g->x.c, j,
                   j + 1);
}

static void run_unfolded(gradient *g, pinion__workers *workers)
{
    const size_t tiles = (size_t)g->filter_tiles * (size_t)g->column_tiles;
    const int all_rows = g->dy.n * g->dy.h, batch = g->rows;
    memset(g->tiles, 0, tiles_bytes(g, 0));
    for (g->first = 0; g->first < all_rows; g->first += batch) {
        g->rows = all_rows - g->first < batch ? all_rows - g->first : batch;
        pinion__parallel(workers, (size_t)g->rows, unfold_row, g);
        pinion__parallel(workers, tiles, unfolded_item, g);
    }
    for (size_t index = 0; index < tiles; index++)
        write_unfolded(g, index);
}

static void run(const pinion__args *args)
{
    gradient g = gradient_of(args);
    g.tiles = args->scratch;
    g.unfolded = (float *)(void *)((char *)args->scratch + tiles_bytes(&g, pinion__threads(args)));
    if (g.unfold)
        run_unfolded(&g, args->workers);
    else
        pinion__parallel(args->workers, (size_t)g.filter_tiles * (size_t)g.column_tiles, item, &g);
    const pinion__view *db = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB];
    if (db->data != NULL)
        PINION__CPU_SHARED(column_sums)(&g.dy, db->data, args->accumulate, args->workers);
}

PINION__CPU_KERNEL(conv2d_backward_weights_gemm) = {.scratch_bytes = scratch_bytes, .run = run};
