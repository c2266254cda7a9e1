/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking a plan as the executor does (plan/timeline.h). A serial plan is a sum. In a concurrent one a processor that
 * is free takes the first task in the plan's order that is ready and whose rivals (processors on the same cores) are
 * idle; tasks that run at once slow each other as they do in the search for the plan (placement_pace.h).
 */
#include "plan/timeline.h"

#include "plan/candidates.h"
#include "plan/co_run.h"
#include "plan/placement_pace.h"

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
    bool *begun, *done;
    double *slowdown;                           /* pinion__co_run_factors */
    int busy[PINION__MAX_PROCESSORS];           /* with that task; -1: idle */
    pinion__pace paces[PINION__MAX_PROCESSORS]; /* of those that are busy */
    double now;
} walk;

static bool may_start(const walk *w, int t)
{
    const pinion_plan *plan = w->plan;
    const pinion__task *task = &plan->tasks[t];
    if (w->begun[t])
        return false;
    for (int p = 0; p < plan->processor_count; p++)
        if (w->busy[p] >= 0 && (p == task->processor ||
                                pinion__processors_share_cores(plan->processors[p], plan->processors[task->processor])))
            return false;
    for (int i = 0; i < task->after_count; i++)
        if (!w->done[task->after[i]])
            return false;
    return true;
}

static void start_all(walk *w)
{
    for (int t = 0; t < (int)w->plan->task_count; t++) {
        const pinion__task *task = &w->plan->tasks[t];
        if (!may_start(w, t))
            continue;
        w->begun[t] = true;
        w->start[t] = w->now;
        w->busy[task->processor] = t;
        w->paces[task->processor] =
            pinion__pace_begin(w->now, t < w->plan->prologue ? 0 : pinion__timeline_ms(w->plan, task),
                               task->hand_over.present ? PINION__NO_TASK : (int)pinion__work_class_of(w->plan, task));
    }
}

/* To the next end. False: nothing is going on. */
static bool advance(walk *w)
{
    double next = (double)INFINITY;
    for (int p = 0; p < w->plan->processor_count; p++)
        if (w->busy[p] >= 0)
            next = fmin(next, w->paces[p].end);
    for (int p = 0; p < w->plan->processor_count; p++) {
        const int task = w->busy[p];
        if (task < 0 || w->paces[p].end > next)
            continue;
        w->end[task] = next;
        w->done[task] = true;
        w->busy[p] = -1;
        w->paces[p].work_class = PINION__NO_TASK;
    }
    w->now = next;
    return isfinite(next);
}

static void walk_at_once(walk *w)
{
    for (int p = 0; p < PINION__MAX_PROCESSORS; p++) {
        w->busy[p] = -1;
        w->paces[p].work_class = PINION__NO_TASK;
    }
    do {
        start_all(w);
        pinion__paces_set(w->paces, w->plan->processor_count, w->slowdown, w->now);
    } while (advance(w));
}

int pinion__timeline(const pinion_plan *plan, double *start, double *end, double *total)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    size_t count = plan->task_count;
    double *block = NULL, sum = 0, last = 0;
    walk w = {.plan = plan};
    size_t factors = PINION__WORK_CLASSES * (size_t)plan->processor_count * (size_t)plan->processor_count;
    PINION_TRY(pinion__alloc(ctx, 2 * count + factors, sizeof *block, "a timeline", &block));
    PINION_TRY(pinion__alloc_zeroed(ctx, 2 * count + 1, sizeof *w.begun, "a timeline", &w.begun));
    w.start = block, w.end = block + count, w.slowdown = block + 2 * count;
    w.done = w.begun + count;
    pinion__co_run_factors(plan, w.slowdown);
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
