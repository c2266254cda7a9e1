/* SPDX-License-Identifier: Apache-2.0
 *
 * Selection: which processor runs each task. It knows nothing of networks: tasks with a time on each processor, in
 * their serial order, and storages with their uses. Plans for testing are made by hand.
 *
 * Serial: one task at a time. Cost = task times + hand-overs, each storage going through its uses as holders.h says and
 * home again. The exact minimum, by variable elimination in min-fill order: a task is a variable (its processor), a
 * storage a chain of factors over the tasks that use it, in the order of uses, linked by variables for its holder; its
 * home is a free variable of two values. To storages all processors of one side are alike, so a task's variable has at
 * most two values: the fastest of each side. Dechter: "Bucket elimination: a unifying framework for reasoning",
 * Artificial Intelligence 113, 1999.
 *
 * Concurrent: list scheduling by critical path from the serial optimum, improved by local search on the simulated
 * timeline (Topcuoglu, Hariri and Wu, "Performance-effective and low-complexity task scheduling for heterogeneous
 * computing", IEEE TPDS 13, 2002, is where the priorities come from). Its order of starts is a new serial order.
 */
#ifndef PINION_PLAN_PLACEMENT_H
#define PINION_PLAN_PLACEMENT_H

#include "plan/holders.h"

/* reads: the contents from before matter; so it does for a task that writes only a part. */
typedef struct pinion__placement_use {
    int task;
    bool reads, writes;
} pinion__placement_use;

typedef struct pinion__placement_storage {
    size_t bytes;
    int first_use, use_count; /* of problem.uses, by rising task; one use a task */
    bool host_home;           /* its home is HOST and its contents matter there: the caller's, or kept for him */
} pinion__placement_storage;

/* Everything is borrowed. */
typedef struct pinion__placement_problem {
    pinion_context *ctx;
    int task_count, processor_count, storage_count;
    const double *ms; /* [task][processor]; INFINITY: it cannot. Every task has a finite one */
    /* [task]: how often it runs in a step (prologue, micro-batches); NULL: once. Tasks of the same number stand
     * together. Such a run of tasks ends as it began, so storages go home before the next one. */
    const double *times;
    const pinion__placement_storage *storages;
    const pinion__placement_use *uses;
    const bool *device; /* [processor]: it works in the domain */
    const pinion__hand_over_costs *costs;
    /* [task]: layer and direction, for `layerwise`: tasks of the same non-negative number go together. NULL: none */
    const int *unit;
    /* Concurrent only: edges (task before task) beyond those that storages' uses imply, and processors that share cores
     * ([processor] bits of others that never run at once with it). NULL, 0: none */
    const int (*edges)[2];
    int edge_count;
    const uint32_t *rivals;
    /* [class][processor][other]: factor on the time of a task of that class while the other runs one; and [task]: its
     * class. NULL: 1, and all of class 0 */
    const double *slowdown;
    const int *work_class;
} pinion__placement_problem;

typedef struct pinion__placement {
    int *processor; /* [task] */
    double ms;      /* of a step, hand-overs included */
} pinion__placement;

/* Placements are the caller's, to be finished also after a failure. */

/* All on `processor`. PINION_EUNSUPPORTED: it cannot run some task. */
int pinion__place_single(const pinion__placement_problem *problem, int processor, pinion__placement *out);
/* Each task where it is fastest by itself; hand-overs are not seen, but counted in ms. */
int pinion__place_greedy(const pinion__placement_problem *problem, pinion__placement *out);
/* The rule of Sensors 2021, 21(7), 2364: one processor for each unit, chosen layer by layer in order by its own time
 * and the hand-overs from what was chosen before it. */
int pinion__place_layerwise(const pinion__placement_problem *problem, pinion__placement *out);
/* The exact minimum of one task at a time. PINION_EUNSUPPORTED: the network is too entangled for the exact method
 * (more than PINION__PLACEMENT_TABLE entries in a table). */
enum { PINION__PLACEMENT_TABLE = 1 << 24 };
int pinion__place_serial(const pinion__placement_problem *problem, pinion__placement *out);

/* Tasks of several processors at once, each run once (whatever `times` says; placement.ms heeds it). A task starts with
 * the hand-overs that stand before it. They run on its processor if that is of the domain, else on the first one that
 * is, which is busy meanwhile. One that takes a storage from a side waits for the users on that side. A storage goes
 * home as soon as its last user has ended; only the step's end waits for that. Never slower than the serial optimum,
 * which it is where nothing is gained. */
typedef struct pinion__schedule {
    pinion__placement placement;
    double *start_ms, *end_ms; /* [task] */
    int *order;                /* the tasks by their starts: a serial order, in which the hand-overs are counted */
} pinion__schedule;

int pinion__place_concurrent(const pinion__placement_problem *problem, pinion__schedule *out);

/* No schedule is faster: the largest of the work divided between all processors, the critical path with each task on
 * its fastest, and both of these before and behind a task that has to wait for much and lets much wait (the loss).
 * serial: of one task at a time, the sum of the fastest times. NaN: out of memory. */
double pinion__placement_bound(const pinion__placement_problem *problem, bool serial);

/* The same where tasks may also be cut between processors, in time as in work: the work alone counts. */
double pinion__placement_cut_bound(const pinion__placement_problem *problem);

/* The cost of any placement by the same walk; INFINITY: some task cannot run there. */
double pinion__placement_cost(const pinion__placement_problem *problem, const int *processor);

/* The best home of a storage for given processors, HOST or DEVICE (HOST where both are as good), and the cost of all of
 * its hand-overs; `ms` may be NULL. What hand_over.c follows. */
enum pinion__holder pinion__placement_home(const pinion__placement_problem *problem, int storage, const int *processor,
                                           double *ms);

void pinion__placement_fini(pinion_context *ctx, pinion__placement *placement);
void pinion__schedule_fini(pinion_context *ctx, pinion__schedule *schedule);

#endif
