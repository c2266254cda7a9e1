/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward pass of a convolution: a matrix product (conv2d_product.c), then partial statistics of what it stored. A row
 * for each tile.
 */
#include "kernel/opencl/conv2d.h"
#include "kernel/opencl/stats.h"

static bool conv2d_forward_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_forward(args, tile);
    return pinion__opencl_product_applicable(&product);
}

static size_t conv2d_forward_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_forward(args, tile);
    return pinion__opencl_product_scratch(&product);
}

static void conv2d_forward_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_forward(args, tile);
    pinion__opencl_product_run(&product);
    pinion__launch_stats(args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_STATS);
}

PINION__OPENCL_TILE_ROWS(conv2d_forward)
