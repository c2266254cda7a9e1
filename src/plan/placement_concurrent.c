/* SPDX-License-Identifier: Apache-2.0
 *
 * The concurrent placement: the serial optimum and the other rules' placements are simulated with several processors at
 * once, each task started by its priority; the best is improved by moving tasks to other processors, one or some that
 * start one after the other on the same processor, and by changing priorities, as long as the budget of simulations
 * lasts. Moves that make it
 * slower by less than a random threshold, which falls to nothing, are accepted (Dueck and Scheuer, "Threshold
 * accepting", Journal of Computational Physics 90, 1990). Budget and random numbers depend on nothing but the problem,
 * so the same measurements give the same plan.
 */
#include "plan/placement_simulation.h"
#include "plan/placement_walk.h"

#include "base/random.h"

#include <assert.h>
#include <string.h>

/* Simulations: so many of each task's moves, and so many task starts in all. */
enum { MOVES = 1000, STARTS = 8000000 };
#define SLACK 3.0 /* the largest threshold, in steps divided by the number of tasks */

typedef struct trial {
    int *processor;     /* per task */
    double *urgency_ms; /* the same */
    double ms;
} trial;

typedef struct search {
    const pinion__placement_problem *problem;
    pinion__simulation *simulation;
    trial now, next, best;
    int *order; /* of `now` */
    uint64_t drawn;
} search;

void pinion__schedule_fini(pinion_context *ctx, pinion__schedule *schedule)
{
    pinion__placement_fini(ctx, &schedule->placement);
    pinion__release(ctx, schedule->start_ms);
    pinion__release(ctx, schedule->end_ms);
    pinion__release(ctx, schedule->order);
    *schedule = (pinion__schedule){.placement = {.ms = (double)NAN}};
}

static void copy(const search *of, trial *to, const trial *from)
{
    const size_t tasks = (size_t)of->problem->task_count;
    memcpy(to->processor, from->processor, tasks * sizeof *to->processor);
    memcpy(to->urgency_ms, from->urgency_ms, tasks * sizeof *to->urgency_ms);
    to->ms = from->ms;
}

/* Simulates `next`, and goes on from there if it is not slower than that. */
static void try_next(search *of, double slowest_ms)
{
    of->next.ms = pinion__simulation_run(of->simulation, of->next.processor, of->next.urgency_ms);
    if (of->next.ms > slowest_ms || isinf(of->next.ms))
        return;
    copy(of, &of->now, &of->next);
    memcpy(of->order, pinion__simulation_order(of->simulation), (size_t)of->problem->task_count * sizeof *of->order);
    if (of->now.ms < of->best.ms)
        copy(of, &of->best, &of->now);
}

static uint32_t draw(search *of, uint32_t below)
{
    uint32_t out[4];
    pinion__random4(0, PINION__RANDOM_PLACEMENT, 0, of->drawn++, out);
    return (uint32_t)((uint64_t)out[0] * below >> 32);
}

/* Moves the task at `place` of the order, and up to `length` - 1 that follow it on its processor, to another one.
 * False: none of them can run there. */
static bool move(search *of, int place, int length, int to)
{
    const int from = of->now.processor[of->order[place]];
    bool moved = false;
    copy(of, &of->next, &of->now);
    for (int i = place; i < of->problem->task_count && length > 0; i++) {
        int task = of->order[i];
        if (of->now.processor[task] != from)
            continue;
        length--;
        if (to == from || !isfinite(pinion__placement_ms(of->problem, task, to)))
            continue;
        of->next.processor[task] = to;
        moved = true;
    }
    return moved;
}

/* Each task to each other processor, where that gains. */
static void descend(search *of)
{
    for (int place = 0; place < of->problem->task_count; place++)
        for (int p = 0; p < of->problem->processor_count; p++)
            if (move(of, place, 1, p))
                try_next(of, of->now.ms);
}

/* Makes a task more or less urgent than its path says. */
static void hurry(search *of, int task)
{
    copy(of, &of->next, &of->now);
    of->next.urgency_ms[task] = draw(of, 2) ? 0 : of->best.ms * ((double)draw(of, 1 << 16) / (1 << 15) - 1);
}

static void wander(search *of)
{
    const int tasks = of->problem->task_count, processors = of->problem->processor_count;
    const int rounds = tasks < STARTS / MOVES / (tasks + 1) ? MOVES * tasks : STARTS / (tasks + 1);
    for (int i = 0; i < rounds; i++) {
        double left = 1 - (double)i / rounds;
        double threshold = SLACK * of->best.ms / tasks * left * left * draw(of, 1 << 16) / (1 << 16);
        int place = (int)draw(of, (uint32_t)tasks), to = (int)draw(of, (uint32_t)processors);
        int length = 1 << draw(of, 4);
        if (draw(of, 8) == 0)
            hurry(of, place);
        else if (!move(of, place, length, to))
            continue;
        try_next(of, of->now.ms + threshold);
    }
}

/* The other rules' placements; the fastest of one task at a time stays in `serial`. */
static int begin(search *of, pinion__placement *serial)
{
    const pinion__placement_problem *problem = of->problem;
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    pinion__placement start = {0};
    for (int rule = 0; rule < 3 + problem->processor_count; rule++) {
        status = rule == 0   ? pinion__place_serial(problem, &start)
                 : rule == 1 ? pinion__place_greedy(problem, &start)
                 : rule == 2 ? pinion__place_layerwise(problem, &start)
                             : pinion__place_single(problem, rule - 3, &start);
        if (status != PINION_EUNSUPPORTED) {
            PINION_TRY(status);
            memcpy(of->next.processor, start.processor, (size_t)problem->task_count * sizeof *start.processor);
            try_next(of, of->now.ms);
        }
        if (status == PINION_OK && (!serial->processor || start.ms < serial->ms)) {
            pinion__placement_fini(ctx, serial);
            *serial = start;
            start = (pinion__placement){0};
        }
        pinion__placement_fini(ctx, &start);
    }
    status = PINION_OK;
fail:
    pinion__placement_fini(ctx, &start);
    return status;
}

static int init_trial(search *of, trial *out)
{
    pinion_context *ctx = of->problem->ctx;
    int status = PINION_OK;
    const size_t tasks = (size_t)of->problem->task_count + 1;
    out->ms = HUGE_VAL;
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *out->processor, "a placement", &out->processor));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *out->urgency_ms, "a placement", &out->urgency_ms));
fail:
    return status;
}

static void fini_trial(search *of, trial *at)
{
    pinion__release(of->problem->ctx, at->processor);
    pinion__release(of->problem->ctx, at->urgency_ms);
}

static int init(search *of, pinion__schedule *out)
{
    pinion_context *ctx = of->problem->ctx;
    int status = PINION_OK;
    const size_t tasks = (size_t)of->problem->task_count + 1;
    *out = (pinion__schedule){.placement = {.ms = (double)NAN}};
    PINION_TRY(pinion__placement_init(of->problem, &out->placement));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *out->start_ms, "a placement", &out->start_ms));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *out->end_ms, "a placement", &out->end_ms));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *out->order, "a placement", &out->order));
    PINION_TRY(init_trial(of, &of->now));
    PINION_TRY(init_trial(of, &of->next));
    PINION_TRY(init_trial(of, &of->best));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *of->order, "a placement", &of->order));
    PINION_TRY(pinion__simulation_create(of->problem, &of->simulation));
fail:
    return status;
}

/* The best simulated step, or that of one task at a time where nothing is gained. */
static void report(search *of, const pinion__placement *serial, pinion__schedule *out)
{
    const size_t tasks = (size_t)of->problem->task_count;
    const bool gains = of->best.ms < serial->ms * (1 - 1e-9);
    int *processor = out->placement.processor;
    assert(gains || serial->processor);
    memcpy(processor, gains ? of->best.processor : serial->processor, tasks * sizeof *processor);
    out->placement.ms = gains ? pinion__simulation_run(of->simulation, processor, of->best.urgency_ms)
                              : pinion__simulation_run_serially(of->simulation, processor);
    memcpy(out->start_ms, pinion__simulation_starts(of->simulation), tasks * sizeof *out->start_ms);
    memcpy(out->end_ms, pinion__simulation_ends(of->simulation), tasks * sizeof *out->end_ms);
    memcpy(out->order, pinion__simulation_order(of->simulation), tasks * sizeof *out->order);
}

int pinion__place_concurrent(const pinion__placement_problem *problem, pinion__schedule *out)
{
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    search of = {.problem = problem};
    pinion__placement serial = {0};
    PINION_TRY(init(&of, out));
    PINION_TRY(begin(&of, &serial));
    if (isfinite(of.best.ms) && problem->processor_count > 1) {
        descend(&of);
        wander(&of);
    }
    report(&of, &serial, out);
fail:
    pinion__placement_fini(ctx, &serial);
    pinion__simulation_destroy(of.simulation);
    fini_trial(&of, &of.now);
    fini_trial(&of, &of.next);
    fini_trial(&of, &of.best);
    pinion__release(ctx, of.order);
    return status;
}
