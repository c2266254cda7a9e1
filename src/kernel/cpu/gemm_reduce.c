/* SPDX-License-Identifier: Apache-2.0
 *
 * One register tile of the product that reduces over pixels (gemm.h): the innermost loops of backward_weights. The sums
 * of a call start at zero and join the tile at the end, so long reductions are summed in blocks and rounding errors
 * grow with the root of a block's length, not of the whole.
 */
#include "kernel/cpu/gemm.h"
#include "kernel/cpu/tile.h"

/* A step where b has fewer columns than the tile. */
PINION__INLINE void step_narrow(pinion__tile_sums *sums, const int rows, const float *a, const float *b, int width)
{
    pinion__vf line[PINION__TILE_VECTORS];
#pragma GCC unroll 2
    for (int v = 0; v < PINION__TILE_VECTORS; v++) {
        const int left = width - v * PINION__LANES;
        line[v] = pinion__vf_load_part(b + v * PINION__LANES, left < 0               ? 0
                                                              : left < PINION__LANES ? left
                                                                                     : PINION__LANES);
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        pinion__tile_row(sums->at[i], PINION__TILE_VECTORS, pinion__vf_broadcast(a + i), line);
}

PINION__INLINE void product_of(const pinion__gemm_reduce *product, const int count, const bool narrow)
{
    const ptrdiff_t a_column = product->a_column, b_column = product->b_column;
    pinion__tile_sums sums;
    pinion__tile_clear(&sums, count, PINION__TILE_VECTORS);
    for (int n = 0; n < product->images; n++)
        for (int y = 0; y < product->rows; y++) {
            const float *a = product->a + n * product->a_image + y * product->a_row;
            const float *b = product->b + n * product->b_image + y * product->b_row;
            for (int x = 0; x < product->columns; x++, a += a_column, b += b_column)
                if (narrow)
                    step_narrow(&sums, count, a, b, product->width);
                else
                    pinion__tile_step_line(&sums, count, a, b);
        }
    float *tile = product->tile;
    const ptrdiff_t tile_row = product->tile_row;
#pragma GCC unroll 12
    for (int i = 0; i < count; i++)
#pragma GCC unroll 2
        for (int v = 0; v < PINION__TILE_VECTORS; v++) {
            float *at = tile + i * tile_row + (ptrdiff_t)v * PINION__LANES;
            pinion__vf_store(at, pinion__vf_add(pinion__vf_load(at), sums.at[i][v]));
        }
}

#define NARROW_CASE(rows)                                                                                              \
    case rows:                                                                                                         \
        product_of(product, rows, true);                                                                               \
        break;
#define WHOLE_CASE(rows)                                                                                               \
    case rows:                                                                                                         \
        product_of(product, rows, false);                                                                              \
        break;

/* On its own, so that the compiler allocates registers for the other loops by themselves. */
static __attribute__((noinline)) void reduce_narrow(const pinion__gemm_reduce *product)
{
    switch (product->count) {
        PINION__TILE_EACH(NARROW_CASE)
    default:
        break;
    }
}

void PINION__CPU_SHARED(gemm_reduce)(const pinion__gemm_reduce *product)
{
    if (product->width < PINION__TILE_COLUMNS) {
        reduce_narrow(product);
        return;
    }
    switch (product->count) {
        PINION__TILE_EACH(WHOLE_CASE)
    default:
        break;
    }
}
