/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches for a runner: a loader that prepares them where devices read them, in slots of the runner. Where only the
 * host reads them it brings memory of its own, as much as it sees fit: the host's processors read any.
 */
#ifndef PINION_LEARN_FEED_H
#define PINION_LEARN_FEED_H

#include "data/loader.h"
#include "run/runner.h"

/* Allocates the slots that loaders will use, if they use any: 2 to PINION_INPUT_SLOTS of them. */
int pinion__feed_prepare(pinion_runner *runner, int slots);

/* A loader of batches of the runner's size. It is destroyed before the runner, and used by one step after the other:
 * those that it hands out come back to it when the next is asked for. */
int pinion__feed_create(pinion_runner *runner, int slots, const pinion__loader_options *options, pinion__loader **out);

#endif
