/* SPDX-License-Identifier: Apache-2.0
 *
 * The register tile of all matrix products: up to PINION__TILE_ROWS rows times PINION__TILE_VECTORS vectors of sums
 * that stay in registers while a reduction runs. Bodies are always inlined with a constant number of rows and vectors,
 * so that the compiler unrolls them into straight code; PINION__TILE_EACH makes the instances. A narrow tile has one
 * vector, for columns that are no more. Each sum is one chain in the order of the reduction, whatever the tile.
 */
#ifndef PINION_KERNEL_CPU_TILE_H
#define PINION_KERNEL_CPU_TILE_H

#include "kernel/cpu/vec.h"

typedef struct pinion__tile_sums {
    pinion__vf at[PINION__TILE_ROWS][PINION__TILE_VECTORS];
} pinion__tile_sums;

/* case R: body(R); for each number of rows an instruction set has. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define PINION__TILE_MORE(body) body(7) body(8) body(9) body(10) body(11) body(12)
#else
#define PINION__TILE_MORE(body)
#endif
#define PINION__TILE_EACH(body) body(1) body(2) body(3) body(4) body(5) body(6) PINION__TILE_MORE(body)

PINION__INLINE void pinion__tile_clear(pinion__tile_sums *sums, const int rows, const int vectors)
{
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            sums->at[i][v] = pinion__vf_zero();
}

PINION__INLINE void pinion__tile_load(const float *b, const int vectors, pinion__vf line[PINION__TILE_VECTORS])
{
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++)
        line[v] = pinion__vf_load(b + v * PINION__LANES);
}

/* sums += factor * line, the factor in all lanes. */
PINION__INLINE void pinion__tile_row(pinion__vf sums[PINION__TILE_VECTORS], const int vectors, pinion__vf factor,
                                     const pinion__vf line[PINION__TILE_VECTORS])
{
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++)
        sums[v] = pinion__vf_fma(factor, line[v], sums[v]);
}

#if defined(__aarch64__)
/* The same with one lane of `factors`, which the instruction picks by itself. */
PINION__INLINE void pinion__tile_lane(pinion__vf sums[PINION__TILE_VECTORS], const int vectors, pinion__vf factors,
                                      const int lane, const pinion__vf line[PINION__TILE_VECTORS])
{
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++)
        sums[v] = lane == 0   ? vfmaq_laneq_f32(sums[v], line[v], factors, 0)
                  : lane == 1 ? vfmaq_laneq_f32(sums[v], line[v], factors, 1)
                  : lane == 2 ? vfmaq_laneq_f32(sums[v], line[v], factors, 2)
                              : vfmaq_laneq_f32(sums[v], line[v], factors, 3);
}
#endif

/* One step of a reduction with a pointer a row: sums[i] += a[i][c] * b. */
PINION__INLINE void pinion__tile_step_rows(pinion__tile_sums *sums, const int rows, const int vectors,
                                           const float *const *a, ptrdiff_t c, const float *b)
{
    pinion__vf line[PINION__TILE_VECTORS];
    pinion__tile_load(b, vectors, line);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        pinion__tile_row(sums->at[i], vectors, pinion__vf_broadcast(a[i] + c), line);
}

#if defined(__aarch64__)
/* Two floats in one load, which gcc would take apart if it saw that they are used one by one. */
PINION__INLINE float32x2_t pinion__tile_pair(const float *p)
{
    float32x2_t pair = vld1_f32(p);
    __asm__("" : "+w"(pair));
    return pair;
}

PINION__INLINE void pinion__tile_half(pinion__vf sums[PINION__TILE_VECTORS], const int vectors, float32x2_t pair,
                                      const int half, const pinion__vf line[PINION__TILE_VECTORS])
{
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++)
        sums[v] = half == 0 ? vfmaq_lane_f32(sums[v], line[v], pair, 0) : vfmaq_lane_f32(sums[v], line[v], pair, 1);
}

/* Two steps with a pointer a row, at c and c + 1. Four rows' pairs are in registers; each is loaded four rows ahead, as
 * soon as its register is free, and in-order processors do not wait for it. */
PINION__INLINE void pinion__tile_two_steps(pinion__tile_sums *sums, const int rows, const int vectors,
                                           const float *const *a, ptrdiff_t c,
                                           const pinion__vf even[PINION__TILE_VECTORS],
                                           const pinion__vf odd[PINION__TILE_VECTORS])
{
    enum { AHEAD = 4 };
    float32x2_t pairs[AHEAD];
#pragma GCC unroll 4
    for (int k = 0; k < AHEAD; k++)
        if (k < rows)
            pairs[k] = pinion__tile_pair(a[k] + c);
#pragma GCC unroll 3
    for (int i = 0; i < rows; i += AHEAD) {
#pragma GCC unroll 4
        for (int k = 0; k < AHEAD; k++)
            if (i + k < rows)
                pinion__tile_half(sums->at[i + k], vectors, pairs[k], 0, even);
#pragma GCC unroll 4
        for (int k = 0; k < AHEAD; k++) {
            if (i + k < rows)
                pinion__tile_half(sums->at[i + k], vectors, pairs[k], 1, odd);
            if (i + AHEAD + k < rows)
                pairs[k] = pinion__tile_pair(a[i + AHEAD + k] + c);
        }
    }
}
#endif

/* A whole reduction of that kind: sums[i] += a[i][c] * b[c * step] for c = 0 ... depth - 1. On aarch64 two steps at a
 * time, a row's two factors in one load. */
PINION__INLINE void pinion__tile_run_rows(pinion__tile_sums *sums, const int rows, const int vectors,
                                          const float *const *a, ptrdiff_t depth, const float *b, ptrdiff_t step)
{
    ptrdiff_t c = 0;
#if defined(__aarch64__)
    for (; c + 2 <= depth; c += 2, b += 2 * step) {
        pinion__vf even[PINION__TILE_VECTORS], odd[PINION__TILE_VECTORS];
        pinion__tile_load(b, vectors, even);
        pinion__tile_load(b + step, vectors, odd);
        pinion__tile_two_steps(sums, rows, vectors, a, c, even, odd);
    }
#endif
    /* Up to 0: 12 pointers, b, c and an end of c would want one general register of x86 too many. */
    const float *end[PINION__TILE_ROWS];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        end[i] = a[i] + depth;
        __asm__("" : "+r"(end[i]));
    }
    for (c -= depth; c != 0; c++, b += step) {
        __asm__("" : "+r"(c)); /* or gcc counts from 0 again */
        pinion__tile_step_rows(sums, rows, vectors, end, c, b);
    }
}

/* One step of a reduction with the rows' factors side by side: sums[i] += a[i] * b. */
PINION__INLINE void pinion__tile_step_line(pinion__tile_sums *sums, const int rows, const float *a, const float *b)
{
    pinion__vf line[PINION__TILE_VECTORS];
    pinion__tile_load(b, PINION__TILE_VECTORS, line);
    int i = 0;
#if defined(__aarch64__)
#pragma GCC unroll 3
    for (; i + 4 <= rows; i += 4) {
        const pinion__vf factors = pinion__vf_load(a + i);
#pragma GCC unroll 4
        for (int lane = 0; lane < 4; lane++)
            pinion__tile_lane(sums->at[i + lane], PINION__TILE_VECTORS, factors, lane, line);
    }
#endif
#pragma GCC unroll 12
    for (; i < rows; i++)
        pinion__tile_row(sums->at[i], PINION__TILE_VECTORS, pinion__vf_broadcast(a + i), line);
}

#endif
