/* SPDX-License-Identifier: Apache-2.0
 *
 * The implicit matrix product of a convolution on OpenCL: a launch packs the filters into panels of the tile's columns
 * (conv2d_pack.cl), the next one multiplies (conv2d.cl). backward_data is one product for each phase of the pixels
 * modulo the stride, with the taps that meet that phase.
 *
 * Scratch: a row of zeros; the panels.
 */
#include "kernel/opencl/conv2d.h"

#include "kernel/opencl/activation.h"

#include <string.h>

const pinion__opencl_tile pinion__tile_8x2x16 = {.rows = 8,
                                                 .vectors = 2,
                                                 .vector = 16,
                                                 .tiles = 8,
                                                 .items = 16,
                                                 .local = (const size_t[3]){1, 1, 1},
                                                 .options = "-DROWS=8 -DVECTORS=2 -DVECTOR=16 -DSTEP=1"};
const pinion__opencl_tile pinion__tile_4x2x8 = {.rows = 4,
                                                .vectors = 2,
                                                .vector = 8,
                                                .tiles = 16,
                                                .items = 16,
                                                .local = (const size_t[3]){1, 1, 1},
                                                .options = "-DROWS=4 -DVECTORS=2 -DVECTOR=8 -DSTEP=1"};
const pinion__opencl_tile pinion__tile_4x2x4 = {.rows = 4,
                                                .vectors = 2,
                                                .vector = 4,
                                                .tiles = 1,
                                                .items = 512,
                                                .options = "-DROWS=4 -DVECTORS=2 -DVECTOR=4 -DSTEP=4"};

static bool known(const pinion__processor *on)
{
    return on && on->kernel_kind == PINION__PROCESSOR_OPENCL && strcmp(on->class_->kind, "opencl") == 0;
}

bool pinion__tile_suits(const pinion__args *args, const pinion__opencl_tile *tile)
{
    return !known(args->processor) || pinion__launch_lanes(args) <= tile->vector;
}

bool pinion__local_suits(const pinion__args *args, size_t bytes)
{
    return !known(args->processor) || bytes <= pinion__launch_local_bytes(args);
}

/* One direction of a product: grid position i reads source position i*step + first + j*tap at its tap j, which is tap
 * j*filter_step + filter of the filter, and is target position i*target_step + target. */
typedef struct axis {
    int grid, step, first, tap, taps, filter, filter_step, target, target_step;
} axis;

static axis forward_axis(int outputs, int stride, int pad, int taps)
{
    return (axis){
        .grid = outputs, .step = stride, .first = -pad, .tap = 1, .taps = taps, .filter_step = 1, .target_step = 1};
}

/* Inputs phase, phase + stride, …: input i meets tap r at output (i + pad - r)/stride where that has no rest. */
static axis backward_axis(int inputs, int stride, int pad, int taps, int phase)
{
    const int filter = (phase + pad) % stride;
    return (axis){.grid = phase < inputs ? (inputs - phase - 1) / stride + 1 : 0,
                  .step = 1,
                  .first = (phase + pad - filter) / stride,
                  .tap = -1,
                  .taps = filter < taps ? (taps - filter - 1) / stride + 1 : 0,
                  .filter = filter,
                  .filter_step = stride,
                  .target = phase,
                  .target_step = stride};
}

static const pinion__view *view_of(const pinion__opencl_product *product, int operand)
{
    return &product->args->operand[operand];
}

static size_t zeros_bytes(const pinion__opencl_product *product)
{
    return ((size_t)view_of(product, product->source)->c * sizeof(float) + 63) & ~(size_t)63;
}

static size_t panel_floats(const pinion__opencl_product *product)
{
    const int columns = pinion__tile_columns(product->tile);
    return (size_t)pinion__opencl_ceil(view_of(product, product->target)->c, columns) * (size_t)columns *
           (size_t)product->conv.taps * (size_t)view_of(product, product->source)->c;
}

bool pinion__opencl_product_applicable(const pinion__opencl_product *product)
{
    const int operands[] = {product->source, product->weights, product->target, product->addend};
    bool indexable = pinion__opencl_indexable(panel_floats(product));
    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++)
        indexable = indexable && pinion__opencl_view_indexable(view_of(product, operands[i]));
    return indexable;
}

size_t pinion__opencl_product_scratch(const pinion__opencl_product *product)
{
    return zeros_bytes(product) + panel_floats(product) * sizeof(float);
}

size_t pinion__opencl_product_pack(const pinion__opencl_product *product, size_t offset)
{
    const pinion__view *w = view_of(product, product->weights);
    const pinion__opencl_tile *tile = product->tile;
    const size_t taps = (size_t)product->conv.taps;
    const int columns = pinion__tile_columns(tile), panels = pinion__opencl_ceil(w->c, columns);
    pinion__launch launch;
    pinion__launch_begin(&launch, product->args, "conv2d_pack",
                         product->transposed ? "pack_backward_data" : "pack_forward", tile->options);
    pinion__launch_operand(&launch, product->weights);
    PINION__LAUNCH_INTS(&launch, (int)w->ld, w->n, product->conv.taps, w->c);
    pinion__launch_scratch(&launch, offset);
    pinion__launch_scratch(&launch, offset + zeros_bytes(product));
    if (product->transposed) {
        enum { RUN = 16 }; /* PACK_RUN */
        pinion__launch_run(&launch, (const size_t[3]){(size_t)panels, taps, (size_t)pinion__opencl_ceil(w->n, RUN)},
                           tile->local);
    } else {
        const int strips = pinion__opencl_ceil(w->n, columns) * tile->vectors;
        pinion__launch_run(&launch,
                           (const size_t[3]){(size_t)pinion__opencl_ceil(w->c, tile->vector), taps, (size_t)strips},
                           tile->local);
    }
    return offset + zeros_bytes(product);
}

/* The largest number of images that divides both the batch and the tile's rows. */
static int images_of(const pinion__opencl_product *product)
{
    int images = product->tile->rows;
    while (view_of(product, product->target)->n % images != 0)
        images /= 2;
    return images;
}

static void multiply(const pinion__opencl_product *product, const axis *h, const axis *w)
{
    const pinion__args *args = product->args;
    const pinion__opencl_tile *tile = product->tile;
    const pinion__view *source = view_of(product, product->source), *target = view_of(product, product->target);
    const pinion__view *addend = view_of(product, product->addend);
    const bool plain = !view_of(product, product->bias)->data && !addend->data && !args->accumulate &&
                       args->activation == PINION__ACTIVATION_NONE;
    const int images = images_of(product), runs = pinion__opencl_ceil(h->grid * w->grid, tile->rows / images);
    const int tiles = target->n / images * runs;
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "conv2d", "convolve", tile->options);
    pinion__launch_operand(&launch, product->source);
    PINION__LAUNCH_INTS(&launch, (int)source->ld, source->h, source->w, source->c);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_scratch(&launch, zeros_bytes(product));
    PINION__LAUNCH_INTS(&launch, h->filter, w->filter, h->filter_step, w->filter_step, product->conv.s,
                        product->conv.taps);
    pinion__launch_operand(&launch, product->target);
    PINION__LAUNCH_INTS(&launch, (int)target->ld, target->h, target->w, target->c, h->target, w->target, h->target_step,
                        w->target_step);
    pinion__launch_operand(&launch, product->bias);
    pinion__launch_operand(&launch, product->addend);
    PINION__LAUNCH_INTS(&launch, (int)addend->ld, h->grid, w->grid, images, h->step, w->step, h->first, w->first,
                        h->tap, w->tap, h->taps, w->taps, tiles, plain, args->accumulate);
    pinion__launch_bounds(&launch, args->activation);
    const int panels = pinion__opencl_ceil(target->c, pinion__tile_columns(tile));
    pinion__launch_run(&launch, (const size_t[3]){(size_t)tiles, (size_t)panels, 1}, tile->local);
}

void pinion__opencl_product_run(const pinion__opencl_product *product)
{
    const pinion__opencl_conv *conv = &product->conv;
    const pinion__view *target = view_of(product, product->target);
    pinion__opencl_product_pack(product, 0);
    if (!product->transposed) {
        const axis h = forward_axis(target->h, conv->stride_h, conv->pad_h, conv->r);
        const axis w = forward_axis(target->w, conv->stride_w, conv->pad_w, conv->s);
        multiply(product, &h, &w);
        return;
    }
    for (int y = 0; y < conv->stride_h; y++)
        for (int x = 0; x < conv->stride_w; x++) {
            const axis h = backward_axis(target->h, conv->stride_h, conv->pad_h, conv->r, y);
            const axis w = backward_axis(target->w, conv->stride_w, conv->pad_w, conv->s, x);
            multiply(product, &h, &w);
        }
}
