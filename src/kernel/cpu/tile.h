/* SPDX-License-Identifier: Apache-2.0
 *
 * The register tile of all matrix products: up to PINION__TILE_ROWS rows times PINION__TILE_VECTORS vectors of sums
 * that stay in registers while a reduction runs. Bodies are always inlined with a constant number of rows, so that the
 * compiler unrolls them into straight code; PINION__TILE_SWITCH makes the instances. Each sum is one chain in the order
 * of the reduction.
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

PINION__INLINE void pinion__tile_clear(pinion__tile_sums *sums, const int rows)
{
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < PINION__TILE_VECTORS; v++)
            sums->at[i][v] = pinion__vf_zero();
}

PINION__INLINE void pinion__tile_load(const float *b, pinion__vf vectors[PINION__TILE_VECTORS])
{
#pragma GCC unroll 2
    for (int v = 0; v < PINION__TILE_VECTORS; v++)
        vectors[v] = pinion__vf_load(b + v * PINION__LANES);
}

PINION__INLINE void pinion__tile_row(pinion__vf sums[PINION__TILE_VECTORS], float factor,
                                     const pinion__vf vectors[PINION__TILE_VECTORS])
{
    const pinion__vf scalar = pinion__vf_set1(factor);
#pragma GCC unroll 2
    for (int v = 0; v < PINION__TILE_VECTORS; v++)
        sums[v] = pinion__vf_fma(scalar, vectors[v], sums[v]);
}

/* One step of a reduction with a pointer a row: sums[i] += a[i][c] * b. */
PINION__INLINE void pinion__tile_step_rows(pinion__tile_sums *sums, const int rows, const float *const *a, ptrdiff_t c,
                                           const float *b)
{
    pinion__vf vectors[PINION__TILE_VECTORS];
    pinion__tile_load(b, vectors);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        pinion__tile_row(sums->at[i], a[i][c], vectors);
}

/* One step of a reduction with the rows' factors side by side: sums[i] += a[i] * b. */
PINION__INLINE void pinion__tile_step_line(pinion__tile_sums *sums, const int rows, const float *a, const float *b)
{
    pinion__vf vectors[PINION__TILE_VECTORS];
    pinion__tile_load(b, vectors);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        pinion__tile_row(sums->at[i], a[i], vectors);
}

#endif
