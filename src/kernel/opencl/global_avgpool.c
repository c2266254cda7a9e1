/* SPDX-License-Identifier: Apache-2.0
 *
 * Global average pooling by OpenCL.
 */
#include "kernel/opencl/channels.h"
#include "op/operands.h"

static void run_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__AVGPOOL_FORWARD_X];
    pinion__launch launch;
    size_t vectors = pinion__channels_begin(&launch, args, "global_avgpool", "global_avgpool_forward", x->c, "");
    pinion__launch_view(&launch, PINION__AVGPOOL_FORWARD_X);
    pinion__launch_view(&launch, PINION__AVGPOOL_FORWARD_Y);
    pinion__launch_int(&launch, x->n);
    pinion__launch_int(&launch, x->h * x->w);
    pinion__launch_int(&launch, x->c);
    pinion__launch_run_flat(&launch, vectors * (size_t)x->n);
}

static void run_backward_data(const pinion__args *args)
{
    const pinion__view *dx = &args->operand[PINION__AVGPOOL_BACKWARD_DATA_DX];
    pinion__launch launch;
    size_t vectors = pinion__channels_begin(&launch, args, "global_avgpool", "global_avgpool_backward_data", dx->c, "");
    pinion__launch_view(&launch, PINION__AVGPOOL_BACKWARD_DATA_DY);
    pinion__launch_view(&launch, PINION__AVGPOOL_BACKWARD_DATA_DX);
    pinion__launch_int(&launch, dx->n);
    pinion__launch_int(&launch, dx->h);
    pinion__launch_int(&launch, dx->w);
    pinion__launch_int(&launch, dx->c);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_flat(&launch, vectors * (size_t)dx->n * (size_t)dx->h);
}

PINION__OPENCL_KERNEL(global_avgpool_forward) = {.run = run_forward};
PINION__OPENCL_KERNEL(global_avgpool_backward_data) = {.run = run_backward_data};
