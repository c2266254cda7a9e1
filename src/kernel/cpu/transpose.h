/* SPDX-License-Identifier: Apache-2.0
 *
 * Transposing a square of as many vectors as a vector has lanes: weights are stored with input channels side by side,
 * panels want output channels side by side. On the compilers' shuffles, which both gcc and clang turn into the
 * instruction set's own.
 */
#ifndef PINION_KERNEL_CPU_TRANSPOSE_H
#define PINION_KERNEL_CPU_TRANSPOSE_H

#include "kernel/cpu/vec.h"

/* Interleaves blocks of `step` lanes: low takes even blocks of a and b, high the odd ones. Done for step 1, 2, 4 … this
 * transposes. */
#define PINION__LOW(step, lane) ((lane) & (step) ? PINION__LANES + (lane) - (step) : (lane))
#define PINION__HIGH(step, lane) ((lane) & (step) ? PINION__LANES + (lane) : (lane) + (step))
#define PINION__LANES4(pick, step, at) pick(step, at), pick(step, at + 1), pick(step, at + 2), pick(step, at + 3)
#if defined(__AVX512F__)
#define PINION__PICKS(pick, step)                                                                                      \
    PINION__LANES4(pick, step, 0), PINION__LANES4(pick, step, 4), PINION__LANES4(pick, step, 8),                       \
        PINION__LANES4(pick, step, 12)
#elif defined(__AVX2__)
#define PINION__PICKS(pick, step) PINION__LANES4(pick, step, 0), PINION__LANES4(pick, step, 4)
#else
#define PINION__PICKS(pick, step) PINION__LANES4(pick, step, 0)
#endif
#if defined(__clang__)
#define PINION__SHUFFLE(a, b, pick, step) __builtin_shufflevector(a, b, PINION__PICKS(pick, step))
#else
#define PINION__SHUFFLE(a, b, pick, step) __builtin_shuffle(a, b, (pinion__vi){PINION__PICKS(pick, step)})
#endif
#define PINION__INTERLEAVE(v, step)                                                                                    \
    for (int i = 0; i < PINION__LANES; i++)                                                                            \
        if ((i & (step)) == 0) {                                                                                       \
            const pinion__vf low = PINION__SHUFFLE((v)[i], (v)[i + (step)], PINION__LOW, step);                        \
            const pinion__vf high = PINION__SHUFFLE((v)[i], (v)[i + (step)], PINION__HIGH, step);                      \
            (v)[i] = low;                                                                                              \
            (v)[i + (step)] = high;                                                                                    \
        }

/* Lane j of vector i becomes lane i of vector j. */
PINION__INLINE void pinion__vf_transpose(pinion__vf v[PINION__LANES])
{
    PINION__INTERLEAVE(v, 1)
    PINION__INTERLEAVE(v, 2)
#if defined(__AVX2__)
    PINION__INTERLEAVE(v, 4)
#endif
#if defined(__AVX512F__)
    PINION__INTERLEAVE(v, 8)
#endif
}

#endif
