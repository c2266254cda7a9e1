/* SPDX-License-Identifier: Apache-2.0
 *
 * The tiny training of a dynamic network: the tiny data, and two convolutions whose channels are cut into three groups
 * that are not all alike.
 */
#ifndef TESTS_LEARN_GROWN_H
#define TESTS_LEARN_GROWN_H

#include "learn/tiny.h"

enum { GROWN_GROUPS = 3, GROWN_STEPS = 27 };

/* As tiny_open, but options NULL is one thread; groups 0: the network is not cut. */
void grown_open(tiny *t, const pinion_context_options *options, uint64_t seed, int groups, enum pinion_connect connect);

/* Group after group, then all jointly, of different lengths, GROWN_STEPS steps in all; samples are held back. augment:
 * -1 or PINION_AUGMENT_NONE. */
pinion_train_options grown_options(const char *out, int augment);

/* One stage of those, as a training of its own. */
pinion_train_options grown_stage(const pinion_train_options *all, int index);

/* The weights of group `group` in memory, params and running statistics; the caller frees them. */
float *grown_copy_group(const pinion_network *network, int group, size_t *bytes);

/* Fails the test unless file b holds the tensors of group `group` with the bytes that they have in file a. */
void grown_assert_same_group(pinion_context *ctx, const char *a, const char *b, int group);

/* Groups that a weights file has. */
int grown_width_of(pinion_context *ctx, const char *path);

#endif
