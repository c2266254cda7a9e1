/* SPDX-License-Identifier: Apache-2.0
 *
 * How a storage goes through its uses: what all parts of placement have in common, so that they count alike. The
 * contents of a hand-over matter where the use before which it stands reads, and on the way home where the next round
 * begins with a read; contents that do not matter are not copied.
 */
#ifndef PINION_PLAN_PLACEMENT_WALK_H
#define PINION_PLAN_PLACEMENT_WALK_H

#include "plan/placement.h"

#include "base/context.h"

#include <assert.h>
#include <math.h>

static inline double pinion__placement_ms(const pinion__placement_problem *problem, int task, int processor)
{
    return problem->ms[task * problem->processor_count + processor];
}

static inline double pinion__placement_times(const pinion__placement_problem *problem, int task)
{
    return problem->times ? problem->times[task] : 1.0;
}

static inline double pinion__placement_hand_over_ms(const pinion__placement_problem *problem, size_t bytes,
                                                    enum pinion__holder from, enum pinion__holder to, bool contents)
{
    return pinion__hand_over_ms(problem->costs, from, to, contents || !problem->costs->copies ? bytes : 0);
}

/* Does the storage go home after its use `index` (of its own)? */
static inline bool pinion__placement_returns(const pinion__placement_problem *problem,
                                             const pinion__placement_storage *storage, int index)
{
    const pinion__placement_use *use = &problem->uses[storage->first_use + index];
    return index + 1 == storage->use_count ||
           pinion__placement_times(problem, use[0].task) != pinion__placement_times(problem, use[1].task);
}

/* Do its contents matter at home? */
static inline bool pinion__placement_alive(const pinion__placement_problem *problem,
                                           const pinion__placement_storage *storage)
{
    bool alive = storage->host_home;
    for (int i = 0; i < storage->use_count; i++)
        if (i == 0 || pinion__placement_returns(problem, storage, i - 1))
            alive = alive || problem->uses[storage->first_use + i].reads;
    return alive;
}

/* Going home. */
static inline double pinion__placement_return_ms(const pinion__placement_problem *problem,
                                                 const pinion__placement_storage *storage, enum pinion__holder from,
                                                 enum pinion__holder home)
{
    const bool alive = from != home && problem->costs->copies && pinion__placement_alive(problem, storage);
    return pinion__placement_hand_over_ms(problem, storage->bytes, from, home, alive);
}

/* What one use does: the holder after it, and the cost of the hand-over before it. */
static inline double pinion__placement_step(const pinion__placement_problem *problem, size_t bytes,
                                            const pinion__placement_use *use, bool device, enum pinion__holder *holder)
{
    const enum pinion__holder from = *holder;
    *holder = pinion__holder_after(from, device, use->writes, problem->costs->copies);
    return pinion__placement_hand_over_ms(problem, bytes, from, *holder, use->reads);
}

/* Fastest processor of a task on one side, the first of several; -1: none can run it there. */
static inline int pinion__placement_fastest_of(const pinion__placement_problem *problem, int task, bool device)
{
    int best = -1;
    for (int p = 0; p < problem->processor_count; p++) {
        double ms = pinion__placement_ms(problem, task, p);
        if (problem->device[p] == device && isfinite(ms) &&
            (best < 0 || ms < pinion__placement_ms(problem, task, best)))
            best = p;
    }
    return best;
}

static inline int pinion__placement_fastest(const pinion__placement_problem *problem, int task)
{
    int host = pinion__placement_fastest_of(problem, task, false);
    int device = pinion__placement_fastest_of(problem, task, true);
    assert(host >= 0 || device >= 0);
    if (host < 0 || device < 0)
        return host < 0 ? device : host;
    double gain = pinion__placement_ms(problem, task, host) - pinion__placement_ms(problem, task, device);
    return gain > 0 || (gain >= 0 && device < host) ? device : host;
}

/* All results have room for every task. */
static inline int pinion__placement_init(const pinion__placement_problem *problem, pinion__placement *out)
{
    *out = (pinion__placement){.ms = (double)NAN};
    return pinion__alloc_zeroed(problem->ctx, (size_t)problem->task_count + 1, sizeof *out->processor, "a placement",
                                &out->processor);
}

#endif
