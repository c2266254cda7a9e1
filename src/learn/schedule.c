/* SPDX-License-Identifier: Apache-2.0
 *
 * Schedules, computed in double. `onecycle` is PyTorch's OneCycleLR with linear warm-up, cosine annealing and constant
 * momentum (Smith and Topin 2017, arXiv 1708.07120): 30 % of the steps up, the rest down.
 */
#include "learn/schedule.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

static double step_rate(int64_t step, int64_t steps)
{
    if (step >= steps - steps / 4)
        return 0.01;
    return step >= steps - steps / 2 ? 0.1 : 1.0;
}

/* Warm-up ends at step 0.3 * steps - 1, which may lie between two steps; with fewer than four steps there is none. */
static double onecycle_rate(int64_t step, int64_t steps)
{
    const double first = 1.0 / 25, last = first / 1e4;
    double top = fmax(0.3 * (double)steps - 1, 0);
    double at = (double)step;
    if (at < top)
        return first + (1 - first) * at / top;
    double down = (double)(steps - 1) - top;
    double done = down > 0 ? (at - top) / down : 0;
    return last + (1 - last) * (1 + cos(PI * done)) / 2;
}

float pinion__schedule_rate(enum pinion_schedule schedule, float peak, int64_t step, int64_t steps)
{
    double factor = 1;
    switch (schedule) {
    case PINION_SCHEDULE_CONSTANT:
        break;
    case PINION_SCHEDULE_STEP:
        factor = step_rate(step, steps);
        break;
    case PINION_SCHEDULE_COSINE:
        factor = (1 + cos(PI * (double)step / (double)steps)) / 2;
        break;
    case PINION_SCHEDULE_ONECYCLE:
        factor = onecycle_rate(step, steps);
        break;
    }
    return (float)(factor * (double)peak);
}
