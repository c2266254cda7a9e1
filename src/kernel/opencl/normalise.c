/* SPDX-License-Identifier: Apache-2.0
 *
 * The normalising pass and the op `normalise`, which is nothing else.
 */
#include "kernel/opencl/normalise.h"

#include "kernel/opencl/activation.h"
#include "kernel/opencl/walk.h"
#include "op/operands.h"

void pinion__launch_normalise_constants(pinion__launch *launch, const pinion__normalising *what)
{
    if (what->constants >= 0 && launch->args->operand[what->constants].data) {
        pinion__launch_view(launch, what->constants);
        return;
    }
    pinion__launch_scratch(launch, what->scratch_offset);
    pinion__launch_int(launch, launch->args->operand[what->x].c);
}

void pinion__launch_normalise(const pinion__args *args, const pinion__normalising *what)
{
    const pinion__walk walk = pinion__walk_of(args, what->x, "ADDEND", args->operand[what->addend].data != NULL);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "normalise", "normalise", walk.options);
    pinion__launch_view(&launch, what->x);
    pinion__launch_normalise_constants(&launch, what);
    pinion__launch_view(&launch, what->addend);
    pinion__launch_view(&launch, what->y);
    pinion__launch_walk(&launch, what->x);
    pinion__launch_bounds(&launch, args->activation);
    pinion__launch_run_walk(&launch, &walk);
}

static void forward(const pinion__args *args)
{
    const pinion__normalising what = {.x = PINION__NORMALISE_FORWARD_X,
                                      .addend = PINION__NORMALISE_FORWARD_ADDEND,
                                      .y = PINION__NORMALISE_FORWARD_Y,
                                      .constants = PINION__NORMALISE_FORWARD_CONSTANTS};
    pinion__launch_normalise(args, &what);
}

PINION__OPENCL_KERNEL(normalise_forward) = {.run = forward};
