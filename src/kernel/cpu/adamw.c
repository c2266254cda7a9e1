/* SPDX-License-Identifier: Apache-2.0
 *
 * adamw: weight, gradient and both moments in one pass, by the formula of update.h.
 */
#include "kernel/cpu/elementwise.h"
#include "kernel/cpu/update.h"

enum { W, DW, M, V, VIEWS };

PINION__INLINE void update(float *const at[], int count, bool accumulate, const void *user)
{
    (void)accumulate;
    pinion__adamw_vector(user, pinion__vf_load_some(at[DW], count), at[W], at[M], at[V], count);
}

static void update_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__elementwise_item(user, item, update);
}

static void run(const pinion__args *args)
{
    const float *scale = args->operand[PINION__ADAMW_UPDATE_SCALE].data;
    const pinion__adamw_constants with =
        pinion__adamw_constants_of(args->attributes, args->step, scale ? *scale : 1.0F);
    const pinion__view *views[VIEWS] = {
        [W] = &args->operand[PINION__ADAMW_UPDATE_W],
        [DW] = &args->operand[PINION__ADAMW_UPDATE_DW],
        [M] = &args->operand[PINION__ADAMW_UPDATE_M],
        [V] = &args->operand[PINION__ADAMW_UPDATE_V],
    };
    pinion__elementwise_over(args, views, VIEWS, &with, update_item);
}

PINION__CPU_KERNEL(adamw_update) = {.run = run};
