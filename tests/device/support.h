/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of processors share.
 */
#ifndef TESTS_DEVICE_SUPPORT_H
#define TESTS_DEVICE_SUPPORT_H

#include "base/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A context that logs to standard error. */
pinion_context *new_context(void);

/* One that only counts its log: lines of warnings and information since it was made. */
pinion_context *new_quiet_context(void);
int log_lines(void);

/* Ends the program as skipped where there is no OpenCL device. */
void skip_without_opencl(void);

#endif
