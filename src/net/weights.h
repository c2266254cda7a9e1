/* SPDX-License-Identifier: Apache-2.0
 *
 * Bridge between a network's weights in memory layout and tensors in file layout, shared by weights files and
 * checkpoints.
 */
#ifndef PINION_NET_WEIGHTS_H
#define PINION_NET_WEIGHTS_H

#include "net/network.h"
#include "net/pairs.h"
#include <pinion/weights.h>

/* Shape of a parameter as it stands in a file. */
void pinion__param_file_shape(const pinion__param *param, int64_t shape[8], int *rank);

/* Copies values of one parameter (or of a moment of it: same layout) between memory order and file order: element
 * `first`.. of the file. */
void pinion__param_to_file(const pinion__param *param, const float *memory, uint64_t first, size_t count, float *file);
void pinion__param_from_file(const pinion__param *param, const float *file, float *memory); /* whole tensor */

/* Adds metadata pairs for a network and the caller's metadata. */
int pinion__weights_pairs(const pinion_network *network, const pinion_weights_metadata *metadata, pinion__pairs *pairs);

/* Describes the network's parameter as a tensor that is to be written: name, type, shape, group. */
pinion__st_tensor pinion__param_tensor(const pinion_network *network, size_t param);

/* The same for what makes a network dynamic. */
int pinion__groups_pairs(const pinion_network *network, const pinion_weights_metadata *metadata, pinion__pairs *pairs);
/* Reads that, and how much of it is whole; width 0: the network is not cut. */
int pinion__groups_read(pinion_context *ctx, const pinion__st_file *file, pinion_weights_metadata *out);

/* pinion_weights_load on an open container; tensors whose name begins with "pinion." are passed over. */
int pinion__weights_load(pinion_network *network, const pinion__st_file *file, bool replace_classifier);

/* Metadata of an open container. */
int pinion__weights_metadata(pinion_context *ctx, const pinion__st_file *file, pinion_weights_file **out);

#endif
