/* SPDX-License-Identifier: Apache-2.0
 *
 * Placing the tasks of a plan (plan/place.h). A plan of one processor has nothing to place. `auto` takes the best
 * predicted of serial and concurrent; where the exact method cannot do a network, the best of the simpler ways stands
 * in for it. `unsliced` is `concurrent` here: only cut.c, which comes later, tells them apart.
 */
#include "plan/place.h"

#include "plan/build.h"
#include "plan/place_towers.h"
#include "plan/problem.h"

#include <math.h>
#include <string.h>

enum way { AUTO, SERIAL, CONCURRENT, UNSLICED, GREEDY, LAYERWISE, WAYS };

static const char *const way_names[WAYS] = {"auto", "serial", "concurrent", "unsliced", "greedy", "layerwise"};

static int find_way(const char *place)
{
    int way = 0;
    while (way < WAYS && strcmp(place ? place : "auto", way_names[way]) != 0)
        way++;
    return way;
}

static int find_processor(const char *name, pinion__processor *const *processors, int count)
{
    for (int p = 0; p < count; p++)
        if (strcmp(processors[p]->name, name) == 0)
            return p;
    return -1;
}

bool pinion__place_is_way(const char *place, pinion__processor *const *processors, int count)
{
    return !place || find_way(place) < WAYS || find_processor(place, processors, count) >= 0;
}

/* What is tried, and the best of it so far. */
typedef struct trial {
    pinion_context *ctx;
    pinion_plan *plan;
    pinion__problem problem;
    pinion__placement serial; /* the best of one task at a time that was tried and allowed */
    double single_ms;         /* the best of one processor for all tasks that was tried and allowed */
    pinion__schedule schedule;
    bool scheduled;
} trial;

/* Times of tasks are known to some per cent, and what tasks leave in the caches of one core is not there for those on
 * another: tasks leave the best single processor for more than this share of the step. */
static const double worth = 0.05;

/* Keeps a placement where it is the best. Those for one processor come first. */
static void take(trial *t, pinion__placement *found, bool single)
{
    double least = single || !isfinite(t->single_ms) ? t->serial.ms : fmin(t->serial.ms, (1 - worth) * t->single_ms);
    if (single)
        t->single_ms = fmin(t->single_ms, found->ms);
    if (!t->serial.processor || found->ms < least) {
        pinion__placement_fini(t->ctx, &t->serial);
        t->serial = *found;
    } else {
        pinion__placement_fini(t->ctx, found);
    }
    memset(found, 0, sizeof *found);
}

/* One way; *ms stays NaN where it is not possible. */
static int try_way(trial *t, int (*place)(const pinion__placement_problem *problem, pinion__placement *out),
                   bool wanted, double *ms)
{
    pinion_context *ctx = t->ctx;
    pinion__placement found = {0};
    int status = place(&t->problem.of, &found);
    if (status == PINION_OK) {
        *ms = found.ms;
        if (wanted)
            take(t, &found, false);
    }
    pinion__placement_fini(ctx, &found);
    return status == PINION_EUNSUPPORTED ? PINION_OK : status;
}

static int try_single(trial *t, int processor, bool wanted, double *ms)
{
    pinion__placement found = {0};
    int status = pinion__place_single(&t->problem.of, processor, &found);
    if (status == PINION_OK) {
        *ms = found.ms;
        if (wanted)
            take(t, &found, true);
    }
    pinion__placement_fini(t->ctx, &found);
    return status == PINION_EUNSUPPORTED ? PINION_OK : status;
}

static int try_concurrent(trial *t)
{
    pinion_context *ctx = t->ctx;
    int status = PINION_OK;
    status = pinion__place_concurrent(&t->problem.of, &t->schedule);
    if (status == PINION_EUNSUPPORTED)
        return PINION_OK;
    PINION_TRY(status);
    PINION_TRY(pinion__place_towers(t->plan, &t->problem.of, &t->schedule));
    t->plan->comparison.concurrent_ms = t->schedule.placement.ms;
    if (t->plan->cut.count == 0)
        t->plan->comparison.uncut_ms = t->schedule.placement.ms;
    t->scheduled = true;
fail:
    return status;
}

/* Tries the ways that are wanted, and those that are only compared. */
static int try_all(trial *t, enum way way, int single)
{
    pinion_context *ctx = t->ctx;
    pinion_plan *plan = t->plan;
    pinion__comparison *compared = &plan->comparison;
    int status = PINION_OK;
    bool exact = single < 0 && (way == AUTO || way == SERIAL || way == CONCURRENT);
    for (int p = 0; p < plan->processor_count; p++)
        PINION_TRY(try_single(t, p, exact || single == p, &compared->single_ms[p]));
    PINION_TRY(try_way(t, pinion__place_greedy, single < 0 && (exact || way == GREEDY), &compared->greedy_ms));
    PINION_TRY(try_way(t, pinion__place_layerwise, single < 0 && (exact || way == LAYERWISE), &compared->layerwise_ms));
    PINION_TRY(try_way(t, pinion__place_serial, exact, &compared->serial_ms));
    /* Parts of a batch run one after the other, and updates behind all of them. */
    if (plan->micro_batches == 1 && (plan->options.compare || (single < 0 && (way == AUTO || way == CONCURRENT))))
        PINION_TRY(try_concurrent(t));
    /* With one micro-batch a batch may be cut between processors (cut.h). */
    compared->bound_ms = plan->micro_batches == 1 ? pinion__placement_cut_bound(&t->problem.of)
                                                  : pinion__placement_bound(&t->problem.of, false);
    compared->serial_bound_ms = pinion__placement_bound(&t->problem.of, true);
fail:
    return status;
}

/* Brings the tasks into the schedule's order. */
static int follow_schedule(trial *t)
{
    pinion_context *ctx = t->ctx;
    pinion_plan *plan = t->plan;
    int status = PINION_OK, gate = plan->gate;
    pinion__task *tasks = NULL;
    int *place_of = NULL;
    PINION_TRY(pinion__alloc(ctx, plan->task_count, sizeof *tasks, "tasks of a plan", &tasks));
    PINION_TRY(pinion__alloc(ctx, plan->task_count, sizeof *place_of, "tasks of a plan", &place_of));
    for (int i = 0; i < (int)plan->task_count; i++) {
        int from = t->schedule.order[i];
        tasks[i] = plan->tasks[from];
        tasks[i].processor = t->schedule.placement.processor[from];
        tasks[i].start_ms = t->schedule.start_ms[from];
        tasks[i].end_ms = t->schedule.end_ms[from];
        place_of[from] = i;
    }
    for (size_t r = 0; r < plan->record_count; r++)
        plan->records[r].task = place_of[plan->records[r].task];
    plan->gate = gate < 0 ? gate : place_of[gate];
    memcpy(plan->tasks, tasks, plan->task_count * sizeof *tasks);
fail:
    pinion__release(ctx, tasks);
    pinion__release(ctx, place_of);
    return status;
}

/* Where no time is known, predictions mean nothing. */
static void forget(pinion__comparison *compared)
{
    for (int p = 0; p < PINION__MAX_PROCESSORS; p++)
        compared->single_ms[p] = (double)NAN;
    compared->greedy_ms = compared->layerwise_ms = compared->serial_ms = compared->concurrent_ms = (double)NAN;
    compared->uncut_ms = (double)NAN;
    compared->bound_ms = compared->serial_bound_ms = (double)NAN;
}

/* A processor that failed when it was measured can run nothing. */
static int check_possible(const trial *t)
{
    pinion_context *ctx = t->ctx;
    int status = PINION_OK;
    const pinion__placement_problem *problem = &t->problem.of;
    for (int i = 0; i < problem->task_count; i++) {
        bool possible = false;
        for (int p = 0; p < problem->processor_count; p++)
            possible = possible || isfinite(problem->ms[i * problem->processor_count + p]);
        PINION_FAIL_IF(!possible, PINION_EUNSUPPORTED, "layer '%s': no processor that works has a kernel for %s %s",
                       pinion__task_layer_name(t->plan, &t->plan->tasks[i]), t->plan->tasks[i].op->name,
                       pinion__pass_name(t->plan->tasks[i].pass));
    }
fail:
    return status;
}

static int choose(trial *t, enum way way, int single)
{
    pinion_context *ctx = t->ctx;
    pinion_plan *plan = t->plan;
    int status = PINION_OK;
    bool concurrent = single < 0 && t->scheduled &&
                      (way == CONCURRENT ||
                       (way == AUTO && t->schedule.placement.ms < fmin(t->serial.ms, (1 - worth) * t->single_ms)));
    PINION_FAIL_IF(single >= 0 && !t->serial.processor, PINION_EUNSUPPORTED,
                   "place '%s': processor '%s' has no kernel for some task of network '%s'", plan->place,
                   plan->processors[single]->name, plan->network->name);
    PINION_FAIL_IF(!t->serial.processor && !concurrent, PINION_EUNSUPPORTED,
                   "place '%s': network '%s' cannot be placed that way", plan->place ? plan->place : "auto",
                   plan->network->name);
    plan->serial = !concurrent;
    if (concurrent)
        PINION_TRY(follow_schedule(t));
    else
        for (int i = 0; i < (int)plan->task_count; i++)
            plan->tasks[i].processor = t->serial.processor[i];
fail:
    return status;
}

int pinion__plan_place(pinion_plan *plan, bool given)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    trial t = {.ctx = ctx, .plan = plan, .single_ms = (double)INFINITY};
    enum way way = plan->cut.count ? CONCURRENT : (enum way)find_way(plan->place);
    forget(&plan->comparison);
    plan->serial = plan->cut.count == 0;
    if (plan->processor_count == 1)
        return PINION_OK;
    int single = plan->place ? find_processor(plan->place, plan->processors, plan->processor_count) : -1;
    PINION_TRY(pinion__problem_build(plan, &t.problem));
    PINION_TRY(check_possible(&t));
    way = way == WAYS ? AUTO : way == UNSLICED ? CONCURRENT : way;
    if (!given || t.problem.known)
        PINION_TRY(try_all(&t, way, single));
    if (!given)
        PINION_TRY(choose(&t, way, single));
    if (!t.problem.known)
        forget(&plan->comparison);
fail:
    pinion__placement_fini(ctx, &t.serial);
    pinion__schedule_fini(ctx, &t.schedule);
    pinion__problem_fini(ctx, &t.problem);
    return status;
}
