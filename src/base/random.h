/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers as a function of a counter: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011). Nothing holds a state: the same (seed, purpose, stream, index)
 * gives the same four numbers in any thread and in any order, so a resumed run draws what the
 * uninterrupted one would have drawn.
 */
#ifndef PINION_BASE_RANDOM_H
#define PINION_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* What numbers are drawn for: one value a use, so that no two uses share a sequence. */
enum pinion__purpose {
    PINION__RANDOM_INIT = 1,   /* stream: parameter */
    PINION__RANDOM_SHUFFLE,    /* stream: epoch */
    PINION__RANDOM_AUGMENT,    /* stream: epoch, index: sample */
    PINION__RANDOM_DROPOUT,    /* stream: layer, index: step and element */
    PINION__RANDOM_SPLIT,      /* validation split */
    PINION__RANDOM_SYNTHETIC,  /* stream: sample */
    PINION__RANDOM_MEASURE,    /* operands of measured tasks */
    PINION__RANDOM_PLACEMENT,  /* moves of the search for concurrent placements */
    PINION__RANDOM_STAGE,      /* stream: stage of a training; its seed */
    PINION__RANDOM_TEST = 1000 /* and above: tests */
};

/* out[0..3] = Philox4x32-10 with key (seed lo, seed hi) and counter (index lo, index hi, purpose, stream). */
void pinion__random4(uint64_t seed, uint32_t purpose, uint32_t stream, uint64_t index, uint32_t out[4]);

/* Element e of a sequence uses call e/4, lane e%4. Uniform in [0,1): (u >> 8) * 2^-24. */
float pinion__random_uniform(uint64_t seed, uint32_t purpose, uint32_t stream, uint64_t element);

/* count standard normals into out: Box-Muller in double; one call gives four (see random.c). */
void pinion__random_normal(uint64_t seed, uint32_t purpose, uint32_t stream, size_t count, float *out);
/* Those of the same sequence from number `first` on, a multiple of 4. */
void pinion__random_normal_from(uint64_t seed, uint32_t purpose, uint32_t stream, size_t first, size_t count,
                                float *out);

/* A permutation of 0..count-1 into order (Fisher-Yates with draws from the counter). */
void pinion__random_permutation(uint64_t seed, uint32_t purpose, uint32_t stream, size_t count, uint32_t *order);

#endif
