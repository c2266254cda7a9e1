/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of batch normalisation in training, from the mean and invstd that forward kept. With xhat = (x - mean) *
 * invstd and m = n*h*w values a channel:
 *
 *     dbeta[c]  = sum dy[n,h,w,c]
 *     dgamma[c] = sum dy[n,h,w,c] * xhat[n,h,w,c]
 *     dx        = gamma * invstd * (dy - dbeta/m - xhat * dgamma/m)
 *
 * dx reads the dbeta and dgamma of exactly this batch. Source: Ioffe, Szegedy: Batch Normalization (ICML 2015), section
 * 3, with the sums over x - mean, which are zero, left out.
 */
#include "kernel/ref/ref.h"

static void run_batchnorm_backward_weights(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_X];
    const pinion__view *dy = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DY];
    float *dgamma = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DGAMMA].data;
    float *dbeta = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DBETA].data;
    for (int c = 0; c < x->c; c++) {
        double mean = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_MEAN], c);
        double invstd = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_INVSTD], c);
        double sum = 0, dot = 0;
        for (size_t i = 0; i < pinion__view_pixels(x); i++) {
            double gradient = (double)pinion__nth_pixel(dy, i)[c];
            sum += gradient;
            dot += gradient * ((double)pinion__nth_pixel(x, i)[c] - mean) * invstd;
        }
        pinion__put(&dgamma[c], dot, args->accumulate);
        pinion__put(&dbeta[c], sum, args->accumulate);
    }
}

static void run_batchnorm_backward_data(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_X];
    const pinion__view *dy = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_DY];
    const pinion__view *dx = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_DX];
    double m = (double)pinion__view_pixels(x);
    for (int c = 0; c < x->c; c++) {
        double gamma = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_GAMMA], c);
        double mean = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_SAVED_MEAN], c);
        double invstd = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_SAVED_INVSTD], c);
        double dgamma = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_DGAMMA], c);
        double dbeta = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_DBETA], c);
        for (size_t i = 0; i < pinion__view_pixels(x); i++) {
            double normal = ((double)pinion__nth_pixel(x, i)[c] - mean) * invstd;
            double gradient = (double)pinion__nth_pixel(dy, i)[c] - dbeta / m - normal * dgamma / m;
            pinion__put(&pinion__nth_pixel(dx, i)[c], gamma * invstd * gradient, args->accumulate);
        }
    }
}

PINION__REF_KERNEL(batchnorm_backward_weights);
PINION__REF_KERNEL(batchnorm_backward_data);
