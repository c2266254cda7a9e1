/* SPDX-License-Identifier: Apache-2.0
 *
 * The best weights of a stage that another one follows: a copy of the group that it trains, taken where the accuracy on
 * the samples held back was highest. The next stage begins from it. It is part of the checkpoint, as
 * "pinion.best.NAME".
 */
#ifndef PINION_LEARN_BEST_H
#define PINION_LEARN_BEST_H

#include "learn/trainer.h"

/* Does the present stage keep such a copy? */
bool pinion__best_wanted(const pinion_trainer *trainer);

/* The weights that it is of: network->params[first] … [end - 1]. */
void pinion__best_range(const pinion_trainer *trainer, int *first, int *end);

/* Where the copy of one of those lies; only while there is a copy, trainer->best. */
float *pinion__best_data(const pinion_trainer *trainer, int param);

/* Makes room for the copy. */
int pinion__best_allocate(pinion_trainer *trainer);

/* Copies the present weights. */
int pinion__best_keep(pinion_trainer *trainer);

/* Copies them back, if there are any, and forgets them. */
int pinion__best_adopt(pinion_trainer *trainer);

void pinion__best_forget(pinion_trainer *trainer);

#endif
