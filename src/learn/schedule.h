/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning rates: a pure function of the step, so that a resumed run needs no state for them.
 */
#ifndef PINION_LEARN_SCHEDULE_H
#define PINION_LEARN_SCHEDULE_H

#include <pinion/train.h>

/* Learning rate of step 0 <= step < steps; `peak` is the largest that the schedule reaches. docs/training.md has the
 * formulas. */
float pinion__schedule_rate(enum pinion_schedule schedule, float peak, int64_t step, int64_t steps);

#endif
