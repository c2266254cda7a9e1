/* SPDX-License-Identifier: Apache-2.0
 *
 * How much is tried where everything takes ten times as long.
 */
#ifndef TESTS_SUPPORT_QUICK_H
#define TESTS_SUPPORT_QUICK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* How many of so many random cases are tried: with PINION_QUICK=1 in the environment, which the runs under sanitizers
 * and emulators have, a quarter. */
static inline uint64_t seeds(uint64_t count)
{
    const char *quick = getenv("PINION_QUICK");
    return quick && strcmp(quick, "1") == 0 ? (count + 3) / 4 : count;
}

#endif
