/* SPDX-License-Identifier: Apache-2.0
 *
 * The tasks of a placement problem as a graph: which must be done before which, what each uses, and runs of tasks with
 * the same `times`.
 */
#ifndef PINION_PLAN_PLACEMENT_GRAPH_H
#define PINION_PLAN_PLACEMENT_GRAPH_H

#include "plan/placement.h"

typedef struct pinion__placement_graph {
    pinion_context *ctx;
    int task_count;
    int *successors, *first_successor; /* of task t: successors[first_successor[t] … first_successor[t + 1] - 1] */
    int *predecessor_count;
    int *uses, *first_use;   /* the same for its uses, as indices of problem.uses */
    int *storage, use_count; /* [use]: whose it is */
    int *run_end;            /* [task]: the first task behind the run of equal `times` that it is in */
} pinion__placement_graph;

/* A read follows the last write before it, a write follows that and all reads since, and problem.edges hold. */
int pinion__placement_graph_init(const pinion__placement_problem *problem, pinion__placement_graph *out);
void pinion__placement_graph_fini(pinion__placement_graph *graph);

#endif
