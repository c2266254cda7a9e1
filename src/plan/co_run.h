/* SPDX-License-Identifier: Apache-2.0
 *
 * How much slower processors are while another one is busy too: they share memory, caches and power.
 */
#ifndef PINION_PLAN_CO_RUN_H
#define PINION_PLAN_CO_RUN_H

#include "plan/trial.h"
#include "plan/wisdom.h"

/* Fills plan->slowdown with what wisdom (or NULL) knows of the pairs that may run at once. */
void pinion__co_run_look_up(pinion_plan *plan, pinion__wisdom *wisdom);

/* Measures the pairs that wisdom does not know on the heaviest task that both can run, whose times are known; `bench`
 * and another one of the same size hold its operands. *measured: something was. */
int pinion__co_run_measure(pinion_plan *plan, pinion__wisdom *wisdom, pinion__bench *bench, size_t bytes,
                           bool *measured);

#endif
