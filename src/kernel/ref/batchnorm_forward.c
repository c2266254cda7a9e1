/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation in training. With m = n*h*w values a channel:
 *
 *     mean[c] = sum x[n,h,w,c] / m             var[c] = sum (x[n,h,w,c] - mean[c])^2 / m          (biased)
 *     invstd  = 1 / sqrt(var + epsilon)        y      = gamma * (x - mean) * invstd + beta
 *     running_mean = (1 - momentum) * running_mean + momentum * mean
 *     running_var  = (1 - momentum) * running_var  + momentum * var * m / (m - 1)                  (m = 1: var)
 *
 * What is stored is activation(y + addend), as asked for. Where x comes with partial statistics (op/stats.h) mean and
 * var are made of those alone: with p[b] pixels in block b
 *
 *     mean = sum p[b] * mean[b] / m            var = sum (M2[b] + p[b] * (mean[b] - mean)^2) / m
 *
 * The constants (mean, gamma * invstd, beta) and invstd are kept for the backward passes where those operands are
 * present. Sources: Ioffe, Szegedy: Batch Normalization (ICML 2015), algorithm 1; the running statistics as
 * torch.nn.BatchNorm2d has them; Chan, Golub, LeVeque: Algorithms for Computing the Sample Variance (The American
 * Statistician 37, 1983).
 */
#include "kernel/ref/ref.h"

typedef struct moments {
    double mean, variance;
} moments;

static moments moments_of(const pinion__view *x, int c)
{
    double m = (double)pinion__view_pixels(x);
    moments of = {0};
    for (size_t i = 0; i < pinion__view_pixels(x); i++)
        of.mean += (double)pinion__nth_pixel(x, i)[c] / m;
    for (size_t i = 0; i < pinion__view_pixels(x); i++) {
        double distance = (double)pinion__nth_pixel(x, i)[c] - of.mean;
        of.variance += distance * distance / m;
    }
    return of;
}

static moments moments_from_stats(const pinion__view *stats, const pinion__view *x, int c)
{
    double m = (double)pinion__view_pixels(x);
    pinion__stats_blocks blocks = pinion__stats_blocks_of(x->n, x->h, x->w);
    moments of = {0};
    for (int b = 0; b < blocks.count; b++)
        of.mean += (double)pinion__pixel(stats, b, 0, 0)[c] *
                   (double)pinion__stats_block_pixels(&blocks, x->n, x->h, x->w, b) / m;
    for (int b = 0; b < blocks.count; b++) {
        double pixels = (double)pinion__stats_block_pixels(&blocks, x->n, x->h, x->w, b);
        double distance = (double)pinion__pixel(stats, b, 0, 0)[c] - of.mean;
        of.variance += ((double)pinion__pixel(stats, b, 1, 0)[c] + pixels * distance * distance) / m;
    }
    return of;
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

/* What is lost when the mean is rounded goes into the shift. */
static void keep(const pinion__args *args, int c, double mean, double scale, double beta)
{
    const pinion__view *constants = &args->operand[PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS];
    if (!constants->data)
        return;
    pinion__put(&pinion__pixel(constants, 0, 0, 0)[c], mean, false);
    pinion__put(&pinion__pixel(constants, 0, 1, 0)[c], scale, false);
    pinion__put(&pinion__pixel(constants, 0, 2, 0)[c], beta - (mean - (double)(float)mean) * scale, false);
}

static void run_batchnorm_forward(const pinion__args *args)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    const pinion__view *x = &args->operand[PINION__BATCHNORM_FORWARD_X];
    const pinion__view *stats = &args->operand[PINION__BATCHNORM_FORWARD_STATS];
    float *saved_invstd = args->operand[PINION__BATCHNORM_FORWARD_SAVED_INVSTD].data;
    for (int c = 0; c < x->c; c++) {
        double gamma = pinion__element(&args->operand[PINION__BATCHNORM_FORWARD_GAMMA], c);
        double beta = pinion__element(&args->operand[PINION__BATCHNORM_FORWARD_BETA], c);
        moments of = stats->data ? moments_from_stats(stats, x, c) : moments_of(x, c);
        double invstd = 1 / sqrt(of.variance + (double)batchnorm->epsilon);
        for (size_t i = 0; i < pinion__view_pixels(x); i++)
            pinion__put_output(args, PINION__BATCHNORM_FORWARD_Y, PINION__BATCHNORM_FORWARD_ADDEND, i, c,
                               gamma * ((double)pinion__nth_pixel(x, i)[c] - of.mean) * invstd + beta);
        move_running(args, c, of.mean, of.variance);
        keep(args, c, of.mean, gamma * invstd, beta);
        if (saved_invstd)
            saved_invstd[c] = (float)invstd;
    }
}

PINION__REF_KERNEL(batchnorm_forward);
