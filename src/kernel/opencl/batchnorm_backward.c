/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of batch normalisation in training: the sums over blocks of pixels and then over blocks, in their order,
 * for gamma and beta; one walk over x and dy for the input.
 *
 * Scratch of backward_weights: two floats a channel and block.
 */
#include "kernel/opencl/activation.h"
#include "kernel/opencl/strips.h"
#include "kernel/opencl/walk.h"
#include "op/operands.h"

enum { BLOCK_PIXELS = 128 };
enum { MASK_NONE, MASK_NORMALISED, MASK_OUTPUT }; /* MASK of batchnorm_backward.cl */

static int blocks_of(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_X];
    return (int)((pinion__view_pixels(x) + BLOCK_PIXELS - 1) / BLOCK_PIXELS);
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_X];
    return 2 * (size_t)x->c * (size_t)blocks_of(args) * sizeof(float);
}

static int mask_of(const pinion__args *args)
{
    if (args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_Y].data)
        return MASK_OUTPUT;
    return args->activation == PINION__ACTIVATION_NONE ? MASK_NONE : MASK_NORMALISED;
}

static void sums(const pinion__args *args, const pinion__strips *strips, const char *options)
{
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "batchnorm_backward", "sums", options);
    pinion__launch_view(&launch, PINION__BATCHNORM_BACKWARD_WEIGHTS_X);
    pinion__launch_view(&launch, PINION__BATCHNORM_BACKWARD_WEIGHTS_DY);
    pinion__launch_view(&launch, PINION__BATCHNORM_BACKWARD_WEIGHTS_Y);
    pinion__launch_view(&launch, PINION__BATCHNORM_BACKWARD_WEIGHTS_DS);
    pinion__launch_view(&launch, PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_CONSTANTS);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_walk(&launch, PINION__BATCHNORM_BACKWARD_WEIGHTS_X);
    pinion__launch_bounds(&launch, args->activation);
    pinion__launch_run_loops(&launch, (size_t)strips->count * (size_t)blocks_of(args), 1);
}

static void backward_weights(const pinion__args *args)
{
    const int channels = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_X].c;
    const pinion__strips strips = pinion__strips_of(args, channels);
    char options[96];
    snprintf(options, sizeof options, "%s -DBLOCK_PIXELS=%d -DMASK=%d", strips.options, BLOCK_PIXELS, mask_of(args));
    sums(args, &strips, options);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "batchnorm_backward", "sums_finish", options);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_operand(&launch, PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_INVSTD);
    pinion__launch_operand(&launch, PINION__BATCHNORM_BACKWARD_WEIGHTS_DGAMMA);
    pinion__launch_operand(&launch, PINION__BATCHNORM_BACKWARD_WEIGHTS_DBETA);
    pinion__launch_int(&launch, channels);
    pinion__launch_int(&launch, blocks_of(args));
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_loops(&launch, (size_t)pinion__vectors_in(channels, strips.vector), 1);
}

static void backward_data(const pinion__args *args)
{
    const pinion__walk walk =
        pinion__walk_of(args, PINION__BATCHNORM_BACKWARD_DATA_X, "MASK",
                        args->activation == PINION__ACTIVATION_NONE ? MASK_NONE : MASK_NORMALISED);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "batchnorm_backward", "gradient", walk.options);
    pinion__launch_view(&launch, PINION__BATCHNORM_BACKWARD_DATA_X);
    pinion__launch_view(&launch, PINION__BATCHNORM_BACKWARD_DATA_DY);
    pinion__launch_operand(&launch, PINION__BATCHNORM_BACKWARD_DATA_GAMMA);
    pinion__launch_view(&launch, PINION__BATCHNORM_BACKWARD_DATA_SAVED_CONSTANTS);
    pinion__launch_operand(&launch, PINION__BATCHNORM_BACKWARD_DATA_SAVED_INVSTD);
    pinion__launch_operand(&launch, PINION__BATCHNORM_BACKWARD_DATA_DGAMMA);
    pinion__launch_operand(&launch, PINION__BATCHNORM_BACKWARD_DATA_DBETA);
    pinion__launch_view(&launch, PINION__BATCHNORM_BACKWARD_DATA_DX);
    pinion__launch_walk(&launch, PINION__BATCHNORM_BACKWARD_DATA_X);
    pinion__launch_bounds(&launch, args->activation);
    pinion__launch_int(&launch, (int)pinion__batch_pixels(args, &args->operand[PINION__BATCHNORM_BACKWARD_DATA_X]));
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_walk(&launch, &walk);
}

PINION__OPENCL_KERNEL(batchnorm_backward_weights) = {.scratch_bytes = scratch_bytes, .run = backward_weights};
PINION__OPENCL_KERNEL(batchnorm_backward_data) = {.run = backward_data};
