/* SPDX-License-Identifier: Apache-2.0
 *
 * Machines whose tasks are dealt out to host processors and to simulated devices with a memory of their own.
 */
#ifndef TESTS_RUN_SHARED_H
#define TESTS_RUN_SHARED_H

#include "net/shared.h"
#include "plan/build.h"
#include "run/machine.h"

/* Which processors a machine has: the first `hosts` work on the host, the others in the domain. */
typedef struct deal {
    uint64_t seed; /* of the placement */
    int hosts, devices;
    bool serial;          /* one task at a time */
    int64_t max_delay_ns; /* of each task */
} deal;

static inline int deal_out(void *user, int index)
{
    const deal *by = user;
    assignment all = {.seed = by->seed, .processors = by->hosts + by->devices};
    return assign(&all, index);
}

static inline void add_processors(machine *m, pinion__domain *domain, const deal *by)
{
    for (int i = 0; i < by->hosts + by->devices; i++) {
        uint64_t seed = by->max_delay_ns ? by->seed * 7 + (uint64_t)i : 0;
        pinion__processor **at = &m->processors[m->processor_count++];
        if (i < by->hosts)
            assert_int_equal(pinion__processor_create_simulated(m->ctx, "host", seed, by->max_delay_ns, at), PINION_OK);
        else
            assert_int_equal(
                pinion__processor_create_simulated_in(m->ctx, "device", domain, seed, by->max_delay_ns, at), PINION_OK);
    }
}

/* Runs the plan one task at a time. */
static inline void make_serial(machine *m)
{
    m->plan->serial = true;
    pinion_runner_destroy(m->runner);
    if (pinion_runner_create(m->plan, &m->runner) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
}

/* Weights as the host sees them. */
static inline void settle(const machine *m)
{
    if (pinion__network_settle(m->network) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
}

static inline void expect_same_results(const machine *a, const machine *b)
{
    settle(a);
    settle(b);
    expect_same_weights(a, b);
    for (int p = 0; p < (int)a->network->param_count; p++)
        for (int which = 0; which < 2; which++) {
            const float *left = pinion__runner_moment(a->runner, p, which);
            const float *right = pinion__runner_moment(b->runner, p, which);
            assert_int_equal(left == NULL, right == NULL);
            if (left)
                assert_memory_equal(left, right, a->network->params[p].bytes);
        }
}

static inline int count_hand_overs(const pinion_plan *plan)
{
    int count = 0;
    for (size_t t = 0; t < plan->task_count; t++)
        count += plan->tasks[t].hand_over.present;
    return count;
}

/* Replaces the plan and runner of a machine by those with as little memory as recomputation makes of them. */
static inline void shrink(machine *m, const pinion_plan_options *options, const pinion__plan_tuning *tuning)
{
    pinion_plan_options least = *options;
    least.memory_limit = 1;
    pinion_runner_destroy(m->runner);
    pinion_plan_destroy(m->plan);
    if (pinion__plan_create_parts(m->network, &least, tuning, m->processors, m->processor_count, 1, false, &m->plan) <
            0 ||
        pinion_runner_create(m->plan, &m->runner) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
}

#endif
