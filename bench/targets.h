/* SPDX-License-Identifier: Apache-2.0
 *
 * The processors that a benchmark compares, and the peak of each.
 */
#ifndef BENCH_TARGETS_H
#define BENCH_TARGETS_H

#include "device/device.h"

/* A processor and the threads that measure its peak: its own, or, where it has none, one for each of its cores. */
typedef struct target {
    pinion__processor *processor;
    pinion__workers *workers;
    double peak; /* GFLOP/s, the best one measured since targets_forget */
} target;

typedef struct targets {
    pinion_context *ctx;
    pinion__processors processors;
    target at[PINION__MAX_PROCESSORS];
    int count;
    pinion__workers *awake; /* NULL: none */
} targets;

/* `processors` as for --processors. Prints a line for each. What goes wrong ends the program with a
 * sentence. */
void targets_open(targets *list, pinion_context *ctx, const char *processors);
void targets_close(targets *list);

/* Ends the program with the context's last error where `status` is one. */
void targets_check(const targets *list, int status);

void targets_forget(targets *list);
void targets_measure(targets *list);
/* No threads keep awake but those of `one`, where it computes with them. */
void targets_wake(targets *list, const target *one);

#endif
