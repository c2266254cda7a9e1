/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs of batch normalisation share.
 */
#ifndef BATCHNORM_CL
#define BATCHNORM_CL

#include "vector.cl"
#include "activation.cl"

/* What batch normalisation gives before addend and activation. Backward passes ask it again for the activation's
 * derivative and must see the bits that forward saw, on the host too: rounded once, where the device can. (The function
 * fma is a call in parts on some that can.) */
static inline vf normalised(vf x, vf mean, vf scale, vf shift)
{
#pragma OPENCL FP_CONTRACT ON
    return (x - mean) * scale + shift;
}

/* 1/sqrt(v), as good as correctly rounded also where the device's square root is not. */
static inline vf inverse_root(vf v)
{
    const vf r = rsqrt(v);
    const vf error = vf_set1(1.0f) - v * r * r;
    return r + vf_set1(0.5f) * r * error;
}

/* What an item of a walk over pixels with constants for each channel works on: PIXELS pixels of a strip of VECTORS
 * vectors of channels from `channel` on (VECTORS is 1 where channels are left over: `count` of the vector). Items of
 * one pixel stand side by side. */
typedef struct channel_item {
    int channel, count, pixel, end; /* pixel >= end: nothing */
} channel_item;

#ifdef PIXELS
static inline channel_item channel_item_of(int channels, int pixels)
{
    const uint id = (uint)get_global_id(0), width = VECTORS * VECTOR, strips = ((uint)channels + width - 1) / width;
    channel_item at;
    at.pixel = (int)(id / strips) * PIXELS;
    at.end = min(at.pixel + PIXELS, pixels);
    at.channel = (int)(id % strips * width);
    at.count = min(channels - at.channel, VECTOR);
    return at;
}
#endif

#endif
