/* SPDX-License-Identifier: Apache-2.0
 *
 * Which processor runs each task: options.place. The ways are those of plan/placement.h; what each of them would take
 * goes into plan->comparison.
 */
#ifndef PINION_PLAN_PLACE_H
#define PINION_PLAN_PLACE_H

#include "plan/plan.h"

/* Does the word name a way of placing ("auto", "serial", …) or one of the processors? Else it is a file. NULL: "auto".
 */
bool pinion__place_is_way(const char *place, pinion__processor *const *processors, int count);

/* Sets the processors of all tasks, whose candidates have their times; a concurrent placement brings them into the
 * order in which they start. `given`: they are set, by whom tests or pinned lines say; only the comparison is filled.
 */
int pinion__plan_place(pinion_plan *plan, bool given);

#endif
