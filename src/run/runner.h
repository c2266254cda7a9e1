/* SPDX-License-Identifier: Apache-2.0
 *
 * What the library knows of runners beyond <pinion/plan.h>.
 */
#ifndef PINION_RUN_RUNNER_H
#define PINION_RUN_RUNNER_H

#include "plan/plan.h"

/* A runner of an inference plan in the arena of another, where it fits there; else in memory of its own. The two never
 * run at the same time. Each run of one loses what the other left there; weights that the new runner has prepared are
 * prepared again after a step of the lender, which changes the network's weights. lender may be NULL. */
int pinion__runner_create_in(const pinion_plan *plan, const pinion_runner *lender, pinion_runner **out);

/* Where the plan takes the logits of other groups, room for them in the slot (pinion_runner_input) that has these
 * images: from there no copy is needed. NULL: the images are in no slot, or the plan takes none. */
float *pinion__runner_prior_room(const pinion_runner *runner, const float *images);

const pinion_plan *pinion__runner_plan(const pinion_runner *runner);

/* Has the host hold what it may look at between steps: weights, moments, gradients and logits that are kept. The
 * getters below do so themselves; NULL where the device that held it has failed. */
int pinion__runner_settle(const pinion_runner *runner);

/* The moments of a parameter (memory order, same layout as the parameter): NULL for parameters that are not trained. */
float *pinion__runner_moment(const pinion_runner *runner, int param, int which);

/* Logits of the last step or inference, (batch, classes) dense. Valid until the next. */
const float *pinion__runner_logits(const pinion_runner *runner);

/* Gradient of a parameter after a step, where it outlives the step, as with the plan option `clip` or the tuning
 * `separate`. NULL: gone, or there is none. */
const float *pinion__runner_gradient(const pinion_runner *runner, int param);

#endif
