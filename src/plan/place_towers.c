/* SPDX-License-Identifier: Apache-2.0
 *
 * Which groups run where (plan/place_towers.h). There are few ways to give each group a processor, so all are simulated
 * where they are not more than some thousand.
 */
#include "plan/place_towers.h"

#include "plan/placement_simulation.h"

#include <math.h>
#include <string.h>

enum { MOST_WAYS = 4096 };

typedef struct search {
    pinion_context *ctx;
    const pinion_plan *plan;
    const pinion__placement_problem *problem;
    pinion__simulation *simulation;
    double *urgency; /* per task: larger than any path of an earlier group to a later one */
    int *processor, *best;
    double best_ms;
} search;

static int ways_of(const search *s)
{
    int ways = 1;
    for (int i = 0; i < s->plan->width && ways <= MOST_WAYS; i++)
        ways *= s->problem->processor_count;
    return ways <= MOST_WAYS ? ways : 0;
}

/* Way number `way` of giving each group a processor; false: one cannot run its tasks. */
static bool assign(const search *s, int way)
{
    const int processors = s->problem->processor_count;
    int of_group[PINION_MAX_GROUPS] = {0};
    for (int i = 0; i < s->plan->width; i++, way /= processors)
        of_group[i] = way % processors;
    for (int t = 0; t < s->problem->task_count; t++) {
        s->processor[t] = of_group[pinion__task_group(s->plan, &s->plan->tasks[t]) - 1];
        if (!isfinite(s->problem->ms[t * processors + s->processor[t]]))
            return false;
    }
    return true;
}

static void keep_better(search *s)
{
    const double ms = pinion__simulation_run(s->simulation, s->processor, s->urgency);
    if (!(ms < s->best_ms * (1 - 1e-9)))
        return;
    s->best_ms = ms;
    memcpy(s->best, s->processor, (size_t)s->problem->task_count * sizeof *s->best);
}

static int prepare(search *s)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    const int tasks = s->problem->task_count, processors = s->problem->processor_count;
    double all = 0;
    PINION_TRY(pinion__alloc(ctx, (size_t)tasks, sizeof *s->urgency, "the placement of a plan", &s->urgency));
    PINION_TRY(pinion__alloc(ctx, (size_t)tasks, sizeof *s->processor, "the placement of a plan", &s->processor));
    PINION_TRY(pinion__alloc(ctx, (size_t)tasks, sizeof *s->best, "the placement of a plan", &s->best));
    for (int i = 0; i < tasks * processors; i++)
        all += isfinite(s->problem->ms[i]) ? s->problem->ms[i] : 0;
    for (int t = 0; t < tasks; t++)
        s->urgency[t] = all * (s->plan->width - pinion__task_group(s->plan, &s->plan->tasks[t]));
    PINION_TRY(pinion__simulation_create(s->problem, &s->simulation));
fail:
    return status;
}

static void take_over(search *s, pinion__schedule *schedule)
{
    const size_t tasks = (size_t)s->problem->task_count;
    schedule->placement.ms = pinion__simulation_run(s->simulation, s->best, s->urgency);
    memcpy(schedule->placement.processor, s->best, tasks * sizeof *s->best);
    memcpy(schedule->start_ms, pinion__simulation_starts(s->simulation), tasks * sizeof *schedule->start_ms);
    memcpy(schedule->end_ms, pinion__simulation_ends(s->simulation), tasks * sizeof *schedule->end_ms);
    memcpy(schedule->order, pinion__simulation_order(s->simulation), tasks * sizeof *schedule->order);
}

int pinion__place_towers(const pinion_plan *plan, const pinion__placement_problem *problem, pinion__schedule *schedule)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    search s = {.ctx = ctx, .plan = plan, .problem = problem, .best_ms = (double)INFINITY};
    if (plan->options.mode != PINION_INFER || plan->width < 2)
        return PINION_OK;
    PINION_TRY(prepare(&s));
    memcpy(s.processor, schedule->placement.processor, (size_t)problem->task_count * sizeof *s.processor);
    keep_better(&s);
    for (int way = 0; way < ways_of(&s); way++)
        if (assign(&s, way))
            keep_better(&s);
    if (isfinite(s.best_ms))
        take_over(&s, schedule);
fail:
    pinion__simulation_destroy(s.simulation);
    pinion__release(ctx, s.urgency);
    pinion__release(ctx, s.processor);
    pinion__release(ctx, s.best);
    return status;
}
