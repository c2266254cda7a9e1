/* SPDX-License-Identifier: Apache-2.0
 *
 * From a plan to the problem that placement (plan/placement.h) solves: times and uses of the tasks as they are by now,
 * before or after hand-overs were inserted. Storages have the plan's numbers; tasks too, so hand-overs and the tasks of
 * the prologue are there with times of zero and no uses.
 */
#ifndef PINION_PLAN_PROBLEM_H
#define PINION_PLAN_PROBLEM_H

#include "plan/placement.h"
#include "plan/plan.h"

typedef struct pinion__problem {
    pinion__placement_problem of; /* what placement sees: points into what follows and into the plan */
    double *ms, *times;
    pinion__placement_storage *storages;
    pinion__placement_use *uses;
    int *unit;
    int (*edges)[2];
    double *slowdown; /* [class][p][q]; 1 where it is not known */
    int *work_class;
    bool device[PINION__MAX_PROCESSORS];
    uint32_t rivals[PINION__MAX_PROCESSORS];
    bool known; /* every time is a measured one; else times are estimates, which only their order means something of */
} pinion__problem;

/* Borrows the plan. PINION_EUNSUPPORTED: processors of two domains. */
int pinion__problem_build(const pinion_plan *plan, pinion__problem *out);
void pinion__problem_fini(pinion_context *ctx, pinion__problem *problem);

#endif
