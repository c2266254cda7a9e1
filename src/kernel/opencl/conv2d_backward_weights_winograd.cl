/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a convolution's weights by Winograd's algorithm (conv2d_backward_weights_winograd.c): tiles of dy to
 * frequencies, the sums of each frequency over tiles, sums to taps. Patches of x come from winograd.cl.
 */
#include "winograd.cl"
#include "update.cl"

/* out = A dy A' of tiles first ... first+count-1. Id: vector of channels of a tile. */
__kernel void gradients(const __global float *dy, int dy_offset, int dy_ld, int h, int w, int tiles_h, int tiles_w,
                        int first, int count, int strips, __global float *out, int out_offset, int ld, int plane)
{
    const int index = (int)get_global_id(0) / strips, c = (int)get_global_id(0) % strips * VECTOR;
    if (index >= count)
        return;
    const int tile = first + index, n = tile / (tiles_h * tiles_w);
    const int y = tile / tiles_w % tiles_h * OUT, x = tile % tiles_w * OUT;
    const __global float *from = dy + dy_offset + n * h * w * dy_ld + c;
    vf half_way[IN * OUT];
#pragma unroll
    for (int j = 0; j < OUT; j++) {
        vf column[OUT], frequency[IN];
        LOAD_COLUMN(OUT, column, from, dy_ld, h, w, y, x + j)
        gradients_to_frequencies(column, 1, frequency, 1);
#pragma unroll
        for (int i = 0; i < IN; i++)
            half_way[i * OUT + j] = frequency[i];
    }
    __global float *to = out + out_offset + index * ld + c;
#pragma unroll
    for (int i = 0; i < IN; i++) {
        vf frequency[IN];
        gradients_to_frequencies(half_way + i * OUT, 1, frequency, 1);
#pragma unroll
        for (int j = 0; j < IN; j++)
            vf_store(to + (i * IN + j) * plane, frequency[j]);
    }
}

/* sums[frequency][output][channel] over `count` tiles, added to what is there where `add`. Ids: panel of COLUMNS
 * channels, ROWS outputs, frequency. */
__kernel void reduce(const __global float *x, int x_offset, int x_ld, int x_plane, const __global float *dy,
                     int dy_offset, int dy_ld, int dy_plane, __global float *sums, int sums_offset, int sums_ld,
                     int sums_plane, int count, int add, int panels, int tiles)
{
    const int panel = (int)get_global_id(0), tile = (int)get_global_id(1), f = (int)get_global_id(2);
    if (panel >= panels || tile >= tiles || f >= FREQUENCIES)
        return;
    const __global float *a = dy + dy_offset + f * dy_plane + tile * ROWS;
    const __global float *b = x + x_offset + f * x_plane + panel * COLUMNS;
    __global float *at = sums + sums_offset + f * sums_plane + tile * ROWS * sums_ld + panel * COLUMNS;
    vf sum[ROWS][VECTORS];
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = add ? vf_load(at + i * sums_ld + v * VECTOR) : vf_set1(0.0f);
    for (int left = count; left > 0; left--, a += dy_ld, b += x_ld) {
        vf d[VECTORS];
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
            d[v] = vf_load(b + v * VECTOR);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const vf g = vf_set1(a[i]);
#pragma unroll
            for (int v = 0; v < VECTORS; v++)
                sum[i][v] = g * d[v] + sum[i][v];
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
            vf_store(at + i * sums_ld + v * VECTOR, sum[i][v]);
}

/* dw = G' sums G of every output and channel, to their sink. Id: vector of channels of an output. */
__kernel void finish(const __global float *sums, int sums_offset, int ld, int plane, int outputs, int strips, int dw_ld,
                     SINK_PARAMETERS)
{
    const int k = (int)get_global_id(0) / strips, c = (int)get_global_id(0) % strips * VECTOR;
    if (k >= outputs)
        return;
    const sink into = SINK_OF;
    const __global float *from = sums + sums_offset + k * ld + c;
    vf half_way[3 * IN];
#pragma unroll
    for (int j = 0; j < IN; j++) {
        vf column[IN], taps[3];
#pragma unroll
        for (int i = 0; i < IN; i++)
            column[i] = vf_load(from + (i * IN + j) * plane);
        frequencies_to_taps(column, 1, taps, 1);
#pragma unroll
        for (int i = 0; i < 3; i++)
            half_way[i * IN + j] = taps[i];
    }
#pragma unroll
    for (int i = 0; i < 3; i++) {
        vf taps[3];
        frequencies_to_taps(half_way + i * IN, 1, taps, 1);
#pragma unroll
        for (int j = 0; j < 3; j++)
            sink_put(&into, (k * 9 + i * 3 + j) * dw_ld + c, taps[j], VECTOR);
    }
}
