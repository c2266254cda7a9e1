/* SPDX-License-Identifier: Apache-2.0
 *
 * The sums of a gradient by Winograd's algorithm where they are more than caches hold, or tiles are few
 * (conv2d_backward_weights_winograd.c): an item owns all frequencies of some outputs and channels, keeps their sums in
 * local memory and transforms them to taps itself. For devices whose local memory is a core's cache.
 */
#include "winograd.cl"
#include "update.cl"

#define GROUP_ROWS (GROUP_TILES * ROWS)
#define GROUP_VECTORS (GROUP_PANELS * VECTORS)
/* Vectors from one frequency of the sums to the next: off the powers of two, so that they do not meet in one set of a
 * cache. */
#define PLANE (GROUP_ROWS * GROUP_VECTORS + 1)

/* dw = G' (sum over `count` tiles of gradients times patches) G, to their sink. Channels behind the last are computed
 * from whatever stands there, for nobody. Ids: GROUP_ROWS outputs, GROUP_VECTORS vectors of channels. */
__kernel void gradient_deep(const __global float *x, int x_offset, int x_ld, int x_plane, const __global float *dy,
                            int dy_offset, int dy_ld, int dy_plane, int count, int outputs, int channels, int dw_ld,
                            SINK_PARAMETERS)
{
    __local vf sums[FREQUENCIES * PLANE];
    const int first = (int)get_global_id(0) * GROUP_ROWS, channel = (int)get_global_id(1) * GROUP_VECTORS * VECTOR;
    const int rows = min(outputs - first, GROUP_ROWS), vectors = min((channels - channel) / VECTOR, GROUP_VECTORS);
    if (rows <= 0 || vectors <= 0)
        return;
    x += x_offset + channel;
    dy += dy_offset + first;
    for (int f = 0; f < FREQUENCIES; f++)
        for (int tile = 0; tile < rows; tile += ROWS)
            for (int panel = 0; panel < vectors; panel += VECTORS) {
                const __global float *a = dy + f * dy_plane + tile;
                const __global float *b = x + f * x_plane + panel * VECTOR;
                vf sum[ROWS][VECTORS];
#pragma unroll
                for (int i = 0; i < ROWS; i++)
#pragma unroll
                    for (int v = 0; v < VECTORS; v++)
                        sum[i][v] = vf_set1(0.0f);
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
                __local vf *at = sums + f * PLANE + tile * GROUP_VECTORS + panel;
#pragma unroll
                for (int i = 0; i < ROWS; i++)
#pragma unroll
                    for (int v = 0; v < VECTORS; v++)
                        at[i * GROUP_VECTORS + v] = sum[i][v];
            }
    const sink into = SINK_OF;
    for (int row = 0; row < rows; row++)
        for (int vector = 0; vector < vectors; vector++) {
            const __local vf *from = sums + row * GROUP_VECTORS + vector;
            vf half_way[3 * IN];
#pragma unroll
            for (int j = 0; j < IN; j++) {
                vf column[IN];
#pragma unroll
                for (int i = 0; i < IN; i++)
                    column[i] = from[(i * IN + j) * PLANE];
                frequencies_to_taps(column, 1, half_way + j, IN);
            }
#pragma unroll
            for (int i = 0; i < 3; i++) {
                vf taps[3];
                frequencies_to_taps(half_way + i * IN, 1, taps, 1);
#pragma unroll
                for (int j = 0; j < 3; j++)
                    sink_put(&into, ((first + row) * 9 + i * 3 + j) * dw_ld + channel + vector * VECTOR, taps[j],
                             VECTOR);
            }
        }
}
