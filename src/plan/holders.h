/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds a storage of a plan whose processors work in a domain (device/memory.h), and how its uses change that. A
 * storage is used by tasks in the plan's serial order; each use comes from one side, host or device. Before a use that
 * the present holder does not allow stands a hand-over. At the step's start and end a storage is at home: with the same
 * holder, HOST or DEVICE, so that steps can follow each other, and storages that share bytes of the arena have the same
 * home. After its last use it goes home where it is not.
 *
 * Placement (placement.h) counts these hand-overs, hand_over.c makes them tasks: both walk by pinion__holder_after.
 */
#ifndef PINION_PLAN_HOLDERS_H
#define PINION_PLAN_HOLDERS_H

#include "device/memory.h"

/* What a domain's hand-overs cost: ms of one of `bytes` from holder to holder; 0 on the diagonal. Times are a line
 * through measured sizes: fixed + bytes * per_byte. */
typedef struct pinion__hand_over_cost {
    double fixed_ms, ms_per_byte;
} pinion__hand_over_cost;

typedef struct pinion__hand_over_costs {
    bool copies; /* of the domain */
    pinion__hand_over_cost at[PINION__HOLDERS][PINION__HOLDERS];
} pinion__hand_over_costs;

/* The holder once a use stands: `device` uses it (else the host), `writes` or only reads. Where memory is mapped, what
 * the host has written passes to the device as a whole; where it is copied, both may read it afterwards. */
static inline enum pinion__holder pinion__holder_after(enum pinion__holder holder, bool device, bool writes,
                                                       bool copies)
{
    const enum pinion__holder own = device ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_HOST;
    if (writes)
        return own;
    if (holder == own || holder == PINION__HELD_BY_BOTH)
        return holder;
    return device && !copies ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_BOTH;
}

static inline double pinion__hand_over_ms(const pinion__hand_over_costs *costs, enum pinion__holder from,
                                          enum pinion__holder to, size_t bytes)
{
    const pinion__hand_over_cost *cost = &costs->at[from][to];
    return from == to ? 0.0 : cost->fixed_ms + cost->ms_per_byte * (double)bytes;
}

#endif
