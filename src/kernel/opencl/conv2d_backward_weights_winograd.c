/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of the weights of 3x3 convolutions with stride 1 by Winograd's algorithm
 * (conv2d_backward_weights_winograd.cl). For each batch of tiles a launch transforms the patches of x, one the tiles of
 * dy, and one adds the products of each frequency to its sums; the last launch transforms the sums to taps, which go to
 * their sink. Batches follow each other, so that sums are made in one order. In the deep row, for many channels and few
 * tiles, there is one batch, and those who add transform their sums themselves
 * (conv2d_backward_weights_winograd_deep.cl).
 *
 * Scratch: patches of x and tiles of dy of a batch; sums [frequency][output][channel]; sums of blocks for the bias.
 */
#include "kernel/opencl/bias.h"
#include "kernel/opencl/update.h"
#include "kernel/opencl/winograd.h"

#include <stdio.h>

#define PROGRAM "conv2d_backward_weights_winograd"
#define GROUP_OPTIONS " -DGROUP_TILES=2 -DGROUP_PANELS=4" /* what an item of the deep row owns */

enum { DEEP_FLOATS = 1 << 22, GROUP_TILES = 2, GROUP_PANELS = 4 };

typedef struct work {
    const pinion__args *args;
    const pinion__opencl_tile *tile;
    pinion__opencl_conv conv;
    const pinion__view *x, *dy, *dw;
    int tiles_h, tiles_w, tiles, batch;
    pinion__winograd_plane patches, gradients, sums;
    size_t bias, bytes;
} work;

static work work_of(const pinion__args *args, const pinion__opencl_tile *tile, bool deep)
{
    work job = {.args = args,
                .tile = tile,
                .conv = pinion__opencl_conv_of(args),
                .x = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_X],
                .dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY],
                .dw = pinion__launch_sink_view(args)};
    job.tiles_h = pinion__opencl_ceil(job.dy->h, PINION__WINOGRAD_OUT);
    job.tiles_w = pinion__opencl_ceil(job.dy->w, PINION__WINOGRAD_OUT);
    job.tiles = job.dy->n * job.tiles_h * job.tiles_w;
    job.batch = pinion__winograd_batch(job.tile, job.tiles, job.x->c + job.dy->c,
                                       deep ? DEEP_FLOATS : PINION__WINOGRAD_BATCH_FLOATS);
    job.patches = pinion__winograd_plane_of(job.tile, job.batch, job.x->c);
    job.gradients = pinion__winograd_plane_of(job.tile, job.batch, job.dy->c);
    if (!deep)
        job.sums = pinion__winograd_plane_of(job.tile, job.dy->c, job.x->c);
    job.gradients.offset = pinion__winograd_plane_bytes(&job.patches);
    job.sums.offset = job.gradients.offset + pinion__winograd_plane_bytes(&job.gradients);
    job.bias = job.sums.offset + pinion__winograd_plane_bytes(&job.sums);
    job.bytes = job.bias + pinion__bias_scratch(args);
    return job;
}

static bool applicable(const work *job)
{
    return pinion__winograd_suits(job->args, job->tile, job->x->c, job->dy->c) &&
           pinion__opencl_view_indexable(job->x) && pinion__opencl_view_indexable(job->dy) &&
           pinion__opencl_view_indexable(job->dw) && pinion__opencl_indexable(job->bytes / sizeof(float));
}

static void transform_gradients(const work *job, int first, int count)
{
    const pinion__view *dy = job->dy;
    const int strips = dy->c / job->tile->vector;
    pinion__launch launch;
    pinion__winograd_begin(&launch, job->args, job->tile, PROGRAM, "gradients", pinion__sink_options(job->args));
    pinion__launch_operand(&launch, PINION__CONV_BACKWARD_WEIGHTS_DY);
    PINION__LAUNCH_INTS(&launch, (int)dy->ld, dy->h, dy->w, job->tiles_h, job->tiles_w, first, count, strips);
    pinion__launch_plane(&launch, &job->gradients);
    pinion__launch_run_flat(&launch, (size_t)count * (size_t)strips);
}

static void reduce(const work *job, int count, bool add)
{
    const pinion__opencl_tile *tile = job->tile;
    const int panels = pinion__opencl_ceil(job->x->c, pinion__tile_columns(tile)), tiles = job->dy->c / tile->rows;
    pinion__launch launch;
    pinion__winograd_begin(&launch, job->args, job->tile, PROGRAM, "reduce", pinion__sink_options(job->args));
    pinion__launch_plane(&launch, &job->patches);
    pinion__launch_plane(&launch, &job->gradients);
    pinion__launch_plane(&launch, &job->sums);
    PINION__LAUNCH_INTS(&launch, count, add, panels, tiles);
    pinion__launch_run(&launch, (const size_t[3]){(size_t)panels, (size_t)tiles, (size_t)PINION__WINOGRAD_FREQUENCIES},
                       tile->local);
}

static void finish(const work *job)
{
    const int strips = job->x->c / job->tile->vector;
    pinion__launch launch;
    pinion__winograd_begin(&launch, job->args, job->tile, PROGRAM, "finish", pinion__sink_options(job->args));
    pinion__launch_plane(&launch, &job->sums);
    PINION__LAUNCH_INTS(&launch, job->dy->c, strips, (int)job->dw->ld);
    pinion__launch_sink(&launch, job->args);
    pinion__launch_run_flat(&launch, (size_t)job->dy->c * (size_t)strips);
}

static void transform(const work *job, int first, int count)
{
    pinion__winograd_patches(job->args, job->tile, PROGRAM, pinion__sink_options(job->args),
                             PINION__CONV_BACKWARD_WEIGHTS_X, job->dy, job->conv.pad_h, job->conv.pad_w, first, count,
                             &job->patches);
    transform_gradients(job, first, count);
}

/* ---- rows ---- */

static bool conv2d_backward_weights_winograd_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const work job = work_of(args, tile, false);
    return applicable(&job);
}

static size_t conv2d_backward_weights_winograd_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)
{
    return work_of(args, tile, false).bytes;
}

static void conv2d_backward_weights_winograd_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const work job = work_of(args, tile, false);
    for (int first = 0; first < job.tiles; first += job.batch) {
        const int count = job.tiles - first < job.batch ? job.tiles - first : job.batch;
        transform(&job, first, count);
        reduce(&job, count, first > 0);
    }
    finish(&job);
    pinion__launch_bias_gradient(args, job.bias);
}

static bool conv2d_backward_weights_winograd_deep_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const work job = work_of(args, tile, true);
    const size_t sums = (size_t)(GROUP_TILES * tile->rows * GROUP_PANELS * tile->vectors) + 1;
    const size_t bytes = PINION__WINOGRAD_FREQUENCIES * sums * (size_t)tile->vector * sizeof(float);
    return applicable(&job) && job.tiles <= job.batch && pinion__local_suits(args, bytes);
}

static size_t conv2d_backward_weights_winograd_deep_scratch_bytes(const pinion__args *args,
                                                                  const pinion__opencl_tile *tile)
{
    return work_of(args, tile, true).bytes;
}

static void conv2d_backward_weights_winograd_deep_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const work job = work_of(args, tile, true);
    transform(&job, 0, job.tiles);
    char options[64];
    snprintf(options, sizeof options, "%s%s", pinion__sink_options(args), GROUP_OPTIONS);
    pinion__launch launch;
    pinion__winograd_begin(&launch, args, tile, PROGRAM "_deep", "gradient_deep", options);
    pinion__launch_plane(&launch, &job.patches);
    pinion__launch_plane(&launch, &job.gradients);
    PINION__LAUNCH_INTS(&launch, job.tiles, job.dy->c, job.x->c, (int)job.dw->ld);
    pinion__launch_sink(&launch, args);
    pinion__launch_run(
        &launch,
        (const size_t[3]){(size_t)pinion__opencl_ceil(job.dy->c, GROUP_TILES * tile->rows),
                          (size_t)pinion__opencl_ceil(job.x->c, GROUP_PANELS * pinion__tile_columns(tile)), 1},
        tile->local);
    pinion__launch_bias_gradient(args, job.bias);
}

PINION__OPENCL_TILE_ROW(conv2d_backward_weights_winograd, 8x2x16)
PINION__OPENCL_TILE_ROW(conv2d_backward_weights_winograd, 4x2x4)
PINION__OPENCL_TILE_ROW(conv2d_backward_weights_winograd_deep, 8x2x16)
