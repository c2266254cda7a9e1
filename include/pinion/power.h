/* SPDX-License-Identifier: Apache-2.0
 *
 * Mean electrical power of a stretch of work, by the sensors of the machine: energy counters are read before and after
 * it, sensors of power by the working loop itself, between two pieces of work. No thread is started.
 *
 *     pinion_power_begin(power);
 *     for (each piece of work) {
 *         ...
 *         pinion_power_sample(power);
 *     }
 *     pinion_power_reading reading = pinion_power_end(power);
 *
 * docs/power.md says which sensors are known. Nothing is estimated: what no sensor sees is not in the figure.
 */
#ifndef PINION_POWER_H
#define PINION_POWER_H

#include <pinion/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pinion_power pinion_power;

/* Texts belong to the meter and live until it begins again or is destroyed. */
typedef struct pinion_power_reading {
    double watts;        /* mean over the time from begin to end, summed over the sensors; NAN: unavailable */
    double seconds;      /* that time */
    const char *sensors; /* which are counted: their names with ", " between them; "": none is there */
    const char *reason;  /* why it is unavailable, in one clause ("no sensor found"); "" where it is not */
} pinion_power_reading;

/* Looks for sensors below the folder `root` (a tree that holds `sys`). NULL: by the environment's PINION_ROOT, and
 * where that is not set, those of this machine. That none is found, or that none may be read, is no failure: readings
 * then say so. PINION_EINVAL: the name of the folder is too long. The context must outlive the meter. */
int pinion_power_create(pinion_context *ctx, const char *root, pinion_power **out);
/* NULL is accepted. */
void pinion_power_destroy(pinion_power *power);

/* In this order, from one thread at a time; none of them allocates or fails. Sensors that sample are read when 100 ms
 * have passed since they were last read, and at the end; a value stands for the time since the one before. A sensor
 * that can no longer be read makes the whole reading unavailable: the others alone would be another figure. */
void pinion_power_begin(pinion_power *power);
void pinion_power_sample(pinion_power *power);
pinion_power_reading pinion_power_end(pinion_power *power);

#ifdef __cplusplus
}
#endif
#endif
