/* SPDX-License-Identifier: Apache-2.0
 *
 * The normalising pass (normalise.h) and the op `normalise`, which is nothing else.
 */
#include "kernel/cpu/normalise.h"
#include "kernel/cpu/batchnorm.h"

enum { X, ADDEND, Y, VIEWS };
enum { MEAN, SCALE, SHIFT, CONSTANTS };

PINION__INLINE void map(float *const at[], const pinion__vf of[], int count, pinion__bounds bounds, bool adds,
                        bool accumulate)
{
    (void)accumulate;
    pinion__vf y = pinion__vf_normalise(pinion__vf_load_some(at[X], count), of[MEAN], of[SCALE], of[SHIFT]);
    if (adds)
        y = pinion__vf_add(y, pinion__vf_load_some(at[ADDEND], count));
    pinion__vf_store_some(at[Y], pinion__vf_clamp(y, bounds), count);
}

static void item(void *user, size_t index, int lane)
{
    (void)lane;
    pinion__channelwise_item(user, index, CONSTANTS, map);
}

void PINION__CPU_SHARED(normalise)(const pinion__args *args, const pinion__normalising *what)
{
    const pinion__view *views[VIEWS] = {[X] = what->x, [ADDEND] = what->addend, [Y] = what->y};
    pinion__channelwise loop = pinion__channelwise_cut(views, VIEWS);
    loop.constants[MEAN] = what->mean;
    loop.constants[SCALE] = what->scale;
    loop.constants[SHIFT] = what->shift;
    loop.bounds = pinion__bounds_of(args->activation);
    loop.option = what->addend->data != NULL;
    pinion__parallel(args->workers, loop.cut.items, item, &loop);
}

static void forward(const pinion__args *args)
{
    const pinion__view *constants = &args->operand[PINION__NORMALISE_FORWARD_CONSTANTS];
    const float *rows = constants->data;
    const pinion__normalising what = {
        .x = &args->operand[PINION__NORMALISE_FORWARD_X],
        .addend = &args->operand[PINION__NORMALISE_FORWARD_ADDEND],
        .y = &args->operand[PINION__NORMALISE_FORWARD_Y],
        .mean = rows,
        .scale = rows + constants->ld,
        .shift = rows + 2 * constants->ld,
    };
    PINION__CPU_SHARED(normalise)(args, &what);
}

PINION__CPU_KERNEL(normalise_forward) = {.run = forward};
