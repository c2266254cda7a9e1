/* SPDX-License-Identifier: Apache-2.0
 *
 * When each task of a finished plan runs, as far as times are known: the executor's rules walked with predicted times.
 */
#ifndef PINION_PLAN_TIMELINE_H
#define PINION_PLAN_TIMELINE_H

#include "plan/plan.h"

/* Predicted time of one run of a task or hand-over; NaN: not known. */
double pinion__timeline_ms(const pinion_plan *plan, const pinion__task *task);

/* Start and end of each task of a step (arrays of task_count, or NULL), each run once; those of the prologue take no
 * time. *total: a step, with all micro-batches; NaN: some time is not known. */
int pinion__timeline(const pinion_plan *plan, double *start, double *end, double *total);

#endif
