/* SPDX-License-Identifier: Apache-2.0
 *
 * relu and relu6, forward and backward; y may lie over x, dx over dy. A NaN passes through forward, so that it is seen
 * in the loss.
 */
#include "kernel/cpu/elementwise.h"

PINION__INLINE void relu(float *const at[], int count, bool accumulate, const void *constants)
{
    (void)constants;
    pinion__vf x = pinion__vf_load_some(at[PINION__RELU_FORWARD_X], count);
    pinion__vf_put(at[PINION__RELU_FORWARD_Y], pinion__vf_max(pinion__vf_zero(), x), count, accumulate);
}

PINION__INLINE void relu6(float *const at[], int count, bool accumulate, const void *constants)
{
    (void)constants;
    pinion__vf x = pinion__vf_load_some(at[PINION__RELU_FORWARD_X], count);
    pinion__vf y = pinion__vf_min(pinion__vf_set1(6.0F), pinion__vf_max(pinion__vf_zero(), x));
    pinion__vf_put(at[PINION__RELU_FORWARD_Y], y, count, accumulate);
}

PINION__INLINE void relu_gradient(float *const at[], int count, bool accumulate, const void *constants)
{
    (void)constants;
    pinion__vf y = pinion__vf_load_some(at[PINION__RELU_BACKWARD_DATA_Y], count);
    pinion__vf dy = pinion__vf_load_some(at[PINION__RELU_BACKWARD_DATA_DY], count);
    pinion__vf dx = pinion__vf_and(pinion__vf_gt(y, pinion__vf_zero()), dy);
    pinion__vf_put(at[PINION__RELU_BACKWARD_DATA_DX], dx, count, accumulate);
}

PINION__INLINE void relu6_gradient(float *const at[], int count, bool accumulate, const void *constants)
{
    (void)constants;
    pinion__vf y = pinion__vf_load_some(at[PINION__RELU_BACKWARD_DATA_Y], count);
    pinion__vf dy = pinion__vf_load_some(at[PINION__RELU_BACKWARD_DATA_DY], count);
    pinion__vi inside = pinion__vi_and(pinion__vf_gt(y, pinion__vf_zero()), pinion__vf_lt(y, pinion__vf_set1(6.0F)));
    pinion__vf_put(at[PINION__RELU_BACKWARD_DATA_DX], pinion__vf_and(inside, dy), count, accumulate);
}

static void relu_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, relu);
}

static void relu6_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, relu6);
}

static void relu_gradient_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, relu_gradient);
}

static void relu6_gradient_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, relu6_gradient);
}

static void relu_forward(const pinion__args *args)
{
    pinion__elementwise_run(args, 2, NULL, relu_item);
}

static void relu6_forward(const pinion__args *args)
{
    pinion__elementwise_run(args, 2, NULL, relu6_item);
}

static void relu_backward_data(const pinion__args *args)
{
    pinion__elementwise_run(args, 3, NULL, relu_gradient_item);
}

static void relu6_backward_data(const pinion__args *args)
{
    pinion__elementwise_run(args, 3, NULL, relu6_gradient_item);
}

PINION__CPU_KERNEL(relu_forward) = {.run = relu_forward};
PINION__CPU_KERNEL(relu6_forward) = {.run = relu6_forward};
PINION__CPU_KERNEL(relu_backward_data) = {.run = relu_backward_data};
PINION__CPU_KERNEL(relu6_backward_data) = {.run = relu6_backward_data};
