/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters packed into panels of a tile's columns, VECTORS vectors, for the products of conv2d.cl and for Winograd's
 * transforms (conv2d_winograd.cl).
 */
#include "transpose.cl"

#define COLUMNS (VECTORS * VECTOR)

/* Panels [panel][tap][channel][COLUMNS outputs] of w [output][tap][channel], and a row of zeros, a channel each. Ids:
 * VECTOR channels, tap, VECTOR outputs. */
__kernel void pack_forward(const __global float *w, int w_offset, int ld, int outputs, int taps, int depth,
                           __global float *zeros, int zeros_offset, __global float *panels, int panels_offset)
{
    const int c = (int)get_global_id(0) * VECTOR, tap = (int)get_global_id(1), strip = (int)get_global_id(2);
    const int k = strip * VECTOR, count = depth - c;
    if (c >= depth || tap >= taps || k >= (outputs + COLUMNS - 1) / COLUMNS * COLUMNS)
        return;
    const __global float *from = w + w_offset + (k * taps + tap) * ld + c;
    vf t[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; i++)
        t[i] = k + i < outputs ? vf_load_some(from + i * taps * ld, count) : vf_set1(0.0f);
    transpose(t);
    __global float *to = panels + panels_offset + ((strip / VECTORS * taps + tap) * depth + c) * COLUMNS +
                         strip % VECTORS * VECTOR;
#pragma unroll
    for (int i = 0; i < VECTOR; i++)
        if (i < count)
            vf_store(to + i * COLUMNS, t[i]);
    if (tap == 0 && strip == 0)
        vf_store_some(zeros + zeros_offset + c, vf_set1(0.0f), count);
}

/* Panels [panel][tap][output][COLUMNS channels] of w [output][tap][channel], and a row of zeros, an output each. Ids:
 * panel, tap, PACK_RUN outputs. */
#define PACK_RUN 16
__kernel void pack_backward_data(const __global float *w, int w_offset, int ld, int outputs, int taps, int channels,
                                 __global float *zeros, int zeros_offset, __global float *panels, int panels_offset)
{
    const int panel = (int)get_global_id(0), tap = (int)get_global_id(1), k0 = (int)get_global_id(2) * PACK_RUN;
    const int c = panel * COLUMNS;
    if (c >= channels || tap >= taps)
        return;
    const __global float *from = w + w_offset + tap * ld + c;
    __global float *to = panels + panels_offset + (panel * taps + tap) * outputs * COLUMNS;
    for (int k = k0; k < min(k0 + PACK_RUN, outputs); k++) {
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
            vf_store(to + k * COLUMNS + v * VECTOR,
                     vf_load_some(from + k * taps * ld + v * VECTOR, channels - c - v * VECTOR));
        if (panel == 0 && tap == 0)
            zeros[zeros_offset + k] = 0.0f;
    }
}
