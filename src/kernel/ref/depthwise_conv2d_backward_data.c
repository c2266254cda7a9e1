/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a depthwise convolution's input:
 *
 *     dx[n,h,w,c] = sum dy[n,p,q,c] * w[r,s,c]     over all p, q, r, s with p*stride_h + r - pad_h = h, q*stride_w + s
 * - pad_w = w
 *
 * Source: the adjoint of the formula in depthwise_conv2d_forward.c.
 */
#include "kernel/ref/ref.h"

static double gradient_at(const pinion__args *args, int n, int h, int w, int c)
{
    const pinion_depthwise_conv2d *conv = args->attributes;
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_DATA_DY];
    const pinion__view *weights = &args->operand[PINION__CONV_BACKWARD_DATA_W];
    double sum = 0;
    for (int r = 0; r < conv->r; r++) {
        for (int s = 0; s < conv->s; s++) {
            int p = pinion__window_at(h, r, conv->pad_h, conv->stride_h, dy->h);
            int q = pinion__window_at(w, s, conv->pad_w, conv->stride_w, dy->w);
            if (p >= 0 && q >= 0)
                sum += (double)pinion__pixel(dy, n, p, q)[c] * (double)pinion__pixel(weights, 0, r, s)[c];
        }
    }
    return sum;
}

static void run_depthwise_conv2d_backward_data(const pinion__args *args)
{
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    for (int n = 0; n < dx->n; n++)
        for (int h = 0; h < dx->h; h++)
            for (int w = 0; w < dx->w; w++)
                for (int c = 0; c < dx->c; c++)
                    pinion__put(&pinion__pixel(dx, n, h, w)[c], gradient_at(args, n, h, w, c), args->accumulate);
}

PINION__REF_KERNEL(depthwise_conv2d_backward_data);
