/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward and backward_data by Winograd's algorithm (winograd.h). Tiles are taken in batches whose transformed patches
 * stay within BATCH_FLOATS. In a batch: all patches are transformed; then an item is (range of tiles) x (panel of
 * columns): it transforms its panel of filters for itself, which is cheaper than fetching the 4 times larger
 * transformed filters from memory, and for a few tiles at a time multiplies the 36 frequencies and transforms the
 * products back into the output.
 *
 * Scratch: patches [frequency][tile][channel]; zeros; for each worker a panel of filters and the products of a few
 * tiles.
 */
#include "kernel/cpu/tile.h"
#include "kernel/cpu/winograd.h"

enum {
    BATCH_FLOATS = 3 << 18,
    GROUP_TILES = 4 * PINION__TILE_ROWS, /* whose products are kept */
    LEAST_ITEMS = 8,
    FREQUENCIES = PINION__WINOGRAD_FREQUENCIES,
    OUT = PINION__WINOGRAD_OUT,
    IN = PINION__WINOGRAD_IN,
    PRODUCT_PLANE = GROUP_TILES * PINION__TILE_COLUMNS + 16
};

typedef struct work {
    const pinion__winograd_conv *conv;
    pinion__winograd_tiles tiles;
    int batch;        /* tiles a batch */
    int first, count; /* tiles of this batch */
    int panels, ranges;
    ptrdiff_t ld, plane, filter_plane;
    float *patches, *zeros, *lanes;
    size_t lane_floats;
} work;

static work work_of(const pinion__winograd_conv *conv)
{
    const int depth = conv->source.c;
    work job = {.conv = conv, .tiles = pinion__winograd_tiles_of(&conv->target), .ld = pinion__winograd_ld(depth)};
    const ptrdiff_t fit = BATCH_FLOATS / (FREQUENCIES * job.ld) / GROUP_TILES * GROUP_TILES;
    const int most = fit < GROUP_TILES ? GROUP_TILES : (int)fit;
    job.batch = pinion__ceil_div(job.tiles.count, pinion__ceil_div(job.tiles.count, most));
    job.plane = pinion__winograd_plane(job.batch, job.ld);
    job.filter_plane = (ptrdiff_t)depth * PINION__TILE_COLUMNS + 16;
    job.panels = pinion__ceil_div(conv->target.c, PINION__TILE_COLUMNS);
    job.ranges = pinion__ceil_div(LEAST_ITEMS, job.panels);
    job.lane_floats = (size_t)FREQUENCIES * (size_t)(job.filter_plane + PRODUCT_PLANE);
    return job;
}

static size_t zeros_floats(const work *job)
{
    return (size_t)pinion__ceil_div(job->conv->source.c, 16) * 16;
}

size_t PINION__CPU_SHARED(winograd_conv_scratch)(const pinion__winograd_conv *conv, int threads)
{
    const work job = work_of(conv);
    const size_t patches = (size_t)FREQUENCIES * (size_t)job.plane;
    return (patches + zeros_floats(&job) + (size_t)threads * job.lane_floats) * sizeof(float);
}

/* ---- one frequency: products[tile][column] = patches[tile][…] * filters[…][column] ---- */

PINION__INLINE void multiply_rows(const float *a, ptrdiff_t ld, int depth, const float *panel, float *out,
                                  const int count)
{
    const float *rows[PINION__TILE_ROWS];
#pragma GCC unroll 12
    for (int i = 0; i < count; i++)
        rows[i] = a + i * ld;
    pinion__tile_sums sums;
    pinion__tile_clear(&sums, count);
    for (ptrdiff_t c = 0; c < depth; c++)
        pinion__tile_step_rows(&sums, count, rows, c, panel + c * PINION__TILE_COLUMNS);
#pragma GCC unroll 12
    for (int i = 0; i < count; i++)
#pragma GCC unroll 2
        for (int v = 0; v < PINION__TILE_VECTORS; v++)
            pinion__vf_store(out + (ptrdiff_t)i * PINION__TILE_COLUMNS + (ptrdiff_t)v * PINION__LANES, sums.at[i][v]);
}

#define CASE(rows)                                                                                                     \
    case rows:                                                                                                         \
        multiply_rows(a, ld, depth, panel, out, rows);                                                                 \
        break;

static void multiply(const float *a, ptrdiff_t ld, int depth, const float *panel, float *out, int count)
{
    switch (count) {
        PINION__TILE_EACH(CASE)
    default:
        break;
    }
}

/* ---- products to outputs ---- */

typedef struct target_tile {
    float *data;
    ptrdiff_t row; /* floats from one row of pixels to the next */
    int rows, columns;
} target_tile;

static target_tile target_of(const work *job, int tile, int column)
{
    const pinion__view *target = &job->conv->target;
    const int row = tile / job->tiles.w;
    const int x = tile % job->tiles.w * OUT, y = row % job->tiles.h * OUT, n = row / job->tiles.h;
    return (target_tile){.data = (float *)target->data + (((ptrdiff_t)n * target->h + y) * target->w + x) * target->ld +
                                 column,
                         .row = target->w * target->ld,
                         .rows = target->h - y < OUT ? target->h - y : OUT,
                         .columns = target->w - x < OUT ? target->w - x : OUT};
}

PINION__INLINE void transform_back(const float *products, pinion__vf outputs[OUT * OUT])
{
    pinion__vf half[OUT * IN];
#pragma GCC unroll 6
    for (int j = 0; j < IN; j++) {
        pinion__vf column[IN];
#pragma GCC unroll 6
        for (int i = 0; i < IN; i++)
            column[i] = pinion__vf_load(products + (ptrdiff_t)(i * IN + j) * PRODUCT_PLANE);
        pinion__winograd_a(column, 1, half + j, IN);
    }
#pragma GCC unroll 4
    for (int i = 0; i < OUT; i++)
        pinion__winograd_a(half + (ptrdiff_t)i * IN, 1, outputs + (ptrdiff_t)i * OUT, 1);
}

static void write_tile(const pinion__winograd_conv *conv, const target_tile *tile, const float *products,
                       const float *bias, int channels)
{
    pinion__vf outputs[OUT * OUT];
    transform_back(products, outputs);
    const pinion__vf added = bias == NULL ? pinion__vf_zero() : pinion__vf_load_part(bias, channels);
    const bool plain = channels == PINION__LANES && !conv->accumulate;
    for (int i = 0; i < tile->rows; i++)
        for (int j = 0; j < tile->columns; j++) {
            float *out = tile->data + i * tile->row + j * conv->target.ld;
            pinion__vf value = pinion__vf_add(outputs[i * OUT + j], added);
            if (plain) {
                pinion__vf_store(out, value);
                continue;
            }
            if (conv->accumulate)
                value = pinion__vf_add(value, pinion__vf_load_part(out, channels));
            pinion__vf_store_part(out, value, channels);
        }
}

static void write_group(const work *job, const float *products, int first, int count, int column)
{
    const pinion__winograd_conv *conv = job->conv;
    for (int i = 0; i < count; i++)
        for (int c = 0; c < PINION__TILE_COLUMNS && column + c < conv->target.c; c += PINION__LANES) {
            const int left = conv->target.c - column - c;
            const target_tile tile = target_of(job, job->first + first + i, column + c);
            write_tile(conv, &tile, products + (ptrdiff_t)i * PINION__TILE_COLUMNS + c,
                       conv->bias == NULL ? NULL : conv->bias + column + c,
                       left < PINION__LANES ? left : PINION__LANES);
        }
}

static void multiply_group(const work *job, const float *filters, float *products, int first, int count)
{
    const int parts = pinion__ceil_div(count, PINION__TILE_ROWS);
    for (int f = 0; f < FREQUENCIES; f++)
        for (int part = 0; part < parts; part++) {
            const int begin = pinion__piece_begin(count, parts, part),
                      end = pinion__piece_begin(count, parts, part + 1);
            multiply(job->patches + f * job->plane + (first + begin) * job->ld, job->ld, job->conv->source.c,
                     filters + f * job->filter_plane,
                     products + f * (ptrdiff_t)PRODUCT_PLANE + begin * (ptrdiff_t)PINION__TILE_COLUMNS, end - begin);
        }
}

static void item(void *user, size_t index, int lane)
{
    const work *job = user;
    const int panel = (int)(index % (size_t)job->panels), range = (int)(index / (size_t)job->panels);
    const int column = panel * PINION__TILE_COLUMNS;
    const int begin = pinion__piece_begin(job->count, job->ranges, range);
    const int end = pinion__piece_begin(job->count, job->ranges, range + 1);
    float *filters = job->lanes + (size_t)lane * job->lane_floats;
    float *products = filters + FREQUENCIES * job->filter_plane;
    if (begin == end)
        return;
    PINION__CPU_SHARED(winograd_filters)(&job->conv->w, job->conv->backward, column, filters, job->filter_plane);
    for (int first = begin; first < end; first += GROUP_TILES) {
        const int count = end - first < GROUP_TILES ? end - first : GROUP_TILES;
        multiply_group(job, filters, products, first, count);
        write_group(job, products, first, count, column);
    }
}

void PINION__CPU_SHARED(winograd_conv)(const pinion__winograd_conv *conv, pinion__workers *workers)
{
    work job = work_of(conv);
    job.patches = conv->scratch;
    job.zeros = job.patches + FREQUENCIES * job.plane;
    job.lanes = job.zeros + zeros_floats(&job);
    memset(job.zeros, 0, zeros_floats(&job) * sizeof(float));
    for (job.first = 0; job.first < job.tiles.count; job.first += job.batch) {
        job.count = job.tiles.count - job.first < job.batch ? job.tiles.count - job.first : job.batch;
        const pinion__winograd_block block = {.view = &conv->source,
                                              .tiles = job.tiles,
                                              .first = job.first,
                                              .count = job.count,
                                              .pad_h = conv->pad_h,
                                              .pad_w = conv->pad_w,
                                              .zeros = job.zeros,
                                              .out = job.patches,
                                              .ld = job.ld,
                                              .plane = job.plane};
        PINION__CPU_SHARED(winograd_inputs)(&block, workers);
        pinion__parallel(workers, (size_t)job.panels * (size_t)job.ranges, item, &job);
    }
}
