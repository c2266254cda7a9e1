/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of a runner: bound arguments of every task, the arena, the optimiser's moments, and the event-driven executor
 * with a queue per processor.
 */
#ifndef PINION_RUN_RUNNER_H
#define PINION_RUN_RUNNER_H

#include "plan/plan.h"

/* The moments of a parameter (memory order, same layout as the parameter): NULL for parameters that are not trained. */
float *pinion__runner_moment(const pinion_runner *runner, int param, int which);

/* Logits of the last step or inference, (batch, classes) dense. Valid until the next. */
const float *pinion__runner_logits(const pinion_runner *runner);

/* Gradient of a parameter after a step, where it outlives the step, as with the plan option `clip` or the tuning
 * `separate`. NULL: gone, or there is none. */
const float *pinion__runner_gradient(const pinion_runner *runner, int param);

#endif
