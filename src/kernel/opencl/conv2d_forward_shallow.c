/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward pass of convolutions with few input channels (conv2d_shallow.h): tiles of neighbouring pixels of a row by
 * panels of filters, which are packed as for other convolutions.
 *
 * Scratch: the padded copy of x; a row of zeros and the panels, as conv2d_product.c packs them.
 */
#include "kernel/opencl/activation.h"
#include "kernel/opencl/conv2d_shallow.h"
#include "kernel/opencl/stats.h"

static pinion__shallow copy_of(const pinion__args *args, const pinion__opencl_tile *tile)
{
    return pinion__shallow_of(args, tile, PINION__CONV_FORWARD_X);
}

static bool conv2d_forward_shallow_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_forward(args, tile);
    const pinion__shallow copy = copy_of(args, tile);
    return pinion__opencl_product_applicable(&product) && pinion__shallow_applicable(&copy);
}

static size_t conv2d_forward_shallow_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_forward(args, tile);
    return copy_of(args, tile).bytes + pinion__opencl_product_scratch(&product);
}

/* Where vectors are wide, an item is a row of the output; else a tile. */
static void convolve(const pinion__shallow *copy, size_t panels)
{
    const pinion__args *args = copy->args;
    const pinion__opencl_tile *tile = copy->tile;
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y];
    const pinion__view *addend = &args->operand[PINION__CONV_FORWARD_ADDEND];
    const bool plain =
        !args->operand[PINION__CONV_FORWARD_B].data && !addend->data && args->activation == PINION__ACTIVATION_NONE;
    const int tiles = pinion__opencl_ceil(y->w, tile->rows) * pinion__opencl_ceil(y->c, pinion__tile_columns(tile));
    const int parts = tile->local ? 1 : tiles;
    pinion__launch launch;
    pinion__shallow_begin(&launch, copy, "convolve", tile->rows);
    pinion__launch_scratch(&launch, panels);
    PINION__LAUNCH_INTS(&launch, copy->conv.r, copy->run);
    pinion__launch_operand(&launch, PINION__CONV_FORWARD_Y);
    PINION__LAUNCH_INTS(&launch, (int)y->ld, y->n, y->h, y->w, y->c);
    pinion__launch_operand(&launch, PINION__CONV_FORWARD_B);
    pinion__launch_operand(&launch, PINION__CONV_FORWARD_ADDEND);
    PINION__LAUNCH_INTS(&launch, (int)addend->ld, parts, plain);
    pinion__launch_bounds(&launch, args->activation);
    pinion__launch_run(&launch, (const size_t[3]){(size_t)y->n * (size_t)y->h * (size_t)parts, 1, 1}, tile->local);
}

static void conv2d_forward_shallow_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_forward(args, tile);
    const pinion__shallow copy = copy_of(args, tile);
    const size_t panels = pinion__opencl_product_pack(&product, copy.bytes);
    pinion__shallow_pad(&copy);
    convolve(&copy, panels);
    pinion__launch_stats(args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_STATS);
}

PINION__OPENCL_TILE_ROWS(conv2d_forward_shallow)
