/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a core's clock rate (base/frequency.h). Linux: Documentation/admin-guide/pm/cpufreq.rst.
 */
#include "base/frequency.h"

#include <stdio.h>
#include <stdlib.h>

static int first_core(const uint64_t core_mask[4])
{
    for (int core = 0; core < 256; core++)
        if (core_mask[core / 64] >> (core % 64) & 1)
            return core;
    return -1;
}

int64_t pinion__cpu_khz(const char *root, const uint64_t core_mask[4])
{
    enum { MAX_KHZ = 1000000000 };
    char path[256], text[32] = "";
    int core = first_core(core_mask);
    if (core < 0)
        return 0;
    snprintf(path, sizeof path, "%.128s/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", root, core);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    long long khz = strtoll(text, NULL, 10);
    return khz > 0 && khz <= MAX_KHZ ? khz : 0;
}
