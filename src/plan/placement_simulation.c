/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated step. A processor is idle, works on a task, makes the hand-overs that stand before a task (its own or
 * that of a processor outside the domain, which is held meanwhile), or brings storages home. Events are the ends of
 * these. Starts are in the order in which they are decided.
 */
#include "plan/placement_simulation.h"

#include "plan/placement_pace.h"
#include "plan/placement_stocks.h"
#include "plan/placement_walk.h"

#include <string.h>

enum activity { IDLE, HANDING_OVER, WORKING, GOING_HOME };

typedef struct lane {
    enum activity activity;
    bool held; /* its next task waits for hand-overs that another processor makes */
    int task;
    double pending_ms; /* of storages that wait to go home */
} lane;

struct pinion__simulation {
    const pinion__placement_problem *problem;
    pinion__placement_graph graph;
    pinion__stocks stocks;
    lane *lanes;
    pinion__pace *paces;     /* of lanes that are not idle */
    int domain;              /* the first processor of the domain, -1: none */
    int *waiting;            /* per task: predecessors that are not done */
    int *ready, ready_count; /* tasks, by falling priority */
    double *priority, *start, *end;
    int *order, started;
    const int *processor; /* of this run */
    double now;
    int run_end, left; /* of the run of tasks: where it ends, how many are not done */
};

static bool is_free(const pinion__simulation *sim, int p)
{
    const uint32_t rivals = sim->problem->rivals ? sim->problem->rivals[p] : 0;
    if (sim->lanes[p].activity != IDLE || sim->lanes[p].held)
        return false;
    for (int q = 0; q < sim->problem->processor_count; q++)
        if ((rivals >> q & 1) && (sim->lanes[q].activity != IDLE || sim->lanes[q].held))
            return false;
    return true;
}

static void make_ready(pinion__simulation *sim, int task)
{
    int at = sim->ready_count++;
    for (; at > 0; at--) {
        int other = sim->ready[at - 1];
        if (other < task ? sim->priority[other] >= sim->priority[task] : sim->priority[other] > sim->priority[task])
            break;
        sim->ready[at] = other;
    }
    sim->ready[at] = task;
}

static void begin_work(pinion__simulation *sim, int task)
{
    const int p = sim->processor[task];
    const int work_class = sim->problem->work_class ? sim->problem->work_class[task] : 0;
    sim->lanes[p].activity = WORKING;
    sim->lanes[p].held = false;
    sim->lanes[p].task = task;
    sim->paces[p] = pinion__pace_begin(sim->now, pinion__placement_ms(sim->problem, task, p), work_class);
}

static bool try_start(pinion__simulation *sim, int task)
{
    const int p = sim->processor[task];
    const bool device = sim->problem->device[p];
    const int by = device ? p : sim->domain;
    double ms = 0;
    if (!is_free(sim, p))
        return false;
    int hand_overs = pinion__stocks_look(&sim->stocks, task, device, &ms);
    if (hand_overs < 0 || (hand_overs > 0 && by != p && !is_free(sim, by)))
        return false;
    sim->start[task] = sim->now;
    sim->order[sim->started++] = task;
    pinion__stocks_take(&sim->stocks, task, device);
    if (hand_overs == 0) {
        begin_work(sim, task);
        return true;
    }
    sim->lanes[by].activity = HANDING_OVER;
    sim->lanes[by].task = task;
    sim->paces[by] = pinion__pace_begin(sim->now, ms, PINION__NO_TASK);
    sim->lanes[p].held = by != p;
    return true;
}

static void start_all(pinion__simulation *sim)
{
    for (int p = 0; p < sim->problem->processor_count; p++) {
        lane *at = &sim->lanes[p];
        if (at->pending_ms <= 0 || !is_free(sim, p))
            continue;
        at->activity = GOING_HOME;
        sim->paces[p] = pinion__pace_begin(sim->now, at->pending_ms, PINION__NO_TASK);
        at->pending_ms = 0;
    }
    int kept = 0;
    for (int i = 0; i < sim->ready_count; i++)
        if (!try_start(sim, sim->ready[i]))
            sim->ready[kept++] = sim->ready[i];
    sim->ready_count = kept;
}

static void end_task(pinion__simulation *sim, int task)
{
    const pinion__placement_graph *graph = &sim->graph;
    const int p = sim->processor[task];
    const bool device = sim->problem->device[p];
    sim->end[task] = sim->now;
    sim->left--;
    double ms = pinion__stocks_let_go(&sim->stocks, task, device);
    if (ms > 0)
        sim->lanes[device ? p : sim->domain].pending_ms += ms;
    for (int i = graph->first_successor[task]; i < graph->first_successor[task + 1]; i++)
        if (--sim->waiting[graph->successors[i]] == 0 && graph->successors[i] < sim->run_end)
            make_ready(sim, graph->successors[i]);
}

/* To the next end. False: nothing is going on. */
static bool advance(pinion__simulation *sim)
{
    double next = HUGE_VAL;
    for (int p = 0; p < sim->problem->processor_count; p++)
        if (sim->lanes[p].activity != IDLE)
            next = fmin(next, sim->paces[p].end);
    if (isinf(next))
        return false;
    sim->now = next;
    for (int p = 0; p < sim->problem->processor_count; p++) {
        lane *at = &sim->lanes[p];
        const enum activity ended = at->activity;
        if (ended == IDLE || sim->paces[p].end > next)
            continue;
        at->activity = IDLE;
        sim->paces[p].work_class = PINION__NO_TASK;
        if (ended == WORKING)
            end_task(sim, at->task);
        if (ended == HANDING_OVER) {
            pinion__stocks_arrive(&sim->stocks, at->task);
            begin_work(sim, at->task);
        }
    }
    return true;
}

static void set_priorities(pinion__simulation *sim, const double *urgency_ms)
{
    const pinion__placement_graph *graph = &sim->graph;
    for (int t = graph->task_count - 1; t >= 0; t--) {
        double longest = 0;
        for (int i = graph->first_successor[t]; i < graph->first_successor[t + 1]; i++)
            longest = fmax(longest, sim->priority[graph->successors[i]]);
        sim->priority[t] = longest + pinion__placement_ms(sim->problem, t, sim->processor[t]);
    }
    for (int t = 0; t < graph->task_count && urgency_ms; t++)
        sim->priority[t] += urgency_ms[t];
}

static void reset(pinion__simulation *sim)
{
    const size_t tasks = (size_t)sim->problem->task_count;
    memcpy(sim->waiting, sim->graph.predecessor_count, tasks * sizeof *sim->waiting);
    for (int p = 0; p < sim->problem->processor_count; p++) {
        sim->lanes[p] = (lane){0};
        sim->paces[p] = (pinion__pace){.work_class = PINION__NO_TASK};
    }
    pinion__stocks_reset(&sim->stocks);
    sim->ready_count = sim->started = 0;
    sim->now = 0;
}

static double simulate(pinion__simulation *sim)
{
    double sum = 0;
    reset(sim);
    for (int t = 0; t < sim->problem->task_count; t = sim->run_end) {
        const double begin = sim->now;
        sim->run_end = sim->graph.run_end[t];
        sim->left = sim->run_end - t;
        for (int i = t; i < sim->run_end; i++)
            if (sim->waiting[i] == 0)
                make_ready(sim, i);
        do {
            start_all(sim);
            pinion__paces_set(sim->paces, sim->problem->processor_count, sim->problem->slowdown, sim->now);
        } while (advance(sim));
        assert(sim->left == 0);
        sum += (sim->now - begin) * pinion__placement_times(sim->problem, t);
    }
    return sum;
}

enum { HOME_ROUNDS = 4 };

double pinion__simulation_run(pinion__simulation *sim, const int *processor, const double *urgency_ms)
{
    sim->processor = processor;
    set_priorities(sim, urgency_ms);
    pinion__stocks_find_homes(&sim->stocks, processor);
    for (int round = 0; round < HOME_ROUNDS; round++) {
        double ms = simulate(sim);
        if (pinion__stocks_correct_homes(&sim->stocks, processor) == 0)
            return ms;
    }
    return HUGE_VAL;
}

double pinion__simulation_run_serially(pinion__simulation *sim, const int *processor)
{
    double sum = 0;
    sim->processor = processor;
    pinion__stocks_find_homes(&sim->stocks, processor);
    reset(sim);
    for (int t = 0; t < sim->problem->task_count; t++) {
        const double begin = sim->now;
        double hand_overs = 0;
        const bool device = sim->problem->device[processor[t]];
        (void)pinion__stocks_look(&sim->stocks, t, device, &hand_overs);
        sim->start[t] = begin;
        sim->order[t] = t;
        sim->run_end = 0; /* nothing becomes ready */
        pinion__stocks_take(&sim->stocks, t, device);
        pinion__stocks_arrive(&sim->stocks, t);
        sim->now += hand_overs + pinion__placement_ms(sim->problem, t, processor[t]);
        end_task(sim, t);
        for (int p = 0; p < sim->problem->processor_count; p++) {
            sim->now += sim->lanes[p].pending_ms;
            sim->lanes[p].pending_ms = 0;
        }
        sum += (sim->now - begin) * pinion__placement_times(sim->problem, t);
    }
    return sum;
}

const double *pinion__simulation_starts(const pinion__simulation *sim)
{
    return sim->start;
}

const double *pinion__simulation_ends(const pinion__simulation *sim)
{
    return sim->end;
}

const int *pinion__simulation_order(const pinion__simulation *sim)
{
    return sim->order;
}

static int find_domain(const pinion__placement_problem *problem)
{
    for (int p = 0; p < problem->processor_count; p++)
        if (problem->device[p])
            return p;
    return -1;
}

int pinion__simulation_create(const pinion__placement_problem *problem, pinion__simulation **out)
{
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    const size_t tasks = (size_t)problem->task_count + 1;
    pinion__simulation *sim = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *sim, "a placement", &sim));
    sim->problem = problem;
    sim->domain = find_domain(problem);
    PINION_TRY(pinion__placement_graph_init(problem, &sim->graph));
    PINION_TRY(pinion__stocks_init(problem, &sim->graph, &sim->stocks));
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)problem->processor_count + 1, sizeof *sim->lanes, "a placement",
                                    &sim->lanes));
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)problem->processor_count + 1, sizeof *sim->paces, "a placement",
                                    &sim->paces));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *sim->waiting, "a placement", &sim->waiting));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *sim->ready, "a placement", &sim->ready));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *sim->priority, "a placement", &sim->priority));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *sim->start, "a placement", &sim->start));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *sim->end, "a placement", &sim->end));
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks, sizeof *sim->order, "a placement", &sim->order));
    *out = sim;
    return PINION_OK;
fail:
    pinion__simulation_destroy(sim);
    return status;
}

void pinion__simulation_destroy(pinion__simulation *sim)
{
    if (!sim)
        return;
    pinion_context *ctx = sim->problem->ctx;
    pinion__placement_graph_fini(&sim->graph);
    pinion__stocks_fini(&sim->stocks);
    pinion__release(ctx, sim->lanes);
    pinion__release(ctx, sim->paces);
    pinion__release(ctx, sim->waiting);
    pinion__release(ctx, sim->ready);
    pinion__release(ctx, sim->priority);
    pinion__release(ctx, sim->start);
    pinion__release(ctx, sim->end);
    pinion__release(ctx, sim->order);
    pinion__release(ctx, sim);
}
