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

/* A plan and runner on given processors (tests, simulated processors). */
int pinion__runner_create(const pinion_plan *plan, pinion_runner **out);

/* Gradient of a parameter after a step, where the plan still holds it at the end of the step (tests: plan option
 * keep_gradients through clip). NULL: gone. */
const float *pinion__runner_gradient(const pinion_runner *runner, int param);

#endif
