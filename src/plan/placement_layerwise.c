/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule of paper A, as a baseline: layer by layer in order, all tasks of a unit (a layer and direction) go to the
 * processor with the least sum of their times and of the hand-overs that the choices before bring about. What comes
 * later is not foreseen, and where a storage's next round begins is not known: it is taken to begin on the side that
 * first uses it.
 */
#include "plan/placement_walk.h"

typedef struct choice {
    const pinion__placement_problem *problem;
    int *processor;       /* per task, -1: not chosen yet */
    int *first, *touches; /* storages of task t: touches[first[t] … first[t + 1] - 1] */
    int *seen;            /* per storage: 1 + the last round in which it was counted */
    int round;
} choice;

static int index_uses(choice *c)
{
    const pinion__placement_problem *problem = c->problem;
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    size_t tasks = (size_t)problem->task_count, uses = 0;
    for (int s = 0; s < problem->storage_count; s++)
        uses += (size_t)problem->storages[s].use_count;
    PINION_TRY(pinion__alloc_zeroed(ctx, tasks + 2, sizeof *c->first, "a placement", &c->first));
    PINION_TRY(pinion__alloc_zeroed(ctx, uses + 1, sizeof *c->touches, "a placement", &c->touches));
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)problem->storage_count + 1, sizeof *c->seen, "a placement", &c->seen));
    for (int s = 0; s < problem->storage_count; s++)
        for (int i = 0; i < problem->storages[s].use_count; i++)
            c->first[problem->uses[problem->storages[s].first_use + i].task + 2]++;
    for (size_t t = 2; t < tasks + 2; t++)
        c->first[t] += c->first[t - 1];
    /* first[t + 1] is where the next storage of t goes; when all are placed it is where those of t + 1 begin. */
    for (int s = 0; s < problem->storage_count; s++)
        for (int i = 0; i < problem->storages[s].use_count; i++)
            c->touches[c->first[problem->uses[problem->storages[s].first_use + i].task + 1]++] = s;
fail:
    return status;
}

/* Hand-overs of a storage between the tasks that have a processor. */
static double walk_chosen(const choice *c, const pinion__placement_storage *storage)
{
    const pinion__placement_problem *problem = c->problem;
    bool begun = storage->host_home;
    enum pinion__holder holder = PINION__HELD_BY_HOST;
    double sum = 0;
    for (int i = 0; i < storage->use_count; i++) {
        const pinion__placement_use *use = &problem->uses[storage->first_use + i];
        if (c->processor[use->task] < 0)
            continue;
        bool device = problem->device[c->processor[use->task]];
        if (!begun)
            holder = device ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_HOST;
        begun = true;
        sum += pinion__placement_step(problem, storage->bytes, use, device, &holder) *
               pinion__placement_times(problem, use->task);
    }
    return sum;
}

static bool together(const pinion__placement_problem *problem, int a, int b)
{
    return a == b || (problem->unit && problem->unit[a] >= 0 && problem->unit[a] == problem->unit[b]);
}

/* Puts the unit of task `leader` onto `processor`, but for tasks that cannot run there: these go where they are
 * fastest. What that costs. */
static double put(choice *c, int leader, int processor)
{
    const pinion__placement_problem *problem = c->problem;
    double sum = 0;
    c->round++;
    for (int t = leader; t < problem->task_count; t++) {
        if (!together(problem, leader, t))
            continue;
        bool can = isfinite(pinion__placement_ms(problem, t, processor));
        c->processor[t] = can ? processor : pinion__placement_fastest(problem, t);
        sum += pinion__placement_ms(problem, t, c->processor[t]) * pinion__placement_times(problem, t);
    }
    for (int t = leader; t < problem->task_count; t++)
        for (int i = c->first[t]; together(problem, leader, t) && i < c->first[t + 1]; i++) {
            if (c->seen[c->touches[i]] == c->round)
                continue;
            c->seen[c->touches[i]] = c->round;
            sum += walk_chosen(c, &problem->storages[c->touches[i]]);
        }
    return sum;
}

int pinion__place_layerwise(const pinion__placement_problem *problem, pinion__placement *out)
{
    pinion_context *ctx = problem->ctx;
    int status = PINION_OK;
    choice c = {.problem = problem};
    PINION_TRY(pinion__placement_init(problem, out));
    c.processor = out->processor;
    PINION_TRY(index_uses(&c));
    for (int t = 0; t < problem->task_count; t++)
        c.processor[t] = -1;
    for (int t = 0; t < problem->task_count; t++) {
        if (c.processor[t] >= 0)
            continue;
        double least = HUGE_VAL;
        int best = 0;
        for (int p = 0; p < problem->processor_count; p++) {
            double ms = put(&c, t, p);
            if (ms < least) {
                least = ms;
                best = p;
            }
        }
        (void)put(&c, t, best);
    }
    out->ms = pinion__placement_cost(problem, out->processor);
fail:
    pinion__release(ctx, c.first);
    pinion__release(ctx, c.touches);
    pinion__release(ctx, c.seen);
    return status;
}
