/* SPDX-License-Identifier: Apache-2.0
 *
 * The update tasks of sgd and adamw: weight, gradient and moments in one pass, by the formulas of update.cl.
 */
#include "kernel/opencl/rows.h"
#include "kernel/opencl/update.h"
#include "op/operands.h"
#include <stdio.h>

enum { FURTHER = 3 };

/* Operands of an update; `second` is -1 where there is no second moment. */
typedef struct update {
    int w, dw, scale, first, second, further; /* the first of FURTHER gradients */
    const char *sink;                         /* option of update.cl */
} update;

static pinion__rows rows_of(const pinion__args *args, const update *of)
{
    int operands[4 + FURTHER] = {of->w, of->dw, of->first}, count = 3;
    if (of->second >= 0)
        operands[count++] = of->second;
    for (int i = of->further; i < of->further + FURTHER; i++)
        if (args->operand[i].data)
            operands[count++] = i;
    return pinion__rows_of(args, operands, count);
}

static pinion__rows begin(pinion__launch *launch, const pinion__args *args, const update *of)
{
    const pinion__rows walk = rows_of(args, of);
    char options[sizeof walk.options + 16];
    snprintf(options, sizeof options, "%s %s", walk.options, of->sink);
    pinion__launch_begin(launch, args, "put_gradient", "update", options);
    pinion__launch_view(launch, of->dw);
    for (int i = of->further; i < of->further + FURTHER; i++)
        pinion__launch_view(launch, i);
    pinion__launch_operand(launch, of->scale);
    pinion__launch_int(launch, (int)args->operand[of->w].ld);
    pinion__launch_int(launch, (int)args->operand[of->first].ld);
    pinion__launch_int(launch, of->second < 0 ? 0 : (int)args->operand[of->second].ld);
    pinion__launch_rows(launch, &walk);
    pinion__launch_operand(launch, of->w);
    pinion__launch_operand(launch, of->first);
    pinion__launch_operand(launch, of->second < 0 ? of->first : of->second);
    return walk;
}

static void sgd(const pinion__args *args)
{
    const update of = {.w = PINION__SGD_UPDATE_W,
                       .dw = PINION__SGD_UPDATE_DW,
                       .scale = PINION__SGD_UPDATE_SCALE,
                       .first = PINION__SGD_UPDATE_VELOCITY,
                       .second = -1,
                       .further = PINION__SGD_UPDATE_FURTHER_0,
                       .sink = "-DSINK=2"};
    pinion__launch launch;
    const pinion__rows walk = begin(&launch, args, &of);
    pinion__launch_sgd_constants(&launch, args->attributes, args->step);
    pinion__launch_run_rows(&launch, &walk);
}

static void adamw(const pinion__args *args)
{
    const update of = {.w = PINION__ADAMW_UPDATE_W,
                       .dw = PINION__ADAMW_UPDATE_DW,
                       .scale = PINION__ADAMW_UPDATE_SCALE,
                       .first = PINION__ADAMW_UPDATE_M,
                       .second = PINION__ADAMW_UPDATE_V,
                       .further = PINION__ADAMW_UPDATE_FURTHER_0,
                       .sink = "-DSINK=3"};
    pinion__launch launch;
    const pinion__rows walk = begin(&launch, args, &of);
    pinion__launch_adamw_constants(&launch, args->attributes, args->step);
    pinion__launch_run_rows(&launch, &walk);
}

PINION__OPENCL_KERNEL(sgd_update) = {.run = sgd};
PINION__OPENCL_KERNEL(adamw_update) = {.run = adamw};
