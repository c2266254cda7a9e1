/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of processors share.
 */
#ifndef TESTS_DEVICE_SUPPORT_H
#define TESTS_DEVICE_SUPPORT_H

#include "base/context.h"

#include <pthread.h>

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

/* Counts the submissions that are done, and sees that they come in their order. */
typedef struct progress {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int done, status;
} progress;

/* For submit's `done`; user is the progress. */
void count_done(void *user, int status);

#endif
