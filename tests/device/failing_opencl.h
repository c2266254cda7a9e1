/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenCL whose calls fail on demand: one of them, counted from the start, or that and all that follow.
 */
#ifndef TESTS_DEVICE_FAILING_OPENCL_H
#define TESTS_DEVICE_FAILING_OPENCL_H

#ifdef PINION__HAVE_OPENCL
#include "device/opencl_api.h"

/* A table over the system's in which call number `first` (0: the first; negative: none) gives CL_OUT_OF_RESOURCES, and
 * with `lost` all later ones too. Releases are done nevertheless. */
void failing_opencl(const pinion__opencl_api *real, long first, bool lost, pinion__opencl_api *out);

/* Calls since then, and the name of the first that failed; "" if none did. */
long failing_opencl_calls(void);
const char *failing_opencl_first(void);
#endif

#endif
