/* SPDX-License-Identifier: Apache-2.0
 *
 * One register tile of the indirect product (gemm.h): the innermost loops of forward and backward_data.
 */
#include "kernel/cpu/gemm.h"
#include "kernel/cpu/tile.h"

/* One vector of a finished row: bias, what stands there already, and the columns that exist. */
PINION__INLINE void finish(float *out, pinion__vf sum, const float *bias, bool accumulate, int columns)
{
    if (bias != NULL)
        sum = pinion__vf_add(sum, pinion__vf_load_part(bias, columns));
    if (accumulate)
        sum = pinion__vf_add(sum, pinion__vf_load_part(out, columns));
    pinion__vf_store_part(out, sum, columns);
}

static void finish_rows(const pinion__gemm_rows *product, const float *sums)
{
    for (int i = 0; i < product->count; i++)
        for (int c = 0; c < product->columns; c += PINION__LANES) {
            const int columns = product->columns - c < PINION__LANES ? product->columns - c : PINION__LANES;
            const pinion__vf sum = pinion__vf_load(sums + (ptrdiff_t)i * PINION__TILE_COLUMNS + c);
            const float *bias = product->bias == NULL ? NULL : product->bias + c;
            if (columns == PINION__LANES)
                finish(product->out[i] + c, sum, bias, product->accumulate, PINION__LANES);
            else
                finish(product->out[i] + c, sum, bias, product->accumulate, columns);
        }
}

PINION__INLINE void product_of(const pinion__gemm_rows *product, const int count)
{
    pinion__tile_sums sums;
    pinion__tile_clear(&sums, count);
    const float *b = product->panel;
    const ptrdiff_t step = product->panel_step;
    const ptrdiff_t depth = product->depth;
    for (int t = 0; t < product->taps; t++) {
        const float *const *a = product->rows + (ptrdiff_t)t * count;
        for (ptrdiff_t c = 0; c < depth; c++, b += step)
            pinion__tile_step_rows(&sums, count, a, c, b);
    }
    float finished[PINION__TILE_ROWS * PINION__TILE_COLUMNS];
#pragma GCC unroll 12
    for (int i = 0; i < count; i++)
#pragma GCC unroll 2
        for (int v = 0; v < PINION__TILE_VECTORS; v++)
            pinion__vf_store(finished + (ptrdiff_t)i * PINION__TILE_COLUMNS + (ptrdiff_t)v * PINION__LANES,
                             sums.at[i][v]);
    finish_rows(product, finished);
}

#define PINION__CASE(rows)                                                                                             \
    case rows:                                                                                                         \
        product_of(product, rows);                                                                                     \
        break;

void PINION__CPU_SHARED(gemm_rows)(const pinion__gemm_rows *product)
{
    switch (product->count) {
        PINION__TILE_EACH(PINION__CASE)
    default:
        break;
    }
}
