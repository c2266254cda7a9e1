/* SPDX-License-Identifier: Apache-2.0
 *
 * Monotonic time and the one summary of repeated timings that planner, bench and checker share.
 */
#ifndef PINION_BASE_CLOCK_H
#define PINION_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t pinion__now_ns(void);

typedef struct pinion__spread {
    double min, median, max;
} pinion__spread;

/* Sorts samples in place and summarises them; count >= 1. */
pinion__spread pinion__summarise(double *samples, size_t count);

#endif
