/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a convolution's input: matrix products from outputs to inputs (conv2d_product.c). A row for each tile.
 */
#include "kernel/opencl/conv2d.h"

static bool conv2d_backward_data_applicable(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_backward_data(args, tile);
    return pinion__opencl_product_applicable(&product);
}

static size_t conv2d_backward_data_scratch_bytes(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_backward_data(args, tile);
    return pinion__opencl_product_scratch(&product);
}

static void conv2d_backward_data_run(const pinion__args *args, const pinion__opencl_tile *tile)
{
    const pinion__opencl_product product = pinion__opencl_backward_data(args, tile);
    pinion__opencl_product_run(&product);
}

PINION__OPENCL_TILE_ROWS(conv2d_backward_data)
