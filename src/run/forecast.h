/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a piece of work will take, from how long it took lately, in whatever unit: a value that none of the last
 * runs exceeded but those that were disturbed. Work that is left out because of its forecast is not observed any more.
 * Were a slow spell remembered for ever, it would never be tried again; so when it is left out many times in a row the
 * forecast begins to move towards the shortest time seen, until a run exceeds it.
 */
#ifndef PINION_RUN_FORECAST_H
#define PINION_RUN_FORECAST_H

enum { PINION__FORECAST_WINDOW = 64 };

typedef struct pinion__forecast {
    double value[PINION__FORECAST_WINDOW];  /* of the last runs, in a ring */
    double sorted[PINION__FORECAST_WINDOW]; /* the same, the longest first */
    int count, next;
    double expected;  /* before any run was seen; 0: nothing was */
    double high, low; /* none of them exceeded it but disturbed ones; the shortest */
    int left_out;     /* times since the last run */
    int lowered;      /* steps that the forecast has gone down since a run exceeded it */
} pinion__forecast;

/* It ran. Times that are not positive are no times: a clock was set. */
void pinion__forecast_note(pinion__forecast *forecast, double value);
void pinion__forecast_leave_out(pinion__forecast *forecast);
/* 0: nothing is known. */
double pinion__forecast_of(const pinion__forecast *forecast);

#endif
