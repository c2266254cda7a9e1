/* SPDX-License-Identifier: Apache-2.0
 *
 * Work for OpenCL processors in tests.
 */
#ifndef TESTS_DEVICE_OPENCL_WORK_H
#define TESTS_DEVICE_OPENCL_WORK_H

#ifdef PINION__HAVE_OPENCL
#include "device/opencl.h"

enum { HOST = PINION__HELD_BY_HOST, DEVICE = PINION__HELD_BY_DEVICE, BOTH = PINION__HELD_BY_BOTH };

/* A body: adds a value to the floats of a span. */
typedef struct add {
    pinion__processor *processor;
    pinion__span span;
    size_t count;
    float value;
} add;

void run_add(const void *args);

/* Runs a hand-over to its end; its status. */
int pass(pinion__memory *memory, pinion__processor *by, const pinion__span *span, size_t bytes, int from, int to,
         bool contents);
pinion__hand_over_args passing(pinion__memory *memory, pinion__processor *by, const pinion__span *span, size_t bytes,
                               int from, int to, bool contents);
#endif

#endif
