/* SPDX-License-Identifier: Apache-2.0
 *
 * One register tile of the indirect product (gemm.h): the innermost loops of forward and backward_data.
 */
#include "kernel/cpu/gemm.h"
#include "kernel/cpu/tile.h"

/* One vector of a finished row, with all that may be asked for. */
PINION__INLINE void finish(const pinion__gemm_rows *product, int row, int column, pinion__vf sum, int columns)
{
    if (product->bias != NULL)
        sum = pinion__vf_add(sum, pinion__vf_load_some(product->bias + column, columns));
    if (product->addend != NULL)
        sum = pinion__vf_add(sum, pinion__vf_load_some(product->addend[row] + column, columns));
    pinion__vf_store_some(product->out[row] + column, pinion__vf_clamp(sum, product->bounds), columns);
}

static void finish_rows(const pinion__gemm_rows *product, const float *sums)
{
    for (int i = 0; i < product->count; i++)
        for (int c = 0; c < product->columns; c += PINION__LANES) {
            const int columns = product->columns - c < PINION__LANES ? product->columns - c : PINION__LANES;
            const pinion__vf sum = pinion__vf_load(sums + (ptrdiff_t)i * PINION__TILE_COLUMNS + c);
            if (columns == PINION__LANES)
                finish(product, i, product->column + c, sum, PINION__LANES);
            else
                finish(product, i, product->column + c, sum, columns);
        }
}

PINION__INLINE void sums_of(const pinion__gemm_rows *product, const int count, const int vectors,
                            pinion__tile_sums *sums)
{
    pinion__tile_clear(sums, count, vectors);
    const float *b = product->panel;
    const ptrdiff_t depth = product->depth;
    for (int t = 0; t < product->taps; t++, b += depth * PINION__TILE_COLUMNS)
        pinion__tile_run_rows(sums, count, vectors, product->rows + (ptrdiff_t)t * count, depth, b,
                              PINION__TILE_COLUMNS);
}

PINION__INLINE void product_of(const pinion__gemm_rows *product, const int count)
{
    pinion__tile_sums sums;
    sums_of(product, count, PINION__TILE_VECTORS, &sums);
    if (product->plain && product->columns == PINION__TILE_COLUMNS) {
#pragma GCC unroll 12
        for (int i = 0; i < count; i++)
#pragma GCC unroll 2
            for (int v = 0; v < PINION__TILE_VECTORS; v++)
                pinion__vf_store(product->out[i] + product->column + (ptrdiff_t)v * PINION__LANES, sums.at[i][v]);
        return;
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

PINION__INLINE void narrow_product_of(const pinion__gemm_rows *product, const int count)
{
    pinion__tile_sums sums;
    sums_of(product, count, 1, &sums);
    if (product->columns == PINION__LANES)
#pragma GCC unroll 12
        for (int i = 0; i < count; i++)
            finish(product, i, product->column, sums.at[i][0], PINION__LANES);
    else
#pragma GCC unroll 12
        for (int i = 0; i < count; i++)
            finish(product, i, product->column, sums.at[i][0], product->columns);
}

#define WHOLE_CASE(rows)                                                                                               \
    case rows:                                                                                                         \
        product_of(product, rows);                                                                                     \
        break;
#define NARROW_CASE(rows)                                                                                              \
    case rows:                                                                                                         \
        narrow_product_of(product, rows);                                                                              \
        break;

void PINION__CPU_SHARED(gemm_rows)(const pinion__gemm_rows *product)
{
    switch (product->count) {
        PINION__TILE_EACH(WHOLE_CASE)
    default:
        break;
    }
}

/* A function of its own, so that the compiler allocates registers for either tile by itself. */
void PINION__CPU_SHARED(gemm_rows_narrow)(const pinion__gemm_rows *product)
{
    switch (product->count) {
        PINION__TILE_EACH(NARROW_CASE)
    default:
        break;
    }
}
