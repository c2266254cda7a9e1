/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward and backward_data of 3x3 convolutions with stride 1 by Winograd's algorithm (conv2d_winograd.cl). Filters are
 * packed and transformed first. Then for each batch of tiles a launch transforms the patches, one multiplies the
 * frequencies, and one transforms the products back and stores them.
 *
 * Scratch: transformed filters [frequency][panel][row][column]; patches and products of a batch, in whose place the
 * packed filters stand before.
 */
#include "kernel/opencl/activation.h"
#include "kernel/opencl/stats.h"
#include "kernel/opencl/winograd.h"

#define PROGRAM "conv2d_winograd"

enum { ITEM_FACTORS = 4096, APART = 16 };

typedef struct work {
    pinion__opencl_product product;
    pinion__winograd_build build;
    const pinion__view *source, *target;
    int pad_h, pad_w, panels;
    int tiles_h, tiles_w, tiles, batch;
    int filter_plane;
    size_t filter_bytes, bytes;
    pinion__winograd_plane patches, products;
} work;

static work work_of(const pinion__opencl_product *product, int out)
{
    work job = {.product = *product,
                .build = {.tile = product->tile, .out = out},
                .source = &product->args->operand[product->source],
                .target = &product->args->operand[product->target]};
    job.pad_h = product->transposed ? 2 - product->conv.pad_h : product->conv.pad_h;
    job.pad_w = product->transposed ? 2 - product->conv.pad_w : product->conv.pad_w;
    job.panels = pinion__opencl_ceil(job.target->c, pinion__tile_columns(product->tile));
    job.tiles_h = pinion__opencl_ceil(job.target->h, out);
    job.tiles_w = pinion__opencl_ceil(job.target->w, out);
    job.tiles = job.target->n * job.tiles_h * job.tiles_w;
    job.batch = pinion__winograd_batch(&job.build, job.tiles, job.source->c + job.target->c);
    job.filter_plane = job.panels * pinion__tile_columns(product->tile) * job.source->c + APART;
    job.patches = pinion__winograd_plane_of(&job.build, job.batch, job.source->c);
    job.products = pinion__winograd_plane_of(&job.build, job.batch, job.target->c);
    const pinion__winograd_plane filters = {.plane = job.filter_plane};
    const size_t patch_bytes = pinion__winograd_plane_bytes(&job.build, &job.patches);
    const size_t batch_bytes = patch_bytes + pinion__winograd_plane_bytes(&job.build, &job.products);
    const size_t packed_bytes = pinion__opencl_product_scratch(product);
    job.filter_bytes = pinion__winograd_plane_bytes(&job.build, &filters);
    job.patches.offset = job.filter_bytes;
    job.products.offset = job.patches.offset + patch_bytes;
    job.bytes = job.filter_bytes + (batch_bytes > packed_bytes ? batch_bytes : packed_bytes);
    return job;
}

static void transform_filters(const work *job)
{
    const int rows = job->source->c;
    const size_t packed = pinion__opencl_product_pack(&job->product, job->filter_bytes);
    pinion__launch launch;
    pinion__winograd_begin(&launch, job->product.args, &job->build, PROGRAM, "filters", "");
    pinion__launch_scratch(&launch, packed);
    PINION__LAUNCH_INTS(&launch, rows, job->panels, job->product.transposed);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_int(&launch, job->filter_plane);
    pinion__launch_run_flat(&launch, (size_t)job->panels * (size_t)rows * (size_t)job->build.tile->vectors);
}

static void multiply(const work *job, int count)
{
    const int depth = job->source->c, rows = job->build.tile->rows;
    const int group = pinion__round_to(pinion__opencl_ceil(ITEM_FACTORS, depth), rows);
    pinion__launch launch;
    pinion__winograd_begin(&launch, job->product.args, &job->build, PROGRAM, "multiply", "");
    pinion__launch_plane(&launch, &job->patches);
    pinion__launch_scratch(&launch, 0);
    PINION__LAUNCH_INTS(&launch, job->filter_plane, depth);
    pinion__launch_plane(&launch, &job->products);
    PINION__LAUNCH_INTS(&launch, count, group, job->panels);
    pinion__launch_run(&launch,
                       (const size_t[3]){(size_t)pinion__opencl_ceil(count, group), (size_t)job->panels,
                                         (size_t)pinion__winograd_frequencies(&job->build)},
                       job->build.tile->local);
}

static void store(const work *job, int first, int count)
{
    const pinion__args *args = job->product.args;
    const pinion__view *target = job->target;
    const int strips = target->c / job->build.tile->vector;
    pinion__launch launch;
    pinion__winograd_begin(&launch, args, &job->build, PROGRAM, "outputs", "");
    pinion__launch_plane(&launch, &job->products);
    PINION__LAUNCH_INTS(&launch, job->tiles_h, job->tiles_w, first, count, strips);
    pinion__launch_operand(&launch, job->product.target);
    PINION__LAUNCH_INTS(&launch, (int)target->ld, target->h, target->w);
    pinion__launch_operand(&launch, job->product.bias);
    pinion__launch_operand(&launch, job->product.addend);
    PINION__LAUNCH_INTS(&launch, (int)args->operand[job->product.addend].ld, args->accumulate);
    pinion__launch_bounds(&launch, args->activation);
    pinion__launch_run_flat(&launch, (size_t)count * (size_t)strips);
}

static bool applicable(const pinion__opencl_product *product, int out)
{
    const work job = work_of(product, out);
    return pinion__winograd_suits(product->args, &job.build, job.source->c, job.target->c) &&
           pinion__opencl_product_applicable(product) && pinion__opencl_indexable(job.bytes / sizeof(float));
}

static size_t scratch_bytes(const pinion__opencl_product *product, int out)
{
    return work_of(product, out).bytes;
}

static void run(const pinion__opencl_product *product, int out)
{
    const work job = work_of(product, out);
    transform_filters(&job);
    for (int first = 0; first < job.tiles; first += job.batch) {
        const int count = job.tiles - first < job.batch ? job.tiles - first : job.batch;
        pinion__winograd_patches(product->args, &job.build, PROGRAM, "", product->source, job.target, job.pad_h,
                                 job.pad_w, first, count, &job.patches);
        multiply(&job, count);
        store(&job, first, count);
    }
}

/* ---- rows ---- */

static bool conv2d_forward_winograd_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_forward(args, tile);
    return applicable(&product, 4);
}

static size_t conv2d_forward_winograd_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_forward(args, tile);
    return scratch_bytes(&product, 4);
}

static void conv2d_forward_winograd_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_forward(args, tile);
    run(&product, 4);
    pinion__launch_stats(args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_STATS);
}

static bool conv2d_backward_data_winograd_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_backward_data(args, tile);
    return applicable(&product, 4);
}

static size_t conv2d_backward_data_winograd_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_backward_data(args, tile);
    return scratch_bytes(&product, 4);
}

static void conv2d_backward_data_winograd_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_backward_data(args, tile);
    run(&product, 4);
}

PINION__OPENCL_TILE_ROW(conv2d_forward_winograd, 8x2x16)
PINION__OPENCL_TILE_ROW(conv2d_forward_winograd, 4x2x4)
PINION__OPENCL_TILE_ROW(conv2d_backward_data_winograd, 8x2x16)
PINION__OPENCL_TILE_ROW(conv2d_backward_data_winograd, 4x2x4)
