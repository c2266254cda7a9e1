/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation in training, forward. Statistics of the batch come from partial statistics of blocks of pixels
 * (op/stats.h), mean and M2 of each, combined in their order in double by Chan's formula (Chan, Golub, LeVeque:
 * "Algorithms for computing the sample variance", The American Statistician 37, 1983), so nothing like E[x^2] - E[x]^2
 * cancels. Where the producer of x left none they are made first, by the same function, so both ways give the same
 * bits. Then one pass normalises.
 *
 * Where the batch is cut, its parts have partial statistics of their own: `statistics` makes those of a part,
 * `batchnorm_statistics` combines the blocks of all parts in their order.
 *
 * Scratch: partial statistics where none are given; three constants a channel where they are not kept.
 */
#include "kernel/cpu/batchnorm.h"
#include "kernel/cpu/normalise.h"
#include "kernel/cpu/stats.h"

/* Pixels of a tensor and the partial statistics of its blocks. */
typedef struct part {
    int n, h, w;
    pinion__view stats;
} part;

/* From the parts of a batch, one but where it is cut, to its constants and running statistics. */
typedef struct statistics {
    part parts[PINION__MAX_SLICES];
    int part_count;
    int c;
    double epsilon, momentum;
    const float *gamma, *beta;
    float *mean, *scale, *shift, *invstd; /* invstd: NULL where it is not kept */
    float *running_mean, *running_var;
} statistics;

typedef struct making {
    const pinion__view *x, *stats;
    pinion__stats_blocks blocks;
    pinion__cut cut; /* of blocks */
} making;

static void blocks_item(void *user, size_t item, int lane)
{
    (void)lane;
    const making *work = user;
    for (size_t block = pinion__cut_first(&work->cut, item); block < pinion__cut_end(&work->cut, item); block++)
        pinion__stats_of_block(work->stats, work->x, &work->blocks, (int)block, 0, work->x->c);
}

static void make_statistics(const pinion__args *args, const pinion__view *x, const pinion__view *stats)
{
    making work = {.x = x, .stats = stats, .blocks = pinion__stats_blocks_of(x->n, x->h, x->w)};
    const size_t block = (size_t)work.blocks.images * (size_t)work.blocks.rows * (size_t)x->w;
    work.cut = pinion__cut_units((size_t)work.blocks.count, block * (size_t)x->c);
    pinion__parallel(args->workers, work.cut.items, blocks_item, &work);
}

/* Adds the blocks of one part to mean and M2 of `count` channels of the `before` pixels so far. */
static double combine_part(const part *of, double before, int first, int count, double *restrict mean,
                           double *restrict m2)
{
    const pinion__stats_blocks blocks = pinion__stats_blocks_of(of->n, of->h, of->w);
    for (int block = 0; block < blocks.count; block++) {
        const float *restrict more = (const float *)of->stats.data + (ptrdiff_t)block * 2 * of->stats.ld + first;
        const float *restrict more_m2 = more + of->stats.ld;
        const double pixels = (double)pinion__stats_block_pixels(&blocks, of->n, of->h, of->w, block);
        const double share = pixels / (before + pixels), between = share * before;
        for (int i = 0; i < count; i++) {
            const double delta = (double)more[i] - mean[i];
            mean[i] += delta * share;
            m2[i] += (double)more_m2[i] + delta * delta * between;
        }
        before += pixels;
    }
    return before;
}

static void finish_channel(const statistics *work, int c, double pixels, double mean, double m2)
{
    const double invstd = 1.0 / sqrt(m2 / pixels + work->epsilon), momentum = work->momentum;
    const double unbiased = m2 / (pixels > 1.0 ? pixels - 1.0 : 1.0);
    pinion__normalise_constants(&work->mean[c], &work->scale[c], &work->shift[c], mean, (double)work->gamma[c] * invstd,
                                (double)work->beta[c]);
    work->running_mean[c] = (float)((1.0 - momentum) * (double)work->running_mean[c] + momentum * mean);
    work->running_var[c] = (float)((1.0 - momentum) * (double)work->running_var[c] + momentum * unbiased);
    if (work->invstd)
        work->invstd[c] = (float)invstd;
}

static void channels_item(void *user, size_t item, int lane)
{
    (void)lane;
    const statistics *work = user;
    double mean[PINION__COMBINE_CHANNELS] = {0}, m2[PINION__COMBINE_CHANNELS] = {0}, pixels = 0.0;
    const int first = (int)item * PINION__COMBINE_CHANNELS, count = pinion__combine_count(work->c, item);
    for (int i = 0; i < work->part_count; i++)
        pixels = combine_part(&work->parts[i], pixels, first, count, mean, m2);
    for (int i = 0; i < count; i++)
        finish_channel(work, first + i, pixels, mean[i], m2[i]);
}

static void finish(const pinion__args *args, statistics *work)
{
    pinion__parallel(args->workers, pinion__combine_items(work->c), channels_item, work);
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
    const pinion_batchnorm *batchnorm = args->attributes;
    statistics work = {.parts[0] = {x->n, x->h, x->w, args->operand[PINION__BATCHNORM_FORWARD_STATS]},
                       .part_count = 1,
                       .c = x->c,
                       .epsilon = (double)batchnorm->epsilon,
                       .momentum = (double)batchnorm->momentum,
                       .gamma = args->operand[PINION__BATCHNORM_FORWARD_GAMMA].data,
                       .beta = args->operand[PINION__BATCHNORM_FORWARD_BETA].data,
                       .invstd = args->operand[PINION__BATCHNORM_FORWARD_SAVED_INVSTD].data,
                       .running_mean = args->operand[PINION__BATCHNORM_FORWARD_RUNNING_MEAN].data,
                       .running_var = args->operand[PINION__BATCHNORM_FORWARD_RUNNING_VAR].data};
    if (!work.parts[0].stats.data)
        work.parts[0].stats = (pinion__view){.data = args->scratch,
                                             .n = pinion__stats_blocks_of(x->n, x->h, x->w).count,
                                             .h = 2,
                                             .w = 1,
                                             .c = x->c,
                                             .ld = x->c};
    work.mean = kept->data ? kept->data : (float *)args->scratch + own_statistics(args);
    work.scale = work.mean + (kept->data ? kept->ld : x->c);
    work.shift = work.scale + (kept->data ? kept->ld : x->c);
    return work;
}

static void run(const pinion__args *args)
{
    statistics work = statistics_of(args);
    const pinion__view *x = &args->operand[PINION__BATCHNORM_FORWARD_X];
    if (own_statistics(args) > 0)
        make_statistics(args, x, &work.parts[0].stats);
    finish(args, &work);
    const pinion__normalising what = {
        .x = x,
        .addend = &args->operand[PINION__BATCHNORM_FORWARD_ADDEND],
        .y = &args->operand[PINION__BATCHNORM_FORWARD_Y],
        .mean = work.mean,
        .scale = work.scale,
        .shift = work.shift,
    };
    PINION__CPU_SHARED(normalise)(args, &what);
}

static void run_statistics(const pinion__args *args)
{
    make_statistics(args, &args->operand[PINION__STATISTICS_FORWARD_X],
                    &args->operand[PINION__STATISTICS_FORWARD_STATS]);
}

static void run_batchnorm_statistics(const pinion__args *args)
{
    const pinion__batchnorm_statistics *of = args->attributes;
    const pinion__view *constants = &args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_CONSTANTS];
    statistics work = {.c = constants->c,
                       .epsilon = (double)of->epsilon,
                       .momentum = (double)of->momentum,
                       .gamma = args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_GAMMA].data,
                       .beta = args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_BETA].data,
                       .mean = constants->data,
                       .invstd = args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_INVSTD].data,
                       .running_mean = args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_MEAN].data,
                       .running_var = args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_VAR].data};
    work.scale = work.mean + constants->ld;
    work.shift = work.scale + constants->ld;
    for (; work.part_count < PINION__MAX_SLICES && of->n[work.part_count] > 0; work.part_count++)
        work.parts[work.part_count] =
            (part){of->n[work.part_count], of->h, of->w,
                   args->operand[PINION__BATCHNORM_STATISTICS_FORWARD_STATS + work.part_count]};
    finish(args, &work);
}

PINION__CPU_KERNEL(batchnorm_forward) = {.scratch_bytes = scratch_bytes, .run = run};
PINION__CPU_KERNEL(statistics_forward) = {.run = run_statistics};
PINION__CPU_KERNEL(batchnorm_statistics_forward) = {.run = run_batchnorm_statistics};
