/* SPDX-License-Identifier: Apache-2.0
 *
 * The host processor. Instruction sets count only where the system saves their registers, which the compiler's
 * own check (__builtin_cpu_supports) includes; cores are counted by hwloc within the affinity mask.
 */
#include "base/cpu.h"

#include <hwloc.h>
#include <stdio.h>
#include <string.h>

bool pinion__cpu_has_isa(enum pinion__isa isa)
{
    switch (isa) {
    case PINION__ISA_BASELINE:
        return PINION__HAVE_BASELINE;
#if PINION__HAVE_AVX2
    case PINION__ISA_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#if PINION__HAVE_AVX512
    case PINION__ISA_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
#if PINION__HAVE_NEON
    case PINION__ISA_NEON:
        return true;
#endif
    default:
        return false;
    }
}

enum pinion__isa pinion__cpu_best_isa(void)
{
    static const enum pinion__isa order[] = {PINION__ISA_AVX512, PINION__ISA_AVX2, PINION__ISA_NEON};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (pinion__cpu_has_isa(order[i]))
            return order[i];
    return PINION__ISA_BASELINE;
}

int pinion__cpu_cores(void)
{
    int cores = 0;
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0)
        return 1;
    if (hwloc_topology_load(topology) == 0) {
        hwloc_bitmap_t bound = hwloc_bitmap_alloc();
        if (bound && hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_PROCESS) == 0) {
            hwloc_obj_t core = NULL;
            while ((core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)))
                cores += hwloc_bitmap_intersects(core->cpuset, bound) ? 1 : 0;
        }
        if (cores == 0)
            cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
        hwloc_bitmap_free(bound);
    }
    hwloc_topology_destroy(topology);
    return cores < 1 ? 1 : cores > PINION__MAX_THREADS ? PINION__MAX_THREADS : cores;
}

void pinion__cpu_name(char *name, size_t bytes)
{
    snprintf(name, bytes, "unknown processor");
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0)
        return;
    if (hwloc_topology_load(topology) == 0) {
        hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
        const char *model = package ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
        if (!model)
            model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "CPUModel");
        if (model && *model)
            snprintf(name, bytes, "%s", model);
    }
    hwloc_topology_destroy(topology);
}
