/* SPDX-License-Identifier: Apache-2.0
 *
 * What the host processor is: instruction sets that it and this build have, physical cores this process may use, its
 * name. Detected anew at each call; callers keep the answer.
 */
#ifndef PINION_BASE_CPU_H
#define PINION_BASE_CPU_H

#include "base/context.h"

enum { PINION__MAX_THREADS = 256 };

bool pinion__cpu_has_isa(enum pinion__isa isa);
enum pinion__isa pinion__cpu_best_isa(void);

/* Physical cores within this process' affinity mask, at least 1. */
int pinion__cpu_cores(void);

/* "AMD EPYC"; "unknown processor" where the system does not tell. */
void pinion__cpu_name(char *name, size_t bytes);

#endif
