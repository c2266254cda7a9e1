/* SPDX-License-Identifier: Apache-2.0
 *
 * add: the sum of two tensors behind an activation function; its gradient is handed on.
 */
#include "kernel/opencl/activation.h"
#include "kernel/opencl/rows.h"
#include "op/operands.h"

static void forward(const pinion__args *args)
{
    const int operands[] = {PINION__ADD_FORWARD_A, PINION__ADD_FORWARD_B, PINION__ADD_FORWARD_Y};
    const pinion__rows walk = pinion__rows_of(args, operands, 3);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "elementwise", "add_forward", walk.options);
    pinion__launch_view(&launch, PINION__ADD_FORWARD_A);
    pinion__launch_view(&launch, PINION__ADD_FORWARD_B);
    pinion__launch_view(&launch, PINION__ADD_FORWARD_Y);
    pinion__launch_rows(&launch, &walk);
    pinion__launch_bounds(&launch, args->activation);
    pinion__launch_run_rows(&launch, &walk);
}

static void backward_data(const pinion__args *args)
{
    const int operands[] = {PINION__ADD_BACKWARD_DATA_DY, PINION__ADD_BACKWARD_DATA_DX};
    const pinion__rows walk = pinion__rows_of(args, operands, 2);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "elementwise", "pass_backward", walk.options);
    pinion__launch_view(&launch, PINION__ADD_BACKWARD_DATA_DY);
    pinion__launch_view(&launch, PINION__ADD_BACKWARD_DATA_DX);
    pinion__launch_rows(&launch, &walk);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_rows(&launch, &walk);
}

PINION__OPENCL_KERNEL(add_forward) = {.run = forward};
PINION__OPENCL_KERNEL(add_backward_data) = {.run = backward_data};
