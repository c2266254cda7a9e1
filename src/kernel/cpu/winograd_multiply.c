/* SPDX-License-Identifier: Apache-2.0
 *
 * The products of one frequency (winograd.h) in register tiles (tile.h). Sums over channels begin at what is to be
 * added to, so a product that is done in parts is one chain like one that is not. Sums over tiles, which are longer,
 * are formed in blocks, so that rounding errors grow with the root of a block's length.
 */
#include "kernel/cpu/tile.h"
#include "kernel/cpu/winograd.h"

enum { BLOCK_TILES = 128 };

PINION__INLINE void store(const pinion__tile_sums *sums, const int count, const int vectors, float *out)
{
#pragma GCC unroll 12
    for (int i = 0; i < count; i++, out += PINION__TILE_COLUMNS)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            pinion__vf_store(out + (ptrdiff_t)v * PINION__LANES, sums->at[i][v]);
}

PINION__INLINE void multiply(const pinion__winograd_product *product, int first, const int count, const int vectors)
{
    const float *rows[PINION__TILE_ROWS];
    float *out = product->products + (ptrdiff_t)first * PINION__TILE_COLUMNS;
    pinion__tile_sums sums;
#pragma GCC unroll 12
    for (int i = 0; i < count; i++)
        rows[i] = product->patches + (first + i) * product->ld;
    pinion__tile_clear(&sums, count, vectors);
    if (product->add)
#pragma GCC unroll 12
        for (int i = 0; i < count; i++)
            pinion__tile_load(out + (ptrdiff_t)i * PINION__TILE_COLUMNS, vectors, sums.at[i]);
    pinion__tile_run_rows(&sums, count, vectors, rows, product->depth, product->panel, PINION__TILE_COLUMNS);
    store(&sums, count, vectors, out);
}

#define MULTIPLY_CASE(rows)                                                                                            \
    case rows:                                                                                                         \
        multiply(product, begin, rows, vectors);                                                                       \
        break;

PINION__INLINE void multiply_tiles(const pinion__winograd_product *product, const int vectors)
{
    const int parts = pinion__ceil_div(product->tiles, PINION__TILE_ROWS);
    for (int part = 0; part < parts; part++) {
        const int begin = pinion__piece_begin(product->tiles, parts, part);
        switch (pinion__piece_begin(product->tiles, parts, part + 1) - begin) {
            PINION__TILE_EACH(MULTIPLY_CASE)
        default:
            break;
        }
    }
}

void PINION__CPU_SHARED(winograd_multiply)(const pinion__winograd_product *product)
{
    multiply_tiles(product, PINION__TILE_VECTORS);
}

/* A function of its own, so that the compiler allocates registers for either tile by itself. */
void PINION__CPU_SHARED(winograd_multiply_narrow)(const pinion__winograd_product *product)
{
    multiply_tiles(product, 1);
}

PINION__INLINE void reduce(const pinion__winograd_reduction *reduction, int begin, int end, const int count)
{
    const float *a = reduction->a + begin * reduction->a_ld, *b = reduction->b + begin * reduction->b_ld;
    pinion__tile_sums sums;
    pinion__tile_clear(&sums, count, PINION__TILE_VECTORS);
    for (int i = begin; i < end; i++, a += reduction->a_ld, b += reduction->b_ld)
        pinion__tile_step_line(&sums, count, a, b);
    if (reduction->add || begin > 0)
#pragma GCC unroll 12
        for (int i = 0; i < count; i++) {
            pinion__vf before[PINION__TILE_VECTORS];
            pinion__tile_load(reduction->sums + (ptrdiff_t)i * PINION__TILE_COLUMNS, PINION__TILE_VECTORS, before);
#pragma GCC unroll 2
            for (int v = 0; v < PINION__TILE_VECTORS; v++)
                sums.at[i][v] = pinion__vf_add(before[v], sums.at[i][v]);
        }
    store(&sums, count, PINION__TILE_VECTORS, reduction->sums);
}

#define REDUCE_CASE(rows)                                                                                              \
    case rows:                                                                                                         \
        reduce(reduction, begin, end, rows);                                                                           \
        break;

void PINION__CPU_SHARED(winograd_reduce)(const pinion__winograd_reduction *reduction)
{
    for (int begin = 0; begin < reduction->tiles; begin += BLOCK_TILES) {
        const int end = begin + BLOCK_TILES < reduction->tiles ? begin + BLOCK_TILES : reduction->tiles;
        switch (reduction->rows) {
            PINION__TILE_EACH(REDUCE_CASE)
        default:
            break;
        }
    }
}
