/* SPDX-License-Identifier: Apache-2.0
 *
 * relu and relu6: a clamp, and its derivative taken at the output.
 */
#include "kernel/opencl/activation.h"
#include "kernel/opencl/rows.h"
#include "op/operands.h"

static void forward(const pinion__args *args, enum pinion__activation activation)
{
    const int operands[] = {PINION__RELU_FORWARD_X, PINION__RELU_FORWARD_Y};
    const pinion__rows walk = pinion__rows_of(args, operands, 2);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "elementwise", "clamp_forward", walk.options);
    pinion__launch_view(&launch, PINION__RELU_FORWARD_X);
    pinion__launch_view(&launch, PINION__RELU_FORWARD_Y);
    pinion__launch_rows(&launch, &walk);
    pinion__launch_bounds(&launch, activation);
    pinion__launch_run_rows(&launch, &walk);
}

static void backward(const pinion__args *args, enum pinion__activation activation)
{
    const int operands[] = {PINION__RELU_BACKWARD_DATA_Y, PINION__RELU_BACKWARD_DATA_DY, PINION__RELU_BACKWARD_DATA_DX};
    const pinion__rows walk = pinion__rows_of(args, operands, 3);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "elementwise", "clamp_backward", walk.options);
    pinion__launch_view(&launch, PINION__RELU_BACKWARD_DATA_Y);
    pinion__launch_view(&launch, PINION__RELU_BACKWARD_DATA_DY);
    pinion__launch_view(&launch, PINION__RELU_BACKWARD_DATA_DX);
    pinion__launch_rows(&launch, &walk);
    pinion__launch_bounds(&launch, activation);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_rows(&launch, &walk);
}

static void relu_forward(const pinion__args *args)
{
    forward(args, PINION__ACTIVATION_RELU);
}

static void relu_backward(const pinion__args *args)
{
    backward(args, PINION__ACTIVATION_RELU);
}

static void relu6_forward(const pinion__args *args)
{
    forward(args, PINION__ACTIVATION_RELU6);
}

static void relu6_backward(const pinion__args *args)
{
    backward(args, PINION__ACTIVATION_RELU6);
}

PINION__OPENCL_KERNEL(relu_forward) = {.run = relu_forward};
PINION__OPENCL_KERNEL(relu_backward_data) = {.run = relu_backward};
PINION__OPENCL_KERNEL(relu6_forward) = {.run = relu6_forward};
PINION__OPENCL_KERNEL(relu6_backward_data) = {.run = relu6_backward};
