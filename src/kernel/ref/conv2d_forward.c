/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution (cross-correlation, as every network library has it):
 *
 *     y[n,p,q,k] = b[k] + sum x[n, p*stride_h + r - pad_h, q*stride_w + s - pad_w, c] * w[k,r,s,c]
 *
 * where x outside the image is 0 and b is 0 where it is absent. What is stored is activation(y + addend), and partial
 * statistics of it (ref.h), as asked for. Source: Goodfellow, Bengio, Courville: Deep Learning
 * (2016), section 9.1; torch.nn.Conv2d with dilation 1 and groups 1.
 */
#include "kernel/ref/ref.h"

static double output_at(const pinion__args *args, int n, int p, int q, int k)
{
    const pinion_conv2d *conv = args->attributes;
    const pinion__view *x = &args->operand[PINION__CONV_FORWARD_X];
    const pinion__view *w = &args->operand[PINION__CONV_FORWARD_W];
    double sum = pinion__element(&args->operand[PINION__CONV_FORWARD_B], k);
    for (int r = 0; r < conv->r; r++) {
        for (int s = 0; s < conv->s; s++) {
            int row = p * conv->stride_h + r - conv->pad_h;
            int column = q * conv->stride_w + s - conv->pad_w;
            if (row < 0 || row >= x->h || column < 0 || column >= x->w)
                continue;
            const float *from = pinion__pixel(x, n, row, column);
            const float *filter = pinion__pixel(w, k, r, s);
            for (int c = 0; c < x->c; c++)
                sum += (double)from[c] * (double)filter[c];
        }
    }
    return sum;
}

static void run_conv2d_forward(const pinion__args *args)
{
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y];
    size_t pixel = 0;
    for (int n = 0; n < y->n; n++)
        for (int p = 0; p < y->h; p++)
            for (int q = 0; q < y->w; q++, pixel++)
                for (int k = 0; k < y->c; k++)
                    pinion__put_output(args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_ADDEND, pixel, k,
                                       output_at(args, n, p, q, k));
    pinion__put_stats(y, &args->operand[PINION__CONV_FORWARD_STATS]);
}

PINION__REF_KERNEL(conv2d_forward);
