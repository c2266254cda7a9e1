/* SPDX-License-Identifier: Apache-2.0
 *
 * Average over whole images. An item of the forward pass is an image and a vector of channels; one of the backward pass
 * is a row of the input and a vector of channels.
 */
#include "channels.cl"

/* Four sums side by side, so that additions need not wait for each other. */
static inline vf sum_of_pixels(const __global float *x, int x_ld, int pixels, const int count)
{
    vf a = vf_set1(0.0f), b = a, c = a, d = a;
    int i = 0;
    for (; i + 4 <= pixels; i += 4, x += 4 * x_ld) {
        a += vf_load_some(x, count);
        b += vf_load_some(x + x_ld, count);
        c += vf_load_some(x + 2 * x_ld, count);
        d += vf_load_some(x + 3 * x_ld, count);
    }
    for (; i < pixels; i++, x += x_ld)
        a += vf_load_some(x, count);
    return (a + b) + (c + d);
}

__kernel void global_avgpool_forward(const __global float *x, int x_offset, int x_ld, __global float *y, int y_offset,
                                     int y_ld, int images, int pixels, int channels)
{
    const channels_item at = channels_item_of(images, 1, channels);
    if (at.image < 0)
        return;
    x += x_offset + at.image * pixels * x_ld + at.c;
    const vf sum =
        at.count == VECTOR ? sum_of_pixels(x, x_ld, pixels, VECTOR) : sum_of_pixels(x, x_ld, pixels, at.count);
    vf_store_some(y + y_offset + at.image * y_ld + at.c, sum / vf_set1((float)pixels), at.count);
}

__kernel void global_avgpool_backward_data(const __global float *dy, int dy_offset, int dy_ld, __global float *dx,
                                           int dx_offset, int dx_ld, int images, int height, int width, int channels,
                                           int accumulate)
{
    const channels_item at = channels_item_of(images, height, channels);
    if (at.image < 0)
        return;
    const vf share =
        vf_load_some(dy + dy_offset + at.image * dy_ld + at.c, at.count) / vf_set1((float)(height * width));
    dx += dx_offset + (at.image * height + at.row) * width * dx_ld + at.c;
    for (int column = 0; column < width; column++, dx += dx_ld)
        vf_put(dx, share, at.count, accumulate);
}
