/* SPDX-License-Identifier: Apache-2.0
 *
 * Partial statistics of a tensor (op/stats.h): of each block of pixels and channel the mean and M2, in two passes over
 * the block while it is in cache. An item is a block and a strip of VECTORS vectors of channels; VECTORS is 1 where
 * channels are left over. Four chains add pixels i, i+4, ..., and are added pairwise: the order of the CPU kernels.
 */
#include "vector.cl"
#include "blocks.cl"

#define CHAINS 4

typedef struct strip_sums {
    vf of[VECTORS];
} strip_sums;

static inline vf with_value(vf sum, vf value, vf mean, const bool square)
{
    const vf d = value - mean;
    return square ? d * d + sum : sum + value;
}

/* Sum over pixels of y, or of the square of y - mean. */
static inline strip_sums strip_sum(const __global float *y, int ld, int pixels, int count, strip_sums mean,
                                   const bool square)
{
    vf chain[CHAINS][VECTORS];
#pragma unroll
    for (int i = 0; i < CHAINS; i++)
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
            chain[i][v] = vf_set1(0.0f);
    int pixel = 0;
    for (; pixel + CHAINS <= pixels; pixel += CHAINS)
#pragma unroll
        for (int i = 0; i < CHAINS; i++)
#pragma unroll
            for (int v = 0; v < VECTORS; v++)
                chain[i][v] = with_value(chain[i][v], vf_load_some(y + (pixel + i) * ld + v * VECTOR, count),
                                         mean.of[v], square);
    for (; pixel < pixels; pixel++)
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
            chain[0][v] = with_value(chain[0][v], vf_load_some(y + pixel * ld + v * VECTOR, count), mean.of[v], square);
    strip_sums sum;
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
        sum.of[v] = (chain[0][v] + chain[1][v]) + (chain[2][v] + chain[3][v]);
    return sum;
}

/* Ids: block*strips + strip. */
__kernel void stats(const __global float *y, int y_offset, int y_ld, __global float *into, int into_offset, int into_ld,
                    int channels, BLOCKS_PARAMETERS)
{
    const block_cut cut = BLOCKS_OF;
    const int width = VECTORS * VECTOR, strips = (channels + width - 1) / width;
    const int b = (int)get_global_id(0) / strips, c = (int)get_global_id(0) % strips * width;
    if (b >= blocks)
        return;
    const int begin = block_begin(&cut, b), of = block_begin(&cut, b + 1) - begin, count = min(channels - c, VECTOR);
    const __global float *from = y + y_offset + begin * y_ld + c;
    __global float *mean = into + into_offset + b * 2 * into_ld + c, *m2 = mean + into_ld;
    strip_sums average;
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
        average.of[v] = vf_set1(0.0f);
    average = strip_sum(from, y_ld, of, count, average, false);
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
        average.of[v] *= vf_set1(1.0f / (float)of);
        vf_store_some(mean + v * VECTOR, average.of[v], count);
    }
    const strip_sums sum = strip_sum(from, y_ld, of, count, average, true);
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
        vf_store_some(m2 + v * VECTOR, sum.of[v], count);
}
