/* SPDX-License-Identifier: Apache-2.0
 *
 * The indirect product over all pixels of a grid (gemm.h). Work is cut into (range of pixels) x (panel of columns), the
 * panel running fastest, so that a range's activations are read from the inner caches by all panels; within an item
 * tiles of PINION__TILE_ROWS pixels follow each other on one panel. How it is cut depends on shapes only, and every
 * result is one tile's own.
 */
#include "kernel/cpu/gemm.h"

enum { RANGE_TILES = 16 };

typedef struct position {
    int n, y, x;
} position;

static position position_of(const pinion__gemm_pixels *product, int pixel)
{
    const int x = pixel % product->grid_w, row = pixel / product->grid_w;
    return (position){.n = row / product->grid_h, .y = row % product->grid_h, .x = x};
}

static void move_on(const pinion__gemm_pixels *product, position *at)
{
    if (++at->x < product->grid_w)
        return;
    at->x = 0;
    if (++at->y < product->grid_h)
        return;
    at->y = 0;
    at->n++;
}

/* Is every tap of the pixel at (y0, x0) inside the source? */
static bool is_interior(const pinion__gemm_pixels *product, int y0, int x0)
{
    const int y1 = y0 + (product->taps_h - 1) * product->tap_h, x1 = x0 + (product->taps_w - 1) * product->tap_w;
    const int h = product->source.h, w = product->source.w;
    return y0 >= 0 && y0 < h && y1 >= 0 && y1 < h && x0 >= 0 && x0 < w && x1 >= 0 && x1 < w;
}

/* Fills one column of the pointer table, `count` wide: where each tap of the pixel reads. */
static void point(const pinion__gemm_pixels *product, position at, const float **column, int count)
{
    const pinion__view *source = &product->source;
    const int y0 = at.y * product->step_h + product->first_h, x0 = at.x * product->step_w + product->first_w;
    const ptrdiff_t step = product->tap_w * source->ld;
    const float *data = source->data;
    const ptrdiff_t first = (((ptrdiff_t)at.n * source->h + y0) * source->w + x0) * source->ld;
    const bool interior = is_interior(product, y0, x0);
    for (int r = 0; r < product->taps_h; r++) {
        ptrdiff_t offset = first + (ptrdiff_t)r * product->tap_h * source->w * source->ld;
        const int y = y0 + r * product->tap_h;
        for (int s = 0, x = x0; s < product->taps_w; s++, x += product->tap_w, offset += step, column += count) {
            const bool inside = interior || (y >= 0 && y < source->h && x >= 0 && x < source->w);
            *column = inside ? data + offset : product->zeros;
        }
    }
}

static float *target_of(const pinion__gemm_pixels *product, position at, int column)
{
    const pinion__view *target = &product->target;
    const int y = product->target_h + at.y * product->target_step_h,
              x = product->target_w + at.x * product->target_step_w;
    return (float *)target->data + (((ptrdiff_t)at.n * target->h + y) * target->w + x) * target->ld + column;
}

static int panels_of(const pinion__gemm_pixels *product)
{
    return pinion__ceil_div(product->target.c, PINION__TILE_COLUMNS);
}

static int pixels_of(const pinion__gemm_pixels *product)
{
    return product->target.n * product->grid_h * product->grid_w;
}

static void item(void *user, size_t index, int lane)
{
    const pinion__gemm_pixels *product = user;
    const int panels = panels_of(product), pixels = pixels_of(product), taps = product->taps_h * product->taps_w;
    const int panel = (int)(index % (size_t)panels), range = (int)(index / (size_t)panels);
    const int column = panel * PINION__TILE_COLUMNS, columns = product->target.c - column;
    const int ranges = pinion__ceil_div(pixels, RANGE_TILES * PINION__TILE_ROWS);
    const int begin = pinion__piece_begin(pixels, ranges, range), end = pinion__piece_begin(pixels, ranges, range + 1);
    const int tiles = pinion__ceil_div(end - begin, PINION__TILE_ROWS);
    const float **pointers = product->pointers + (size_t)lane * pinion__gemm_pixels_pointers(taps);
    float *out[PINION__TILE_ROWS];
    pinion__gemm_rows rows = {
        .rows = pointers,
        .taps = taps,
        .depth = product->source.c,
        .panel = product->panels + (ptrdiff_t)panel * taps * product->source.c * PINION__TILE_COLUMNS,
        .panel_step = PINION__TILE_COLUMNS,
        .out = out,
        .columns = columns < PINION__TILE_COLUMNS ? columns : PINION__TILE_COLUMNS,
        .bias = product->bias == NULL ? NULL : product->bias + column,
        .accumulate = product->accumulate,
    };
    position at = position_of(product, begin);
    for (int tile = 0; tile < tiles; tile++) {
        rows.count = pinion__piece_begin(end - begin, tiles, tile + 1) - pinion__piece_begin(end - begin, tiles, tile);
        for (int i = 0; i < rows.count; i++, move_on(product, &at)) {
            point(product, at, pointers + i, rows.count);
            out[i] = target_of(product, at, column);
        }
        PINION__CPU_SHARED(gemm_rows)(&rows);
    }
}

void PINION__CPU_SHARED(gemm_pixels)(const pinion__gemm_pixels *product, pinion__workers *workers)
{
    const int ranges = pinion__ceil_div(pixels_of(product), RANGE_TILES * PINION__TILE_ROWS);
    pinion__gemm_pixels shared = *product;
    pinion__parallel(workers, (size_t)ranges * (size_t)panels_of(product), item, &shared);
}
