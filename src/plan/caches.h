/* SPDX-License-Identifier: Apache-2.0
 *
 * The caches of a processor before a task is timed, brought into the state in which a step leaves them: a task finds
 * there what its predecessors have just written, and little else of what it uses, since weights, and activations kept
 * from the forward pass, were last touched a step or half a step ago. Whatever the processor is, its own kernel for
 * adding two tensors does it: arrays larger than the caches are added, then what is fresh is read.
 */
#ifndef PINION_PLAN_CACHES_H
#define PINION_PLAN_CACHES_H

#include "kernel/staged.h"

typedef struct pinion__caches {
    pinion__processor *processor;
    const pinion__kernel *kernel; /* NULL: there is none; nothing is done then */
    float *block;                 /* three arrays of `count` */
    size_t count;
    pinion__staged staged;
    double latency_ms; /* of a run over that of one submission among many; 0 where a processor only runs */
} pinion__caches;

int pinion__caches_init(pinion__caches *caches, pinion__processor *processor);
void pinion__caches_fini(pinion__caches *caches);

/* The addition of the arrays, from within a body; how long it takes among other submissions. */
void pinion__caches_add(const pinion__caches *caches);
double pinion__caches_task_ms(const pinion__caches *caches);
/* Runs a body as the executor does: submitted where the processor takes that, else run; waits for its end. */
int pinion__caches_submit(const pinion__caches *caches, pinion__body *body, const void *args);

/* All that was there is not there any more. */
void pinion__caches_evict(pinion__caches *caches);
/* An operand of `args`, as a kernel on the processor has them, of so many bytes, is there. */
void pinion__caches_read(pinion__caches *caches, const pinion__args *args, int operand, size_t bytes);

#endif
