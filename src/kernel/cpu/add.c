/* SPDX-License-Identifier: Apache-2.0
 *
 * add: y = activation(a + b), y may lie over either; backward hands dy on to an input.
 */
#include "kernel/cpu/activation.h"
#include "kernel/cpu/elementwise.h"

PINION__INLINE void sum(float *const at[], int count, bool accumulate, const void *constants)
{
    const pinion__bounds *bounds = constants;
    pinion__vf a = pinion__vf_load_some(at[PINION__ADD_FORWARD_A], count);
    pinion__vf b = pinion__vf_load_some(at[PINION__ADD_FORWARD_B], count);
    pinion__vf_put(at[PINION__ADD_FORWARD_Y], pinion__vf_clamp(pinion__vf_add(a, b), *bounds), count, accumulate);
}

PINION__INLINE void hand_on(float *const at[], int count, bool accumulate, const void *constants)
{
    (void)constants;
    pinion__vf dy = pinion__vf_load_some(at[PINION__ADD_BACKWARD_DATA_DY], count);
    pinion__vf_put(at[PINION__ADD_BACKWARD_DATA_DX], dy, count, accumulate);
}

static void sum_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, sum);
}

static void hand_on_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, hand_on);
}

static void forward(const pinion__args *args)
{
    const pinion__bounds bounds = pinion__bounds_of(args->activation);
    pinion__elementwise_run(args, 3, &bounds, sum_item);
}

static void backward_data(const pinion__args *args)
{
    pinion__elementwise_run(args, 2, NULL, hand_on_item);
}

PINION__CPU_KERNEL(add_forward) = {.run = forward};
PINION__CPU_KERNEL(add_backward_data) = {.run = backward_data};
