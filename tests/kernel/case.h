/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases for kernels: attributes, shapes, strides, step. A case is a function of (seed, op, pass, number) alone, so that
 * a failure is repeated by its numbers. The first numbers of an op are its edge shapes, written down; the rest are
 * random.
 */
#ifndef TESTS_KERNEL_CASE_H
#define TESTS_KERNEL_CASE_H

#include "kernel/kernel.h"
#include "op/operands.h"

/* Random draws from a counter: no two streams meet. */
typedef struct draws {
    uint64_t seed, index;
    uint32_t purpose, stream;
    uint32_t block[4];
    int left;
} draws;

draws draws_begin(uint64_t seed, uint32_t what, uint32_t stream);
uint32_t draw_word(draws *from);
int draw(draws *from, int low, int high); /* both inclusive */
bool draw_chance(draws *from, int percent);
double draw_normal(draws *from);

typedef struct kernel_case {
    const pinion__op *op;
    enum pinion__pass pass;
    uint64_t seed;
    int number;
    bool quick; /* small shapes only (emulators) */

    pinion__attributes attributes;
    int n;
    pinion_shape inputs[PINION__MAX_INPUTS]; /* optimisers: the parameter's, n its first extent */
    pinion_shape output;
    int slots;         /* of clip_scale */
    bool accumulate;   /* passes with gradients only */
    bool no_optionals; /* operands that may be absent are */
    bool integers;     /* attributes such that small integers give exact results, where there are such */
    int layer, first_sample;
    pinion__step step;

    /* what fusion adds (op/operands.h) */
    enum pinion__activation activation;
    bool addend, stats;    /* operands ADDEND, STATS are present */
    bool masked;           /* batchnorm's backward_weights: Y and DS are present */
    int further;           /* gradients of further slices that an update adds up */
    int samples;           /* batchnorm's backward_data: of the batch that the case is a slice of; 0: it is all of it */
    pinion__update update; /* of backward_weights; none where its op is neither sgd nor adamw */
    bool aliased;          /* the output lies over an input where it may (case_alias) */
} kernel_case;

enum feature {
    FEATURE_RELU,
    FEATURE_RELU6,
    FEATURE_ADDEND,
    FEATURE_STATS,
    FEATURE_MASKED,
    FEATURE_FURTHER,
    FEATURE_SLICE,
    FEATURE_SGD,
    FEATURE_ADAMW,
    FEATURES
};

/* Has the op a generator of cases? */
bool case_known(const pinion__op *op);

/* How many of the first numbers are written down: each edge shape plain and, after them all, fused. */
int case_edges(const pinion__op *op);

/* Makes case `number`; false when an edge shape does not suit (a window larger than the image, too much work for an
 * emulator): skip it. */
bool case_make(pinion_context *ctx, const pinion__op *op, enum pinion__pass pass, uint64_t seed, int number, bool quick,
               bool integers, kernel_case *out);

/* Is there anything that fusion may add to the pass? Adds some of it. Bits 1 << feature of what a case has. */
bool case_fusible(const pinion__op *op, enum pinion__pass pass);
void case_fuse(kernel_case *c, draws *from);
unsigned case_features(const kernel_case *c);
const char *case_feature_name(int feature);

static inline bool case_updates(const kernel_case *c)
{
    return c->update.op == PINION__OP_sgd || c->update.op == PINION__OP_adamw;
}

/* Does a case have this operand, as far as fusion decides it? */
bool case_has(const kernel_case *c, pinion__operand is);

/* The written operand that shall lie over a read one (op/in_place.h); false: none. */
bool case_alias(const kernel_case *c, int *written, int *read);

/* Attributes of an optimiser, and the learning rate; integers stay exact under sgd. */
void case_optimizer(enum pinion__op_id op, pinion__attributes *attributes, bool integers, draws *from);
float case_rate(bool integers);

/* Shapes worth timing; false past the last. */
bool case_bench(pinion_context *ctx, const pinion__op *op, enum pinion__pass pass, int number, kernel_case *out);

/* Products (or terms) that are added up in one element of the pass' outputs. */
double case_terms(const kernel_case *c);

/* One line for messages. */
void case_describe(const kernel_case *c, char *text, size_t bytes);

#endif
