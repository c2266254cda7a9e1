/* SPDX-License-Identifier: Apache-2.0
 *
 * The indirect product over all pixels of a grid (gemm.h). Work is cut into (block of pixels) x (chunk of panels); the
 * blocks are those of partial statistics (op/stats.h), so that an item can leave them while its output is in cache. An
 * item makes the table of pointers of up to RANGE pixels once for all its panels, then goes over the range with as many
 * panels at a time as stay in the first-level cache. How it is cut depends on shapes only, and every result is one
 * tile's own.
 *
 * Where a filter row of few channels would make many short runs (the first layer), the item reads a dense padded copy
 * of its input (padded.h) in which the taps of a row are one run.
 *
 * Scratch: a row of zeros; for each worker the table and the copy.
 */
#include "kernel/cpu/padded.h"
#include "kernel/cpu/stats.h"

enum {
    RANGE = 256,
    LEAST_ITEMS = 16,
    GROUP_FLOATS = 6144, /* of the panels taken at a time */
    FEW_CHANNELS = 8
};

typedef struct work {
    const pinion__gemm_pixels *product;
    pinion__stats_blocks blocks;
    int panels, chunks, taps, depth; /* taps and depth of the product that gemm_rows sees */
    bool flat;                       /* source and grid are the same pixels in the same order, and so is the target */
    bool copied;
    pinion__conv window;
    pinion__padded padded;
    float *zeros;
    char *lanes;
    size_t lane_bytes, table_bytes;
} work;

typedef struct position {
    int n, y, x;
} position;

/* A worker's table: `rows` [tile][tap][pixel], `out` and `addend` [pixel]; and its copy of the input. */
typedef struct table {
    const float **rows, **addend;
    float **out, *copy;
} table;

static bool is_flat(const pinion__gemm_pixels *product)
{
    const pinion__view *source = &product->source, *target = &product->target;
    return product->taps_h == 1 && product->taps_w == 1 && product->first_h == 0 && product->first_w == 0 &&
           product->step_h == 1 && product->step_w == 1 && product->target_step_h == 1 && product->target_step_w == 1 &&
           source->h == product->grid_h && source->w == product->grid_w && target->h == product->grid_h &&
           target->w == product->grid_w;
}

static work work_of(const pinion__gemm_pixels *product)
{
    work job = {.product = product,
                .blocks = pinion__stats_blocks_of(product->target.n, product->grid_h, product->grid_w),
                .panels = pinion__ceil_div(product->target.c, PINION__TILE_COLUMNS),
                .taps = product->taps_h * product->taps_w,
                .depth = product->source.c,
                .flat = is_flat(product)};
    const int chunks = pinion__ceil_div(LEAST_ITEMS, job.blocks.count);
    job.chunks = chunks < job.panels ? chunks : job.panels;
    job.copied = product->source.c < FEW_CHANNELS && product->taps_w > 1 && product->tap_h == 1 && product->tap_w == 1;
    size_t copy = 0;
    if (job.copied) {
        job.window = (pinion__conv){.r = product->taps_h,
                                    .s = product->taps_w,
                                    .stride_h = product->step_h,
                                    .stride_w = product->step_w,
                                    .pad_h = -product->first_h,
                                    .pad_w = -product->first_w};
        job.padded = pinion__padded_of(&job.window, &job.blocks, product->grid_w, product->source.c);
        job.taps = product->taps_h;
        job.depth = product->taps_w * product->source.c;
        copy = pinion__padded_floats(&job.padded) * sizeof(float);
    }
    job.table_bytes = pinion__round64((size_t)(job.taps + 2) * RANGE * sizeof(float *));
    job.lane_bytes = job.table_bytes + pinion__round64(copy);
    return job;
}

static size_t zeros_bytes(const work *job)
{
    return pinion__round64((size_t)job->product->source.c * sizeof(float));
}

size_t PINION__CPU_SHARED(gemm_pixels_scratch)(const pinion__gemm_pixels *product, int threads)
{
    const work job = work_of(product);
    return zeros_bytes(&job) + (size_t)threads * job.lane_bytes;
}

/* ---- where pixels are read and written ---- */

static position position_of(const pinion__gemm_pixels *product, int pixel)
{
    const int x = pixel % product->grid_w, row = pixel / product->grid_w;
    return (position){.n = row / product->grid_h, .y = row % product->grid_h, .x = x};
}

/* `pixels` further on, none of which lies behind the end of the row. */
static void move_on(const pinion__gemm_pixels *product, position *at, int pixels)
{
    at->x += pixels;
    if (at->x < product->grid_w)
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

/* Fills one column of a tile's table, `count` wide: where each tap of the pixel reads. */
static void point(const work *job, position at, const float **column, int count)
{
    const pinion__gemm_pixels *product = job->product;
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
            *column = inside ? data + offset : job->zeros;
        }
    }
}

/* The same for `pixels` pixels of a row, in the copy of the block that begins at `first`. */
static void point_copied(const work *job, position first, position at, int pixels, const float *copy,
                         const float **columns, int count)
{
    const pinion__padded *padded = &job->padded;
    const ptrdiff_t step = padded->step_w * padded->pixel;
    const float *from = copy + (at.n - first.n) * padded->image +
                        (ptrdiff_t)(at.y - first.y) * padded->step_h * padded->row + at.x * step;
    for (int r = 0; r < job->taps; r++, from += padded->row, columns += count)
        for (int i = 0; i < pixels; i++)
            columns[i] = from + i * step;
}

static ptrdiff_t target_pixel(const pinion__gemm_pixels *product, position at)
{
    const pinion__view *target = &product->target;
    const int y = product->target_h + at.y * product->target_step_h,
              x = product->target_w + at.x * product->target_step_w;
    return ((ptrdiff_t)at.n * target->h + y) * target->w + x;
}

static void fill_flat(const work *job, const table *to, int begin, int count)
{
    const pinion__view *source = &job->product->source, *target = &job->product->target;
    const pinion__view *addend = &job->product->addend;
    for (int i = 0; i < count; i++) {
        to->rows[i] = (const float *)source->data + (begin + i) * source->ld;
        to->out[i] = (float *)target->data + (begin + i) * target->ld;
        if (addend->data != NULL)
            to->addend[i] = (const float *)addend->data + (begin + i) * addend->ld;
    }
}

/* The first pixel of a tile; of tiles behind the last, the end. */
static int tile_begin(int count, int tile)
{
    const int tiles = pinion__ceil_div(count, PINION__TILE_ROWS);
    return tile < tiles ? pinion__piece_begin(count, tiles, tile) : count;
}

/* Where `pixels` pixels of a row are written, from the table's pixel i on. */
static void point_out(const pinion__gemm_pixels *product, position at, int pixels, const table *to, int i)
{
    const ptrdiff_t first = target_pixel(product, at), step = product->target_step_w;
    float *const out = (float *)product->target.data + first * product->target.ld;
    const float *const addend = product->addend.data;
    for (int k = 0; k < pixels; k++)
        to->out[i + k] = out + k * step * product->target.ld;
    for (int k = 0; addend != NULL && k < pixels; k++)
        to->addend[i + k] = addend + (first + k * step) * product->addend.ld;
}

static void fill(const work *job, const table *to, int block_begin, int begin, int count)
{
    const pinion__gemm_pixels *product = job->product;
    const position first = position_of(product, block_begin);
    position at = position_of(product, begin);
    for (int tile = 0, i = 0; i < count; tile++) {
        const int from = i, end = tile_begin(count, tile + 1);
        const float **rows = to->rows + (ptrdiff_t)from * job->taps;
        for (int pixels; i < end; i += pixels, move_on(product, &at, pixels)) {
            pixels = end - i < product->grid_w - at.x ? end - i : product->grid_w - at.x;
            if (job->copied)
                point_copied(job, first, at, pixels, to->copy, rows + i - from, end - from);
            for (int k = 0; !job->copied && k < pixels; k++)
                point(job, (position){at.n, at.y, at.x + k}, rows + i - from + k, end - from);
            point_out(product, at, pixels, to, i);
        }
    }
}

/* ---- products ---- */

/* Asks for what pixels begin … end-1 read and write. Their rows are short runs of memory, too short for the processor
 * to see them coming. */
static void prefetch(const table *from, int begin, int end, int depth, int column, int column_end)
{
    enum { LINE = 64 / sizeof(float) };
    for (int i = begin; i < end; i++) {
        for (int c = 0; c < depth; c += LINE)
            __builtin_prefetch(from->rows[i] + c);
        for (int c = column; c < column_end; c += LINE)
            __builtin_prefetch(from->out[i] + c, 1);
    }
}

/* Panels first … last of all pixels of the table. */
static void multiply(const work *job, const table *from, int count, int first, int last)
{
    const pinion__gemm_pixels *product = job->product;
    const ptrdiff_t panel_floats = (ptrdiff_t)job->taps * job->depth * PINION__TILE_COLUMNS;
    const bool added = product->addend.data != NULL;
    const int column_end =
        last * PINION__TILE_COLUMNS < product->target.c ? last * PINION__TILE_COLUMNS : product->target.c;
    pinion__gemm_rows rows = {.taps = job->taps,
                              .depth = job->depth,
                              .bias = product->bias,
                              .bounds = pinion__bounds_of(product->activation),
                              .plain =
                                  !added && product->bias == NULL && product->activation == PINION__ACTIVATION_NONE};
    for (int tile = 0, begin = 0; begin < count; tile++, begin += rows.count) {
        rows.count = tile_begin(count, tile + 1) - begin;
        rows.rows = from->rows + (ptrdiff_t)begin * job->taps;
        rows.out = from->out + begin;
        rows.addend = added ? from->addend + begin : NULL;
        if (job->flat)
            prefetch(from, begin + rows.count, tile_begin(count, tile + 2), first == 0 ? job->depth : 0,
                     first * PINION__TILE_COLUMNS, column_end);
        for (int panel = first; panel < last; panel++) {
            const int left = product->target.c - panel * PINION__TILE_COLUMNS;
            rows.panel = product->panels + panel * panel_floats;
            rows.column = panel * PINION__TILE_COLUMNS;
            rows.columns = left < PINION__TILE_COLUMNS ? left : PINION__TILE_COLUMNS;
            if (rows.columns <= PINION__LANES)
                PINION__CPU_SHARED(gemm_rows_narrow)(&rows);
            else
                PINION__CPU_SHARED(gemm_rows)(&rows);
        }
    }
}

static void copy_block(const work *job, int begin, int end, float *copy)
{
    const pinion__gemm_pixels *product = job->product;
    const position first = position_of(product, begin);
    const int pixels = product->grid_h * product->grid_w;
    const int images = job->blocks.per_image > 1 ? 1 : (end - begin) / pixels;
    PINION__CPU_SHARED(pad)(&job->padded, &job->window, &product->source, first.n, images, first.y, copy);
}

static void item(void *user, size_t index, int lane)
{
    const work *job = user;
    const pinion__gemm_pixels *product = job->product;
    const int block = (int)(index / (size_t)job->chunks), chunk = (int)(index % (size_t)job->chunks);
    const int first = pinion__piece_begin(job->panels, job->chunks, chunk),
              last = pinion__piece_begin(job->panels, job->chunks, chunk + 1);
    const int begin = (int)pinion__stats_block_begin(&job->blocks, product->grid_h, product->grid_w, block);
    const int end = begin + (int)pinion__stats_block_pixels(&job->blocks, product->target.n, product->grid_h,
                                                            product->grid_w, block);
    char *scratch = job->lanes + (size_t)lane * job->lane_bytes;
    table to = {.rows = (const float **)(void *)scratch, .copy = (float *)(void *)(scratch + job->table_bytes)};
    to.addend = to.rows + (ptrdiff_t)job->taps * RANGE;
    to.out = (float **)(void *)(to.addend + RANGE);
    const int panel_floats = job->taps * job->depth * PINION__TILE_COLUMNS;
    const int fit = panel_floats > 0 && panel_floats < GROUP_FLOATS ? GROUP_FLOATS / panel_floats : 1;
    if (job->copied)
        copy_block(job, begin, end, to.copy);
    for (int pixel = begin; pixel < end; pixel += RANGE) {
        const int count = end - pixel < RANGE ? end - pixel : RANGE;
        if (job->flat)
            fill_flat(job, &to, pixel, count);
        else
            fill(job, &to, begin, pixel, count);
        for (int panel = first; panel < last; panel += fit)
            multiply(job, &to, count, panel, panel + fit < last ? panel + fit : last);
    }
    if (product->stats.data != NULL) {
        const int column = first * PINION__TILE_COLUMNS, column_end = last * PINION__TILE_COLUMNS;
        pinion__stats_of_block(&product->stats, &product->target, &job->blocks, block, column,
                               (column_end < product->target.c ? column_end : product->target.c) - column);
    }
}

void PINION__CPU_SHARED(gemm_pixels)(const pinion__gemm_pixels *product, pinion__workers *workers)
{
    work job = work_of(product);
    job.zeros = product->scratch;
    job.lanes = (char *)product->scratch + zeros_bytes(&job);
    memset(job.zeros, 0, zeros_bytes(&job));
    pinion__parallel(workers, (size_t)job.blocks.count * (size_t)job.chunks, item, &job);
}
