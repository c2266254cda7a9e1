/* SPDX-License-Identifier: Apache-2.0
 *
 * Partial statistics (op/stats.h) of what a forward pass has just stored: the kernel calls pinion__stats_of_block for
 * each block of pixels and strip of channels while they are in its cache, each (block, channel) once. The two passes
 * over the block add its pixels in an order that depends on the block alone, so every kernel leaves the same bits for
 * the same output.
 */
#ifndef PINION_KERNEL_CPU_STATS_H
#define PINION_KERNEL_CPU_STATS_H

#include "kernel/cpu/vec.h"
#include "op/stats.h"

/* Sums of as many vectors as fit beside their means in 32 registers or in 16. */
enum { PINION__STATS_CHAINS = 4, PINION__STATS_VECTORS = PINION__TILE_ROWS == 12 ? 4 : 2 };

/* Sum over pixels of y, or of the square of y - mean, in `vectors` vectors of channels: chain i adds pixels i, i+4, …;
 * chains are added pairwise. */
PINION__INLINE void pinion__stats_sum(const float *y, ptrdiff_t ld, size_t pixels, const int vectors, int channels,
                                      const pinion__vf mean[], const bool square, pinion__vf sum[])
{
    pinion__vf chain[PINION__STATS_CHAINS][PINION__STATS_VECTORS];
#pragma GCC unroll 4
    for (int i = 0; i < PINION__STATS_CHAINS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            chain[i][v] = pinion__vf_zero();
    size_t pixel = 0;
    for (; pixel + PINION__STATS_CHAINS <= pixels; pixel += PINION__STATS_CHAINS)
#pragma GCC unroll 4
        for (int i = 0; i < PINION__STATS_CHAINS; i++, y += ld)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                const pinion__vf value = pinion__vf_load_some(y + v * PINION__LANES, channels);
                const pinion__vf d = pinion__vf_sub(value, mean[v]);
                chain[i][v] = square ? pinion__vf_fma(d, d, chain[i][v]) : pinion__vf_add(chain[i][v], value);
            }
    for (; pixel < pixels; pixel++, y += ld)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            const pinion__vf value = pinion__vf_load_some(y + v * PINION__LANES, channels);
            const pinion__vf d = pinion__vf_sub(value, mean[v]);
            chain[0][v] = square ? pinion__vf_fma(d, d, chain[0][v]) : pinion__vf_add(chain[0][v], value);
        }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        sum[v] = pinion__vf_add(pinion__vf_add(chain[0][v], chain[1][v]), pinion__vf_add(chain[2][v], chain[3][v]));
}

/* `vectors` vectors of channels, or the first few channels of one. */
PINION__INLINE void pinion__stats_strip(const float *y, ptrdiff_t ld, size_t pixels, const int vectors, int channels,
                                        float *mean, float *m2)
{
    pinion__vf average[PINION__STATS_VECTORS], sum[PINION__STATS_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        average[v] = pinion__vf_zero();
    pinion__stats_sum(y, ld, pixels, vectors, channels, average, false, sum);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        average[v] = pinion__vf_mul(sum[v], pinion__vf_set1(1.0F / (float)pixels));
        pinion__vf_store_some(mean + v * PINION__LANES, average[v], channels);
    }
    pinion__stats_sum(y, ld, pixels, vectors, channels, average, true, sum);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        pinion__vf_store_some(m2 + v * PINION__LANES, sum[v], channels);
}

/* Mean and M2 of channels c … c+channels-1 of one block of y, into the tensor (blocks,2,1,c) of partial statistics. */
static inline __attribute__((unused)) void pinion__stats_of_block(const pinion__view *stats, const pinion__view *y,
                                                                  const pinion__stats_blocks *blocks, int block, int c,
                                                                  int channels)
{
    const size_t begin = pinion__stats_block_begin(blocks, y->h, y->w, block);
    const size_t pixels = pinion__stats_block_pixels(blocks, y->n, y->h, y->w, block);
    const float *from = (const float *)y->data + (ptrdiff_t)begin * y->ld + c;
    float *mean = (float *)stats->data + (ptrdiff_t)block * 2 * stats->ld + c;
    int i = 0;
    for (; i + PINION__STATS_VECTORS * PINION__LANES <= channels; i += PINION__STATS_VECTORS * PINION__LANES)
        pinion__stats_strip(from + i, y->ld, pixels, PINION__STATS_VECTORS, PINION__LANES, mean + i,
                            mean + stats->ld + i);
    for (; i + PINION__LANES <= channels; i += PINION__LANES)
        pinion__stats_strip(from + i, y->ld, pixels, 1, PINION__LANES, mean + i, mean + stats->ld + i);
    if (i < channels)
        pinion__stats_strip(from + i, y->ld, pixels, 1, channels - i, mean + i, mean + stats->ld + i);
}

#endif
