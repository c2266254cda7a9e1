/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of the weights of convolutions with few input channels (conv2d_shallow.h). A tile is neighbouring floats of
 * a filter row's run by a panel of outputs: x is spread over vectors of dy, and all taps of a filter row share what is
 * read. Items own pieces of the pixels, whose sums a launch behind adds in their order and turns.
 *
 * Scratch: the padded copy of x; the pieces' sums; sums of blocks of pixels for the bias.
 */
#include "kernel/opencl/bias.h"
#include "kernel/opencl/conv2d_shallow.h"
#include "kernel/opencl/update.h"

#include <stdio.h>

enum { CHUNK = 128 }; /* pixels */

typedef struct work {
    pinion__shallow copy;
    const pinion__view *dy, *into;
    int cuts, rows; /* of a run, and floats of each */
    int columns;    /* outputs, whole panels */
    int parts, piece_rows, pieces, chunk_rows;
    size_t sums_bytes;
} work;

static int sums_of_piece(const work *job)
{
    return job->copy.conv.r * job->cuts * job->rows * job->columns;
}

static work work_of(const pinion__args *args, const pinion__opencl_tile *tile)
{
    work job = {.copy = pinion__shallow_of(args, tile, PINION__CONV_BACKWARD_WEIGHTS_X),
                .dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY],
                .into = pinion__launch_sink_view(args)};
    const int most = tile->rows + tile->rows / 2; /* one row's factor is in a register at a time: there is room */
    job.cuts = pinion__opencl_ceil(job.copy.run, most);
    job.rows = pinion__opencl_ceil(job.copy.run, job.cuts);
    const int panels = pinion__opencl_ceil(job.dy->c, pinion__tile_columns(tile));
    job.columns = panels * pinion__tile_columns(tile);
    job.parts = tile->local ? 1 : job.copy.conv.r * job.cuts * panels;
    job.chunk_rows = pinion__opencl_ceil(CHUNK, job.dy->w);
    const int rows = job.dy->n * job.dy->h, chunks = pinion__opencl_ceil(rows, job.chunk_rows);
    const int wanted = pinion__opencl_ceil(tile->items, job.parts);
    job.piece_rows = pinion__opencl_ceil(chunks, wanted < chunks ? wanted : chunks) * job.chunk_rows;
    job.pieces = pinion__opencl_ceil(rows, job.piece_rows);
    job.sums_bytes = ((size_t)job.pieces * (size_t)sums_of_piece(&job) * sizeof(float) + 63) & ~(size_t)63;
    return job;
}

static bool conv2d_backward_weights_shallow_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const work job = work_of(args, tile);
    return pinion__shallow_applicable(&job.copy) && pinion__opencl_view_indexable(job.dy) &&
           pinion__opencl_view_indexable(job.into) && pinion__opencl_indexable(job.sums_bytes / sizeof(float));
}

static size_t conv2d_backward_weights_shallow_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const work job = work_of(args, tile);
    return job.copy.bytes + job.sums_bytes + pinion__bias_scratch(args);
}

static void reduce(const work *job)
{
    const pinion__view *dy = job->dy;
    pinion__launch launch;
    pinion__shallow_begin(&launch, &job->copy, "reduce", job->rows);
    PINION__LAUNCH_INTS(&launch, job->copy.conv.r, job->cuts);
    pinion__launch_operand(&launch, PINION__CONV_BACKWARD_WEIGHTS_DY);
    PINION__LAUNCH_INTS(&launch, (int)dy->ld, dy->n, dy->h, dy->w, dy->c);
    pinion__launch_scratch(&launch, job->copy.bytes);
    PINION__LAUNCH_INTS(&launch, job->parts, job->piece_rows, job->chunk_rows);
    pinion__launch_run(&launch, (const size_t[3]){(size_t)job->pieces * (size_t)job->parts, 1, 1},
                       job->copy.tile->local);
}

static void finish(const work *job)
{
    const pinion__args *args = job->copy.args;
    const pinion__opencl_conv *conv = &job->copy.conv;
    char options[PINION__SHALLOW_OPTIONS];
    snprintf(options, sizeof options, "-DVECTOR=4 %s", pinion__sink_options(args));
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "gradient_sums", "finish_turned", options);
    pinion__launch_scratch(&launch, job->copy.bytes);
    PINION__LAUNCH_INTS(&launch, job->pieces, sums_of_piece(job), job->columns, job->cuts * job->rows, job->dy->c,
                        conv->r, conv->s, job->copy.channels, (int)job->into->ld);
    pinion__launch_sink(&launch, args);
    pinion__launch_run_flat(&launch, (size_t)job->dy->c * (size_t)conv->taps);
}

static void conv2d_backward_weights_shallow_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const work job = work_of(args, tile);
    pinion__shallow_pad(&job.copy);
    reduce(&job);
    finish(&job);
    pinion__launch_bias_gradient(args, job.copy.bytes + job.sums_bytes);
}

PINION__OPENCL_TILE_ROWS(conv2d_backward_weights_shallow)
