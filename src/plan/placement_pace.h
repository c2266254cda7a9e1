/* SPDX-License-Identifier: Apache-2.0
 *
 * How tasks of several processors slow each other: what the search for placements (placement_simulation.c) and the
 * timeline of a finished plan (timeline.c) have in common, so that they predict alike. A task is done at a pace that
 * changes whenever another processor begins or ends a task. What a processor does beside tasks, handing over, neither
 * slows nor is slowed.
 */
#ifndef PINION_PLAN_PLACEMENT_PACE_H
#define PINION_PLAN_PLACEMENT_PACE_H

#include <math.h>

enum { PINION__NO_TASK = -1 };

/* What a processor is busy with. */
typedef struct pinion__pace {
    double end;     /* if nothing changes */
    double factor;  /* by which others slow its task now */
    int work_class; /* of its task; PINION__NO_TASK: it has none */
} pinion__pace;

/* A task of so many ms, if it was alone, begins. */
static inline pinion__pace pinion__pace_begin(double now, double ms, int work_class)
{
    return (pinion__pace){.end = now + ms, .factor = 1, .work_class = work_class};
}

/* To be called when something has begun or ended. `slowdown`: [class][processor][other], NULL: all 1. */
static inline void pinion__paces_set(pinion__pace *paces, int processors, const double *slowdown, double now)
{
    for (int p = 0; p < processors && slowdown; p++) {
        pinion__pace *at = &paces[p];
        double factor = 1;
        if (at->work_class == PINION__NO_TASK)
            continue;
        const double *row = slowdown + (at->work_class * processors + p) * processors;
        for (int q = 0; q < processors; q++)
            if (q != p && paces[q].work_class != PINION__NO_TASK)
                factor *= fmax(1.0, row[q]);
        at->end = now + (at->end - now) / at->factor * factor;
        at->factor = factor;
    }
}

#endif
