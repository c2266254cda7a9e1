/* SPDX-License-Identifier: Apache-2.0
 *
 * One register tile of the product that reduces over pixels (gemm.h): the innermost loops of backward_weights. The sums
 * of a call start at zero and join the tile at the end, so long reductions are summed in blocks and rounding errors
 * grow with the root of a block's length, not of the whole.
 */
#include "kernel/cpu/gemm.h"
#include "kernel/cpu/tile.h"

PINION__INLINE void product_of(const pinion__gemm_reduce *product, const int count)
{
    const ptrdiff_t a_column = product->a_column, b_column = product->b_column;
    pinion__tile_sums sums;
    pinion__tile_clear(&sums, count);
    for (int n = 0; n < product->images; n++)
        for (int y = 0; y < product->rows; y++) {
            const float *a = product->a + n * product->a_image + y * product->a_row;
            const float *b = product->b + n * product->b_image + y * product->b_row;
            for (int x = 0; x < product->columns; x++, a += a_column, b += b_column)
                pinion__tile_step_line(&sums, count, a, b);
        }
    float *tile = product->tile;
#pragma GCC unroll 12
    for (int i = 0; i < count; i++)
#pragma GCC unroll 2
        for (int v = 0; v < PINION__TILE_VECTORS; v++, tile += PINION__LANES)
            pinion__vf_store(tile, pinion__vf_add(pinion__vf_load(tile), sums.at[i][v]));
}

#define PINION__CASE(rows)                                                                                             \
    case rows:                                                                                                         \
        product_of(product, rows);                                                                                     \
        break;

void PINION__CPU_SHARED(gemm_reduce)(const pinion__gemm_reduce *product)
{
    switch (product->count) {
        PINION__TILE_EACH(PINION__CASE)
    default:
        break;
    }
}
