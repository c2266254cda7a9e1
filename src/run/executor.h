/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the tasks of a plan, each on its processor.
 */
#ifndef PINION_RUN_EXECUTOR_H
#define PINION_RUN_EXECUTOR_H

#include "plan/plan.h"

typedef struct pinion__executor pinion__executor;

/* When a task ran, in nanoseconds of pinion__now_ns. */
typedef struct pinion__interval {
    int64_t begin, end;
} pinion__interval;

/* args: one a task. hand_overs: one a task, of those that are hand-overs; NULL: there are none. All are borrowed. */
int pinion__executor_create(const pinion_plan *plan, const pinion__args *args, const pinion__hand_over_args *hand_overs,
                            pinion__executor **out);
void pinion__executor_destroy(pinion__executor *executor);

/* Equals: for (t = first; t < end; t++) { run task t; if (t == plan->gate && !(*passed = gate(user))) break; }, *passed
 * being true before. `gate` may be called by another thread. PINION_EDEVICE: a processor failed; some tasks have run,
 * others not, and the sentence is the processor's. */
int pinion__executor_run(pinion__executor *executor, int first, int end, bool (*gate)(void *user), void *user,
                         bool *passed);

/* Threads stay awake while tasks run. With several runs soon after each other they may also be kept awake in between:
 * until each call with true has had its one with false. */
void pinion__executor_keep_awake(pinion__executor *executor, bool awake);

/* Runs one task by itself and waits for it. */
int pinion__executor_run_task(pinion__executor *executor, int t);

/* From now on the times of task t are left in times[t]. A task that was submitted begins when it was: its processor may
 * then have been busy with others. NULL: no more. */
void pinion__executor_time(pinion__executor *executor, pinion__interval *times);

#endif
