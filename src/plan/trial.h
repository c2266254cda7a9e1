/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a task by itself, to be timed: a kernel on operands in memory of their own, which is filled with normal
 * random numbers, with caches as in a step (plan/caches.h). The memory is a bench's; one task at a time is on a bench.
 */
#ifndef PINION_PLAN_TRIAL_H
#define PINION_PLAN_TRIAL_H

#include "plan/caches.h"
#include "plan/plan.h"

typedef struct pinion__bench {
    pinion_plan *plan;
    unsigned char *block; /* operands and scratch: pinion__bench_bytes */
    float *normals;       /* random numbers */
    pinion__caches caches[PINION__MAX_PROCESSORS];
    pinion__task task; /* the one that is on it, on its record's processor */
    pinion__step step;
} pinion__bench;

/* Bytes of the block that a record needs. */
size_t pinion__bench_bytes(const pinion_plan *plan, const pinion__record *record);
int pinion__bench_init(pinion__bench *bench, pinion_plan *plan, size_t bytes);
void pinion__bench_fini(pinion__bench *bench);
/* Puts the record's task on the bench. */
int pinion__bench_put(pinion__bench *bench, const pinion__record *record);

/* A kernel with the task that is on the bench. */
typedef struct pinion__trial {
    pinion__bench *bench;
    pinion__processor *processor;
    const pinion__kernel *kernel;
    pinion__args args; /* in the block */
    pinion__staged staged;
} pinion__trial;

/* Binds the arguments; weights are prepared where the kernel does so. A trial on a processor of the host takes the
 * block's scratch and prepared weights from the one before; the others keep theirs until they leave. */
int pinion__trial_enter(pinion__trial *trial, pinion__bench *bench, const pinion__kernel *kernel);
void pinion__trial_leave(pinion__trial *trial);
/* Milliseconds of a run, on average over so many, the first of which finds the caches as in a step; INFINITY: one
 * failed. Of a processor that takes submissions it is the time that one takes among
 * others, which do not wait for each other: without the latency of a run, but for a tenth that no run can be without.
 */
double pinion__trial_run(const pinion__trial *trial, int times);
/* Runs it with the caches as they are, and waits for the end. */
int pinion__trial_repeat(const pinion__trial *trial);

#endif
