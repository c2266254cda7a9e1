/* SPDX-License-Identifier: Apache-2.0
 *
 * Concurrent inference of dynamic networks: tasks of earlier groups come first (widths.c), whatever a schedule says.
 */
#ifndef PINION_PLAN_PLACE_TOWERS_H
#define PINION_PLAN_PLACE_TOWERS_H

#include "plan/placement.h"
#include "plan/plan.h"

/* Makes a schedule the one that earlier groups come first in, with the processors that it has or, where that is faster,
 * with those of the best way to give each group one of its own. Other plans' schedules stay as they are. */
int pinion__place_towers(const pinion_plan *plan, const pinion__placement_problem *problem, pinion__schedule *schedule);

#endif
