/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation in training. With m = n*h*w values a channel:
 *
 *     mean[c] = sum x[n,h,w,c] / m             var[c] = sum (x[n,h,w,c] - mean[c])^2 / m          (biased)
 *     invstd  = 1 / sqrt(var + epsilon)        y      = gamma * (x - mean) * invstd + beta
 *     running_mean = (1 - momentum) * running_mean + momentum * mean
 *     running_var  = (1 - momentum) * running_var  + momentum * var * m / (m - 1)                  (unbiased; m = 1:
 * var)
 *
 * mean and invstd are kept for the backward passes where those operands are present. Source: Ioffe, Szegedy: Batch
 * Normalization (ICML 2015), algorithm 1; the running statistics as torch.nn.BatchNorm2d has them.
 */
#include "kernel/ref/ref.h"
#include <math.h>

static double mean_of(const pinion__view *x, int c)
{
    double sum = 0;
    for (size_t i = 0; i < pinion__view_pixels(x); i++)
        sum += (double)pinion__nth_pixel(x, i)[c];
    return sum / (double)pinion__view_pixels(x);
}

static double variance_of(const pinion__view *x, int c, double mean)
{
    double sum = 0;
    for (size_t i = 0; i < pinion__view_pixels(x); i++) {
        double distance = (double)pinion__nth_pixel(x, i)[c] - mean;
        sum += distance * distance;
    }
    return sum / (double)pinion__view_pixels(x);
}

static void move_running(const pinion__args *args, int c, double mean, double variance)
{
    double momentum = (double)((const pinion_batchnorm *)args->attributes)->momentum;
    double m = (double)pinion__view_pixels(&args->operand[PINION__BATCHNORM_FORWARD_X]);
    double unbiased = m > 1 ? variance * m / (m - 1) : variance;
    float *running_mean = args->operand[PINION__BATCHNORM_FORWARD_RUNNING_MEAN].data;
    float *running_var = args->operand[PINION__BATCHNORM_FORWARD_RUNNING_VAR].data;
    running_mean[c] = (float)((1 - momentum) * (double)running_mean[c] + momentum * mean);
    running_var[c] = (float)((1 - momentum) * (double)running_var[c] + momentum * unbiased);
}

static void run_batchnorm_forward(const pinion__args *args)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    const pinion__view *x = &args->operand[PINION__BATCHNORM_FORWARD_X];
    const pinion__view *y = &args->operand[PINION__BATCHNORM_FORWARD_Y];
    float *saved_mean = args->operand[PINION__BATCHNORM_FORWARD_SAVED_MEAN].data;
    float *saved_invstd = args->operand[PINION__BATCHNORM_FORWARD_SAVED_INVSTD].data;
    for (int c = 0; c < x->c; c++) {
        double gamma = pinion__element(&args->operand[PINION__BATCHNORM_FORWARD_GAMMA], c);
        double beta = pinion__element(&args->operand[PINION__BATCHNORM_FORWARD_BETA], c);
        double mean = mean_of(x, c);
        double variance = variance_of(x, c, mean);
        double invstd = 1 / sqrt(variance + (double)batchnorm->epsilon);
        for (size_t i = 0; i < pinion__view_pixels(x); i++) {
            double normal = ((double)pinion__nth_pixel(x, i)[c] - mean) * invstd;
            pinion__put(&pinion__nth_pixel(y, i)[c], gamma * normal + beta, false);
        }
        move_running(args, c, mean, variance);
        if (saved_mean)
            saved_mean[c] = (float)mean;
        if (saved_invstd)
            saved_invstd[c] = (float)invstd;
    }
}

PINION__REF_KERNEL(batchnorm_forward);
