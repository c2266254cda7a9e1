/* SPDX-License-Identifier: Apache-2.0
 *
 * How much memory the machine can still give: what Linux says is available, swap included, within the limits of the
 * process's control groups (version 2).
 */
#ifndef PINION_BASE_MEMORY_H
#define PINION_BASE_MEMORY_H

#include <stdint.h>

/* Bytes; UINT64_MAX: unknown. */
uint64_t pinion__memory_available_bytes(void);

/* From the text of /proc/meminfo. UINT64_MAX: it does not say. */
uint64_t pinion__memory_parse_meminfo(const char *text);

/* From the texts of a control group's memory.max, memory.current and memory.stat: what is left up to the limit, where
 * cached files do not count as used. UINT64_MAX: no limit, or not understood. */
uint64_t pinion__memory_parse_group(const char *max, const char *current, const char *stat);

#endif
