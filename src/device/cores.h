/* SPDX-License-Identifier: Apache-2.0
 *
 * The physical cores that this process may use, and binding threads to them.
 */
#ifndef PINION_DEVICE_CORES_H
#define PINION_DEVICE_CORES_H

#include "device/device.h"

#include <sched.h>

typedef struct pinion__core {
    int unit;         /* the system's number of its first hardware thread that the process may use */
    int cluster;      /* 0: the kind of the fastest cores */
    uint64_t mask[4]; /* all its hardware threads */
} pinion__core;

typedef struct pinion__cores {
    pinion__core at[256];
    int count, clusters; /* clusters: at least 1 */
} pinion__cores;

/* In order of clusters, then of the system. At least one: what the system does not tell counts as one kind. */
int pinion__cores_find(pinion_context *ctx, pinion__cores *out);

/* Threads of the calling thread's choosing: binds it to the first hardware threads of these cores and tells where it
 * could run before. Restoring does nothing after a binding that failed (false): then it stays where it was. */
bool pinion__thread_bind(const cpu_set_t *to, cpu_set_t *before);
void pinion__thread_restore(const cpu_set_t *before);

/* Binds the calling thread like the processor's run does, for all the tasks that it will run: each then saves three
 * system calls. Nothing for processors whose threads are not bound. pinion__thread_restore ends it. */
void pinion__processor_enter(const pinion__processor *processor, cpu_set_t *before);

/* The CPU as `count` of these cores: a worker each, bound to them. */
int pinion__processor_create_cpu_on(pinion_context *ctx, const char *name, const pinion__core *const *cores, int count,
                                    pinion__processor **out);

#endif
