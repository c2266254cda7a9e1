/* SPDX-License-Identifier: Apache-2.0
 *
 * Cache sizes by hwloc (base/cache.h).
 */
#include "base/cache.h"

#include <hwloc.h>

size_t pinion__cache_bytes(void)
{
    static const hwloc_obj_type_t types[] = {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE,
                                             HWLOC_OBJ_L4CACHE};
    size_t most = 0;
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0)
        return 0;
    if (hwloc_topology_load(topology) == 0)
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            hwloc_obj_t cache = hwloc_get_obj_by_type(topology, types[i], 0);
            if (cache && cache->attr->cache.size > most)
                most = (size_t)cache->attr->cache.size;
        }
    hwloc_topology_destroy(topology);
    return most;
}
