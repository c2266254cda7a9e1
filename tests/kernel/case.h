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
} kernel_case;

/* Has the op a generator of cases? */
bool case_known(const pinion__op *op);

/* How many of the first numbers are written down. */
int case_edges(const pinion__op *op);

/* Makes case `number`; false when an edge shape does not suit (a window larger than the image, too much work for an
 * emulator): skip it. */
bool case_make(pinion_context *ctx, const pinion__op *op, enum pinion__pass pass, uint64_t seed, int number, bool quick,
               bool integers, kernel_case *out);

/* Shapes worth timing; false past the last. */
bool case_bench(pinion_context *ctx, const pinion__op *op, enum pinion__pass pass, int number, kernel_case *out);

/* Products (or terms) that are added up in one element of the pass' outputs. */
double case_terms(const kernel_case *c);

/* One line for messages. */
void case_describe(const kernel_case *c, char *text, size_t bytes);

#endif
