/* SPDX-License-Identifier: Apache-2.0
 *
 * Times of a plan's candidates: those that wisdom holds, and, where the plan's patience asks for it, measured ones,
 * which become wisdom. A task is timed on its processor with that one's workers, on operands of the same shapes,
 * strides and alignment in memory of their own, filled with normal random numbers; never on live weights.
 */
#ifndef PINION_PLAN_MEASURE_H
#define PINION_PLAN_MEASURE_H

#include "plan/candidates.h"

/* Fills the times of the plan's records. What cannot be measured (no memory, no time left) stays unknown and is said.
 */
int pinion__measure(pinion_plan *plan, enum pinion_patience patience);

#endif
