/* SPDX-License-Identifier: Apache-2.0
 *
 * How much slower processors are while another one is busy too: they share memory, caches and power.
 */
#ifndef PINION_PLAN_CO_RUN_H
#define PINION_PLAN_CO_RUN_H

#include "plan/trial.h"
#include "plan/wisdom.h"

/* The class of a task that is no hand-over. */
enum pinion__work_class pinion__work_class_of(const pinion_plan *plan, const pinion__task *task);

/* Fills plan->slowdown with what wisdom (or NULL) knows of the pairs that may run at once. */
void pinion__co_run_look_up(pinion_plan *plan, pinion__wisdom *wisdom);

/* plan->slowdown as placement wants it, [class][p][q] with 1 where it is not known; the caller's array of
 * PINION__WORK_CLASSES x processor_count x processor_count. */
void pinion__co_run_factors(const pinion_plan *plan, double *out);

/* Measures the pairs that wisdom does not know, or knows from far lighter work only: of each class the heaviest task
 * that both can run, whose times are known. Those whose operands take more than most_bytes on both sides are left out;
 * none is begun later than until_ns. *measured: how many there were. */
int pinion__co_run_measure(pinion_plan *plan, pinion__wisdom *wisdom, size_t most_bytes, int64_t until_ns,
                           int *measured);

#endif
