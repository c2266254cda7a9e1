/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding sensors (platform/sensors.h). Sources: Linux Documentation/power/powercap/powercap.rst and
 * Documentation/hwmon/{sysfs-interface,ina2xx,ina3221,amd_energy}.rst; Hardkernel's kernel 3.10 for ODROID-XU3
 * (driver INA231); NVIDIA's kernel of JetPack 4 (driver ina3221x).
 *
 * Of hwmon's chips that show power only TI's INA family is taken: they sit in supply rails, while others measure
 * batteries, power supplies or cards that do not work for us.
 */
#include "platform/sensors.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct search {
    pinion_context *ctx;
    pinion__sensors *found;
    const char *chip, *device; /* hwmon: the chip's name, and that of its device or "" */
    const char *folder;
    bool packages; /* powercap has shown whole packages */
} search;

/* Says in one clause why a file could not be used. */
static void explain(char reason[PINION__SENSOR_REASON], const char *path, int error)
{
    if (error == EACCES || error == EPERM)
        snprintf(reason, PINION__SENSOR_REASON, "no permission to read %s", path);
    else if (error == EINVAL)
        snprintf(reason, PINION__SENSOR_REASON, "no number in %s", path);
    else
        snprintf(reason, PINION__SENSOR_REASON, "%s cannot be read", path);
}

bool pinion__sensor_read(const pinion__sensor *sensor, double *out, char reason[PINION__SENSOR_REASON])
{
    double value = 0, amperes = 1;
    const char *path = sensor->path;
    int error = pinion__sysfs_number(path, &value);
    if (error == 0 && sensor->amperes[0] != '\0') {
        path = sensor->amperes;
        error = pinion__sysfs_number(path, &amperes);
    }
    if (error == 0)
        *out = value * amperes * sensor->scale;
    else
        explain(reason, path, error);
    return error == 0;
}

/* Adds a sensor that can be read; of others only the first reason stays. */
static int add(search *s, const pinion__sensor *sensor)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    pinion__sensors *found = s->found;
    char reason[PINION__SENSOR_REASON];
    double value;
    if (!pinion__sensor_read(sensor, &value, reason)) {
        if (found->reason[0] == '\0')
            memcpy(found->reason, reason, sizeof reason);
        return PINION_OK;
    }
    PINION_TRY(pinion__grow(ctx, &found->at, &found->capacity, found->count + 1, sizeof *found->at, "sensors"));
    const char *end = strrchr(sensor->name, '_');
    found->at[found->count] = *sensor;
    found->at[found->count++].whole = end && strcmp(end, "_IN") == 0; /* NVIDIA's VDD_IN, POM_5V_IN */
fail:
    return status;
}

static bool is_there(const char *path)
{
    char word[PINION__SYSFS_WORD];
    return pinion__sysfs_word(path, word) != ENOENT;
}

/* powercap: of intel-rapl:N (AMD's too) those named package-N; psys sees more than them, dram and core parts. */
static int add_package(void *user, const char *folder)
{
    search *s = user;
    pinion__sensor sensor = {.scale = 1e-6, .counter = true};
    char file[PINION__SYSFS_PATH];
    double range;
    if (!pinion__sysfs_path(file, "%s/name", folder) || pinion__sysfs_word(file, sensor.name) != 0 ||
        strncmp(sensor.name, "package-", strlen("package-")) != 0)
        return PINION_OK;
    if (pinion__sysfs_path(file, "%s/max_energy_range_uj", folder) && pinion__sysfs_number(file, &range) == 0)
        sensor.range = range * sensor.scale;
    return pinion__sysfs_path(sensor.path, "%s/energy_uj", folder) ? add(s, &sensor) : PINION_OK;
}

/* By its label ("energy2_label"), else by chip, device and number. */
static void name_channel(const search *s, const char *kind, int channel, pinion__sensor *sensor)
{
    char label[PINION__SYSFS_PATH];
    if (pinion__sysfs_path(label, "%s/%s%d_label", s->folder, kind, channel) &&
        pinion__sysfs_word(label, sensor->name) == 0 && sensor->name[0] != '\0')
        return;
    int length =
        snprintf(sensor->name, sizeof sensor->name, "%.16s%s%.16s", s->chip, s->device[0] ? " " : "", s->device);
    if (channel > 1)
        snprintf(sensor->name + length, sizeof sensor->name - (size_t)length, " %d", channel);
}

/* The number in "energy12_input"; 0: it has another form. */
static int channel_of(const char *path, const char *prefix)
{
    char *end;
    const char *name = strrchr(path, '/') + 1;
    long number = strtol(name + strlen(prefix), &end, 10);
    return strcmp(end, "_input") == 0 && number > 0 && number < 1000 ? (int)number : 0;
}

/* What other counters contain: chip, and how labels of the contained ones begin. */
static const struct {
    const char *chip, *label;
} contained[] = {{"amd_energy", "Ecore"}, {"xe", "pkg"}};

static int add_counter(void *user, const char *path)
{
    search *s = user;
    pinion__sensor sensor = {.scale = 1e-6, .counter = true};
    int channel = channel_of(path, "energy");
    if (channel == 0 || !pinion__sysfs_path(sensor.path, "%s", path))
        return PINION_OK;
    name_channel(s, "energy", channel, &sensor);
    for (size_t i = 0; i < sizeof contained / sizeof contained[0]; i++)
        if (strcmp(s->chip, contained[i].chip) == 0 &&
            strncmp(sensor.name, contained[i].label, strlen(contained[i].label)) == 0)
            return PINION_OK;
    return add(s, &sensor);
}

static int add_power(void *user, const char *path)
{
    search *s = user;
    pinion__sensor sensor = {.scale = 1e-6};
    int channel = channel_of(path, "power");
    if (channel == 0 || !pinion__sysfs_path(sensor.path, "%s", path))
        return PINION_OK;
    name_channel(s, "power", channel, &sensor);
    return add(s, &sensor);
}

/* Channels of volts and amperes: mV and mA. A channel that is switched off measures nothing. */
static int add_volts_amperes(search *s)
{
    enum { CHANNELS = 3 }; /* of the INA3221; what it shows behind them are shunts and sums */
    int status = PINION_OK;
    for (int channel = 1; channel <= CHANNELS && status == PINION_OK; channel++) {
        pinion__sensor sensor = {.scale = 1e-6};
        char enable[PINION__SYSFS_PATH];
        double on = 1;
        if (!pinion__sysfs_path(sensor.path, "%s/in%d_input", s->folder, channel) ||
            !pinion__sysfs_path(sensor.amperes, "%s/curr%d_input", s->folder, channel) ||
            !pinion__sysfs_path(enable, "%s/in%d_enable", s->folder, channel) || !is_there(sensor.path) ||
            !is_there(sensor.amperes) || (pinion__sysfs_number(enable, &on) == 0 && on == 0))
            continue;
        name_channel(s, "in", channel, &sensor);
        status = add(s, &sensor);
    }
    return status;
}

static int note_entry(void *user, const char *path)
{
    (void)user;
    (void)path;
    return 1;
}

/* hwmon: counters of any chip; else, of the INA family, power, or volts and amperes. */
static int add_chip(void *user, const char *folder)
{
    search s = *(search *)user;
    char file[PINION__SYSFS_PATH], chip[PINION__SYSFS_WORD], device[PATH_MAX];
    if (!pinion__sysfs_path(file, "%s/name", folder) || pinion__sysfs_word(file, chip) != 0 ||
        (s.packages && strcmp(chip, "amd_energy") == 0))
        return PINION_OK;
    s.chip = chip;
    s.folder = folder;
    s.device = pinion__sysfs_path(file, "%s/device", folder) && realpath(file, device) ? strrchr(device, '/') + 1 : "";
    if (pinion__sysfs_each(folder, "energy", note_entry, NULL))
        return pinion__sysfs_each(folder, "energy", add_counter, &s);
    if (strncmp(chip, "ina", 3) != 0)
        return PINION_OK;
    return pinion__sysfs_each(folder, "power1_input", note_entry, NULL)
               ? pinion__sysfs_each(folder, "power", add_power, &s)
               : add_volts_amperes(&s);
}

/* Hardkernel's driver: folders BUS-ADDRESS with sensor_W in watts. A sensor that is not enabled shows old values. */
static int add_odroid(void *user, const char *folder)
{
    static const struct {
        const char *address, *rail;
    } rails[] = {{"-0040", "A15"}, {"-0041", "memory"}, {"-0044", "GPU"}, {"-0045", "A7"}};
    search *s = user;
    pinion__sensor sensor = {.scale = 1};
    char enable[PINION__SYSFS_PATH];
    double on = 1;
    if (!pinion__sysfs_path(sensor.path, "%s/sensor_W", folder) || !pinion__sysfs_path(enable, "%s/enable", folder) ||
        !is_there(sensor.path))
        return PINION_OK;
    const char *name = strrchr(folder, '/') + 1, *address = strchr(name, '-');
    snprintf(sensor.name, sizeof sensor.name, "%.40s", name);
    for (size_t i = 0; i < sizeof rails / sizeof rails[0]; i++)
        if (address && strcmp(address, rails[i].address) == 0)
            snprintf(sensor.name, sizeof sensor.name, "%s", rails[i].rail);
    if (pinion__sysfs_number(enable, &on) == 0 && on == 0) {
        if (s->found->reason[0] == '\0')
            snprintf(s->found->reason, sizeof s->found->reason, "%s is 0", enable);
        return PINION_OK;
    }
    return add(s, &sensor);
}

/* NVIDIA's driver: in_powerK_input in mW, rail_name_K. */
static int add_jetson(void *user, const char *folder)
{
    int status = PINION_OK;
    for (int channel = 0; channel < 3 && status == PINION_OK; channel++) {
        pinion__sensor sensor = {.scale = 1e-3};
        char file[PINION__SYSFS_PATH];
        if (!pinion__sysfs_path(sensor.path, "%s/in_power%d_input", folder, channel) || !is_there(sensor.path))
            continue;
        if (!pinion__sysfs_path(file, "%s/rail_name_%d", folder, channel) || pinion__sysfs_word(file, sensor.name) != 0)
            snprintf(sensor.name, sizeof sensor.name, "rail %d", channel);
        status = add(user, &sensor);
    }
    return status;
}

static int visit_jetson(void *user, const char *folder)
{
    return pinion__sysfs_each(folder, "iio:device", add_jetson, user);
}

static int by_path(const void *a, const void *b)
{
    const pinion__sensor *first = a, *second = b;
    return strcmp(first->path, second->path);
}

/* Where one sees the whole board the others are parts of it. */
static void keep_whole(pinion__sensors *sensors)
{
    size_t kept = 0;
    for (size_t i = 0; i < sensors->count; i++)
        if (sensors->at[i].whole)
            sensors->at[kept++] = sensors->at[i];
    if (kept > 0)
        sensors->count = kept;
}

int pinion__sensors_find(pinion_context *ctx, const char *root, pinion__sensors *out)
{
    static const struct {
        const char *folder, *prefix;
        int (*visit)(void *user, const char *path);
    } places[] = {{"sys/class/powercap", "intel-rapl:", add_package},
                  {"sys/class/hwmon", "hwmon", add_chip},
                  {"sys/bus/i2c/drivers/INA231", "", add_odroid},
                  {"sys/bus/i2c/drivers/ina3221x", "", visit_jetson}};
    int status = PINION_OK;
    *out = (pinion__sensors){0};
    search s = {.ctx = ctx, .found = out};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char folder[PINION__SYSFS_PATH];
        PINION_FAIL_IF(!pinion__sysfs_path(folder, "%s/%s", root, places[i].folder), PINION_EINVAL,
                       "a name of %zu bytes of the folder in which sensors are looked for", strlen(root));
        PINION_TRY(pinion__sysfs_each(folder, places[i].prefix, places[i].visit, &s));
        s.packages = out->count > 0;
    }
    if (out->count > 0)
        qsort(out->at, out->count, sizeof *out->at, by_path);
    keep_whole(out);
fail:
    return status;
}

void pinion__sensors_fini(pinion_context *ctx, pinion__sensors *sensors)
{
    pinion__release(ctx, sensors->at);
    *sensors = (pinion__sensors){0};
}
