/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that processors share. The host's processors use any memory. The others have a domain (an OpenCL context):
 * blocks that are made in a domain are seen by the host and by the domain's processors, but not by both at any time: a
 * run of bytes, a span, is held by one side or, for reading, by both, and passes from hand to hand by explicit
 * hand-overs. On devices that share the host's memory a hand-over maps or unmaps (cache maintenance); on others it
 * copies, and the bytes are counted.
 */
#ifndef PINION_DEVICE_MEMORY_H
#define PINION_DEVICE_MEMORY_H

#include "device/device.h"

typedef struct pinion__memory pinion__memory;

/* A run of bytes of a block, as processors of its domain name it. */
typedef struct pinion__span {
    void *object;  /* OpenCL: the cl_mem of the sub-buffer; simulated: its address on the device's side; NULL: none */
    size_t offset; /* bytes into the object */
} pinion__span;

/* Who may use a span: see plan/holders.h for how it changes. */
enum pinion__holder {
    PINION__HELD_BY_HOST,
    PINION__HELD_BY_DEVICE,
    PINION__HELD_BY_BOTH, /* nobody writes */
    PINION__HOLDERS
};

typedef struct pinion__domain_class {
    int (*create)(pinion__domain *domain, size_t bytes, pinion__memory **out);
    void (*destroy)(pinion__memory *memory);
    int (*span)(pinion__memory *memory, size_t offset, size_t bytes, pinion__span *out);
    /* Bodies of tasks: they start the work on `by`, a processor of the domain, and report failures there. */
    void (*hand_over)(pinion__memory *memory, pinion__processor *by, const pinion__span *span, size_t bytes,
                      enum pinion__holder from, enum pinion__holder to, bool contents);
    void (*copy)(pinion__processor *by, const pinion__span *from, const pinion__span *to, size_t bytes);
} pinion__domain_class;

struct pinion__domain {
    const pinion__domain_class *class_;
    pinion_context *ctx;
    char name[32];       /* "opencl" */
    bool copies;         /* hand-overs copy; else they map and unmap */
    bool host_addressed; /* its kernels take addresses (simulated): an operand's data is its span's object + offset */
    size_t alignment;    /* of spans, bytes; a power of two */
    atomic_uint_fast64_t copied_bytes; /* since it was made */
};

struct pinion__memory {
    pinion__domain *domain;
    unsigned char *host; /* where the host finds the block's bytes while it holds them */
    size_t bytes;
};

/* A block of zeros, all of it held by the host. PINION_ENOMEM, PINION_EDEVICE. Lives at most as long as its domain. */
int pinion__memory_create(pinion__domain *domain, size_t bytes, pinion__memory **out);
void pinion__memory_destroy(pinion__memory *memory); /* NULL: nothing. All spans must be idle */

/* The span of these bytes, whose offset is a multiple of the alignment. The same bytes give the same object; spans of
 * other bounds may overlap it, but only one of those that do may be away from the host at a time. Held by the host when
 * it is new. */
int pinion__memory_span(pinion__memory *memory, size_t offset, size_t bytes, pinion__span *out);

/* Arguments of pinion__hand_over: a body that passes a span (the whole of its object) on. `contents`: its bytes matter
 * to the new holder; else it will write before it reads. A failure is the processor's. */
typedef struct pinion__hand_over_args {
    pinion__memory *memory;
    pinion__processor *by; /* of the domain */
    pinion__span span;
    size_t bytes;
    enum pinion__holder from, to;
    bool contents;
} pinion__hand_over_args;

void pinion__hand_over(const void *args);

/* A domain whose device memory is a block of its own, for tests: bytes that are not the holder's are poison, exchanged
 * only at hand-overs; a hand-over that is not allowed, or from a holder that it is not, ends the program with a
 * sentence. copies: it counts bytes as a discrete device would. Destroyed by the caller, after its processors. */
int pinion__domain_create_simulated(pinion_context *ctx, bool copies, pinion__domain **out);
void pinion__domain_destroy_simulated(pinion__domain *domain);

/* A simulated processor (device.h) that works in a domain whose kernels take addresses. It serves a queue in order, on
 * a thread of its own. */
int pinion__processor_create_simulated_in(pinion_context *ctx, const char *name, pinion__domain *domain, uint64_t seed,
                                          int64_t max_delay_ns, pinion__processor **out);

#endif
