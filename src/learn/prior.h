/* SPDX-License-Identifier: Apache-2.0
 *
 * The logits that the frozen groups of a stage give to the training samples. Towers add up in the logits only, so where
 * samples are not augmented these numbers are all that a stage needs of the groups before it: they are computed once,
 * as inference computes them, and a step is given those of its samples.
 */
#ifndef PINION_LEARN_PRIOR_H
#define PINION_LEARN_PRIOR_H

#include "data/loader.h"
#include "learn/trainer.h"

/* Larger ones are computed in each step: so much memory has better uses. */
#define PINION__PRIOR_MAX_BYTES ((size_t)256 << 20)

/* Can a stage be trained so? Towers, samples as they are; with a memory limit the memory is not taken. */
bool pinion__prior_possible(const pinion_trainer *trainer, pinion__stage stage);

/* Computes it where the plan wants it and it is not there yet. */
int pinion__prior_prepare(pinion_trainer *trainer);

/* The rows of a batch; NULL: the plan takes none. */
const float *pinion__prior_gather(pinion_trainer *trainer, const pinion__batch *batch);

void pinion__prior_fini(pinion_trainer *trainer);

#endif
