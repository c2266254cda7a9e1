/* SPDX-License-Identifier: Apache-2.0
 *
 * Clock rates of the host's cores, where the platform tells them.
 */
#ifndef PINION_BASE_FREQUENCY_H
#define PINION_BASE_FREQUENCY_H

#include <stdint.h>

/* The present rate of the first core of the mask, by ROOT/sys/devices/system/cpu/cpuN/cpufreq/scaling_cur_freq; root is
 * "" but in tests. 0: not told. */
int64_t pinion__cpu_khz(const char *root, const uint64_t core_mask[4]);

#endif
