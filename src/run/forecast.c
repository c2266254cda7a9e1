/* SPDX-License-Identifier: Apache-2.0
 *
 * The forecast is an order statistic of the window: of 64 runs the third longest, of few runs the longest and some
 * more. Order statistics do not care how long the outliers are.
 */
#include "run/forecast.h"

#include <math.h>

enum { EXCEEDING = 2, FEW = 16, PATIENCE = 32 };
static const double more_for_few = 1.1, halves_after = 128;

/* The longest but EXCEEDING of a full window, proportionally fewer of one that is not full. */
static double find_high(const pinion__forecast *of)
{
    double top[EXCEEDING + 1] = {0};
    const int last = EXCEEDING * of->count / PINION__FORECAST_WINDOW;
    for (int i = 0; i < of->count; i++) {
        double value = of->value[i];
        for (int k = 0; k <= last; k++)
            if (value > top[k]) {
                double shorter = top[k];
                top[k] = value;
                value = shorter;
            }
    }
    return of->count < FEW ? more_for_few * top[0] : top[last];
}

void pinion__forecast_note(pinion__forecast *forecast, double value)
{
    if (!(value > 0) || !isfinite(value))
        return;
    forecast->value[forecast->next] = value;
    forecast->next = (forecast->next + 1) % PINION__FORECAST_WINDOW;
    forecast->count += forecast->count < PINION__FORECAST_WINDOW;
    if (value > pinion__forecast_of(forecast))
        forecast->lowered = 0;
    forecast->left_out = 0;
    forecast->high = find_high(forecast);
    forecast->low = value;
    for (int i = 0; i < forecast->count; i++)
        forecast->low = fmin(forecast->low, forecast->value[i]);
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
