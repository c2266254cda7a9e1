/* SPDX-License-Identifier: Apache-2.0
 *
 * The forecast is the longest of the last 64 runs that was not disturbed. A run that took several times the median was:
 * another program had the core, and the next one is no more likely to be than any other work that might be done
 * instead, so such runs count only where they are frequent. Of few runs it is a little more than the longest; what was
 * expected stands for those that are missing, so that one disturbed run among the first does not decide for long.
 */
#include "run/forecast.h"

#include <math.h>
#include <stdbool.h>

enum { FEW = 16, PATIENCE = 32, RARE = 8 /* one in so many */ };
static const double more_for_few = 1.1, halves_after = 128, disturbed_from = 3;

/* A new value takes the place of one among `count`, or of a last one that is not there. */
static void replace(double *sorted, int count, double old, double value)
{
    int at = 0;
    while (at < count && sorted[at] != old)
        at++;
    for (; at > 0 && sorted[at - 1] < value; at--)
        sorted[at] = sorted[at - 1];
    for (; at + 1 < count && sorted[at + 1] > value; at++)
        sorted[at] = sorted[at + 1];
    sorted[at] = value;
}

/* The longest but `skipped` of the runs seen and of those that are missing to FEW, which take what was expected. */
static double find(const pinion__forecast *of, int skipped)
{
    const int missing = of->count < FEW && of->expected > 0 ? FEW - of->count : 0;
    int longer = 0; /* seen, than expected */
    if (missing == 0)
        return of->sorted[skipped];
    while (longer < of->count && of->sorted[longer] > of->expected)
        longer++;
    return skipped < longer             ? of->sorted[skipped]
           : skipped < longer + missing ? of->expected
                                        : of->sorted[skipped - missing];
}

static double find_high(const pinion__forecast *of)
{
    const int count = of->count < FEW && of->expected > 0 ? FEW : of->count;
    const double most = disturbed_from * find(of, count / 2);
    int disturbed = 0;
    while (find(of, disturbed) > most)
        disturbed++;
    if (disturbed > count / RARE)
        disturbed = 0;
    return (count < FEW ? more_for_few : 1) * find(of, disturbed);
}

void pinion__forecast_note(pinion__forecast *forecast, double value)
{
    if (!(value > 0) || !isfinite(value))
        return;
    const bool full = forecast->count == PINION__FORECAST_WINDOW;
    replace(forecast->sorted, forecast->count, full ? forecast->value[forecast->next] : 0, value);
    forecast->value[forecast->next] = value;
    forecast->next = (forecast->next + 1) % PINION__FORECAST_WINDOW;
    forecast->count += !full;
    if (value > pinion__forecast_of(forecast))
        forecast->lowered = 0;
    forecast->left_out = 0;
    forecast->high = find_high(forecast);
    forecast->low = forecast->sorted[forecast->count - 1];
}

void pinion__forecast_leave_out(pinion__forecast *forecast)
{
    forecast->left_out += forecast->left_out < PATIENCE;
    forecast->lowered += forecast->left_out == PATIENCE && forecast->lowered < 1000000;
}

double pinion__forecast_of(const pinion__forecast *forecast)
{
    return forecast->low + (forecast->high - forecast->low) * exp2(-forecast->lowered / halves_after);
}
