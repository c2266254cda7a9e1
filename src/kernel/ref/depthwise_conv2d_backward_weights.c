/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a depthwise convolution's weights and bias:
 *
 *     dw[r,s,c] = sum x[n, p*stride_h + r - pad_h, q*stride_w + s - pad_w, c] * dy[n,p,q,c]
 *     db[c]     = sum dy[n,p,q,c]                                                              (where db is present)
 *
 * where x outside the image is 0. With args->update each dw updates its weight instead of being stored (update.h).
 * Source: the adjoint of the formula in depthwise_conv2d_forward.c.
 */
#include "kernel/ref/update.h"

static double weight_gradient_at(const pinion__args *args, int r, int s, int c)
{
    const pinion_depthwise_conv2d *conv = args->attributes;
    const pinion__view *x = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_X];
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    double sum = 0;
    for (int n = 0; n < dy->n; n++) {
        for (int p = 0; p < dy->h; p++) {
            for (int q = 0; q < dy->w; q++) {
                int row = p * conv->stride_h + r - conv->pad_h;
                int column = q * conv->stride_w + s - conv->pad_w;
                if (row >= 0 && row < x->h && column >= 0 && column < x->w)
                    sum += (double)pinion__pixel(x, n, row, column)[c] * (double)pinion__pixel(dy, n, p, q)[c];
            }
        }
    }
    return sum;
}

static void bias_gradient(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    float *db = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB].data;
    for (int c = 0; c < dy->c; c++) {
        double sum = 0;
        for (size_t i = 0; i < pinion__view_pixels(dy); i++)
            sum += (double)pinion__nth_pixel(dy, i)[c];
        pinion__put(&db[c], sum, args->accumulate);
    }
}

static void run_depthwise_conv2d_backward_weights(const pinion__args *args)
{
    const pinion__view *dw = pinion__weights_view(args);
    size_t pixel = 0;
    for (int r = 0; r < dw->h; r++)
        for (int s = 0; s < dw->w; s++, pixel++)
            for (int c = 0; c < dw->c; c++)
                pinion__put_weight_gradient(args, pixel, c, weight_gradient_at(args, r, s, c));
    if (args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB].data)
        bias_gradient(args);
}

PINION__REF_KERNEL(depthwise_conv2d_backward_weights);
