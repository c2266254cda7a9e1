/* SPDX-License-Identifier: Apache-2.0
 *
 * Folding a batch normalisation by stored statistics into the convolution in front of it.
 */
#include "kernel/opencl/rows.h"
#include "op/operands.h"

static void fold_weights(const pinion__args *args)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    const pinion__view *w = &args->operand[PINION__FOLD_FORWARD_W];
    const bool depthwise = w->n == 1 && w->c == args->operand[PINION__FOLD_FORWARD_FOLDED_B].c;
    const pinion__rows walk = pinion__rows_over(args, (int)pinion__view_pixels(w), w->c);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "fold_batchnorm", "weights", walk.options);
    pinion__launch_view(&launch, PINION__FOLD_FORWARD_W);
    pinion__launch_operand(&launch, PINION__FOLD_FORWARD_GAMMA);
    pinion__launch_operand(&launch, PINION__FOLD_FORWARD_VAR);
    pinion__launch_view(&launch, PINION__FOLD_FORWARD_FOLDED_W);
    pinion__launch_rows(&launch, &walk);
    pinion__launch_int(&launch, depthwise ? 0 : w->h * w->w);
    pinion__launch_float(&launch, batchnorm->epsilon);
    pinion__launch_run_rows(&launch, &walk);
}

static void fold_bias(const pinion__args *args)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    const int channels = args->operand[PINION__FOLD_FORWARD_FOLDED_B].c, vector = pinion__vector_of(args, channels);
    char options[PINION__VECTOR_OPTIONS];
    pinion__vector_options(options, channels, vector);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "fold_batchnorm", "bias", options);
    pinion__launch_operand(&launch, PINION__FOLD_FORWARD_B);
    pinion__launch_operand(&launch, PINION__FOLD_FORWARD_GAMMA);
    pinion__launch_operand(&launch, PINION__FOLD_FORWARD_BETA);
    pinion__launch_operand(&launch, PINION__FOLD_FORWARD_MEAN);
    pinion__launch_operand(&launch, PINION__FOLD_FORWARD_VAR);
    pinion__launch_operand(&launch, PINION__FOLD_FORWARD_FOLDED_B);
    pinion__launch_int(&launch, channels);
    pinion__launch_float(&launch, batchnorm->epsilon);
    pinion__launch_run_flat(&launch, (size_t)pinion__vectors_in(channels, vector));
}

static void run(const pinion__args *args)
{
    fold_weights(args);
    fold_bias(args);
}

PINION__OPENCL_KERNEL(fold_batchnorm_forward) = {.run = run};
