/* SPDX-License-Identifier: Apache-2.0
 *
 * A network's weights in memory that processors share (device/memory.h). A runner whose processors work in a domain
 * moves them there; each weight is then held by the host or by the device, and stays with whoever used it last until
 * the other side wants it. Whoever reads or writes weights on the host settles them first. Runners of one network whose
 * weights are shared never run at the same time.
 */
#ifndef PINION_NET_SHARED_H
#define PINION_NET_SHARED_H

#include "device/memory.h"
#include "net/network.h"

struct pinion__shared_weights {
    pinion__memory *memory;    /* network->block is where the host finds it */
    pinion__span *spans;       /* per parameter */
    enum pinion__holder *held; /* per parameter */
    pinion__processor *by;     /* runs hand-overs; NULL: the host holds all weights */
    int users;                 /* runners that bound their tasks to the spans */
    int failure;               /* of a device that held weights: they are lost until they are unshared */
};

/* Moves the weights, which have been laid out, into memory of the domain of `by`, where they are not there yet, and
 * counts a user. PINION_EUNSUPPORTED: runners of another domain use them. */
int pinion__network_share(const pinion_network *network, pinion__processor *by);
/* A user is gone, and with him the processor. The host holds the weights afterwards, if they are not lost. */
void pinion__network_leave(const pinion_network *network);
/* A step ended in the middle: nobody knows who holds what. */
void pinion__network_lose(const pinion_network *network, int failure);

/* Has the host hold all weights, so that it may read and write them. Nothing to do where they are not shared.
 * PINION_EDEVICE: the device that held some of them has failed; those are lost. */
int pinion__network_settle(const pinion_network *network);

/* Moves the weights back to the host's own memory; those that a device has lost are zeros. PINION_EINVAL: there are
 * users. */
int pinion__network_unshare(pinion_network *network);

/* Of a network that is going away. */
void pinion__network_free_shared(pinion_network *network);

#endif
