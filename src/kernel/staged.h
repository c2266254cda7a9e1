/* SPDX-License-Identifier: Apache-2.0
 *
 * Running one kernel on a processor from operands that lie in host memory: for checks and benchmarks, which know
 * nothing of plans. A processor that has no domain runs on the operands themselves. For one that has, they are copied
 * to a block of the domain, each with its displacement from a cache line, and operands that share bytes share them
 * there too.
 *
 *     pinion__staged_begin(&staged, processor, &kernel, &args, 0);     copies in, hands over to the processor
 *     pinion__staged_run(&staged);                                     as often as one likes
 *     pinion__staged_end(&staged, true);                               hands back, copies out, frees
 *
 * Each returns a status; end is called whatever the others gave, once for each begin.
 */
#ifndef PINION_KERNEL_STAGED_H
#define PINION_KERNEL_STAGED_H

#include "kernel/kernel.h"

/* A run of host bytes with its place in the block. */
typedef struct pinion__staged_bytes {
    unsigned char *host;
    size_t bytes, offset; /* of the span, which begins `lead` bytes before the run */
    size_t lead;
    pinion__span span;
    bool away; /* held by the device */
} pinion__staged_bytes;

typedef struct pinion__staged {
    pinion__processor *processor;
    const pinion__kernel_body *body;
    pinion__args args; /* as the kernel gets them */
    pinion__memory *memory;
    pinion__staged_bytes at[PINION__MAX_OPERANDS + 1];
    int count;
} pinion__staged;

/* The kernel's op and pass tell what operands are; args->scratch is host memory as well. `margin`: bytes before and
 * behind each operand and the scratch that exist and go with them, so that one sees what a kernel writes there. The
 * kernel, what args point to and the processor are borrowed until the end. */
int pinion__staged_begin(pinion__staged *staged, pinion__processor *processor, const pinion__kernel *kernel,
                         const pinion__args *args, size_t margin);
/* One run of the kernel, and the wait for it. */
int pinion__staged_run(pinion__staged *staged);
/* `copy`: every byte that was copied in is copied back. */
int pinion__staged_end(pinion__staged *staged, bool copy);

/* All three. */
int pinion__staged_once(pinion__processor *processor, const pinion__kernel *kernel, const pinion__args *args,
                        size_t margin);

#endif
