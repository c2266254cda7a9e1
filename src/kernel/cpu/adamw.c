/* SPDX-License-Identifier: Apache-2.0
 *
 * adamw: weight, gradient and both moments in one pass, by the formula of update.h.
 */
#include "kernel/cpu/elementwise.h"
#include "kernel/cpu/update.h"

enum { W, M, V, DW, VIEWS = DW + 1 + PINION__FURTHER_GRADIENTS };

/* A map and its item function for so many further gradients. */
#define UPDATE(further)                                                                                                \
    PINION__INLINE void update_##further(float *const at[], int count, bool accumulate, const void *user)              \
    {                                                                                                                  \
        (void)accumulate;                                                                                              \
        pinion__adamw_vector(user, pinion__whole_gradient(at + DW, further, count), at[W], at[M], at[V], count);       \
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
    const float *scale = args->operand[PINION__ADAMW_UPDATE_SCALE].data;
    const pinion__adamw_constants with =
        pinion__adamw_constants_of(args->attributes, args->step, scale ? *scale : 1.0F);
    const pinion__view *views[VIEWS] = {
        [W] = &args->operand[PINION__ADAMW_UPDATE_W],
        [M] = &args->operand[PINION__ADAMW_UPDATE_M],
        [V] = &args->operand[PINION__ADAMW_UPDATE_V],
        [DW] = &args->operand[PINION__ADAMW_UPDATE_DW],
    };
    static void (*const items[])(void *user, size_t item, int lane) = {item_0, item_1, item_2, item_3};
    const int further = pinion__further_gradients(args, PINION__ADAMW_UPDATE_FURTHER_0, views + DW + 1);
    pinion__elementwise_over(args, views, DW + 1 + further, &with, items[further]);
}

PINION__CPU_KERNEL(adamw_update) = {.run = run};
