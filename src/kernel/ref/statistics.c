/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation of a batch that is cut: partial statistics of a slice x, by the formula in ref.h; and the
 * statistics of the whole batch from those of its slices. With p[b] pixels in block b, b counting the blocks of all
 * slices, m = sum p[b]:
 *
 *     mean = sum p[b] * mean[b] / m            var = sum (M2[b] + p[b] * (mean[b] - mean)^2) / m
 *
 * and running statistics, constants and invstd from mean and var as in batchnorm_forward.c.
 */
#include "kernel/ref/ref.h"

static void run_statistics_forward(const pinion__args *args)
{
    pinion__put_stats(&args->operand[PINION__STATISTICS_FORWARD_X], &args->operand[PINION__STATISTICS_FORWARD_STATS]);
}

/* One term of a sum over all blocks. */
typedef double term(double mean, double m2, double pixels, double centre);

static double weighted_mean(double mean, double m2, double pixels, double centre)
{
    (void)m2, (void)centre;
    return mean * pixels;
}

static double squares(double mean, double m2, double pixels, double centre)
{
    return m2 + pixels * (mean - centre) * (mean - centre);
}

static double sum_blocks(const pinion__args *args, int c, term *of, double centre)
{
    const pinion__batchnorm_statistics *cut = args->attributes;
    double sum = 0;
    for (int slice = 0; slice < PINION__MAX_SLICES && cut->n[slice] > 0; slice++) {
        const pinion__view *stats = &args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_STATS + slice];
        pinion__stats_blocks blocks = pinion__stats_blocks_of(cut->n[slice], cut->h, cut->w);
        for (int b = 0; b < blocks.count; b++)
            sum += of((double)pinion__pixel(stats, b, 0, 0)[c], (double)pinion__pixel(stats, b, 1, 0)[c],
                      (double)pinion__stats_block_pixels(&blocks, cut->n[slice], cut->h, cut->w, b), centre);
    }
    return sum;
}

static double count_pixels(const pinion__batchnorm_statistics *cut)
{
    int samples = 0;
    for (int slice = 0; slice < PINION__MAX_SLICES; slice++)
        samples += cut->n[slice];
    return (double)samples * cut->h * cut->w;
}

static void run_batchnorm_statistics_forward(const pinion__args *args)
{
    const pinion__batchnorm_statistics *cut = args->attributes;
    const pinion__view *constants = &args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_CONSTANTS];
    float *running_mean = args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_MEAN].data;
    float *running_var = args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_VAR].data;
    float *invstds = args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_INVSTD].data;
    double m = count_pixels(cut), momentum = (double)cut->momentum;
    for (int c = 0; c < constants->c; c++) {
        double mean = sum_blocks(args, c, weighted_mean, 0) / m, variance = sum_blocks(args, c, squares, mean) / m;
        double invstd = 1 / sqrt(variance + (double)cut->epsilon);
        double scale = pinion__element(&args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_GAMMA], c) * invstd;
        double beta = pinion__element(&args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_BETA], c);
        pinion__put(&pinion__pixel(constants, 0, 0, 0)[c], mean, false);
        pinion__put(&pinion__pixel(constants, 0, 1, 0)[c], scale, false);
        pinion__put(&pinion__pixel(constants, 0, 2, 0)[c], beta - (mean - (double)(float)mean) * scale, false);
        running_mean[c] = (float)((1 - momentum) * (double)running_mean[c] + momentum * mean);
        running_var[c] =
            (float)((1 - momentum) * (double)running_var[c] + momentum * (m > 1 ? variance * m / (m - 1) : variance));
        if (invstds)
            invstds[c] = (float)invstd;
    }
}

PINION__REF_KERNEL(statistics_forward);
PINION__REF_KERNEL(batchnorm_statistics_forward);
