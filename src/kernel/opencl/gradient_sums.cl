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
