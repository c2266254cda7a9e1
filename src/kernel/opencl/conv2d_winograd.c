/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward and backward_data of 3x3 convolutions with stride 1 by Winograd's algorithm (conv2d_winograd.cl). For each
 * batch of tiles a launch transforms the patches, one multiplies the frequencies, and one transforms the products back
 * and stores them. Filters are packed and transformed first or, in the deep rows, for many channels and few tiles, by
 * the items that multiply (conv2d_winograd_deep.cl).
 *
 * Scratch: transformed filters [frequency][panel][row][column]; patches and products of a batch, in whose place the
 * packed filters stand before.
 */
#include "kernel/opencl/activation.h"
#include "kernel/opencl/stats.h"
#include "kernel/opencl/winograd.h"

#define PROGRAM "conv2d_winograd"
#define DEPTH 32 /* rows of filters that an item of the deep rows transforms at a time */
#define DEPTH_OPTION "-DDEPTH=32"

enum {
    ITEM_FACTORS = 4096,
    APART = 16,
    DEEP_FLOATS = 1 << 22, /* of a batch beside which there are no transformed filters */
    LEAST_ITEMS = 8
};

typedef struct work {
    pinion__opencl_product product;
    bool deep; /* filters are transformed by those who multiply */
    const pinion__view *source, *target;
    int pad_h, pad_w, panels;
    int tiles_h, tiles_w, tiles, batch;
    int filter_plane;
    size_t bytes;
    pinion__winograd_plane patches, products;
} work;

static work work_of(const pinion__opencl_product *product, bool deep)
{
    work job = {.product = *product,
                .deep = deep,
                .source = &product->args->operand[product->source],
                .target = &product->args->operand[product->target]};
    job.pad_h = product->transposed ? 2 - product->conv.pad_h : product->conv.pad_h;
    job.pad_w = product->transposed ? 2 - product->conv.pad_w : product->conv.pad_w;
    job.panels = pinion__opencl_ceil(job.target->c, pinion__tile_columns(product->tile));
    job.tiles_h = pinion__opencl_ceil(job.target->h, PINION__WINOGRAD_OUT);
    job.tiles_w = pinion__opencl_ceil(job.target->w, PINION__WINOGRAD_OUT);
    job.tiles = job.target->n * job.tiles_h * job.tiles_w;
    job.batch = pinion__winograd_batch(product->tile, job.tiles, job.source->c + job.target->c,
                                       deep ? DEEP_FLOATS : PINION__WINOGRAD_BATCH_FLOATS);
    job.patches = pinion__winograd_plane_of(product->tile, job.batch, job.source->c);
    job.products = pinion__winograd_plane_of(product->tile, job.batch, job.target->c);
    const pinion__winograd_plane filters = {
        .plane = deep ? 0 : job.panels * pinion__tile_columns(product->tile) * job.source->c + APART};
    const size_t patch_bytes = pinion__winograd_plane_bytes(&job.patches);
    const size_t batch_bytes = patch_bytes + pinion__winograd_plane_bytes(&job.products);
    const size_t packed_bytes = deep ? 0 : pinion__opencl_product_scratch(product);
    job.filter_plane = filters.plane;
    job.patches.offset = pinion__winograd_plane_bytes(&filters);
    job.products.offset = job.patches.offset + patch_bytes;
    job.bytes = job.patches.offset + (batch_bytes > packed_bytes ? batch_bytes : packed_bytes);
    return job;
}

static void transform_filters(const work *job)
{
    const int rows = job->source->c;
    const size_t packed = pinion__opencl_product_pack(&job->product, job->patches.offset);
    pinion__launch launch;
    pinion__winograd_begin(&launch, job->product.args, job->product.tile, PROGRAM, "filters", "");
    pinion__launch_scratch(&launch, packed);
    PINION__LAUNCH_INTS(&launch, rows, job->panels, job->product.transposed);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_int(&launch, job->filter_plane);
    pinion__launch_run_flat(&launch, (size_t)job->panels * (size_t)rows * (size_t)job->product.tile->vectors);
}

static void multiply(const work *job, int count)
{
    const int depth = job->source->c, rows = job->product.tile->rows;
    const int group = pinion__round_to(pinion__opencl_ceil(ITEM_FACTORS, depth), rows);
    pinion__launch launch;
    pinion__winograd_begin(&launch, job->product.args, job->product.tile, PROGRAM, "multiply", "");
    pinion__launch_plane(&launch, &job->patches);
    pinion__launch_scratch(&launch, 0);
    PINION__LAUNCH_INTS(&launch, job->filter_plane, depth);
    pinion__launch_plane(&launch, &job->products);
    PINION__LAUNCH_INTS(&launch, count, group, job->panels);
    pinion__launch_run(&launch,
                       (const size_t[3]){(size_t)pinion__opencl_ceil(count, group), (size_t)job->panels,
                                         (size_t)PINION__WINOGRAD_FREQUENCIES},
                       job->product.tile->local);
}

/* The filters of an item (conv2d_winograd_deep.cl). */
static size_t local_bytes(const pinion__opencl_tile *tile)
{
    return (size_t)PINION__WINOGRAD_FREQUENCIES * (DEPTH * (size_t)tile->vectors + 1) * (size_t)tile->vector *
           sizeof(float);
}

/* The same with filters that its items transform. */
static void multiply_deep(const work *job, int count)
{
    const pinion__args *args = job->product.args;
    const int most = pinion__opencl_ceil(count, job->product.tile->rows);
    const int ranges = pinion__opencl_ceil(LEAST_ITEMS, job->panels);
    pinion__launch launch;
    pinion__winograd_begin(&launch, args, job->product.tile, "conv2d_winograd_deep", "multiply_deep", DEPTH_OPTION);
    pinion__launch_plane(&launch, &job->patches);
    pinion__launch_operand(&launch, job->product.weights);
    PINION__LAUNCH_INTS(&launch, (int)args->operand[job->product.weights].ld, job->source->c, job->target->c,
                        job->product.transposed);
    pinion__launch_plane(&launch, &job->products);
    PINION__LAUNCH_INTS(&launch, count, ranges < most ? ranges : most);
    pinion__launch_run(&launch, (const size_t[3]){(size_t)(ranges < most ? ranges : most), (size_t)job->panels, 1},
                       job->product.tile->local);
}

static void store(const work *job, int first, int count)
{
    const pinion__args *args = job->product.args;
    const pinion__view *target = job->target;
    const int strips = target->c / job->product.tile->vector;
    pinion__launch launch;
    pinion__winograd_begin(&launch, args, job->product.tile, PROGRAM, "outputs", "");
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

static bool applicable(const pinion__opencl_product *product, bool deep)
{
    const work job = work_of(product, deep);
    return pinion__winograd_suits(product->args, product->tile, job.source->c, job.target->c) &&
           (!deep || pinion__local_suits(product->args, local_bytes(product->tile))) &&
           pinion__opencl_product_applicable(product) && pinion__opencl_indexable(job.bytes / sizeof(float));
}

static void run(const pinion__opencl_product *product, bool deep)
{
    const work job = work_of(product, deep);
    if (!deep)
        transform_filters(&job);
    for (int first = 0; first < job.tiles; first += job.batch) {
        const int count = job.tiles - first < job.batch ? job.tiles - first : job.batch;
        pinion__winograd_patches(product->args, product->tile, PROGRAM, "", product->source, job.target, job.pad_h,
                                 job.pad_w, first, count, &job.patches);
        if (deep)
            multiply_deep(&job, count);
        else
            multiply(&job, count);
        store(&job, first, count);
    }
}

static void run_forward(const pinion__opencl_product *product, bool deep)
{
    run(product, deep);
    pinion__launch_stats(product->args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_STATS);
}

/* NAME_applicable, NAME_scratch_bytes and NAME_run. */
#define BODIES(name, product_of, run_of, deep)                                                                         \
    static bool name##_applicable(const pinion__args *args, const pinion__opencl_tile *tile)                           \
    {                                                                                                                  \
        const pinion__opencl_product product = product_of(args, tile);                                                 \
        return applicable(&product, deep);                                                                             \
    }                                                                                                                  \
    static size_t name##_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)                      \
    {                                                                                                                  \
        const pinion__opencl_product product = product_of(args, tile);                                                 \
        return work_of(&product, deep).bytes;                                                                          \
    }                                                                                                                  \
    static void name##_run(const pinion__args *args, const pinion__opencl_tile *tile)                                  \
    {                                                                                                                  \
        const pinion__opencl_product product = product_of(args, tile);                                                 \
        run_of(&product, deep);                                                                                        \
    }

BODIES(conv2d_forward_winograd, pinion__opencl_forward, run_forward, false)
BODIES(conv2d_forward_winograd_deep, pinion__opencl_forward, run_forward, true)
BODIES(conv2d_backward_data_winograd, pinion__opencl_backward_data, run, false)
BODIES(conv2d_backward_data_winograd_deep, pinion__opencl_backward_data, run, true)

PINION__OPENCL_TILE_ROW(conv2d_forward_winograd, 8x2x16)
PINION__OPENCL_TILE_ROW(conv2d_forward_winograd, 4x2x4)
PINION__OPENCL_TILE_ROW(conv2d_forward_winograd_deep, 8x2x16)
PINION__OPENCL_TILE_ROW(conv2d_backward_data_winograd, 8x2x16)
PINION__OPENCL_TILE_ROW(conv2d_backward_data_winograd, 4x2x4)
PINION__OPENCL_TILE_ROW(conv2d_backward_data_winograd_deep, 8x2x16)
