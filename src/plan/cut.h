/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans whose batch is cut between processors that work at the same time: which processors take part, how many samples
 * each gets.
 */
#ifndef PINION_PLAN_CUT_H
#define PINION_PLAN_CUT_H

#include "plan/plan.h"

/* *plan, not cut, is replaced by the best predicted plan with a cut where that is faster. It stays as it is where
 * options, tuning or lack of known times say that no cut is looked for. */
int pinion__cut_improve(const pinion_network *network, const pinion_plan_options *options,
                        const pinion__plan_tuning *tuning, pinion__processor *const *processors, int processor_count,
                        pinion_plan **plan);

#endif
