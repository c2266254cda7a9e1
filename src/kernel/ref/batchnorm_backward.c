/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of batch normalisation in training, from the constants and the invstd that forward kept. With xhat = (x -
 * mean) * invstd and m = n*h*w values a channel:
 *
 *     ds        = dy where the activation passes it, else 0                   (dy where there is no activation)
 *     dbeta[c]  = sum ds[n,h,w,c]
 *     dgamma[c] = sum ds[n,h,w,c] * xhat[n,h,w,c]
 *     dx        = gamma * invstd * (ds - dbeta/m - xhat * dgamma/m)
 *
 * The activation is asked at its output y where that is given, and ds is stored then; else at what it was applied to,
 * which x gives once more (ref.h). dx reads the dbeta and dgamma of exactly this batch. Source: Ioffe, Szegedy: Batch
 * Normalization (ICML 2015), section 3, with the sums over x - mean, which are zero, left out.
 */
#include "kernel/ref/ref.h"

static void run_batchnorm_backward_weights(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_X];
    const pinion__view *dy = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DY];
    const pinion__view *constants = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_CONSTANTS];
    const pinion__view *y = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_Y];
    const pinion__view *ds = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DS];
    float *dgamma = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DGAMMA].data;
    float *dbeta = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DBETA].data;
    for (int c = 0; c < x->c; c++) {
        double mean = pinion__element(constants, c);
        double invstd = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_INVSTD], c);
        double sum = 0, dot = 0;
        for (size_t i = 0; i < pinion__view_pixels(x); i++) {
            float at = pinion__nth_pixel(x, i)[c];
            bool passes = y->data ? pinion__passes(args->activation, (double)pinion__nth_pixel(y, i)[c])
                                  : pinion__passes_normalised(args->activation, constants, c, at);
            double gradient = passes ? (double)pinion__nth_pixel(dy, i)[c] : 0;
            sum += gradient;
            dot += gradient * ((double)at - mean) * invstd;
            if (ds->data)
                pinion__put(&pinion__nth_pixel(ds, i)[c], gradient, false);
        }
        pinion__put(&dgamma[c], dot, args->accumulate);
        pinion__put(&dbeta[c], sum, args->accumulate);
    }
}

static void run_batchnorm_backward_data(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_X];
    const pinion__view *dy = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_DY];
    const pinion__view *constants = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_SAVED_CONSTANTS];
    const pinion__view *dx = &args->operand[PINION__BATCHNORM_BACKWARD_DATA_DX];
    double m = (double)pinion__batch_pixels(args, x);
    for (int c = 0; c < x->c; c++) {
        double gamma = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_GAMMA], c);
        double mean = pinion__element(constants, c);
        double invstd = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_SAVED_INVSTD], c);
        double dgamma = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_DGAMMA], c);
        double dbeta = pinion__element(&args->operand[PINION__BATCHNORM_BACKWARD_DATA_DBETA], c);
        for (size_t i = 0; i < pinion__view_pixels(x); i++) {
            float at = pinion__nth_pixel(x, i)[c];
            bool passes = pinion__passes_normalised(args->activation, constants, c, at);
            double ds = passes ? (double)pinion__nth_pixel(dy, i)[c] : 0;
            double gradient = ds - dbeta / m - ((double)at - mean) * invstd * dgamma / m;
            pinion__put(&pinion__nth_pixel(dx, i)[c], gamma * invstd * gradient, args->accumulate);
        }
    }
}

PINION__REF_KERNEL(batchnorm_backward_weights);
PINION__REF_KERNEL(batchnorm_backward_data);
