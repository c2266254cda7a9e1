/* SPDX-License-Identifier: Apache-2.0
 *
 * The one timing routine. The warm-up fills caches and page tables and lets clocks rise; its last step tells how many
 * repetitions fit into the budget.
 */
#include "base/clock.h"
#include "base/context.h"

#include <pinion/measure.h>

enum { MIN_REPETITIONS = 5, MAX_REPETITIONS = 1000000 };

pinion_measure_options pinion_measure_options_default(void)
{
    return (pinion_measure_options){.warm_steps = 2, .warm_ms = 300, .budget_ms = 3000};
}

static int time_step(int (*step)(void *user), void *user, double *ms)
{
    int64_t start = pinion__now_ns();
    int status = step(user);
    *ms = (double)(pinion__now_ns() - start) * 1e-6;
    return status;
}

static int warm_up(pinion_context *ctx, int (*step)(void *user), void *user, const pinion_measure_options *options,
                   double *last_ms)
{
    int status = PINION_OK;
    double spent = 0;
    for (int i = 0; i < options->warm_steps || spent < options->warm_ms; i++) {
        PINION_TRY(time_step(step, user, last_ms));
        spent += *last_ms;
    }
fail:
    return status;
}

int pinion_measure(pinion_context *ctx, int (*step)(void *user), void *user, const pinion_measure_options *options,
                   pinion_timing *out)
{
    int status = PINION_OK;
    double *samples = NULL, last_ms = 0;
    pinion_measure_options chosen = options ? *options : pinion_measure_options_default();
    int count = chosen.repetitions;
    PINION_FAIL_IF(count < 0 || count > MAX_REPETITIONS, PINION_EINVAL, "%d repetitions: expected 1 to %d, or 0", count,
                   MAX_REPETITIONS);
    PINION_TRY(warm_up(ctx, step, user, &chosen, &last_ms));
    if (count == 0) {
        double fit = last_ms > 0 ? chosen.budget_ms / last_ms : MAX_REPETITIONS;
        count = fit < MIN_REPETITIONS ? MIN_REPETITIONS : fit > MAX_REPETITIONS ? MAX_REPETITIONS : (int)fit;
    }
    PINION_TRY(pinion__alloc(ctx, (size_t)count, sizeof *samples, "timings", &samples));
    if (chosen.between)
        chosen.between(chosen.between_user, 0);
    for (int i = 0; i < count; i++) {
        PINION_TRY(time_step(step, user, &samples[i]));
        if (chosen.between)
            chosen.between(chosen.between_user, i + 1);
    }
    pinion__spread spread = pinion__summarise(samples, (size_t)count);
    *out = (pinion_timing){spread.min, spread.median, spread.max, count};
fail:
    pinion__release(ctx, samples);
    return status;
}
