/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds which storage while a step is simulated.
 */
#include "plan/placement_stocks.h"
#include "plan/placement_walk.h"

static int count_run(const pinion__placement_problem *problem, const pinion__placement_storage *storage, int from)
{
    int count = 0;
    while (from + count < storage->use_count && !pinion__placement_returns(problem, storage, from + count))
        count++;
    return from + count < storage->use_count ? count + 1 : count;
}

void pinion__stocks_find_homes(pinion__stocks *stocks, const int *processor)
{
    for (int s = 0; s < stocks->problem->storage_count; s++) {
        pinion__stock *of = &stocks->at[s];
        of->home = of->natural = pinion__placement_home(stocks->problem, s, processor, NULL);
    }
}

int pinion__stocks_correct_homes(pinion__stocks *stocks, const int *processor)
{
    int changed = 0;
    for (int s = 0; s < stocks->problem->storage_count; s++) {
        pinion__stock *of = &stocks->at[s];
        enum pinion__holder home =
            of->permuted ? pinion__placement_home(&stocks->permuted, s, processor, NULL) : of->natural;
        changed += home != of->home;
        of->home = home;
    }
    return changed;
}

void pinion__stocks_reset(pinion__stocks *stocks)
{
    for (int s = 0; s < stocks->problem->storage_count; s++) {
        pinion__stock *of = &stocks->at[s];
        *of = (pinion__stock){.holder = of->home,
                              .home = of->home,
                              .natural = of->natural,
                              .mover = -1,
                              .left = count_run(stocks->problem, &stocks->problem->storages[s], 0)};
    }
}

/* A hand-over takes the storage from a side whose users are still running. */
static bool takes_from_user(const pinion__stock *of, enum pinion__holder to)
{
    bool from_host = of->holder != PINION__HELD_BY_DEVICE && to == PINION__HELD_BY_DEVICE;
    bool from_device = of->holder != PINION__HELD_BY_HOST && to == PINION__HELD_BY_HOST;
    return (from_host && of->running[0] > 0) || (from_device && of->running[1] > 0);
}

int pinion__stocks_look(const pinion__stocks *stocks, int task, bool device, double *ms)
{
    const pinion__placement_graph *graph = stocks->graph;
    int count = 0;
    *ms = 0;
    for (int i = graph->first_use[task]; i < graph->first_use[task + 1]; i++) {
        const int s = graph->storage[graph->uses[i]];
        const pinion__stock *of = &stocks->at[s];
        enum pinion__holder holder = of->holder;
        *ms += pinion__placement_step(stocks->problem, stocks->problem->storages[s].bytes,
                                      &stocks->problem->uses[graph->uses[i]], device, &holder);
        if (of->mover >= 0 || takes_from_user(of, holder))
            return -1;
        count += holder != of->holder;
    }
    return count;
}

static void take_one(pinion__stocks *stocks, int task, bool device, int use)
{
    const int s = stocks->graph->storage[use];
    const pinion__placement_storage *storage = &stocks->problem->storages[s];
    pinion__stock *of = &stocks->at[s];
    const enum pinion__holder from = of->holder;
    (void)pinion__placement_step(stocks->problem, storage->bytes, &stocks->problem->uses[use], device, &of->holder);
    of->mover = of->holder != from ? task : -1;
    of->running[device]++;
    const int place = storage->first_use + of->started++;
    of->permuted = of->permuted || place != use;
    stocks->uses[place] = stocks->problem->uses[use];
}

void pinion__stocks_take(pinion__stocks *stocks, int task, bool device)
{
    for (int i = stocks->graph->first_use[task]; i < stocks->graph->first_use[task + 1]; i++)
        take_one(stocks, task, device, stocks->graph->uses[i]);
}

void pinion__stocks_arrive(pinion__stocks *stocks, int task)
{
    for (int i = stocks->graph->first_use[task]; i < stocks->graph->first_use[task + 1]; i++) {
        pinion__stock *of = &stocks->at[stocks->graph->storage[stocks->graph->uses[i]]];
        if (of->mover == task)
            of->mover = -1;
    }
}

static double let_go_one(pinion__stocks *stocks, int s, bool device)
{
    const pinion__placement_storage *storage = &stocks->problem->storages[s];
    pinion__stock *of = &stocks->at[s];
    of->running[device]--;
    if (--of->left > 0)
        return 0;
    double ms = pinion__placement_return_ms(stocks->problem, storage, of->holder, of->home);
    of->holder = of->home;
    of->left = count_run(stocks->problem, storage, of->started);
    return ms;
}

double pinion__stocks_let_go(pinion__stocks *stocks, int task, bool device)
{
    double ms = 0;
    for (int i = stocks->graph->first_use[task]; i < stocks->graph->first_use[task + 1]; i++)
        ms += let_go_one(stocks, stocks->graph->storage[stocks->graph->uses[i]], device);
    return ms;
}

int pinion__stocks_init(const pinion__placement_problem *problem, const pinion__placement_graph *graph,
                        pinion__stocks *out)
{
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    *out = (pinion__stocks){.problem = problem, .graph = graph, .permuted = *problem};
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)graph->use_count + 1, sizeof *out->uses, "a placement", &out->uses));
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)problem->storage_count + 1, sizeof *out->at, "a placement", &out->at));
    out->permuted.uses = out->uses;
fail:
    return status;
}

void pinion__stocks_fini(pinion__stocks *stocks)
{
    if (!stocks->problem)
        return;
    pinion__release(stocks->problem->ctx, stocks->uses);
    pinion__release(stocks->problem->ctx, stocks->at);
    *stocks = (pinion__stocks){0};
}
