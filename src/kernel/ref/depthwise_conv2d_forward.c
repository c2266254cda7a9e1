/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution: each output channel reads the input channel of its own number.
 *
 *     y[n,p,q,c] = b[c] + sum x[n, p*stride_h + r - pad_h, q*stride_w + s - pad_w, c] * w[r,s,c]
 *
 * where x outside the image is 0 and b is 0 where it is absent. What is stored is activation(y + addend), and partial
 * statistics of it (ref.h), as asked for. Source: Howard et al.: MobileNets (arXiv 1704.04861),
 * equation 3; torch.nn.Conv2d with groups = channels.
 */
#include "kernel/ref/ref.h"

static double output_at(const pinion__args *args, int n, int p, int q, int c)
{
    const pinion_depthwise_conv2d *conv = args->attributes;
    const pinion__view *x = &args->operand[PINION__CONV_FORWARD_X];
    const pinion__view *w = &args->operand[PINION__CONV_FORWARD_W];
    double sum = pinion__element(&args->operand[PINION__CONV_FORWARD_B], c);
    for (int r = 0; r < conv->r; r++) {
        for (int s = 0; s < conv->s; s++) {
            int row = p * conv->stride_h + r - conv->pad_h;
            int column = q * conv->stride_w + s - conv->pad_w;
            if (row >= 0 && row < x->h && column >= 0 && column < x->w)
                sum += (double)pinion__pixel(x, n, row, column)[c] * (double)pinion__pixel(w, 0, r, s)[c];
        }
    }
    return sum;
}

static void run_depthwise_conv2d_forward(const pinion__args *args)
{
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y];
    size_t pixel = 0;
    for (int n = 0; n < y->n; n++)
        for (int p = 0; p < y->h; p++)
            for (int q = 0; q < y->w; q++, pixel++)
                for (int c = 0; c < y->c; c++)
                    pinion__put_output(args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_ADDEND, pixel, c,
                                       output_at(args, n, p, q, c));
    pinion__put_stats(y, &args->operand[PINION__CONV_FORWARD_STATS]);
}

PINION__REF_KERNEL(depthwise_conv2d_forward);
