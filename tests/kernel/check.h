/* SPDX-License-Identifier: Apache-2.0
 *
 * Checking one kernel on one case against the specification: data, expected results with the scale of permitted errors,
 * comparison.
 *
 * Small integers: exact equality, wherever the pass is sums of products or selections (all partial sums are integers
 * below 2^24, so every order of adding gives the same). Random reals: |error| <= (sqrt(terms) + 8) * eps * S, where S
 * is the sum of the absolute values of all terms of that element, got by running the specification on absolute values.
 * Kernels that transform their operands (Winograd) round even integers: they get one-hot inputs and a bound by norm
 * instead. Partial statistics round whatever the data: they have the bound of reals, with the pixels of a block among
 * the terms. Where outputs may lie over inputs, kernels are run so; the specification never is.
 */
#ifndef TESTS_KERNEL_CHECK_H
#define TESTS_KERNEL_CHECK_H

#include "kernel/operands.h"

enum data { DATA_INTEGERS, DATA_NORMAL, DATA_SPECIAL, DATA_ONE_HOT, DATA_KINDS };

enum { POOLS = 3, MESSAGE = 640 };

/* What the checks share: a context and pools of 1, 2 and 3 threads; and the first OpenCL device, for those who ask for
 * it. */
typedef struct bench_room {
    pinion_context *ctx;
    pinion__workers *pool[POOLS];
    pinion__processors processors;
    pinion__processor *opencl; /* NULL: there is none, or nobody asked for it */
} bench_room;

void room_open(bench_room *room); /* exits the test on failure */
void room_find_opencl(bench_room *room);
void room_close(bench_room *room);

/* Fills operands that the pass reads, and those it adds to. */
void data_fill(const layout *l, const blocks *b, enum data kind);

/* Is that kind of data of use for the pass? */
bool data_suits(const kernel_case *c, enum data kind);

/* Does that kind of data have one exact answer? */
bool data_exact(const kernel_case *c, enum data kind);

/* Replaces outputs in `b`, which holds the given values, by the scale S of their errors. */
void scale_fill(const layout *l, const blocks *b, const blocks *expected, bool exact, bool transform);

const pinion__kernel *reference_of(const pinion__op *op, enum pinion__pass pass);
void reference_run(const layout *l, const blocks *b, const pinion__step *step /* NULL: the case's */);

/* A case with its data and answers, made once and compared with every kernel. */
typedef struct trial {
    kernel_case c;
    enum data kind;
    bool exact, transform;
    double gain; /* of the transform: that of the least exact one, or as transform_gain says for a kernel */
    layout l;
    blocks given, expected, scale;
} trial;

/* By how much a kernel that transforms its operands may amplify rounding errors. */
double transform_gain(const pinion__kernel *kernel);

void trial_init(trial *t, const kernel_case *c, enum data kind, bool transform);
void trial_fini(trial *t);

/* The largest error over its bound in these results; infinite where an output is wrong in kind (NaN, index) or not
 * exact. The first element beyond its bound is described in `message`. */
double trial_compare(const trial *t, const blocks *results, char message[MESSAGE]);

enum outcome { OUTCOME_GOOD, OUTCOME_WRONG, OUTCOME_REFUSED };

/* Runs the body with 1, 2 and 3 threads: right results, the same bits, nothing written elsewhere; and the same with
 * prepared weights, where the body prepares them, and the weights themselves gone. *worst is the largest error over
 * bound. */
enum outcome trial_run(const trial *t, const pinion__kernel_body *body, const bench_room *room, double *worst,
                       char message[MESSAGE]);

/* The same on a processor that has its own memory, which the operands are copied to and from: two runs. */
enum outcome trial_run_on(const trial *t, const pinion__kernel_body *body, pinion__processor *processor, double *worst,
                          char message[MESSAGE]);

/* Scratch with canaries for one run. */
typedef struct scratch {
    unsigned char *block;
    size_t bytes;
} scratch;

scratch scratch_create(const pinion__kernel_body *body, pinion__args *args);
bool scratch_destroy(scratch *s); /* false: a canary was overwritten */

#endif
