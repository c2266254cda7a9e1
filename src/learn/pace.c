/* SPDX-License-Identifier: Apache-2.0
 *
 * Watching the time of steps (learn/pace.h).
 */
#include "learn/pace.h"

#include "base/clock.h"

#include <math.h>
#include <string.h>

static const double THRESHOLD = 1.25;

void pinion__pace_begin(pinion__pace *pace, double predicted_ms, bool again)
{
    *pace = (pinion__pace){.expected_ms = again ? (double)NAN : predicted_ms};
}

double pinion__pace_median(const pinion__pace *pace)
{
    double samples[PINION__PACE_STEPS];
    const int count = pace->count < PINION__PACE_STEPS ? pace->count : PINION__PACE_STEPS;
    memcpy(samples, pace->recent, sizeof samples);
    return pinion__summarise(samples, (size_t)count).median;
}

bool pinion__pace_lost(pinion__pace *pace, double step_ms)
{
    pace->recent[pace->count++ % PINION__PACE_STEPS] = step_ms;
    if (pace->count < PINION__PACE_STEPS)
        return false;
    const double median = pinion__pace_median(pace);
    if (!isfinite(pace->expected_ms))
        pace->expected_ms = median;
    const bool off = median > THRESHOLD * pace->expected_ms || THRESHOLD * median < pace->expected_ms;
    pace->off = off ? pace->off + 1 : 0;
    return pace->off >= PINION__PACE_LONG;
}
