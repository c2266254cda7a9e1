/* SPDX-License-Identifier: Apache-2.0
 *
 * Which samples are trained on and which are held back, and whether a data set is still the one it was.
 */
#ifndef PINION_LEARN_SPLIT_H
#define PINION_LEARN_SPLIT_H

#include "data/dataset.h"
#include <pinion/network.h>

/* Cuts 0..total-1 into `held` samples for validation - those at `indices`, or (NULL) drawn by the seed - and the rest.
 * Both lists ascend and are owned by the caller; 0 < held < total <= UINT32_MAX. PINION_EINVAL: an index out of range
 * or there twice. */
int pinion__split(pinion_context *ctx, uint64_t seed, int64_t total, int64_t held, const int64_t *indices,
                  uint32_t **train, uint32_t **validation);

/* PINION_EINVAL: the network's input or output is not what the data set has. */
int pinion__data_fits(const pinion_network *network, const pinion_dataset_info *info);

/* A hash of shape, counts, normalisation, class names, and the pixels and labels of training samples spread over the
 * data set: 256 where reading one is a copy, else 16. A checkpoint keeps it, so that training is not continued on other
 * data by mistake; it does not find out a change to single samples. */
int pinion__data_fingerprint(pinion_context *ctx, pinion_dataset *dataset, uint64_t *out);

/* The same data set under another normalisation: a view that owns nothing and is never destroyed; `dataset` must
 * outlive it. */
pinion_dataset pinion__data_renormalise(const pinion_dataset *dataset, const float mean[3], const float std[3]);

#endif
