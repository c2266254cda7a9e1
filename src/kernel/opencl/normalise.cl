/* SPDX-License-Identifier: Apache-2.0
 *
 * The pass that ends every form of batch normalisation: y = activation((x - mean)*scale + shift + addend). An item is
 * PIXELS pixels of a strip of channels.
 */
#include "batchnorm.cl"

/* y may lie over x or over the addend. ADDEND: there is one. */
__kernel void normalise(const __global float *x, int x_offset, int x_ld, const __global float *constants,
                        int constants_offset, int constants_ld, const __global float *addend, int addend_offset,
                        int addend_ld, __global float *y, int y_offset, int y_ld, int channels, int pixels, float low,
                        float high)
{
    const channel_item at = channel_item_of(channels, pixels);
    if (at.pixel >= at.end)
        return;
    vf mean[VECTORS], scale[VECTORS], shift[VECTORS];
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
        const __global float *of = constants + constants_offset + at.channel + v * VECTOR;
        mean[v] = vf_load_some(of, at.count);
        scale[v] = vf_load_some(of + constants_ld, at.count);
        shift[v] = vf_load_some(of + 2 * constants_ld, at.count);
    }
    x += x_offset + at.channel;
    addend += addend_offset + at.channel;
    y += y_offset + at.channel;
    for (int pixel = at.pixel; pixel < at.end; pixel++)
#pragma unroll
        for (int v = 0; v < VECTORS; v++) {
            vf value = vf_load_some(x + pixel * x_ld + v * VECTOR, at.count);
            value = normalised(value, mean[v], scale[v], shift[v]);
#if ADDEND
            value += vf_load_some(addend + pixel * addend_ld + v * VECTOR, at.count);
#endif
            vf_store_some(y + pixel * y_ld + v * VECTOR, activate(value, low, high), at.count);
        }
}
