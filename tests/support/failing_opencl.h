/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenCL whose calls fail on demand: one of them, counted from the start or among those of one function, or that and
 * all that follow.
 */
#ifndef TESTS_SUPPORT_FAILING_OPENCL_H
#define TESTS_SUPPORT_FAILING_OPENCL_H

#ifdef PINION__HAVE_OPENCL
#include "device/opencl_api.h"

/* A table over the system's in which call number `first` (0: the first; negative: none) gives CL_OUT_OF_RESOURCES, and
 * with `lost` all later ones too. Releases are done nevertheless. */
void failing_opencl(const pinion__opencl_api *real, long first, bool lost, pinion__opencl_api *out);

/* Of the calls of `function` from now on, number `after` (0: the first) fails, and with `lost` all later calls of all
 * functions. "callback": a command that ends, which is told by an event. */
void failing_opencl_arm(const char *function, long after, bool lost);

/* Calls since then, and the name of the first that failed; "" if none did. */
long failing_opencl_calls(void);
const char *failing_opencl_first(void);
#endif

#endif
