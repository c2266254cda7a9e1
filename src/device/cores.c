/* SPDX-License-Identifier: Apache-2.0
 *
 * Cores from hwloc: its kinds of cores are the clusters.
 */
#include "device/cores.h"

#include <hwloc.h>
#include <stdlib.h>
#include <string.h>

/* hwloc ranks kinds from the least to the most powerful. -1: it does not know. */
static int cluster_of(hwloc_topology_t topology, hwloc_const_cpuset_t cpus, int kinds)
{
    int kind = kinds > 1 ? hwloc_cpukinds_get_by_cpuset(topology, cpus, 0) : 0;
    return kind < 0 ? 0 : kinds > 1 ? kinds - 1 - kind : 0;
}

static void add_core(hwloc_topology_t topology, hwloc_obj_t object, hwloc_const_cpuset_t allowed, int kinds,
                     pinion__cores *out)
{
    if (out->count == (int)(sizeof out->at / sizeof out->at[0]) || !hwloc_bitmap_intersects(object->cpuset, allowed))
        return;
    pinion__core core = {.unit = -1, .cluster = cluster_of(topology, object->cpuset, kinds)};
    for (int unit = hwloc_bitmap_first(object->cpuset); unit >= 0; unit = hwloc_bitmap_next(object->cpuset, unit)) {
        if (core.unit < 0 && hwloc_bitmap_isset(allowed, (unsigned)unit))
            core.unit = unit;
        if (unit < 256)
            core.mask[unit / 64] |= UINT64_C(1) << (unit % 64);
    }
    out->at[out->count++] = core;
}

static int compare(const void *a, const void *b)
{
    const pinion__core *first = a, *second = b;
    return first->cluster != second->cluster ? first->cluster - second->cluster : first->unit - second->unit;
}

static void read_cores(hwloc_topology_t topology, pinion__cores *out)
{
    hwloc_cpuset_t allowed = hwloc_bitmap_alloc();
    if (!allowed)
        return;
    if (hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_THREAD) != 0)
        hwloc_bitmap_copy(allowed, hwloc_topology_get_allowed_cpuset(topology));
    int kinds = hwloc_cpukinds_get_nr(topology, 0);
    int count = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
    hwloc_obj_type_t type = count > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU; /* systems that do not tell of cores */
    count = hwloc_get_nbobjs_by_type(topology, type);
    for (int i = 0; i < count; i++)
        add_core(topology, hwloc_get_obj_by_type(topology, type, (unsigned)i), allowed, kinds, out);
    hwloc_bitmap_free(allowed);
}

/* Clusters none of whose cores may be used do not count. */
static void number_clusters(pinion__cores *out)
{
    int last = -1;
    out->clusters = 0;
    for (int i = 0; i < out->count; i++) {
        if (i == 0 || out->at[i].cluster != last)
            out->clusters++;
        last = out->at[i].cluster;
        out->at[i].cluster = out->clusters - 1;
    }
}

int pinion__cores_find(pinion_context *ctx, pinion__cores *out)
{
    int status = PINION_OK;
    hwloc_topology_t topology;
    out->count = 0;
    PINION_FAIL_IF(hwloc_topology_init(&topology) != 0, PINION_ENOMEM, "out of memory: the cores of this machine");
    if (hwloc_topology_load(topology) == 0)
        read_cores(topology, out);
    hwloc_topology_destroy(topology);
    if (out->count == 0)
        out->at[out->count++] = (pinion__core){.mask = {1}};
    qsort(out->at, (size_t)out->count, sizeof out->at[0], compare);
    number_clusters(out);
fail:
    return status;
}

bool pinion__thread_bind(const cpu_set_t *to, cpu_set_t *before)
{
    CPU_ZERO(before);
    if (sched_getaffinity(0, sizeof *before, before) == 0 && CPU_EQUAL(before, to))
        CPU_ZERO(before); /* nothing to restore */
    else if (sched_setaffinity(0, sizeof *to, to) != 0) {
        CPU_ZERO(before);
        return false;
    }
    return true;
}

void pinion__thread_restore(const cpu_set_t *before)
{
    if (CPU_COUNT(before) > 0)
        sched_setaffinity(0, sizeof *before, before);
}
