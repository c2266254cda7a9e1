/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels: implementations of (op, pass) on a kind of processor, and their registry. The rows stand in kernels.def; a
 * row makes the prototype, the registry entry, the check and the benchmark. A CPU row is one source built once per
 * instruction set.
 */
#ifndef PINION_KERNEL_KERNEL_H
#define PINION_KERNEL_KERNEL_H

#include "base/workers.h"
#include "device/memory.h"
#include "op/op.h"

/* What changes from step to step and is the same for all tasks of a step. */
typedef struct pinion__step {
    uint64_t seed;
    uint64_t number; /* steps done before this one, from the start of the training */
    float learning_rate;
    float clip_norm; /* 0: no clipping */
    int loss_batch;  /* samples over which the loss is averaged */
} pinion__step;

/* An update that a backward_weights pass does itself where its operands W and MOMENT are present. */
typedef struct pinion__update {
    enum pinion__op_id op; /* sgd, adamw */
    pinion__attributes attributes;
} pinion__update;

typedef struct pinion__args {
    const void *attributes;
    pinion__view operand[PINION__MAX_OPERANDS]; /* in the order of op/operands.h */
    bool accumulate;
    enum pinion__activation activation;
    const pinion__update *update; /* NULL: none */
    const void *prepared;         /* what the kernel's prepare made of the weights; NULL: it was not asked to */
    int layer;                    /* for streams of random numbers */
    int first_sample;             /* of the batch: n of the views counts from here when a pass is cut */
    int samples;                  /* of the batch whose slice the views are; 0: they hold all of it */
    const pinion__step *step;
    void *scratch; /* at least scratch_bytes(args), aligned to 64 bytes, contents undefined */
    pinion__workers *workers;
    /* For processors with a domain: `processor` runs the kernel, whose operands are `memory` and scratch
     * `scratch_memory`; data of operands then only tell what is there. */
    pinion__processor *processor;
    pinion__span memory[PINION__MAX_OPERANDS];
    pinion__span scratch_memory;
} pinion__args;

/* Pixels of the whole batch, of which the view is a slice or all. */
static inline size_t pinion__batch_pixels(const pinion__args *args, const pinion__view *view)
{
    size_t samples = (size_t)(args->samples > 0 ? args->samples : view->n);
    return samples * (size_t)view->h * (size_t)view->w;
}

/* What a kernel file exports. Data pointers of operands and `prepared` may be anything (also NULL) in applicable,
 * scratch_bytes and prepared_bytes, except that NULL on an optional operand means absent: they are pure functions of
 * shapes, strides, attributes, activation, presence and number of workers.
 *
 * Where weights stay the same over many runs (inference), the planner may ask a kernel that has prepared_bytes to bring
 * them into its own order once: prepare(args, into) reads the operand W alone; run then finds the result in
 * args->prepared and must not read W. Without it (NULL) run works from W. */
typedef struct pinion__kernel_body {
    bool (*applicable)(const pinion__args *args);      /* NULL: always */
    size_t (*scratch_bytes)(const pinion__args *args); /* NULL: none */
    void (*run)(const pinion__args *args);
    size_t (*prepared_bytes)(const pinion__args *args); /* NULL: nothing to prepare. May be 0 for some arguments */
    void (*prepare)(const pinion__args *args, void *into);
} pinion__kernel_body;

/* Does a pass ask for nothing that the planner's fusion adds? For `applicable` of kernels that know nothing of it. */
static inline bool pinion__args_plain(const pinion__args *args, const pinion__operands *operands)
{
    bool plain = args->activation == PINION__ACTIVATION_NONE && !args->update;
    for (int i = 0; i < operands->count; i++)
        plain = plain && (!(operands->at[i].access & PINION__FUSED) || !args->operand[i].data);
    return plain;
}

typedef struct pinion__kernel {
    const char *name; /* "conv2d_forward_gemm" */
    enum pinion__op_id op;
    enum pinion__pass pass;
    enum pinion__processor_kind processor;
    enum pinion__isa isa; /* CPU only */
    const pinion__kernel_body *body;
} pinion__kernel;

/* The whole table, in order of preference within (op, pass, processor): NULL past the last. */
const pinion__kernel *pinion__kernel_at(int index);

/* The first row for (op, pass, processor, isa) that is applicable at or after *cursor (start at 0; moved past the row
 * found), of those that the environment variable PINION_MASK leaves: patterns as of the shell, with commas between
 * them, of rows as "cpu:NAME" or "opencl:NAME". NULL: none left. */
const pinion__kernel *pinion__kernel_next(enum pinion__op_id op, enum pinion__pass pass,
                                          enum pinion__processor_kind processor, enum pinion__isa isa,
                                          const pinion__args *args, int *cursor);

/* The row of that name. NULL: none. */
const pinion__kernel *pinion__kernel_find(const char *name, enum pinion__processor_kind processor,
                                          enum pinion__isa isa);

#endif
