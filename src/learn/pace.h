/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a training keep the pace that its plan predicts? The median of the last steps is compared with what is expected:
 * the prediction, or, where there is none or a new plan has not brought it about, what the first steps took.
 */
#ifndef PINION_LEARN_PACE_H
#define PINION_LEARN_PACE_H

#include <stdbool.h>

enum { PINION__PACE_STEPS = 5, PINION__PACE_LONG = 5 };

typedef struct pinion__pace {
    double expected_ms; /* NaN: the first steps will tell */
    double recent[PINION__PACE_STEPS];
    int count; /* steps since the plan was made */
    int off;   /* steps in a row in which the median was off */
} pinion__pace;

/* A plan begins. again: it was made because the pace was lost, from new times; where the steps are as slow as before,
 * that is what they take. */
void pinion__pace_begin(pinion__pace *pace, double predicted_ms, bool again);

/* A step is done. true: the median of the last PINION__PACE_STEPS has been off by more than a quarter for
 * PINION__PACE_LONG steps. */
bool pinion__pace_lost(pinion__pace *pace, double step_ms);

/* The median of the last steps. */
double pinion__pace_median(const pinion__pace *pace);

#endif
