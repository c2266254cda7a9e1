/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward and backward_data by Winograd's algorithm (conv2d_winograd.c): filters to frequencies, the product of each
 * frequency, products to outputs. Patches come from winograd.cl.
 */
#include "winograd.cl"
#include "activation.cl"

/* Filters packed as [panel][tap][row][COLUMNS] (conv2d_pack.cl) to [frequency][panel][row][COLUMNS]; `turned`: their
 * taps are turned round. Id: vector of a row of a panel. */
__kernel void filters(const __global float *packed, int packed_offset, int rows, int panels, int turned,
                      __global float *out, int out_offset, int plane)
{
    const int v = (int)get_global_id(0) % VECTORS, row = (int)get_global_id(0) / VECTORS % rows;
    const int panel = (int)get_global_id(0) / VECTORS / rows;
    if (panel >= panels)
        return;
    const int step = rows * COLUMNS;
    const __global float *from = packed + packed_offset + (panel * 9 * rows + row) * COLUMNS + v * VECTOR;
    __global float *to = out + out_offset + (panel * rows + row) * COLUMNS + v * VECTOR;
    vf half_way[IN * 3];
#pragma unroll
    for (int j = 0; j < 3; j++) {
        vf taps[3], frequency[IN];
#pragma unroll
        for (int i = 0; i < 3; i++)
            taps[i] = vf_load(from + (turned ? 8 - (i * 3 + j) : i * 3 + j) * step);
        taps_to_frequencies(taps, 1, frequency, 1);
#pragma unroll
        for (int i = 0; i < IN; i++)
            half_way[i * 3 + j] = frequency[i];
    }
#pragma unroll
    for (int i = 0; i < IN; i++) {
        vf frequency[IN];
        taps_to_frequencies(half_way + i * 3, 1, frequency, 1);
#pragma unroll
        for (int j = 0; j < IN; j++)
            vf_store(to + (i * IN + j) * plane, frequency[j]);
    }
}

/* products[frequency][tile] = sum over channels of patches times filters; `count` tiles, an item takes `group` of them,
 * whole ROWS. Rows behind the last tile are computed from whatever stands there, for nobody. Ids: group, panel,
 * frequency. */
__kernel void multiply(const __global float *patches_at, int patches_offset, int patches_ld, int patches_plane,
                       const __global float *filters_at, int filters_offset, int filters_plane, int depth,
                       __global float *products, int products_offset, int products_ld, int products_plane, int count,
                       int group, int panels)
{
    const int begin = (int)get_global_id(0) * group, panel = (int)get_global_id(1), f = (int)get_global_id(2);
    if (begin >= count || panel >= panels || f >= FREQUENCIES)
        return;
    const __global float *filter = filters_at + filters_offset + f * filters_plane + panel * depth * COLUMNS;
    for (int tile = begin; tile < min(begin + group, count); tile += ROWS) {
        const __global float *row = patches_at + patches_offset + f * patches_plane + tile * patches_ld;
        vf sum[ROWS][VECTORS];
#pragma unroll
        for (int i = 0; i < ROWS; i++)
#pragma unroll
            for (int v = 0; v < VECTORS; v++)
                sum[i][v] = vf_set1(0.0f);
        for (int c = 0; c < depth; c++) {
            vf g[VECTORS];
#pragma unroll
            for (int v = 0; v < VECTORS; v++)
                g[v] = vf_load(filter + c * COLUMNS + v * VECTOR);
#pragma unroll
            for (int i = 0; i < ROWS; i++) {
                const vf x = vf_set1(row[i * patches_ld + c]);
#pragma unroll
                for (int v = 0; v < VECTORS; v++)
                    sum[i][v] = x * g[v] + sum[i][v];
            }
        }
        __global float *to = products + products_offset + f * products_plane + tile * products_ld + panel * COLUMNS;
#pragma unroll
        for (int i = 0; i < ROWS; i++)
#pragma unroll
            for (int v = 0; v < VECTORS; v++)
                vf_store(to + i * products_ld + v * VECTOR, sum[i][v]);
    }
}

/* target = activation(bias + A' products A + addend) of tiles first ... first+count-1. Id: vector of channels of a
 * tile. */
__kernel void outputs(const __global float *products, int products_offset, int ld, int plane, int tiles_h, int tiles_w,
                      int first, int count, int strips, __global float *target, int target_offset, int target_ld, int h,
                      int w, const __global float *bias, int bias_offset, const __global float *addend,
                      int addend_offset, int addend_ld, int accumulate, float low, float high)
{
    const int index = (int)get_global_id(0) / strips, c = (int)get_global_id(0) % strips * VECTOR;
    if (index >= count)
        return;
    const int tile = first + index, n = tile / (tiles_h * tiles_w);
    const int y = tile / tiles_w % tiles_h * OUT, x = tile % tiles_w * OUT;
    const __global float *from = products + products_offset + index * ld + c;
    vf half_way[OUT * IN];
#pragma unroll
    for (int j = 0; j < IN; j++) {
        vf column[IN], output[OUT];
#pragma unroll
        for (int i = 0; i < IN; i++)
            column[i] = vf_load(from + (i * IN + j) * plane);
        to_outputs(column, 1, output, 1);
#pragma unroll
        for (int i = 0; i < OUT; i++)
            half_way[i * IN + j] = output[i];
    }
    const vf offset = bias ? vf_load(bias + bias_offset + c) : vf_set1(0.0f);
#pragma unroll
    for (int i = 0; i < OUT; i++) {
        vf output[OUT];
        to_outputs(half_way + i * IN, 1, output, 1);
#pragma unroll
        for (int j = 0; j < OUT; j++)
            if (y + i < h && x + j < w) {
                const int at = (n * h + y + i) * w + x + j;
                __global float *to = target + target_offset + at * target_ld + c;
                vf value = output[j] + offset;
                if (addend)
                    value += vf_load(addend + addend_offset + at * addend_ld + c);
                value = activate(value, low, high);
                vf_store(to, accumulate ? vf_load(to) + value : value);
            }
    }
}
