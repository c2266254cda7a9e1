/* SPDX-License-Identifier: Apache-2.0
 *
 * Monotonic time and the summary of repeated timings.
 */
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

int64_t pinion__now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

pinion__spread pinion__summarise(double *samples, size_t count)
{
    qsort(samples, count, sizeof *samples, ascending);
    double median = count % 2 ? samples[count / 2] : 0.5 * (samples[count / 2 - 1] + samples[count / 2]);
    return (pinion__spread){.min = samples[0], .median = median, .max = samples[count - 1]};
}
