/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking a plan as the executor does (plan/timeline.h). A serial plan is a sum. In a concurrent one a processor that
 * is free takes the first task in the plan's order that is ready and whose rivals (processors on the same cores) are
 * idle.
 */
#include "plan/timeline.h"

#include "plan/candidates.h"

#include <math.h>
#include <string.h>

double pinion__timeline_ms(const pinion_plan *plan, const pinion__task *task)
{
    const pinion__task_hand_over *over = &task->hand_over;
    if (!over->present)
        return pinion__candidates_ms(plan, task);
    const size_t bytes = over->contents || !plan->hand_over_costs.copies ? plan->storages[over->storage].bytes : 0;
    return pinion__hand_over_ms(&plan->hand_over_costs, over->from, over->to, bytes);
}

static int times_of(const pinion_plan *plan, int t)
{
    return t < plan->prologue ? 0 : t < plan->part_end ? plan->micro_batches : 1;
}

static void walk_serially(const pinion_plan *plan, double *start, double *end)
{
    double now = 0;
    for (int t = 0; t < (int)plan->task_count; t++) {
        start[t] = now;
        now += t < plan->prologue ? 0 : pinion__timeline_ms(plan, &plan->tasks[t]);
        end[t] = now;
    }
}

typedef struct walk {
    const pinion_plan *plan;
    double *start, *end;
    bool *begun;
    double until[PINION__MAX_PROCESSORS]; /* the processor is busy */
} walk;

/* When task t, not begun, could start as things stand; INFINITY: one before it has not begun. */
static double ready_at(const walk *w, int t)
{
    const pinion__task *task = &w->plan->tasks[t];
    double at = w->until[task->processor];
    for (int i = 0; i < task->after_count; i++)
        at = w->begun[task->after[i]] ? fmax(at, w->end[task->after[i]]) : (double)INFINITY;
    for (int p = 0; p < w->plan->processor_count; p++)
        if (p != task->processor &&
            pinion__processors_share_cores(w->plan->processors[p], w->plan->processors[task->processor]))
            at = fmax(at, w->until[p]);
    return at;
}

/* The task that starts next: the earliest, among equals the first in order. */
static int find_next(const walk *w, double *at)
{
    int next = -1;
    *at = (double)INFINITY;
    for (int t = 0; t < (int)w->plan->task_count; t++) {
        double ready = w->begun[t] ? (double)INFINITY : ready_at(w, t);
        if (ready < *at) {
            *at = ready;
            next = t;
        }
    }
    return next;
}

static void walk_at_once(walk *w)
{
    double at;
    for (int t = find_next(w, &at); t >= 0; t = find_next(w, &at)) {
        w->begun[t] = true;
        w->start[t] = at;
        w->end[t] = at + (t < w->plan->prologue ? 0 : pinion__timeline_ms(w->plan, &w->plan->tasks[t]));
        w->until[w->plan->tasks[t].processor] = w->end[t];
    }
}

int pinion__timeline(const pinion_plan *plan, double *start, double *end, double *total)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    size_t count = plan->task_count;
    double *block = NULL, sum = 0, last = 0;
    walk w = {.plan = plan};
    PINION_TRY(pinion__alloc(ctx, 2 * count + 1, sizeof *block, "a timeline", &block));
    PINION_TRY(pinion__alloc_zeroed(ctx, count + 1, sizeof *w.begun, "a timeline", &w.begun));
    w.start = block, w.end = block + count;
    for (int t = 0; t < (int)count; t++) {
        double ms = t < plan->prologue ? 0 : pinion__timeline_ms(plan, &plan->tasks[t]);
        sum += times_of(plan, t) * ms;
    }
    if (plan->serial || isnan(sum))
        walk_serially(plan, w.start, w.end);
    else
        walk_at_once(&w);
    for (size_t t = 0; t < count; t++)
        last = fmax(last, w.end[t]);
    if (total)
        *total = plan->serial || isnan(sum) ? sum : last;
    if (start)
        memcpy(start, w.start, count * sizeof *start);
    if (end)
        memcpy(end, w.end, count * sizeof *end);
fail:
    pinion__release(ctx, block);
    pinion__release(ctx, w.begun);
    return status;
}
