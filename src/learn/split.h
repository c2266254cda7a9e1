/* SPDX-License-Identifier: Apache-2.0
 *
 * Which samples are trained on and which are held back, and whether a data set is still the one it was.
 */
#ifndef PINION_LEARN_SPLIT_H
#define PINION_LEARN_SPLIT_H

#include "data/dataset.h"

/* Cuts 0..total-1 into `held` samples for validation - those at `indices`, or (NULL) drawn by the seed - and the rest.
 * Both lists ascend and are owned by the caller; 0 < held < total <= UINT32_MAX. PINION_EINVAL: an index out of range
 * or there twice. */
int pinion__split(pinion_context *ctx, uint64_t seed, int64_t total, int64_t held, const int64_t *indices,
                  uint32_t **train, uint32_t **validation);

/* A hash of counts, shape, and the pixels and labels of sixteen training samples spread over the data set. A checkpoint
 * keeps it, so that training is not continued on other data by mistake. */
int pinion__data_fingerprint(pinion_context *ctx, pinion_dataset *dataset, uint64_t *out);

/* The same data set under another normalisation: a view that owns nothing and is never destroyed; `dataset` must
 * outlive it. */
pinion_dataset pinion__data_renormalise(const pinion_dataset *dataset, const float mean[3], const float std[3]);

#endif
