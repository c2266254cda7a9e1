/* SPDX-License-Identifier: Apache-2.0
 *
 * The processors that a list names ("cpu/1,opencl:0/1"), and the cores they get. Entries take cores in their order:
 * those that no entry has yet, else used ones again. An entry without "/N" takes all that it has and leaves its threads
 * to the system, but for a cluster, whose threads stay there.
 */
#include "device/cores.h"
#ifdef PINION__HAVE_OPENCL
#include "device/opencl.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALL = -1, MOST_CORES = 256 };

typedef struct entry {
    char name[32];
    bool opencl;
    int index; /* of the cluster or device; ALL: none is given */
    int cores; /* at most; ALL: none is given */
} entry;

typedef struct choice {
    pinion_context *ctx;
    pinion__cores cores;
    bool used[MOST_CORES];
    entry entries[PINION__MAX_PROCESSORS];
    int count;
    pinion__processors *out;
} choice;

/* A number of at most four digits; -1: it is none. */
static int read_number(const char **text)
{
    int value = 0, digits = 0;
    for (; **text >= '0' && **text <= '9' && digits < 5; (*text)++, digits++)
        value = value * 10 + (**text - '0');
    return digits > 0 && digits < 5 ? value : -1;
}

/* cpu[:N][/N] or opencl:N[/N] */
static bool read_entry(const char *text, entry *out)
{
    out->opencl = strncmp(text, "opencl", 6) == 0;
    out->index = out->cores = ALL;
    if (!out->opencl && strncmp(text, "cpu", 3) != 0)
        return false;
    text += out->opencl ? 6 : 3;
    if (*text == ':') {
        text++;
        if ((out->index = read_number(&text)) < 0)
            return false;
    }
    if (*text == '/') {
        text++;
        if ((out->cores = read_number(&text)) <= 0)
            return false;
    }
    return *text == '\0' && (!out->opencl || out->index != ALL);
}

static int read_list(choice *of, const char *list)
{
    pinion_context *ctx = of->ctx;
    int status = PINION_OK;
    for (const char *at = list;; at++) {
        PINION_FAIL_IF(of->count == PINION__MAX_PROCESSORS, PINION_EINVAL, "processors '%s': more than %d", list,
                       PINION__MAX_PROCESSORS);
        entry *next = &of->entries[of->count++];
        size_t length = strcspn(at, ",");
        bool fits = length < sizeof next->name - 4; /* with a mark behind it */
        snprintf(next->name, sizeof next->name, "%.*s", fits ? (int)length : 0, at);
        PINION_FAIL_IF(
            !fits || !read_entry(next->name, next), PINION_EINVAL,
            "processors '%s': '%.*s' is none; expected cpu, cpu:CLUSTER or opencl:DEVICE, each with /CORES or "
            "without, and commas between",
            list, (int)(length < 40 ? length : 40), at);
        at += length;
        if (!*at)
            break;
    }
fail:
    return status;
}

/* "cpu/1" twice: the second is "cpu/1#2". */
static void tell_apart(choice *of)
{
    for (int i = of->count - 1; i > 0; i--) {
        int same = 1;
        for (int before = 0; before < i; before++)
            same += strcmp(of->entries[before].name, of->entries[i].name) == 0;
        size_t length = strlen(of->entries[i].name);
        if (same > 1)
            snprintf(of->entries[i].name + length, sizeof of->entries[i].name - length, "#%d", same);
    }
}

static bool belongs(const pinion__core *core, int cluster)
{
    return cluster == ALL || core->cluster == cluster;
}

/* The first `count` cores of a cluster (ALL: of the CPU), those that nobody has before the others. False: it has fewer.
 */
static bool take_cores(choice *of, int cluster, int count, const pinion__core **taken)
{
    int found = 0;
    for (int used = 0; used < 2; used++)
        for (int i = 0; i < of->cores.count && found < count; i++)
            if (of->used[i] == (used == 1) && belongs(&of->cores.at[i], cluster)) {
                bool twice = false;
                for (int t = 0; t < found; t++)
                    twice = twice || taken[t] == &of->cores.at[i];
                if (!twice)
                    taken[found++] = &of->cores.at[i];
            }
    for (int t = 0; t < found; t++)
        of->used[taken[t] - of->cores.at] = true;
    return found == count;
}

static int count_cores(const choice *of, int cluster)
{
    int count = 0;
    for (int i = 0; i < of->cores.count; i++)
        count += belongs(&of->cores.at[i], cluster);
    return count;
}

static int add_cpu(choice *of, const entry *from)
{
    pinion_context *ctx = of->ctx;
    int status = PINION_OK;
    pinion__processor **into = &of->out->at[of->out->count];
    const pinion__core *taken[MOST_CORES];
    if (from->index == ALL && from->cores == ALL) {
        take_cores(of, ALL, of->cores.count, taken);
        PINION_TRY(pinion__processor_create_cpu(ctx, ctx->threads, into));
        memcpy((*into)->name, from->name, sizeof from->name);
        of->out->count++;
        goto fail;
    }
    PINION_FAIL_IF(from->index >= of->cores.clusters, PINION_EUNSUPPORTED,
                   "there is no processor 'cpu:%d': this CPU has %d kind%s of cores, counted from cpu:0", from->index,
                   of->cores.clusters, of->cores.clusters == 1 ? "" : "s");
    int there = count_cores(of, from->index), wanted = from->cores == ALL ? there : from->cores;
    PINION_FAIL_IF(wanted > there, PINION_EINVAL, "processor '%s': there %s %d core%s", from->name,
                   there == 1 ? "is" : "are", there, there == 1 ? "" : "s");
    take_cores(of, from->index, wanted, taken);
    PINION_TRY(pinion__processor_create_cpu_on(ctx, from->name, taken, wanted, into));
    of->out->count++;
fail:
    return status;
}

#ifdef PINION__HAVE_OPENCL
/* Gives the threads of a device that is a CPU cores of their own. */
static void place_threads(choice *of, pinion__processor *processor, bool all)
{
    const pinion__core *taken[MOST_CORES] = {0};
    int units[MOST_CORES], count = processor->cores;
    bool enough = count <= of->cores.count;
    if (enough)
        take_cores(of, ALL, count, taken);
    for (int i = 0; i < count && taken[i]; i++)
        units[i] = taken[i]->unit;
    bool bound = enough && pinion__opencl_bind(processor, units);
    if (!bound && !all)
        pinion__log(of->ctx, PINION_LOG_WARNING,
                    "processor '%s': its driver's threads cannot be bound to cores: it shares all of them",
                    processor->name);
    for (int i = 0; i < (bound ? count : of->cores.count); i++) {
        const pinion__core *core = bound ? taken[i] : &of->cores.at[i];
        for (int word = 0; word < 4 && core; word++)
            processor->core_mask[word] |= core->mask[word];
    }
}

/* How many compute units of its device the entries before this one have. */
static int units_before(const choice *of, const entry *from, bool *whole)
{
    int units = 0;
    for (const entry *other = of->entries; other < of->entries + of->count; other++)
        if (other != from && other->opencl && other->index == from->index) {
            *whole = *whole || other->cores == ALL || from->cores == ALL;
            units += other < from && other->cores != ALL ? other->cores : 0;
        }
    return units;
}

static int add_opencl(choice *of, const entry *from)
{
    pinion_context *ctx = of->ctx;
    int status = PINION_OK;
    pinion__processor *processor = NULL;
    pinion__opencl *opencl;
    PINION_TRY(pinion__opencl_get(ctx, &opencl));
    int units = from->index < opencl->device_count ? opencl->devices[from->index].compute_units : 0;
    bool whole = false;
    int first = units_before(of, from, &whole), cores = from->cores == ALL ? 0 : from->cores;
    PINION_FAIL_IF(whole, PINION_EINVAL,
                   "processor 'opencl:%d' is named twice, but not divided: expected /CORES on each", from->index);
    PINION_FAIL_IF(units > 0 && first + cores > units, PINION_EINVAL,
                   "processor 'opencl:%d' has %d compute unit%s; the list asks for %d", from->index, units,
                   units == 1 ? "" : "s", first + cores);
    const pinion__opencl_choice wanted = {.name = from->name, .index = from->index, .first = first, .cores = cores};
    PINION_TRY(pinion__opencl_open(ctx, &wanted, &processor));
    if (pinion__opencl_on_host(&opencl->devices[from->index]))
        place_threads(of, processor, from->cores == ALL);
    of->out->at[of->out->count++] = processor;
fail:
    return status;
}
#else
static int add_opencl(choice *of, const entry *from)
{
    return pinion__fail(of->ctx, __FILE__, __LINE__, PINION_EUNSUPPORTED,
                        "there is no processor '%s': this Pinion was built without OpenCL", from->name);
}
#endif

int pinion__processors_choose(pinion_context *ctx, const char *list, pinion__processors *out)
{
    int status = PINION_OK;
    pinion__processors chosen = {.count = 0};
    choice of = {.ctx = ctx, .out = &chosen};
    PINION_TRY(read_list(&of, list && *list ? list : "cpu"));
    tell_apart(&of);
    if (strcmp(of.entries[0].name, "cpu") != 0 || of.count > 1) /* asking the system takes milliseconds */
        PINION_TRY(pinion__cores_find(ctx, &of.cores));
    for (int i = 0; i < of.count; i++)
        PINION_TRY(of.entries[i].opencl ? add_opencl(&of, &of.entries[i]) : add_cpu(&of, &of.entries[i]));
    *out = chosen;
    return PINION_OK;
fail:
    pinion__processors_fini(&chosen);
    return status;
}
