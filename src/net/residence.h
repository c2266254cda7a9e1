/* SPDX-License-Identifier: Apache-2.0
 *
 * The file that a dynamic network's weights are from, so that the weights of groups can leave memory and come back.
 * What is remembered holds as long as nobody writes weights (network->version).
 */
#ifndef PINION_NET_RESIDENCE_H
#define PINION_NET_RESIDENCE_H

#include "net/network.h"
#include "net/safetensors.h"

typedef struct pinion__residence {
    char *path;                         /* absolute */
    uint64_t prints[PINION_MAX_GROUPS]; /* of each group's tensors in the file, in the network's order */
    int width;                          /* so many groups are the file's */
    uint64_t version;                   /* the network's, when they were loaded */
} pinion__residence;

/* What is to be remembered of an open file whose tensors are the first `count` parameters. NULL: nothing, since the
 * network is not cut or the tensors are from no file. */
int pinion__residence_create(const pinion_network *network, const pinion__st_file *file, size_t count,
                             pinion__residence **out);

/* The weights are now those of that file; NULL: of none. */
void pinion__network_reside_take(pinion_network *network, pinion__residence *residence);

/* Gives the weights of groups beyond `width` (0: of all) back to the system and lowers network->width to it. Returns
 * the bytes that left memory. Does nothing and returns 0 where they could not come back: they are not, or no more,
 * those of a file; or where a device's memory holds them. */
size_t pinion__network_release_groups(pinion_network *network, int width);

/* Brings the weights of groups up to `width` back from the file and raises network->width to it. PINION_EINVAL: they
 * were not released. PINION_EFORMAT, PINION_EIO: the file cannot be read, or holds others; the groups that are there
 * stay. */
int pinion__network_restore_groups(pinion_network *network, int width);

#endif
