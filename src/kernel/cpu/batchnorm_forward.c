/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation in training, forward. Statistics of the batch come from partial statistics of blocks of pixels
 * (op/stats.h), mean and M2 of each, combined in their order in double by Chan's formula (Chan, Golub, LeVeque:
 * "Algorithms for computing the sample variance", The American Statistician 37, 1983), so nothing like E[x^2] - E[x]^2
 * cancels. Where the producer of x left none they are made first, by the same function, so both ways give the same
 * bits. Then one pass normalises.
 *
 * Scratch: partial statistics where none are given; three constants a channel where they are not kept.
 */
#include "kernel/cpu/batchnorm.h"
#include "kernel/cpu/normalise.h"
#include "kernel/cpu/stats.h"

typedef struct statistics {
    const pinion__args *args;
    const pinion__view *x;
    pinion__view stats;
    pinion__stats_blocks blocks;
    pinion__cut cut; /* of blocks */
    float *mean, *scale, *shift;
} statistics;

static void blocks_item(void *user, size_t item, int lane)
{
    (void)lane;
    const statistics *work = user;
    for (size_t block = pinion__cut_first(&work->cut, item); block < pinion__cut_end(&work->cut, item); block++)
        pinion__stats_of_block(&work->stats, work->x, &work->blocks, (int)block, 0, work->x->c);
}

/* Mean and M2 of `count` channels of the batch. */
static void combine(const statistics *work, int first, int count, double *restrict mean, double *restrict m2)
{
    const pinion__view *x = work->x;
    double before = 0.0;
    for (int i = 0; i < count; i++)
        mean[i] = m2[i] = 0.0;
    for (int block = 0; block < work->blocks.count; block++) {
        const float *restrict part = (const float *)work->stats.data + (ptrdiff_t)block * 2 * work->stats.ld + first;
        const float *restrict part_m2 = part + work->stats.ld;
        const double pixels = (double)pinion__stats_block_pixels(&work->blocks, x->n, x->h, x->w, block);
        const double share = pixels / (before + pixels), between = share * before;
        for (int i = 0; i < count; i++) {
            const double delta = (double)part[i] - mean[i];
            mean[i] += delta * share;
            m2[i] += (double)part_m2[i] + delta * delta * between;
        }
        before += pixels;
    }
}

static float *vector(const pinion__args *args, int operand)
{
    return args->operand[operand].data;
}

static void finish_channel(const statistics *work, int c, double mean, double m2)
{
    const pinion__args *args = work->args;
    const pinion_batchnorm *batchnorm = args->attributes;
    float *saved_invstd = vector(args, PINION__BATCHNORM_FORWARD_SAVED_INVSTD);
    float *running_mean = vector(args, PINION__BATCHNORM_FORWARD_RUNNING_MEAN);
    float *running_var = vector(args, PINION__BATCHNORM_FORWARD_RUNNING_VAR);
    double gamma = (double)vector(args, PINION__BATCHNORM_FORWARD_GAMMA)[c];
    double beta = (double)vector(args, PINION__BATCHNORM_FORWARD_BETA)[c];
    double momentum = (double)batchnorm->momentum, pixels = (double)pinion__view_pixels(work->x);
    double invstd = 1.0 / sqrt(m2 / pixels + (double)batchnorm->epsilon);
    double unbiased = m2 / (pixels > 1.0 ? pixels - 1.0 : 1.0);
    pinion__normalise_constants(&work->mean[c], &work->scale[c], &work->shift[c], mean, gamma * invstd, beta);
    running_mean[c] = (float)((1.0 - momentum) * (double)running_mean[c] + momentum * mean);
    running_var[c] = (float)((1.0 - momentum) * (double)running_var[c] + momentum * unbiased);
    if (saved_invstd)
        saved_invstd[c] = (float)invstd;
}

static void channels_item(void *user, size_t item, int lane)
{
    (void)lane;
    const statistics *work = user;
    double mean[PINION__COMBINE_CHANNELS], m2[PINION__COMBINE_CHANNELS];
    const int first = (int)item * PINION__COMBINE_CHANNELS, count = pinion__combine_count(work->x->c, item);
    combine(work, first, count, mean, m2);
    for (int i = 0; i < count; i++)
        finish_channel(work, first + i, mean[i], m2[i]);
}

/* Floats of the partial statistics that the kernel makes itself. */
static size_t own_statistics(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_FORWARD_X];
    const pinion__stats_blocks blocks = pinion__stats_blocks_of(x->n, x->h, x->w);
    bool given = args->operand[PINION__BATCHNORM_FORWARD_STATS].data != NULL;
    return given ? 0 : 2 * (size_t)blocks.count * (size_t)x->c;
}

static size_t scratch_bytes(const pinion__args *args)
{
    bool kept = args->operand[PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS].data != NULL;
    size_t constants = kept ? 0 : 3 * (size_t)args->operand[PINION__BATCHNORM_FORWARD_X].c;
    return (own_statistics(args) + constants) * sizeof(float);
}

static statistics statistics_of(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_FORWARD_X];
    const pinion__view *kept = &args->operand[PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS];
    statistics work = {.args = args,
                       .x = x,
                       .stats = args->operand[PINION__BATCHNORM_FORWARD_STATS],
                       .blocks = pinion__stats_blocks_of(x->n, x->h, x->w)};
    if (!work.stats.data)
        work.stats =
            (pinion__view){.data = args->scratch, .n = work.blocks.count, .h = 2, .w = 1, .c = x->c, .ld = x->c};
    const size_t block = (size_t)work.blocks.images * (size_t)work.blocks.rows * (size_t)x->w;
    work.cut = pinion__cut_units((size_t)work.blocks.count, block * (size_t)x->c);
    work.mean = kept->data ? kept->data : (float *)args->scratch + own_statistics(args);
    work.scale = work.mean + (kept->data ? kept->ld : x->c);
    work.shift = work.scale + (kept->data ? kept->ld : x->c);
    return work;
}

static void run(const pinion__args *args)
{
    statistics work = statistics_of(args);
    if (own_statistics(args) > 0)
        pinion__parallel(args->workers, work.cut.items, blocks_item, &work);
    pinion__parallel(args->workers, pinion__combine_items(work.x->c), channels_item, &work);
    const pinion__normalising what = {
        .x = work.x,
        .addend = &args->operand[PINION__BATCHNORM_FORWARD_ADDEND],
        .y = &args->operand[PINION__BATCHNORM_FORWARD_Y],
        .mean = work.mean,
        .scale = work.scale,
        .shift = work.shift,
    };
    PINION__CPU_SHARED(normalise)(args, &what);
}

PINION__CPU_KERNEL(batchnorm_forward) = {.scratch_bytes = scratch_bytes, .run = run};
