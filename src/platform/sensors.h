/* SPDX-License-Identifier: Apache-2.0
 *
 * Sensors of energy and power of a machine. Each kind of driver is found by a function of its own in sensors.c.
 */
#ifndef PINION_PLATFORM_SENSORS_H
#define PINION_PLATFORM_SENSORS_H

#include "base/context.h"
#include "platform/sysfs.h"

typedef struct pinion__sensor {
    char name[PINION__SYSFS_WORD];
    char path[PINION__SYSFS_PATH];    /* energy, power, or where `amperes` is there, volts */
    char amperes[PINION__SYSFS_PATH]; /* power is the product of both files; "": it stands in one */
    double scale;                     /* joules or watts of what stands there */
    bool counter;                     /* energy since some moment in joules; else power in watts */
    double range;                     /* counter: behind so many joules it begins at 0 again; 0: never */
    bool whole;                       /* it sees the whole board, the others parts of it */
} pinion__sensor;

enum { PINION__SENSOR_REASON = PINION__SYSFS_PATH + 64 };

typedef struct pinion__sensors {
    pinion__sensor *at; /* by path */
    size_t count, capacity;
    char reason[PINION__SENSOR_REASON]; /* the first that is there and not counted, and why; "": there is none */
} pinion__sensors;

/* What is to be counted below `root`, each readable just now. No watt is counted twice: where a sensor sees the whole
 * board it stands alone. To be finished also where this fails. */
int pinion__sensors_find(pinion_context *ctx, const char *root, pinion__sensors *out);
void pinion__sensors_fini(pinion_context *ctx, pinion__sensors *sensors);

/* Joules or watts. False: it cannot be read, and `reason` says why in one clause. */
bool pinion__sensor_read(const pinion__sensor *sensor, double *out, char reason[PINION__SENSOR_REASON]);

#endif
