/* SPDX-License-Identifier: Apache-2.0
 *
 * sgd with momentum, plain or Nesterov's: weight, gradient and velocity in one pass, by the formula of update.h.
 */
#include "kernel/cpu/elementwise.h"
#include "kernel/cpu/update.h"

enum { W, DW, VELOCITY, VIEWS };

PINION__INLINE void update(float *const at[], int count, bool accumulate, const void *user)
{
    (void)accumulate;
    pinion__sgd_vector(user, pinion__vf_load_some(at[DW], count), at[W], at[VELOCITY], count);
}

static void update_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, update);
}

static void run(const pinion__args *args)
{
    const float *scale = args->operand[PINION__SGD_UPDATE_SCALE].data;
    const pinion__sgd_constants with = pinion__sgd_constants_of(args->attributes, args->step, scale ? *scale : 1.0F);
    const pinion__view *views[VIEWS] = {
        [W] = &args->operand[PINION__SGD_UPDATE_W],
        [DW] = &args->operand[PINION__SGD_UPDATE_DW],
        [VELOCITY] = &args->operand[PINION__SGD_UPDATE_VELOCITY],
    };
    pinion__elementwise_over(args, views, VIEWS, &with, update_item);
}

PINION__CPU_KERNEL(sgd_update) = {.run = run};
