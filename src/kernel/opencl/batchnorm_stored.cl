/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation by running statistics.
 */
#include "batchnorm.cl"

#ifndef GRADIENT

/* The constants of normalise.cl, dense. An item is a vector of channels. */
__kernel void constants(const __global float *gamma, int gamma_offset, const __global float *beta, int beta_offset,
                        const __global float *mean, int mean_offset, const __global float *variance,
                        int variance_offset, __global float *into, int into_offset, int channels, float epsilon)
{
    const int c = (int)get_global_id(0) * VECTOR, count = min(channels - c, VECTOR);
    if (count <= 0)
        return;
    const vf deviation = inverse_root(vf_load_some(variance + variance_offset + c, count) + vf_set1(epsilon));
    __global float *to = into + into_offset + c;
    vf_store_some(to, vf_load_some(mean + mean_offset + c, count), count);
    vf_store_some(to + channels, vf_load_some(gamma + gamma_offset + c, count) * deviation, count);
    vf_store_some(to + 2 * channels, vf_load_some(beta + beta_offset + c, count), count);
}

#else

/* dx = dy * gamma / sqrt(variance + epsilon). An item is PIXELS pixels of a strip of channels. dx may lie over dy. */
__kernel void gradient(const __global float *dy, int dy_offset, int dy_ld, const __global float *gamma,
                       int gamma_offset, const __global float *variance, int variance_offset, __global float *dx,
                       int dx_offset, int dx_ld, int channels, int pixels, float epsilon, int accumulate)
{
    const channel_item at = channel_item_of(channels, pixels);
    if (at.pixel >= at.end)
        return;
    vf scale[VECTORS];
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
        const int c = at.channel + v * VECTOR;
        const vf spread = vf_load_some(variance + variance_offset + c, at.count) + vf_set1(epsilon);
        scale[v] = vf_load_some(gamma + gamma_offset + c, at.count) * inverse_root(spread);
    }
    dy += dy_offset + at.channel;
    dx += dx_offset + at.channel;
    for (int pixel = at.pixel; pixel < at.end; pixel++)
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
            vf_put(dx + pixel * dx_ld + v * VECTOR,
                   scale[v] * vf_load_some(dy + pixel * dy_ld + v * VECTOR, at.count), at.count, accumulate);
}

#endif
