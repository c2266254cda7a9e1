/* SPDX-License-Identifier: Apache-2.0
 *
 * Sinks of gradients and the constants of the optimisers.
 */
#include "kernel/opencl/update.h"

#include "kernel/opencl/rows.h"
#include "op/operands.h"
#include <math.h>

enum { STORE, ADD, SGD, ADAMW }; /* SINK of update.cl */
enum { CONSTANTS = 8 };

static int mode(const pinion__args *args)
{
    if (!args->update)
        return args->accumulate ? ADD : STORE;
    return args->update->op == PINION__OP_sgd ? SGD : ADAMW;
}

const char *pinion__sink_options(const pinion__args *args)
{
    static const char *const options[] = {
        [STORE] = "-DSINK=0", [ADD] = "-DSINK=1", [SGD] = "-DSINK=2", [ADAMW] = "-DSINK=3"};
    return options[mode(args)];
}

const pinion__view *pinion__launch_sink_view(const pinion__args *args)
{
    return &args->operand[args->update ? PINION__CONV_BACKWARD_WEIGHTS_W : PINION__CONV_BACKWARD_WEIGHTS_DW];
}

static void constants(pinion__launch *launch, const double of[], int count)
{
    for (int i = 0; i < CONSTANTS; i++)
        pinion__launch_float(launch, i < count ? (float)of[i] : 0.0F);
}

void pinion__launch_sgd_constants(pinion__launch *launch, const pinion__sgd *sgd, const pinion__step *step)
{
    const double rate = (double)step->learning_rate, momentum = (double)sgd->momentum;
    const double of[] = {(double)sgd->weight_decay, momentum, sgd->nesterov ? -rate : 0.0,
                         sgd->nesterov ? -rate * momentum : -rate};
    constants(launch, of, 4);
}

/* The corrections are made in double: 1 - beta2^t has three digits at t = 1. */
void pinion__launch_adamw_constants(pinion__launch *launch, const pinion__adamw *adamw, const pinion__step *step)
{
    const double rate = (double)step->learning_rate, t = (double)step->number + 1.0;
    const double beta1 = (double)adamw->beta1, beta2 = (double)adamw->beta2;
    const double of[CONSTANTS] = {1.0 - rate * (double)adamw->weight_decay,
                                  beta1,
                                  1.0 - beta1,
                                  beta2,
                                  1.0 - beta2,
                                  (double)adamw->epsilon,
                                  -rate / (1.0 - pow(beta1, t)),
                                  1.0 / (1.0 - pow(beta2, t))};
    constants(launch, of, CONSTANTS);
}

void pinion__launch_sink(pinion__launch *launch, const pinion__args *args)
{
    pinion__launch_operand(launch, args->update ? PINION__CONV_BACKWARD_WEIGHTS_W : PINION__CONV_BACKWARD_WEIGHTS_DW);
    pinion__launch_operand(launch, PINION__CONV_BACKWARD_WEIGHTS_MOMENT_0);
    pinion__launch_operand(launch, PINION__CONV_BACKWARD_WEIGHTS_MOMENT_1);
    if (!args->update)
        constants(launch, NULL, 0);
    else if (args->update->op == PINION__OP_sgd)
        pinion__launch_sgd_constants(launch, &args->update->attributes.as.sgd, args->step);
    else
        pinion__launch_adamw_constants(launch, &args->update->attributes.as.adamw, args->step);
}

void pinion__launch_put_gradient(const pinion__args *args, size_t scratch_offset)
{
    const pinion__view *into = pinion__launch_sink_view(args);
    const pinion__rows walk = pinion__view_dense(into)
                                  ? pinion__rows_over(args, 1, (int)pinion__view_elements(into))
                                  : pinion__rows_over(args, (int)pinion__view_pixels(into), into->c);
    char options[sizeof walk.options + 16];
    snprintf(options, sizeof options, "%s %s", walk.options, pinion__sink_options(args));
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "put_gradient", "put_gradient", options);
    pinion__launch_scratch(&launch, scratch_offset);
    pinion__launch_int(&launch, into->c);
    pinion__launch_int(&launch, (int)into->ld);
    pinion__launch_rows(&launch, &walk);
    pinion__launch_sink(&launch, args);
    pinion__launch_run_rows(&launch, &walk);
}
