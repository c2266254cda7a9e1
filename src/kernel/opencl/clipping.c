/* SPDX-License-Identifier: Apache-2.0
 *
 * Global-norm clipping: the sum of squares of one gradient, and the factor made of all of them.
 *
 * Scratch of grad_square: a sum and an exponent a block.
 */
#include "kernel/opencl/rows.h"
#include "op/operands.h"
#include <stdio.h>

enum { BLOCK = 4096 };

/* In rows as rows_of cuts them, which asks the device; shapes tell as much. */
static size_t blocks_of(const pinion__args *args)
{
    const pinion__view *dw = &args->operand[PINION__GRAD_SQUARE_UPDATE_DW];
    const bool dense = pinion__view_dense(dw);
    const size_t rows = dense ? 1 : pinion__view_pixels(dw);
    const size_t count = dense ? pinion__view_elements(dw) : (size_t)dw->c;
    return rows * ((count + BLOCK - 1) / BLOCK);
}

static size_t scratch_bytes(const pinion__args *args)
{
    return 2 * blocks_of(args) * sizeof(float);
}

static void grad_square(const pinion__args *args)
{
    const int operands[] = {PINION__GRAD_SQUARE_UPDATE_DW};
    const pinion__rows walk = pinion__rows_of(args, operands, 1);
    const size_t blocks = blocks_of(args);
    char options[sizeof walk.options + 16];
    snprintf(options, sizeof options, "%s -DBLOCK=%d", walk.options, BLOCK);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "clipping", "squares", options);
    pinion__launch_view(&launch, PINION__GRAD_SQUARE_UPDATE_DW);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_rows(&launch, &walk);
    pinion__launch_run_loops(&launch, blocks, 1);
    pinion__launch_begin(&launch, args, "clipping", "squares_finish", options);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_operand(&launch, PINION__GRAD_SQUARE_UPDATE_SLOT);
    pinion__launch_int(&launch, (int)blocks);
    pinion__launch_run_loops(&launch, 1, 1);
}

static void clip_scale(const pinion__args *args)
{
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "clipping", "clip_scale", "-DVECTOR=4 -DBLOCK=16");
    pinion__launch_operand(&launch, PINION__CLIP_SCALE_UPDATE_SLOTS);
    pinion__launch_operand(&launch, PINION__CLIP_SCALE_UPDATE_SCALE);
    pinion__launch_int(&launch, args->operand[PINION__CLIP_SCALE_UPDATE_SLOTS].c);
    pinion__launch_float(&launch, args->step->clip_norm);
    pinion__launch_run_loops(&launch, 1, 1);
}

PINION__OPENCL_KERNEL(grad_square_update) = {.scratch_bytes = scratch_bytes, .run = grad_square};
PINION__OPENCL_KERNEL(clip_scale_update) = {.run = clip_scale};
