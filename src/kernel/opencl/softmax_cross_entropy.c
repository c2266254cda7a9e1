/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax and cross-entropy by OpenCL.
 */
#include "kernel/opencl/channels.h"
#include "op/operands.h"

static void run_forward(const pinion__args *args)
{
    const pinion__softmax_cross_entropy *loss = args->attributes;
    const pinion__view *x = &args->operand[PINION__LOSS_FORWARD_X];
    pinion__launch launch;
    pinion__channels_begin(&launch, args, "softmax_cross_entropy", "softmax_forward", x->c, "");
    pinion__launch_view(&launch, PINION__LOSS_FORWARD_X);
    pinion__launch_view(&launch, PINION__LOSS_FORWARD_LABELS);
    pinion__launch_view(&launch, PINION__LOSS_FORWARD_PROBABILITIES);
    pinion__launch_view(&launch, PINION__LOSS_FORWARD_Y);
    pinion__launch_int(&launch, x->n);
    pinion__launch_int(&launch, x->c);
    pinion__launch_float(&launch, loss->label_smoothing);
    pinion__launch_run_flat(&launch, (size_t)x->n);
}

static void run_backward_data(const pinion__args *args)
{
    const pinion__softmax_cross_entropy *loss = args->attributes;
    const pinion__view *dx = &args->operand[PINION__LOSS_BACKWARD_DATA_DX];
    pinion__launch launch;
    size_t vectors = pinion__channels_begin(&launch, args, "softmax_cross_entropy", "softmax_backward", dx->c, "");
    pinion__launch_view(&launch, PINION__LOSS_BACKWARD_DATA_PROBABILITIES);
    pinion__launch_view(&launch, PINION__LOSS_BACKWARD_DATA_LABELS);
    pinion__launch_view(&launch, PINION__LOSS_BACKWARD_DATA_DX);
    pinion__launch_int(&launch, dx->n);
    pinion__launch_int(&launch, dx->c);
    pinion__launch_float(&launch, loss->label_smoothing);
    pinion__launch_float(&launch, 1.0F / (float)args->step->loss_batch);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_flat(&launch, vectors * (size_t)dx->n);
}

PINION__OPENCL_KERNEL(softmax_cross_entropy_forward) = {.run = run_forward};
PINION__OPENCL_KERNEL(softmax_cross_entropy_backward_data) = {.run = run_backward_data};
