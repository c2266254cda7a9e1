/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of a convolution's backward_weights pass: partial gradients of weights are added and go to their sink.
 */
#include "update.cl"

/* Gradients are complete when the pieces are added, in their order. Id: VECTOR channels of an output and tap. */
__kernel void finish(const __global float *sums, int sums_offset, int pieces, int piece_step, int width, int channels,
                     int rows, int ld, SINK_PARAMETERS)
{
    const int strips = (channels + VECTOR - 1) / VECTOR, row = (int)get_global_id(0) / strips;
    const int c = (int)get_global_id(0) % strips * VECTOR;
    if (row >= rows)
        return;
    const sink to = SINK_OF;
    sums += sums_offset + row * width + c;
    vf gradient = vf_load(sums);
    for (int piece = 1; piece < pieces; piece++)
        gradient += vf_load(sums + piece * piece_step);
    sink_put(&to, row * ld + c, gradient, channels - c);
}

/* The same from sums[piece][tap row][tap and channel, in `run` places][output], `width` outputs. Id: output of a
 * tap. */
__kernel void finish_turned(const __global float *sums, int sums_offset, int pieces, int piece_step, int width, int run,
                            int outputs, int taps_h, int taps_w, int channels, int ld, SINK_PARAMETERS)
{
    const int k = (int)get_global_id(0) % outputs, tap = (int)get_global_id(0) / outputs;
    if (tap >= taps_h * taps_w)
        return;
    const sink to = SINK_OF;
    sums += sums_offset + (tap / taps_w * run + tap % taps_w * channels) * width + k;
    for (int c = 0; c < channels; c += VECTOR) {
        float gradient[VECTOR];
        for (int i = 0; i < VECTOR; i++) {
            gradient[i] = 0.0f;
            for (int piece = 0; piece < pieces && c + i < channels; piece++)
                gradient[i] += sums[piece * piece_step + (c + i) * width];
        }
        sink_put(&to, (k * taps_h * taps_w + tap) * ld + c, VF_JOIN(vload, VECTOR)(0, (const float *)gradient),
                 channels - c);
    }
}
