/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax and cross-entropy by OpenCL, with labels or, in distillation, with given targets.
 */
#include "kernel/opencl/channels.h"
#include "op/operands.h"

static float smoothing_of(const pinion__args *args)
{
    return ((const pinion__softmax_cross_entropy *)args->attributes)->label_smoothing;
}

static void begin_forward(pinion__launch *launch, const pinion__args *args, const char *function)
{
    const pinion__view *x = &args->operand[PINION__LOSS_FORWARD_X];
    pinion__channels_begin(launch, args, "softmax_cross_entropy", function, x->c, "");
    pinion__launch_view(launch, PINION__LOSS_FORWARD_X);
    pinion__launch_view(launch, PINION__LOSS_FORWARD_LABELS);
    pinion__launch_view(launch, PINION__LOSS_FORWARD_PROBABILITIES);
    pinion__launch_view(launch, PINION__LOSS_FORWARD_Y);
    pinion__launch_int(launch, x->n);
    pinion__launch_int(launch, x->c);
}

static void run_labelled_forward(const pinion__args *args)
{
    pinion__launch launch;
    begin_forward(&launch, args, "softmax_forward");
    pinion__launch_float(&launch, smoothing_of(args));
    pinion__launch_run_flat(&launch, (size_t)args->operand[PINION__LOSS_FORWARD_X].n);
}

static void run_given_forward(const pinion__args *args)
{
    pinion__launch launch;
    begin_forward(&launch, args, "distillation_forward");
    pinion__launch_run_flat(&launch, (size_t)args->operand[PINION__LOSS_FORWARD_X].n);
}

/* How many items there are. */
static size_t begin_backward(pinion__launch *launch, const pinion__args *args, const char *function, float weight)
{
    const pinion__view *dx = &args->operand[PINION__LOSS_BACKWARD_DATA_DX];
    size_t vectors = pinion__channels_begin(launch, args, "softmax_cross_entropy", function, dx->c, "");
    pinion__launch_view(launch, PINION__LOSS_BACKWARD_DATA_PROBABILITIES);
    pinion__launch_view(launch, PINION__LOSS_BACKWARD_DATA_LABELS);
    pinion__launch_view(launch, PINION__LOSS_BACKWARD_DATA_DX);
    pinion__launch_int(launch, dx->n);
    pinion__launch_int(launch, dx->c);
    pinion__launch_float(launch, weight / (float)args->step->loss_batch);
    pinion__launch_int(launch, args->accumulate);
    return vectors * (size_t)dx->n;
}

static void run_labelled_backward_data(const pinion__args *args)
{
    pinion__launch launch;
    size_t items = begin_backward(&launch, args, "softmax_backward", 1.0F);
    pinion__launch_float(&launch, smoothing_of(args));
    pinion__launch_run_flat(&launch, items);
}

static void run_given_backward_data(const pinion__args *args)
{
    pinion__launch launch;
    const pinion__distillation *how = args->attributes;
    size_t items = begin_backward(&launch, args, "distillation_backward", how->weight);
    pinion__launch_run_flat(&launch, items);
}

PINION__OPENCL_KERNEL(softmax_cross_entropy_forward) = {.run = run_labelled_forward};
PINION__OPENCL_KERNEL(softmax_cross_entropy_backward_data) = {.run = run_labelled_backward_data};
PINION__OPENCL_KERNEL(distillation_forward) = {.run = run_given_forward};
PINION__OPENCL_KERNEL(distillation_backward_data) = {.run = run_given_backward_data};
