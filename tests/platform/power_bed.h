/* SPDX-License-Identifier: Apache-2.0
 *
 * Meters on made-up machines, and what is expected of their readings.
 */
#ifndef TESTS_PLATFORM_POWER_BED_H
#define TESTS_PLATFORM_POWER_BED_H

#include "platform/tree.h"

#include "base/context.h"
#include "platform/power.h"

#include <math.h>

#define RAPL "class/powercap/intel-rapl:0/"
#define INA "class/hwmon/hwmon1/"

static const int64_t second = 1000000000;

typedef struct bench {
    pinion_context *ctx;
    pinion_power *power;
} bench;

static inline bench start(void)
{
    bench b = {0};
    assert_int_equal(pinion_context_create(NULL, &b.ctx), PINION_OK);
    assert_int_equal(pinion_power_create(b.ctx, tree_root, &b.power), PINION_OK);
    return b;
}

static inline void stop(bench *b)
{
    pinion_context *ctx = b->ctx;
    pinion_power_destroy(b->power);
    assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    pinion_context_destroy(ctx);
}

static inline void expect_watts(pinion_power_reading found, double watts, const char *sensors)
{
    if (!(fabs(found.watts - watts) < 1e-9 * (1 + fabs(watts))))
        fail_msg("%.9g W (%s), expected %.9g", found.watts, found.reason, watts);
    assert_string_equal(found.sensors, sensors);
    assert_string_equal(found.reason, "");
}

/* `reason` with the tree's folder for %s. */
static inline void expect_unavailable(pinion_power_reading found, const char *reason)
{
    char expected[512];
    const char *at = strstr(reason, "%s");
    snprintf(expected, sizeof expected, "%.*s%s%s", at ? (int)(at - reason) : 0, reason, at ? tree_root : "",
             at ? at + 2 : reason);
    assert_true(isnan(found.watts));
    assert_string_equal(found.reason, expected);
}

/* What is there, and one second in which nothing moves. */
static inline pinion_power_reading look(void)
{
    static char names[256], reason[512];
    bench b = start();
    pinion__power_begin_at(b.power, 5);
    pinion_power_reading found = pinion__power_end_at(b.power, second + 5);
    snprintf(names, sizeof names, "%s", found.sensors);
    snprintf(reason, sizeof reason, "%s", found.reason);
    found.sensors = names;
    found.reason = reason;
    stop(&b);
    return found;
}

static inline void put_package(const char *energy)
{
    tree_put(RAPL "name", "package-0\n");
    tree_put(RAPL "max_energy_range_uj", "262143328850\n");
    tree_put(RAPL "energy_uj", energy);
}

#endif
