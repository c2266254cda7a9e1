/* SPDX-License-Identifier: Apache-2.0
 *
 * Dynamic networks: ordinary networks whose layers were made from a plain one, the base. Every tensor whose channels a
 * convolution or a linear layer made is cut into slices, one a group, and the layers stand group by group: all of group
 * 1, then all of group 2, and so on. Layers before the first convolution are not cut and belong to group 1. The
 * classifier is the sum of a part per group, each on its own group's features:
 *
 *     s1 = part 1(features 1),  sJ = s(J-1) + part J(features J)
 *
 * and sJ, the last layer of group J, is the answer of width J. A group reads what its own layers gave (towers) or
 * also what the same layers of earlier groups gave (nested: convolutions and linear layers read a concat). So a width's
 * layers and weights are a prefix of the network's.
 */
#ifndef PINION_NET_GROUPS_H
#define PINION_NET_GROUPS_H

#include "net/network.h"

/* What becomes of a layer of the base. */
enum pinion__share { PINION__WHOLE /* not cut: group 1 has it */, PINION__SLICED, PINION__LOGITS };

typedef struct pinion__slices {
    enum pinion__share share;
    int channels[PINION_MAX_GROUPS]; /* of a sliced tensor, per group */
} pinion__slices;

typedef struct pinion__cutting {
    pinion__slices *slices; /* per layer of the base */
    int classifier;         /* layer of the base */
} pinion__cutting;

/* Does the op make new channels from all channels that it reads? The others work channel by channel. */
static inline bool pinion__op_makes_channels(const pinion__op *op)
{
    return op->id == PINION__OP_conv2d || op->id == PINION__OP_linear;
}

/* How `base` is cut; release with pinion__cutting_fini. PINION_EINVAL: it cannot be. */
int pinion__cutting_init(const pinion_network *base, int groups, pinion__cutting *out);
void pinion__cutting_fini(pinion_context *ctx, pinion__cutting *cutting);

/* Cuts `base`, which has no weights, into groups. The base is taken by *out, and only on success. PINION_EINVAL: it
 * cannot be cut so. */
int pinion__network_cut_take(pinion_network *base, int groups, enum pinion_connect connect, pinion_network **out);

/* A network like `base`, all of whose channels but the classes are scaled by one factor so that it has the
 * multiply-adds of a width of `cut` (within 3 %, else PINION_EINVAL). */
int pinion__network_scaled(const pinion_network *base, const pinion_network *cut, int width, pinion_network **out);

/* What pinion_network_options ask for beside the description: *network becomes the cut or scaled one. */
int pinion__network_regroup(pinion_network **network, const pinion_network_options *options);

/* Parameters and states of groups 1 … width: a prefix of network->params. All of a network that is not cut. */
size_t pinion__network_param_count(const pinion_network *network, int width);

/* Gives the weights of one group their initial values: those that pinion_network_init_weights gives them.
 * PINION_EINVAL: the group before it has no weights, or there is no such group. */
int pinion__network_init_group(pinion_network *network, int group, uint64_t seed);

#endif
