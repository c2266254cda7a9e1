/* SPDX-License-Identifier: Apache-2.0
 *
 * Processors and the memory they share. A processor runs tasks; each has one queue in the executor. Everything that
 * differs between kinds of processor stands in pinion__processor_class.
 */
#ifndef PINION_DEVICE_DEVICE_H
#define PINION_DEVICE_DEVICE_H

#include "base/workers.h"

/* Kinds of processor that kernels are written for. */
enum pinion__processor_kind {
    PINION__PROCESSOR_REF,
    PINION__PROCESSOR_CPU,
    PINION__PROCESSOR_OPENCL,
    PINION__PROCESSOR_CUDA,
    PINION__PROCESSOR_KINDS
};

typedef struct pinion__processor pinion__processor;

typedef struct pinion__processor_class {
    const char *kind; /* "cpu", "simulated" */
    /* Called by the executor's thread of this processor: runs `body(args)` to its end. Required. */
    void (*run)(pinion__processor *processor, void (*body)(const void *args), const void *args);
    /* Called by destroy, caller's thread. Required. */
    void (*destroy)(pinion__processor *processor);
} pinion__processor_class;

struct pinion__processor {
    const pinion__processor_class *class_;
    pinion_context *ctx;
    char name[32];                           /* "cpu" */
    char description[128];                   /* "AMD EPYC, 2 cores, avx512" */
    enum pinion__processor_kind kernel_kind; /* of the kernels it runs */
    enum pinion__isa isa;
    int cores;
    uint64_t core_mask[4]; /* cores it occupies: processors that share one never run at once */
    pinion__workers *workers;
    size_t alignment; /* of tensors in its memory, bytes */
};

/* The host CPU with `threads` workers. */
int pinion__processor_create_cpu(pinion_context *ctx, int threads, pinion__processor **out);

/* A simulated processor for tests of the executor and planner: runs CPU kernels on one thread of its own, after a delay
 * drawn from `seed` (0: none) of at most max_delay_ns. */
int pinion__processor_create_simulated(pinion_context *ctx, const char *name, uint64_t seed, int64_t max_delay_ns,
                                       pinion__processor **out);

/* A processor that runs the reference kernels (specification), single thread: whole networks in double-precision
 * arithmetic. */
int pinion__processor_create_ref(pinion_context *ctx, pinion__processor **out);

void pinion__processor_destroy(pinion__processor *processor);

/* Do both occupy some core? */
bool pinion__processors_share_cores(const pinion__processor *a, const pinion__processor *b);

/* The processors of this machine (here: the CPU). *list is owned. */
typedef struct pinion__processors {
    pinion__processor *at[16];
    int count;
} pinion__processors;

int pinion__processors_discover(pinion_context *ctx, pinion__processors *list);
void pinion__processors_fini(pinion__processors *list);

#endif
