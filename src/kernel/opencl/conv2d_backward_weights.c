/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a convolution's weights and bias on OpenCL. Work is cut by shape into (columns of input channels) x
 * (groups of tiles of output channels) x (pieces of the pixels); each makes its sums over its piece, in chunks
 * (conv2d_backward_weights.cl). Where there is one piece, whole tiles and no update, sums stand in dw from the start;
 * else in scratch, and another launch adds the pieces in their order and puts them where they belong
 * (gradient_sums.cl).
 *
 * The tiles' rows and columns come from dy and x in place, or from copies in which a tile's channels of all pixels
 * stand side by side: rows of kernels.def of their own. Copies pay where pixels are far apart in memory, many tiles
 * read them, and images are small. With small images they stand image by image within a pixel, so that a tap, which
 * takes the same pixels of every image, takes long runs.
 *
 * Scratch: copies of x and dy; the pieces' sums; sums of blocks of pixels for the bias.
 */
#include "kernel/opencl/bias.h"
#include "kernel/opencl/conv2d.h"
#include "kernel/opencl/update.h"
#include "kernel/opencl/vector.h"

#include <stdio.h>

enum { CHUNK = 128, CHUNK_COPIED = 512 };

/* How one of x and dy is read: floats from one panel (columns of x, tile of dy), image, row and column to the next. */
typedef struct steps {
    int panel, image, row, column;
} steps;

typedef struct work {
    const pinion__args *args;
    const pinion__opencl_tile *tile;
    pinion__opencl_conv conv;
    const pinion__view *x, *dy, *dw;
    bool copied, by_batch;
    int panels, tiles, group, groups;         /* of input channels; of output channels, and items' share of them */
    int runs, piece_runs, pieces, chunk_runs; /* of pixels */
    bool direct;                              /* sums stand in dw */
    int outputs, inputs;                      /* channels of the sums in scratch: whole tiles */
    size_t x_bytes, dy_bytes, sums_bytes, bias_bytes;
} work;

static size_t round64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static void cut_pixels(work *job)
{
    const int run = job->by_batch ? job->dy->n : job->dy->w, chunk = job->copied ? CHUNK_COPIED : CHUNK;
    job->runs = job->by_batch ? job->dy->h * job->dy->w : job->dy->n * job->dy->h;
    job->chunk_runs = pinion__opencl_ceil(chunk, run);
    /* Pieces of whole chunks. */
    const int chunks = pinion__opencl_ceil(job->runs, job->chunk_runs);
    const int wanted = pinion__opencl_ceil(job->tile->items, job->panels * job->groups);
    job->piece_runs = pinion__opencl_ceil(chunks, wanted < chunks ? wanted : chunks) * job->chunk_runs;
    job->pieces = pinion__opencl_ceil(job->runs, job->piece_runs);
}

static work work_of(const pinion__args *args, const pinion__opencl_tile *tile, bool copied)
{
    work job = {.args = args,
                .tile = tile,
                .conv = pinion__opencl_conv_of(args),
                .x = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_X],
                .dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY],
                .dw = pinion__launch_sink_view(args),
                .copied = copied};
    const int columns = pinion__tile_columns(tile);
    job.by_batch = copied && job.dy->n >= job.dy->w;
    job.panels = pinion__opencl_ceil(job.x->c, columns);
    job.tiles = pinion__opencl_ceil(job.dy->c, tile->rows);
    job.group = job.tiles < tile->tiles ? job.tiles : tile->tiles;
    job.groups = pinion__opencl_ceil(job.tiles, job.group);
    cut_pixels(&job);
    job.inputs = job.panels * columns;
    job.outputs = job.tiles * tile->rows;
    job.direct = job.pieces == 1 && !args->update && job.inputs == job.x->c && job.outputs == job.dy->c;
    if (copied) {
        job.x_bytes = round64(pinion__view_pixels(job.x) * (size_t)job.inputs * sizeof(float));
        job.dy_bytes = round64(pinion__view_pixels(job.dy) * (size_t)job.outputs * sizeof(float));
    }
    if (!job.direct)
        job.sums_bytes = round64((size_t)job.pieces * (size_t)job.outputs * (size_t)job.conv.taps * (size_t)job.inputs *
                                 sizeof(float));
    job.bias_bytes = pinion__bias_scratch(args);
    return job;
}

static bool applicable(const pinion__args *args, const pinion__opencl_tile *tile, bool copied)
{
    const work job = work_of(args, tile, copied);
    return pinion__opencl_view_indexable(job.x) && pinion__opencl_view_indexable(job.dy) &&
           pinion__opencl_view_indexable(job.dw) &&
           pinion__opencl_indexable((job.x_bytes + job.dy_bytes + job.sums_bytes + job.bias_bytes) / sizeof(float));
}

static size_t scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile, bool copied)
{
    const work job = work_of(args, tile, copied);
    return job.x_bytes + job.dy_bytes + job.sums_bytes + job.bias_bytes;
}

/* Steps of a copy whose panels have `lanes` channels. */
static steps copied_steps(const work *job, const pinion__view *view, int lanes)
{
    const int column = job->by_batch ? view->n * lanes : lanes;
    return (steps){.panel = (int)pinion__view_pixels(view) * lanes,
                   .image = job->by_batch ? lanes : view->h * view->w * lanes,
                   .row = view->w * column,
                   .column = column};
}

static steps steps_in_place(const pinion__view *view, int lanes)
{
    const int ld = (int)view->ld;
    return (steps){.panel = lanes, .image = view->h * view->w * ld, .row = view->w * ld, .column = ld};
}

static void copy(const work *job, int operand, int lanes, size_t offset)
{
    enum { GROUP = 16 };
    const pinion__view *view = &job->args->operand[operand];
    const steps to = copied_steps(job, view, lanes);
    const int pixels = view->h * view->w;
    pinion__launch launch;
    pinion__launch_begin(&launch, job->args, "conv2d_backward_weights", "pack_pixels", job->tile->options);
    pinion__launch_operand(&launch, operand);
    PINION__LAUNCH_INTS(&launch, (int)view->ld, view->c, pixels, view->n);
    pinion__launch_scratch(&launch, offset);
    PINION__LAUNCH_INTS(&launch, lanes, to.column / lanes, to.image / lanes);
    pinion__launch_run(&launch,
                       (const size_t[3]){(size_t)pixels, (size_t)view->n, (size_t)pinion__opencl_ceil(view->c, lanes)},
                       (const size_t[3]){GROUP, 1, 1});
}

static void launch_source(pinion__launch *launch, int operand, bool copied, const steps *from, size_t offset)
{
    if (copied)
        pinion__launch_scratch(launch, offset);
    else
        pinion__launch_operand(launch, operand);
    PINION__LAUNCH_INTS(launch, from->panel, from->image, from->row, from->column);
}

static void reduce(const work *job)
{
    const pinion__view *x = job->x, *dy = job->dy;
    const pinion__opencl_conv *conv = &job->conv;
    const int tap = job->direct ? (int)job->dw->ld : job->inputs, output = conv->taps * tap;
    const int columns = pinion__tile_columns(job->tile), rows = job->tile->rows;
    const steps of_x = job->copied ? copied_steps(job, x, columns) : steps_in_place(x, columns);
    const steps of_dy = job->copied ? copied_steps(job, dy, rows) : steps_in_place(dy, rows);
    pinion__launch launch;
    pinion__launch_begin(&launch, job->args, "conv2d_backward_weights", "reduce", job->tile->options);
    launch_source(&launch, PINION__CONV_BACKWARD_WEIGHTS_X, job->copied, &of_x, 0);
    PINION__LAUNCH_INTS(&launch, x->h, x->w);
    launch_source(&launch, PINION__CONV_BACKWARD_WEIGHTS_DY, job->copied, &of_dy, job->x_bytes);
    PINION__LAUNCH_INTS(&launch, dy->n, dy->h, dy->w);
    if (job->direct)
        pinion__launch_operand(&launch, PINION__CONV_BACKWARD_WEIGHTS_DW);
    else
        pinion__launch_scratch(&launch, job->x_bytes + job->dy_bytes);
    PINION__LAUNCH_INTS(&launch, job->outputs * output, output, tap, job->direct && job->args->accumulate,
                        conv->stride_h, conv->stride_w, conv->pad_h, conv->pad_w, conv->r, conv->s, job->by_batch,
                        job->runs, job->piece_runs, job->chunk_runs, job->copied ? job->inputs : x->c,
                        job->copied ? job->outputs : dy->c, job->group);
    pinion__launch_run(&launch, (const size_t[3]){(size_t)job->panels, (size_t)job->groups, (size_t)job->pieces},
                       job->tile->local);
}

/* "-DVECTOR=16 -DSINK=2" */
static void finish(const work *job)
{
    const int vector = pinion__vector_of(job->args, pinion__tile_columns(job->tile)),
              rows = job->dy->c * job->conv.taps;
    char options[64];
    snprintf(options, sizeof options, "-DVECTOR=%d %s", vector, pinion__sink_options(job->args));
    pinion__launch launch;
    pinion__launch_begin(&launch, job->args, "gradient_sums", "finish", options);
    pinion__launch_scratch(&launch, job->x_bytes + job->dy_bytes);
    PINION__LAUNCH_INTS(&launch, job->pieces, job->outputs * job->conv.taps * job->inputs, job->inputs, job->x->c, rows,
                        (int)job->dw->ld);
    pinion__launch_sink(&launch, job->args);
    pinion__launch_run_flat(&launch, (size_t)pinion__opencl_ceil(job->x->c, vector) * (size_t)rows);
}

static void run(const pinion__args *args, const pinion__opencl_tile *tile, bool copied)
{
    const work job = work_of(args, tile, copied);
    if (copied) {
        copy(&job, PINION__CONV_BACKWARD_WEIGHTS_X, pinion__tile_columns(tile), 0);
        copy(&job, PINION__CONV_BACKWARD_WEIGHTS_DY, tile->rows, job.x_bytes);
    }
    reduce(&job);
    if (!job.direct)
        finish(&job);
    pinion__launch_bias_gradient(args, job.x_bytes + job.dy_bytes + job.sums_bytes);
}

static bool conv2d_backward_weights_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    return applicable(args, tile, false);
}

static size_t conv2d_backward_weights_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)
{
    return scratch_bytes(args, tile, false);
}

static void conv2d_backward_weights_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    run(args, tile, false);
}

static bool conv2d_backward_weights_copied_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    return applicable(args, tile, true);
}

static size_t conv2d_backward_weights_copied_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)
{
    return scratch_bytes(args, tile, true);
}

static void conv2d_backward_weights_copied_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    run(args, tile, true);
}

PINION__OPENCL_TILE_ROWS(conv2d_backward_weights)
PINION__OPENCL_TILE_ROWS(conv2d_backward_weights_copied)
