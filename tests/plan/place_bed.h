/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of placing share: a plan on processors of the host, whose tasks get given times.
 */
#ifndef TESTS_PLAN_PLACE_BED_H
#define TESTS_PLAN_PLACE_BED_H

#include "plan/networks.h"

#include "device/memory.h"
#include "plan/candidates.h"
#include "plan/problem.h"

#include <math.h>
#include <stdlib.h>

enum { PROCESSORS = 3, SAMPLES = 4 };

/* A network on processors of the host, whose tasks have no times yet. */
typedef struct desk {
    pinion_context *ctx;
    pinion_network *network;
    pinion__processor *processors[PROCESSORS];
    pinion_plan *plan;
} desk;

static inline desk open_desk(const char *place, int micro_batches, bool compare)
{
    static const char *const names[PROCESSORS] = {"a", "b", "c"};
    desk d = {.ctx = make_context()};
    d.network = make_random_network(d.ctx, 12, 9, false);
    for (int i = 0; i < PROCESSORS; i++)
        assert_int_equal(pinion__processor_create_simulated(d.ctx, names[i], 0, 0, &d.processors[i]), PINION_OK);
    pinion_plan_options options = training_options(SAMPLES);
    options.place = place;
    options.compare = compare;
    const pinion__plan_tuning tuning = {.micro_batches = micro_batches};
    if (pinion__plan_create_tuned(d.network, &options, &tuning, d.processors, PROCESSORS, &d.plan) < 0)
        fail_msg("%s", pinion_context_error(d.ctx));
    return d;
}

static inline void close_desk(desk *d)
{
    pinion_plan_destroy(d->plan);
    for (int i = 0; i < PROCESSORS; i++)
        pinion__processor_destroy(d->processors[i]);
    pinion_network_destroy(d->network);
    pinion_context_destroy(d->ctx);
}

/* A time for each kind of work and processor. */
static inline void set_times(desk *d, uint64_t seed)
{
    pinion_plan *plan = d->plan;
    for (size_t r = 0; r < plan->record_count; r++)
        for (int i = 0; i < plan->records[r].count; i++)
            plan->candidates[plan->records[r].first + i].ms =
                0.5 + (double)pinion__random_uniform(seed, DRAWS_DATA, 9, r);
}

static inline double ms_on(const pinion_plan *plan, int t, int processor)
{
    return pinion__candidates_best_ms(plan, &plan->tasks[t], processor);
}

static inline int fastest(const pinion_plan *plan, int t)
{
    int best = 0;
    for (int p = 1; p < PROCESSORS; p++)
        best = ms_on(plan, t, p) < ms_on(plan, t, best) ? p : best;
    return best;
}

#endif
