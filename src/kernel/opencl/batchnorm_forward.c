/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation in training, forward: partial statistics (op/stats.h) where x's producer left none, their sum and
 * the constants of each channel, the normalising pass. Both ways give the same bits. Where the batch is cut, its
 * slices' statistics and the constants made of them are tasks of their own.
 *
 * Scratch: partial statistics where none are given; three constants a channel where they are not kept.
 */
#include "kernel/opencl/blocks.h"
#include "kernel/opencl/normalise.h"
#include "kernel/opencl/stats.h"
#include "kernel/opencl/vector.h"
#include "op/operands.h"

/* Bytes of the partial statistics that the kernel makes itself. */
static size_t own_statistics(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_FORWARD_X];
    const pinion__stats_blocks blocks = pinion__stats_blocks_of(x->n, x->h, x->w);
    bool given = args->operand[PINION__BATCHNORM_FORWARD_STATS].data != NULL;
    return given ? 0 : 2 * (size_t)blocks.count * (size_t)x->c * sizeof(float);
}

static size_t scratch_bytes(const pinion__args *args)
{
    bool kept = args->operand[PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS].data != NULL;
    size_t constants = kept ? 0 : 3 * (size_t)args->operand[PINION__BATCHNORM_FORWARD_X].c * sizeof(float);
    return own_statistics(args) + constants;
}

/* What turns statistics into constants: operands, and where the constants go. */
typedef struct finish {
    int gamma, beta, running_mean, running_var, invstd;
    pinion__normalising kept;
    int channels, slices;
    float epsilon, momentum;
} finish;

static int finish_begin(pinion__launch *launch, const pinion__args *args, const finish *of)
{
    const int vector = pinion__vector_of(args, of->channels);
    char vectors[PINION__VECTOR_OPTIONS], options[PINION__VECTOR_OPTIONS + 16];
    pinion__vector_options(vectors, of->channels, vector);
    snprintf(options, sizeof options, "%s -DSLICES=%d", vectors, of->slices);
    pinion__launch_begin(launch, args, "batchnorm_forward", "finish", options);
    return pinion__vectors_in(of->channels, vector);
}

/* Behind the arguments of the slices. */
static void finish_run(pinion__launch *launch, const finish *of, int vectors)
{
    pinion__launch_operand(launch, of->gamma);
    pinion__launch_operand(launch, of->beta);
    pinion__launch_operand(launch, of->running_mean);
    pinion__launch_operand(launch, of->running_var);
    pinion__launch_normalise_constants(launch, &of->kept);
    pinion__launch_operand(launch, of->invstd);
    pinion__launch_int(launch, of->channels);
    pinion__launch_float(launch, of->epsilon);
    pinion__launch_float(launch, of->momentum);
    pinion__launch_float(launch, (float)(1.0 - (double)of->momentum));
    pinion__launch_run_loops(launch, (size_t)vectors, 1);
}

static void forward(const pinion__args *args)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    const pinion__view *x = &args->operand[PINION__BATCHNORM_FORWARD_X];
    const finish of = {.gamma = PINION__BATCHNORM_FORWARD_GAMMA,
                       .beta = PINION__BATCHNORM_FORWARD_BETA,
                       .running_mean = PINION__BATCHNORM_FORWARD_RUNNING_MEAN,
                       .running_var = PINION__BATCHNORM_FORWARD_RUNNING_VAR,
                       .invstd = PINION__BATCHNORM_FORWARD_SAVED_INVSTD,
                       .kept = {.x = PINION__BATCHNORM_FORWARD_X,
                                .addend = PINION__BATCHNORM_FORWARD_ADDEND,
                                .y = PINION__BATCHNORM_FORWARD_Y,
                                .constants = PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS,
                                .scratch_offset = own_statistics(args)},
                       .channels = x->c,
                       .slices = 1,
                       .epsilon = batchnorm->epsilon,
                       .momentum = batchnorm->momentum};
    pinion__launch launch;
    if (own_statistics(args) > 0)
        pinion__launch_stats_scratch(args, PINION__BATCHNORM_FORWARD_X, 0);
    const int vectors = finish_begin(&launch, args, &of);
    if (own_statistics(args) > 0) {
        pinion__launch_scratch(&launch, 0);
        pinion__launch_int(&launch, x->c);
    } else {
        pinion__launch_view(&launch, PINION__BATCHNORM_FORWARD_STATS);
    }
    pinion__launch_blocks(&launch, x->n, x->h, x->w);
    finish_run(&launch, &of, vectors);
    pinion__launch_normalise(args, &of.kept);
}

static void statistics(const pinion__args *args)
{
    pinion__launch_stats(args, PINION__STATISTICS_FORWARD_X, PINION__STATISTICS_FORWARD_STATS);
}

static void slices(const pinion__args *args)
{
    const pinion__batchnorm_statistics *cut = args->attributes;
    const finish of = {.gamma = PINION__BATCHNORM_STATISTICS_FORWARD_GAMMA,
                       .beta = PINION__BATCHNORM_STATISTICS_FORWARD_BETA,
                       .running_mean = PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_MEAN,
                       .running_var = PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_VAR,
                       .invstd = PINION__BATCHNORM_STATISTICS_FORWARD_INVSTD,
                       .kept = {.constants = PINION__BATCHNORM_STATISTICS_FORWARD_CONSTANTS},
                       .channels = args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_CONSTANTS].c,
                       .slices = PINION__MAX_SLICES,
                       .epsilon = cut->epsilon,
                       .momentum = cut->momentum};
    pinion__launch launch;
    const int vectors = finish_begin(&launch, args, &of);
    for (int i = 0; i < PINION__MAX_SLICES; i++) {
        pinion__launch_view(&launch, PINION__BATCHNORM_STATISTICS_FORWARD_STATS + i);
        pinion__launch_blocks(&launch, cut->n[i], cut->h, cut->w);
    }
    finish_run(&launch, &of, vectors);
}

PINION__OPENCL_KERNEL(batchnorm_forward) = {.scratch_bytes = scratch_bytes, .run = forward};
PINION__OPENCL_KERNEL(statistics_forward) = {.run = statistics};
PINION__OPENCL_KERNEL(batchnorm_statistics_forward) = {.run = slices};
