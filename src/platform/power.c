/* SPDX-License-Identifier: Apache-2.0
 *
 * Mean power of a stretch of work (<pinion/power.h>). Every sensor gathers joules: a counter what it has moved on, with
 * the way round its range, a sensor of power its value times the time since the one before. Counters are read with the
 * others, so that one that goes round more than once in a long stretch is followed. The mean is the sum of joules
 * divided by the time. Counters that stand still all the time are those of a machine that shows none of its own
 * (virtual ones do): they make no zero.
 */
#include "platform/power.h"

#include "base/clock.h"
#include "platform/sensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pinion_power {
    pinion_context *ctx;
    pinion__sensors sensors;
    double *last;  /* per sensor: where a counter stood */
    double joules; /* of all since the beginning */
    int64_t begin_ns, last_ns;
    char *names;
    char reason[PINION__SENSOR_REASON]; /* why this stretch cannot be told; "" */
};

static int list_names(pinion_power *power)
{
    pinion_context *ctx = power->ctx;
    const pinion__sensors *sensors = &power->sensors;
    int status = PINION_OK;
    const size_t room = PINION__SYSFS_WORD + 2;
    PINION_TRY(pinion__alloc_zeroed(ctx, sensors->count + 1, room, "names of sensors", &power->names));
    char *at = power->names;
    for (size_t i = 0; i < sensors->count; i++)
        at += snprintf(at, room, "%s%s", i > 0 ? ", " : "", sensors->at[i].name);
fail:
    return status;
}

int pinion_power_create(pinion_context *ctx, const char *root, pinion_power **out)
{
    int status = PINION_OK;
    pinion_power *power = NULL;
    const char *given = root ? root : getenv("PINION_ROOT");
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *power, "a power meter", &power));
    power->ctx = ctx;
    PINION_TRY(pinion__sensors_find(ctx, given ? given : "", &power->sensors));
    PINION_TRY(pinion__alloc_zeroed(ctx, power->sensors.count + 1, sizeof *power->last, "a power meter", &power->last));
    PINION_TRY(list_names(power));
    *out = power;
    power = NULL;
fail:
    pinion_power_destroy(power);
    return status;
}

void pinion_power_destroy(pinion_power *power)
{
    if (!power)
        return;
    pinion_context *ctx = power->ctx;
    pinion__sensors_fini(ctx, &power->sensors);
    pinion__release(ctx, power->last);
    pinion__release(ctx, power->names);
    pinion__release(ctx, power);
}

/* What a counter has moved on. One that stands lower than before has gone round, if it can. */
static bool moved_on(pinion_power *power, const pinion__sensor *sensor, double last, double now, double *joules)
{
    *joules = now - last;
    if (*joules < 0)
        *joules += sensor->range;
    if (*joules < 0)
        snprintf(power->reason, sizeof power->reason, "%s went back", sensor->path);
    return *joules >= 0;
}

/* Reads all sensors; what those of power show has lasted for `seconds`. */
static void read_all(pinion_power *power, double seconds)
{
    for (size_t i = 0; i < power->sensors.count && power->reason[0] == '\0'; i++) {
        const pinion__sensor *sensor = &power->sensors.at[i];
        double value, joules;
        if (!pinion__sensor_read(sensor, &value, power->reason))
            return;
        if (!sensor->counter)
            joules = value * seconds;
        else if (!moved_on(power, sensor, power->last[i], value, &joules))
            return;
        power->last[i] = value;
        power->joules += joules;
    }
}

void pinion__power_begin_at(pinion_power *power, int64_t now_ns)
{
    power->begin_ns = power->last_ns = now_ns;
    power->reason[0] = '\0';
    memset(power->last, 0, sizeof *power->last * power->sensors.count);
    read_all(power, 0);
    power->joules = 0;
}

static void take(pinion_power *power, int64_t now_ns)
{
    read_all(power, 1e-9 * (double)(now_ns - power->last_ns));
    power->last_ns = now_ns;
}

void pinion__power_sample_at(pinion_power *power, int64_t now_ns)
{
    if (now_ns - power->last_ns >= PINION__POWER_PERIOD_NS)
        take(power, now_ns);
}

pinion_power_reading pinion__power_end_at(pinion_power *power, int64_t now_ns)
{
    take(power, now_ns);
    double seconds = 1e-9 * (double)(now_ns - power->begin_ns);
    if (power->sensors.count == 0)
        snprintf(power->reason, sizeof power->reason, "%s",
                 power->sensors.reason[0] ? power->sensors.reason : "no sensor found");
    else if (power->reason[0] == '\0' && !(seconds > 0 && power->joules > 0))
        snprintf(power->reason, sizeof power->reason, "%s: nothing shown", power->names);
    bool known = power->reason[0] == '\0';
    return (pinion_power_reading){.watts = known ? power->joules / seconds : (double)NAN,
                                  .seconds = seconds,
                                  .sensors = power->names,
                                  .reason = power->reason};
}

void pinion_power_begin(pinion_power *power)
{
    pinion__power_begin_at(power, pinion__now_ns());
}

void pinion_power_sample(pinion_power *power)
{
    pinion__power_sample_at(power, pinion__now_ns());
}

pinion_power_reading pinion_power_end(pinion_power *power)
{
    return pinion__power_end_at(power, pinion__now_ns());
}
