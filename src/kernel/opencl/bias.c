/* SPDX-License-Identifier: Apache-2.0
 *
 * Two launches (bias.cl): sums of blocks of pixels of dy into scratch, and their sum.
 */
#include "kernel/opencl/bias.h"
#include "kernel/opencl/conv2d.h"
#include "kernel/opencl/vector.h"

#include <stdio.h>

enum { BLOCK = 256 };

static int blocks_of(const pinion__args *args)
{
    return pinion__opencl_ceil((int)pinion__view_pixels(&args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY]), BLOCK);
}

size_t pinion__bias_scratch(const pinion__args *args)
{
    if (!args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB].data)
        return 0;
    return (size_t)blocks_of(args) * (size_t)args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY].c * sizeof(float);
}

void pinion__launch_bias_gradient(const pinion__args *args, size_t scratch_offset)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    if (!args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB].data)
        return;
    const int vector = pinion__vector_of(args, dy->c), blocks = blocks_of(args);
    const size_t strips = (size_t)pinion__opencl_ceil(dy->c, vector);
    char options[24];
    snprintf(options, sizeof options, "-DVECTOR=%d", vector);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "bias", "sum_block", options);
    pinion__launch_operand(&launch, PINION__CONV_BACKWARD_WEIGHTS_DY);
    PINION__LAUNCH_INTS(&launch, (int)dy->ld, dy->c, (int)pinion__view_pixels(dy), BLOCK);
    pinion__launch_scratch(&launch, scratch_offset);
    pinion__launch_run_flat(&launch, strips * (size_t)blocks);
    pinion__launch_begin(&launch, args, "bias", "sum_blocks", options);
    pinion__launch_scratch(&launch, scratch_offset);
    PINION__LAUNCH_INTS(&launch, dy->c, blocks);
    pinion__launch_operand(&launch, PINION__CONV_BACKWARD_WEIGHTS_DB);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_flat(&launch, strips);
}
