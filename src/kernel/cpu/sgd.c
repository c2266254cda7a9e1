/* SPDX-License-Identifier: Apache-2.0
 *
 * sgd with momentum, plain or Nesterov's: weight, gradient and velocity in one pass, by the formula of update.h.
 */
#include "kernel/cpu/elementwise.h"
#include "kernel/cpu/update.h"

enum { W, VELOCITY, DW, VIEWS = DW + 1 + PINION__FURTHER_GRADIENTS };

/* A map and its item function for so many further gradients. */
#define UPDATE(further)                                                                                                \
    PINION__INLINE void update_##further(float *const at[], int count, bool accumulate, const void *user)              \
    {                                                                                                                  \
        (void)accumulate;                                                                                              \
        pinion__sgd_vector(user, pinion__whole_gradient(at + DW, further, count), at[W], at[VELOCITY], count);         \
    }                                                                                                                  \
    static void item_##further(void *user, size_t item, int lane)                                                      \
    {                                                                                                                  \
        (void)lane;                                                                                                    \
        pinion__elementwise_item(user, item, update_##further);                                                        \
    }
UPDATE(0)
UPDATE(1)
UPDATE(2)
UPDATE(3)

static void run(const pinion__args *args)
{
    const float *scale = args->operand[PINION__SGD_UPDATE_SCALE].data;
    const pinion__sgd_constants with = pinion__sgd_constants_of(args->attributes, args->step, scale ? *scale : 1.0F);
    const pinion__view *views[VIEWS] = {
        [W] = &args->operand[PINION__SGD_UPDATE_W],
        [VELOCITY] = &args->operand[PINION__SGD_UPDATE_VELOCITY],
        [DW] = &args->operand[PINION__SGD_UPDATE_DW],
    };
    static void (*const items[])(void *user, size_t item, int lane) = {item_0, item_1, item_2, item_3};
    const int further = pinion__further_gradients(args, PINION__SGD_UPDATE_FURTHER_0, views + DW + 1);
    pinion__elementwise_over(args, views, DW + 1 + further, &with, items[further]);
}

PINION__CPU_KERNEL(sgd_update) = {.run = run};
