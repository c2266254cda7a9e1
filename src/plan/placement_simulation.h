/* SPDX-License-Identifier: Apache-2.0
 *
 * A step with several processors at once, simulated event by event: what the executor does with a plan. Whenever
 * something ends, every processor that is free takes, of the tasks that are ready for it, the one of the highest
 * priority that may start; see pinion__schedule for what hand-overs do. Runs of tasks with different `times` follow
 * each other, each when all of the one before is done.
 *
 * Where homes are depends on the order of uses, and times of hand-overs on homes: the simulation is repeated until the
 * homes it began with are the best ones for the order that it gives.
 */
#ifndef PINION_PLAN_PLACEMENT_SIMULATION_H
#define PINION_PLAN_PLACEMENT_SIMULATION_H

#include "plan/placement_graph.h"

typedef struct pinion__simulation pinion__simulation;

/* The problem is borrowed as long as the simulation lives. */
int pinion__simulation_create(const pinion__placement_problem *problem, pinion__simulation **out);
void pinion__simulation_destroy(pinion__simulation *simulation); /* NULL: nothing */

/* ms of a step in which tasks run on these processors, each of a finite time. A task's priority is the longest path of
 * times from it to the end, plus its urgency_ms (NULL: none). INFINITY: no homes are found that fit. */
double pinion__simulation_run(pinion__simulation *simulation, const int *processor, const double *urgency_ms);

/* ms of a step that runs one task at a time in serial order. */
double pinion__simulation_run_serially(pinion__simulation *simulation, const int *processor);

/* Of the last run: per task, and the tasks by starts. Live until the next one. */
const double *pinion__simulation_starts(const pinion__simulation *simulation);
const double *pinion__simulation_ends(const pinion__simulation *simulation);
const int *pinion__simulation_order(const pinion__simulation *simulation);

#endif
