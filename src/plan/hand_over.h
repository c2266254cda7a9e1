/* SPDX-License-Identifier: Apache-2.0
 *
 * What tasks do to storages, as homes.c and hand_over.c see it.
 */
#ifndef PINION_PLAN_HAND_OVER_H
#define PINION_PLAN_HAND_OVER_H

#include "plan/build.h"

enum { PINION__MOST_USES = PINION__MAX_OPERANDS + 2 };

typedef struct pinion__use {
    int storage;
    bool reads, writes;
    bool whole; /* it writes all bytes */
} pinion__use;

/* The uses of a task, one a storage; returns their number. */
int pinion__plan_uses(const pinion_plan *plan, const pinion__task *task, pinion__use uses[PINION__MOST_USES]);

/* Does its processor work in the domain? */
static inline bool pinion__task_on_device(const pinion_plan *plan, const pinion__task *task)
{
    return plan->processors[task->processor]->domain != NULL;
}

/* Contents that outlive the step. The caller's are looked at once more where a loss is not finite. */
static inline bool pinion__storage_is_lasting(const pinion__storage *storage)
{
    return storage->place != PINION__PLACE_ARENA || storage->kept || storage->carried;
}

/* The end of the stretch that begins at task `first`: tasks that may run again before those behind them. A stretch
 * begins and ends with everything at home. */
int pinion__plan_stretch_end(const pinion_plan *plan, int first);

/* Gives every storage its home. */
int pinion__plan_choose_homes(pinion_plan *plan);

#endif
