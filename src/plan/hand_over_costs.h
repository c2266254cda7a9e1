/* SPDX-License-Identifier: Apache-2.0
 *
 * What hand-overs of the plan's domain cost: a line through measured sizes for each way from holder to holder.
 */
#ifndef PINION_PLAN_HAND_OVER_COSTS_H
#define PINION_PLAN_HAND_OVER_COSTS_H

#include "plan/wisdom.h"

/* Fills plan->hand_over_costs: zeros where no processor has a domain, a guess where wisdom (or NULL) does not know. */
void pinion__hand_over_costs_look_up(pinion_plan *plan, pinion__wisdom *wisdom);

/* The same; what wisdom does not know is measured, and becomes wisdom. *measured: something was. A domain that gives no
 * memory, or whose device fails, keeps the guess. */
int pinion__hand_over_costs_measure(pinion_plan *plan, pinion__wisdom *wisdom, enum pinion_patience patience,
                                    bool *measured);

#endif
