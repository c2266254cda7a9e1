/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward and backward_data by Winograd's algorithm (winograd.h), in one of two orders.
 *
 * Wide, where there are many tiles: all filters are transformed first; then an item is a few blocks of pixels, of which
 * it transforms the patches, multiplies the frequencies panel by panel and transforms the products back. Patches and
 * products stay in the cache of the core that made them; the filters stream by.
 *
 * Deep, where the filters are more than the caches hold or the tiles are few: the patches of a batch are transformed
 * first; then an item is (panel of columns) x (range of tiles), and transforms its filters for itself, some rows at a
 * time, which is cheaper than fetching the 4 times larger transformed filters from memory.
 *
 * Both cut tiles at the blocks of op/stats.h, so that an item can leave the statistics of what it has just written.
 *
 * Scratch: wide: filters [panel][frequency][row][column]; zeros; for each worker patches [frequency][tile][channel] and
 * products [frequency][tile][column]. Deep: patches [depth block][frequency][tile][channel]; zeros; for each worker
 * filters [frequency][row][column] of some rows and products.
 */
#include "kernel/cpu/stats.h"
#include "kernel/cpu/winograd.h"

enum {
    LANE_FLOATS = 90 << 10, /* patches of an item that stay in a second-level cache */
    WIDE_FILTERS = 5 << 17, /* transformed filters that stay in a last-level cache */
    BATCH_FLOATS = 3 << 19, /* patches of a batch */
    DEPTH = 128,            /* rows of filters that are transformed at a time */
    LEAST_ITEMS = 8,
    WIDE_ITEMS = 4,
    FILTER_ROWS = 32, /* of an item that transforms filters */
    PATCH_TILES = 8   /* of an item that transforms patches */
};

typedef struct work {
    const pinion__winograd_conv *conv;
    pinion__winograd_tiles tiles;
    bool wide;
    int depth;          /* channels side by side in patches; rows of filters transformed at a time */
    int most;           /* tiles whose products are kept */
    int blocks;         /* wide: of an item; deep: of a batch */
    int first, end;     /* deep: blocks of this batch */
    int panels, ranges; /* deep: parts of a batch, whole blocks */
    ptrdiff_t ld, plane, step, filter_plane, product_plane;
    size_t shared_floats, lane_floats;
    float *shared, *zeros, *lanes; /* shared: filters or patches */
} work;

static int at_least(int a, int b)
{
    return a > b ? a : b;
}

static int at_most(int a, int b)
{
    return a < b ? a : b;
}

static void plan_wide(work *job, int block_tiles)
{
    const int frequencies = job->tiles.frequencies;
    job->depth = pinion__ceil_div(job->conv->source.c, 16) * 16;
    job->ld = pinion__winograd_ld(job->depth);
    const int fit = at_least((int)(LANE_FLOATS / (frequencies * job->ld)), PINION__TILE_ROWS);
    job->blocks = at_most(at_least(fit / block_tiles, 1), at_least(job->tiles.blocks.count / LEAST_ITEMS, 1));
    job->most = at_most(at_least(fit, block_tiles), job->blocks * block_tiles);
}

static void plan_deep(work *job, int block_tiles)
{
    job->depth = at_most(DEPTH, pinion__ceil_div(job->conv->source.c, 16) * 16);
    job->ld = pinion__winograd_ld(job->depth);
    const int parts = pinion__ceil_div(job->conv->source.c, job->depth);
    const int fit = (int)(BATCH_FLOATS / (job->tiles.frequencies * parts * job->ld));
    const int batches = pinion__ceil_div(job->tiles.blocks.count, at_least(fit / block_tiles, 1));
    job->blocks = pinion__ceil_div(job->tiles.blocks.count, batches);
    job->ranges = at_most(pinion__ceil_div(LEAST_ITEMS, job->panels), job->blocks);
    job->most = pinion__ceil_div(job->blocks, job->ranges) * block_tiles;
}

static work work_of(const pinion__winograd_conv *conv)
{
    work job = {.conv = conv, .tiles = pinion__winograd_tiles_of(&conv->target, conv->out)};
    const int block_tiles = pinion__winograd_block_most(&job.tiles), frequencies = job.tiles.frequencies;
    job.panels = pinion__ceil_div(conv->target.c, PINION__TILE_COLUMNS);
    job.wide =
        job.tiles.blocks.count >= WIDE_ITEMS && (int64_t)frequencies * conv->source.c * conv->target.c <= WIDE_FILTERS;
    job.filter_plane = pinion__winograd_plane(job.wide ? conv->source.c : DEPTH, PINION__TILE_COLUMNS);
    if (job.wide)
        plan_wide(&job, block_tiles);
    else
        plan_deep(&job, block_tiles);
    const int patches = job.wide ? job.most : job.blocks * block_tiles;
    job.plane = pinion__winograd_plane(patches, job.ld);
    job.step = frequencies * job.plane;
    job.product_plane = pinion__winograd_plane(job.most, PINION__TILE_COLUMNS);
    const size_t patch_floats = (size_t)pinion__ceil_div(conv->source.c, job.depth) * (size_t)job.step;
    const size_t panel_floats = (size_t)frequencies * (size_t)job.filter_plane;
    job.shared_floats = job.wide ? (size_t)job.panels * panel_floats : patch_floats;
    job.lane_floats = (size_t)frequencies * (size_t)job.product_plane + (job.wide ? patch_floats : panel_floats);
    return job;
}

size_t PINION__CPU_SHARED(winograd_conv_scratch)(const pinion__winograd_conv *conv, int threads)
{
    const work job = work_of(conv);
    return (job.shared_floats + pinion__winograd_zeros(conv->source.c) + (size_t)threads * job.lane_floats) *
           sizeof(float);
}

/* ---- what both orders do ---- */

static void transform_filters(const work *job, int panel, int row, int rows, float *to)
{
    const pinion__winograd_panel filters = {.w = &job->conv->w,
                                            .out = job->tiles.out,
                                            .backward = job->conv->backward,
                                            .column = panel * PINION__TILE_COLUMNS,
                                            .row = row,
                                            .rows = rows,
                                            .to = to,
                                            .plane = job->filter_plane};
    PINION__CPU_SHARED(winograd_filters)(&filters);
}

static void transform_patches(const work *job, int first, int count, float *to)
{
    const pinion__winograd_patches patches = {.view = &job->conv->source,
                                              .tiles = &job->tiles,
                                              .pad_h = job->conv->pad_h,
                                              .pad_w = job->conv->pad_w,
                                              .zeros = job->zeros,
                                              .out = to,
                                              .depth = job->depth,
                                              .ld = job->ld,
                                              .plane = job->plane,
                                              .step = job->step,
                                              .ahead = !job->wide};
    PINION__CPU_SHARED(winograd_inputs)(&patches, first, count);
}

/* Tiles that come after those at hand. */
typedef struct future {
    int first, count;
    int part, parts; /* of them that is asked for */
} future;

/* All frequencies of `tiles` tiles with `depth` rows of a panel from `row` on. Memory is idle meanwhile, so what comes
 * next is asked for: with the last rows, the lines of the outputs; and pixels of tiles of the future. */
static void multiply(const work *job, const float *patches, const float *filters, int row, int depth, int tiles,
                     const pinion__winograd_outputs *outputs, const future *next, float *products)
{
    const int frequencies = job->tiles.frequencies;
    const bool narrow = job->conv->target.c - outputs->column <= PINION__LANES;
    for (int f = 0; f < frequencies; f++) {
        const pinion__winograd_product product = {.patches = patches + f * job->plane,
                                                  .panel = filters + f * job->filter_plane,
                                                  .products = products + f * job->product_plane,
                                                  .ld = job->ld,
                                                  .tiles = tiles,
                                                  .depth = depth,
                                                  .add = row > 0};
        if (row + depth == job->conv->source.c)
            PINION__CPU_SHARED(winograd_expect)
        (outputs, pinion__piece_begin(tiles, frequencies, f), pinion__piece_begin(tiles, frequencies, f + 1));
        if (next) {
            const int piece = next->part * frequencies + f, pieces = next->parts * frequencies;
            PINION__CPU_SHARED(winograd_foresee)
            (&job->conv->source, &job->tiles, next->first + pinion__piece_begin(next->count, pieces, piece),
             next->first + pinion__piece_begin(next->count, pieces, piece + 1));
        }
        if (narrow)
            PINION__CPU_SHARED(winograd_multiply_narrow)(&product);
        else
            PINION__CPU_SHARED(winograd_multiply)(&product);
    }
}

static pinion__winograd_outputs outputs_of(const work *job, const float *products, int first, int panel)
{
    return (pinion__winograd_outputs){.conv = job->conv,
                                      .tiles = &job->tiles,
                                      .products = products,
                                      .plane = job->product_plane,
                                      .first = first,
                                      .column = panel * PINION__TILE_COLUMNS};
}

static void leave_stats(const work *job, int begin, int end, int column, int channels)
{
    for (int block = begin; job->conv->stats.data && block < end; block++)
        pinion__stats_of_block(&job->conv->stats, &job->conv->target, &job->tiles.blocks, block, column, channels);
}

/* ---- wide ---- */

static int filter_items(const work *job)
{
    return pinion__ceil_div(job->conv->source.c, FILTER_ROWS);
}

static void filter_item(void *user, size_t index, int lane)
{
    (void)lane;
    const work *job = user;
    const int parts = filter_items(job), panel = (int)index / parts, row = (int)index % parts * FILTER_ROWS;
    transform_filters(job, panel, row, at_most(job->conv->source.c - row, FILTER_ROWS),
                      job->shared + (ptrdiff_t)panel * job->tiles.frequencies * job->filter_plane +
                          (ptrdiff_t)row * PINION__TILE_COLUMNS);
}

static void wide_item(void *user, size_t index, int lane)
{
    const work *job = user;
    const int block = (int)index * job->blocks, last = at_most(block + job->blocks, job->tiles.blocks.count);
    const int end = pinion__winograd_block_begin(&job->tiles, last);
    float *products = job->lanes + (size_t)lane * job->lane_floats;
    float *patches = products + job->tiles.frequencies * job->product_plane;
    for (int first = pinion__winograd_block_begin(&job->tiles, block); first < end; first += job->most) {
        const int count = at_most(end - first, job->most);
        transform_patches(job, first, count, patches);
        for (int panel = 0; panel < job->panels; panel++) {
            const pinion__winograd_outputs outputs = outputs_of(job, products, first, panel);
            const future next = {.first = first + count,
                                 .count = at_most(job->tiles.count - first - count, job->most),
                                 .part = panel,
                                 .parts = job->panels};
            multiply(job, patches, job->shared + (ptrdiff_t)panel * job->tiles.frequencies * job->filter_plane, 0,
                     job->conv->source.c, count, &outputs, &next, products);
            PINION__CPU_SHARED(winograd_write)(&outputs, 0, count);
        }
    }
    leave_stats(job, block, last, 0, job->conv->target.c);
}

static void run_wide(work *job, pinion__workers *workers)
{
    const size_t filters = (size_t)filter_items(job) * (size_t)job->panels;
    pinion__parallel(workers, filters, filter_item, job);
    pinion__parallel(workers, (size_t)pinion__ceil_div(job->tiles.blocks.count, job->blocks), wide_item, job);
}

/* ---- deep ---- */

static void patch_item(void *user, size_t index, int lane)
{
    (void)lane;
    const work *job = user;
    const int first = pinion__winograd_block_begin(&job->tiles, job->first), at = (int)index * PATCH_TILES;
    const int count = pinion__winograd_block_begin(&job->tiles, job->end) - first - at;
    transform_patches(job, first + at, at_most(count, PATCH_TILES), job->shared + at * job->ld);
}

static void deep_item(void *user, size_t index, int lane)
{
    const work *job = user;
    const int panel = (int)index % job->panels, range = (int)index / job->panels;
    const int begin = job->first + pinion__piece_begin(job->end - job->first, job->ranges, range);
    const int end = job->first + pinion__piece_begin(job->end - job->first, job->ranges, range + 1);
    const int first = pinion__winograd_block_begin(&job->tiles, begin);
    const int skip = first - pinion__winograd_block_begin(&job->tiles, job->first);
    const int count = pinion__winograd_block_begin(&job->tiles, end) - first, rows = job->conv->source.c;
    float *products = job->lanes + (size_t)lane * job->lane_floats;
    float *filters = products + job->tiles.frequencies * job->product_plane;
    if (count == 0)
        return;
    const pinion__winograd_outputs outputs = outputs_of(job, products, first, panel);
    for (int row = 0; row < rows; row += job->depth) {
        const int depth = at_most(rows - row, job->depth);
        transform_filters(job, panel, row, depth, filters);
        multiply(job, job->shared + row / job->depth * job->step + skip * job->ld, filters, row, depth, count, &outputs,
                 NULL, products);
    }
    PINION__CPU_SHARED(winograd_write)(&outputs, 0, count);
    leave_stats(job, begin, end, outputs.column, at_most(job->conv->target.c - outputs.column, PINION__TILE_COLUMNS));
}

static void run_deep(work *job, pinion__workers *workers)
{
    for (job->first = 0; job->first < job->tiles.blocks.count; job->first = job->end) {
        job->end = at_most(job->first + job->blocks, job->tiles.blocks.count);
        const int tiles =
            pinion__winograd_block_begin(&job->tiles, job->end) - pinion__winograd_block_begin(&job->tiles, job->first);
        pinion__parallel(workers, (size_t)pinion__ceil_div(tiles, PATCH_TILES), patch_item, job);
        pinion__parallel(workers, (size_t)job->panels * (size_t)job->ranges, deep_item, job);
    }
}

void PINION__CPU_SHARED(winograd_conv)(const pinion__winograd_conv *conv, pinion__workers *workers)
{
    work job = work_of(conv);
    job.shared = conv->scratch;
    job.zeros = job.shared + job.shared_floats;
    job.lanes = job.zeros + pinion__winograd_zeros(conv->source.c);
    memset(job.zeros, 0, pinion__winograd_zeros(conv->source.c) * sizeof(float));
    if (job.wide)
        run_wide(&job, workers);
    else
        run_deep(&job, workers);
}
