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
typedef struct pinion__domain pinion__domain; /* device/memory.h */

/* What a processor runs: a kernel, a hand-over. It reports a failure of the device by pinion__processor_fail. */
typedef void pinion__body(const void *args);

typedef struct pinion__processor_class {
    const char *kind; /* "cpu", "opencl", "simulated" */
    /* Runs `body(args)` and waits until all it has started on the device is done. Called by one thread at a time.
     * PINION_EDEVICE: the device failed; the sentence says how. Required. */
    int (*run)(pinion__processor *processor, pinion__body *body, const void *args);
    /* The same without waiting, behind all that was submitted to this processor before, in that order; `args` stay
     * until done(user, status) is called, from any thread, when it is complete. done is called for every submission,
     * and may not submit. NULL: the processor only runs. */
    void (*submit)(pinion__processor *processor, pinion__body *body, const void *args,
                   void (*done)(void *user, int status), void *user);
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
    size_t alignment;       /* of tensors in its memory, bytes */
    pinion__domain *domain; /* whose memory it works in; NULL: the host's. Borrowed */
    atomic_int failure;     /* the first one's code; 0: none. A processor that has failed runs nothing any more */
};

/* Records that the device failed. The first sentence of a processor stays. Any thread. */
void pinion__processor_fail(pinion__processor *processor, int code, const char *format, ...) PINION__PRINTF(3, 4);

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

/* Processors, owned. */
enum { PINION__MAX_PROCESSORS = 16 }; /* PINION_MAX_PROCESSORS of <pinion/device.h> */
typedef struct pinion__processors {
    pinion__processor *at[PINION__MAX_PROCESSORS];
    int count;
} pinion__processors;

/* All processors of this machine: the CPU ("cpu"; with several kinds of cores also each cluster, "cpu:0" the fastest),
 * then every OpenCL device ("opencl:0", in the order of platforms and devices). What an OpenCL driver has to complain
 * about is one line of the log, never a failure. */
int pinion__processors_discover(pinion_context *ctx, pinion__processors *list);

/* Those of a list as --processors has it: "cpu", "cpu:0", "opencl:0", each optionally "/N": at most N cores. Processors
 * on the cores of this CPU are made disjoint where there are enough: each takes the first cores that are still free,
 * and its threads are bound to them. NULL or "": "cpu" with the context's threads. PINION_EINVAL: the sentence names
 * the entry and what there is; PINION_EUNSUPPORTED: no such processor here, and why. */
int pinion__processors_choose(pinion_context *ctx, const char *list, pinion__processors *out);
void pinion__processors_fini(pinion__processors *list);

#endif
