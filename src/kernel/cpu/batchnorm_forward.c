/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation in training, forward: two passes over x. The first takes mean and M2 (the sum of squared
 * distances from the mean) of each block in two passes over the block while it is in cache, and combines blocks to
 * items and items to the batch by Chan's formula (Chan, Golub, LeVeque: "Algorithms for computing the sample variance",
 * The American Statistician 37, 1983) in the order of pixels, so nothing like E[x^2] - E[x]^2 cancels. The second
 * normalises.
 *
 * Scratch: two doubles a channel (mean, M2 of the batch), three constants a channel, two floats a channel and item.
 */
#include "kernel/cpu/batchnorm.h"

typedef struct statistics {
    const float *x;
    ptrdiff_t ld;
    int c;
    pinion__cut cut;
    double *mean, *m2;                             /* of the batch */
    float *constants[PINION__NORMALISE_CONSTANTS]; /* of the second pass */
    float *partial;                                /* item by item: c means, c M2 */
} statistics;

PINION__INLINE pinion__vf at(const float *x, ptrdiff_t ld, size_t pixel, int vector, int count)
{
    return pinion__vf_load_some(x + (ptrdiff_t)pixel * ld + vector * PINION__LANES, count);
}

/* Mean of a block, one vector of channels each. */
PINION__INLINE void block_mean(const float *x, ptrdiff_t ld, size_t pixels, pinion__strip strip, pinion__vf *mean)
{
    pinion__vf sum[PINION__STRIP_VECTORS];
    for (int i = 0; i < strip.vectors * strip.unroll; i++)
        sum[i] = pinion__vf_zero();
    size_t pixel = 0;
    for (; pixel + (size_t)strip.unroll <= pixels; pixel += (size_t)strip.unroll)
        for (int u = 0; u < strip.unroll; u++)
            for (int v = 0; v < strip.vectors; v++)
                sum[u * strip.vectors + v] =
                    pinion__vf_add(sum[u * strip.vectors + v], at(x, ld, pixel + (size_t)u, v, strip.count));
    for (; pixel < pixels; pixel++)
        sum[0] = pinion__vf_add(sum[0], at(x, ld, pixel, 0, strip.count));
    for (int v = 0; v < strip.vectors; v++) {
        for (int u = 1; u < strip.unroll; u++)
            sum[v] = pinion__vf_add(sum[v], sum[u * strip.vectors + v]);
        mean[v] = pinion__vf_mul(sum[v], pinion__vf_set1(1.0F / (float)pixels));
    }
}

/* Sum of squared distances from the block's mean. */
PINION__INLINE void block_m2(const float *x, ptrdiff_t ld, size_t pixels, pinion__strip strip, const pinion__vf *mean,
                             pinion__vf *m2)
{
    pinion__vf sum[PINION__STRIP_VECTORS];
    for (int i = 0; i < strip.vectors * strip.unroll; i++)
        sum[i] = pinion__vf_zero();
    size_t pixel = 0;
    for (; pixel + (size_t)strip.unroll <= pixels; pixel += (size_t)strip.unroll)
        for (int u = 0; u < strip.unroll; u++)
            for (int v = 0; v < strip.vectors; v++) {
                pinion__vf d = pinion__vf_sub(at(x, ld, pixel + (size_t)u, v, strip.count), mean[v]);
                sum[u * strip.vectors + v] = pinion__vf_fma(d, d, sum[u * strip.vectors + v]);
            }
    for (; pixel < pixels; pixel++) {
        pinion__vf d = pinion__vf_sub(at(x, ld, pixel, 0, strip.count), mean[0]);
        sum[0] = pinion__vf_fma(d, d, sum[0]);
    }
    for (int v = 0; v < strip.vectors; v++) {
        for (int u = 1; u < strip.unroll; u++)
            sum[v] = pinion__vf_add(sum[v], sum[u * strip.vectors + v]);
        m2[v] = sum[v];
    }
}

/* Adds a block to the mean and M2 of the `before` pixels in front of it. */
PINION__INLINE void block_strip(const float *x, ptrdiff_t ld, size_t pixels, pinion__strip strip, size_t before,
                                float *mean, float *m2)
{
    pinion__vf new_mean[PINION__STRIP_VECTORS], new_m2[PINION__STRIP_VECTORS];
    block_mean(x, ld, pixels, strip, new_mean);
    block_m2(x, ld, pixels, strip, new_mean, new_m2);
    float share = (float)pixels / (float)(before + pixels);
    pinion__vf weight = pinion__vf_set1(share), between = pinion__vf_set1(share * (float)before);
    for (int v = 0; v < strip.vectors; v++) {
        float *mean_at = mean + v * PINION__LANES, *m2_at = m2 + v * PINION__LANES;
        if (before > 0) {
            pinion__vf old = pinion__vf_load_some(mean_at, strip.count);
            pinion__vf delta = pinion__vf_sub(new_mean[v], old);
            pinion__vf both = pinion__vf_add(pinion__vf_load_some(m2_at, strip.count), new_m2[v]);
            new_mean[v] = pinion__vf_fma(delta, weight, old);
            new_m2[v] = pinion__vf_fma(pinion__vf_mul(delta, delta), between, both);
        }
        pinion__vf_store_some(mean_at, new_mean[v], strip.count);
        pinion__vf_store_some(m2_at, new_m2[v], strip.count);
    }
}

static void block(const float *x, ptrdiff_t ld, int c, size_t pixels, size_t before, float *mean, float *m2)
{
    int i = 0;
    for (; i + 4 * PINION__LANES <= c; i += 4 * PINION__LANES)
        block_strip(x + i, ld, pixels, (pinion__strip){4, 1, PINION__LANES}, before, mean + i, m2 + i);
    for (; i + PINION__LANES <= c; i += PINION__LANES)
        block_strip(x + i, ld, pixels, (pinion__strip){1, 4, PINION__LANES}, before, mean + i, m2 + i);
    if (i < c)
        block_strip(x + i, ld, pixels, (pinion__strip){1, 4, c - i}, before, mean + i, m2 + i);
}

static void statistics_item(void *user, size_t item, int lane)
{
    (void)lane;
    const statistics *work = user;
    float *mean = work->partial + item * 2 * (size_t)work->c, *m2 = mean + work->c;
    size_t first = pinion__cut_first(&work->cut, item), end = pinion__cut_end(&work->cut, item);
    size_t each = pinion__block_pixels(work->c);
    for (size_t pixel = first; pixel < end; pixel += each)
        block(work->x + (ptrdiff_t)pixel * work->ld, work->ld, work->c, end - pixel < each ? end - pixel : each,
              pixel - first, mean, m2);
}

/* Items to the batch, in their order. */
static void combine(const statistics *work)
{
    size_t c = (size_t)work->c;
    double *restrict mean = work->mean, *restrict m2 = work->m2;
    for (size_t item = 0; item < work->cut.items; item++) {
        const float *restrict part = work->partial + item * 2 * c;
        size_t before = pinion__cut_first(&work->cut, item), end = pinion__cut_end(&work->cut, item);
        double share = (double)(end - before) / (double)end, between = share * (double)before;
        for (size_t i = 0; i < c; i++) {
            double old = item > 0 ? mean[i] : 0.0, delta = (double)part[i] - old;
            mean[i] = old + delta * share;
            m2[i] = (item > 0 ? m2[i] : 0.0) + (double)part[c + i] + delta * delta * between;
        }
    }
}

static float *vector(const pinion__args *args, int operand)
{
    return args->operand[operand].data;
}

static void finish_channel(const pinion__args *args, const statistics *work, int c)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    float *saved_mean = vector(args, PINION__BATCHNORM_FORWARD_SAVED_MEAN);
    float *saved_invstd = vector(args, PINION__BATCHNORM_FORWARD_SAVED_INVSTD);
    float *running_mean = vector(args, PINION__BATCHNORM_FORWARD_RUNNING_MEAN);
    float *running_var = vector(args, PINION__BATCHNORM_FORWARD_RUNNING_VAR);
    double gamma = (double)vector(args, PINION__BATCHNORM_FORWARD_GAMMA)[c];
    double beta = (double)vector(args, PINION__BATCHNORM_FORWARD_BETA)[c];
    double momentum = (double)batchnorm->momentum, count = (double)work->cut.units;
    double invstd = 1.0 / sqrt(work->m2[c] / count + (double)batchnorm->epsilon);
    double unbiased = work->m2[c] / (count > 1.0 ? count - 1.0 : 1.0);
    pinion__normalise_constants(work->constants, c, work->mean[c], gamma * invstd, beta);
    running_mean[c] = (float)((1.0 - momentum) * (double)running_mean[c] + momentum * work->mean[c]);
    running_var[c] = (float)((1.0 - momentum) * (double)running_var[c] + momentum * unbiased);
    if (saved_mean)
        saved_mean[c] = (float)work->mean[c];
    if (saved_invstd)
        saved_invstd[c] = (float)invstd;
}

static void normalise_item(void *user, size_t item, int lane)
{
    (void)lane;
    pinion__channelwise_item(user, item, pinion__normalise);
}

static void normalise(const pinion__args *args, const statistics *work)
{
    const pinion__view *views[] = {&args->operand[PINION__BATCHNORM_FORWARD_X],
                                   &args->operand[PINION__BATCHNORM_FORWARD_Y]};
    const float *const constants[] = {work->constants[0], work->constants[1], work->constants[2]};
    pinion__channelwise loop = pinion__channelwise_cut(views, 2, constants, PINION__NORMALISE_CONSTANTS, false);
    pinion__parallel(args->workers, loop.cut.items, normalise_item, &loop);
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_FORWARD_X];
    size_t floats = PINION__NORMALISE_CONSTANTS + 2 * pinion__cut_pixels(x).items;
    return (size_t)x->c * (2 * sizeof(double) + floats * sizeof(float));
}

static void run(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_FORWARD_X];
    statistics work = {.x = x->data, .ld = x->ld, .c = x->c, .cut = pinion__cut_pixels(x)};
    work.mean = args->scratch;
    work.m2 = work.mean + x->c;
    float *floats = (float *)(void *)(work.m2 + x->c);
    for (int i = 0; i < PINION__NORMALISE_CONSTANTS; i++)
        work.constants[i] = floats + i * x->c;
    work.partial = floats + PINION__NORMALISE_CONSTANTS * x->c;
    pinion__parallel(args->workers, work.cut.items, statistics_item, &work);
    combine(&work);
    for (int c = 0; c < x->c; c++)
        finish_channel(args, &work, c);
    normalise(args, &work);
}

PINION__CPU_KERNEL(batchnorm_forward) = {.scratch_bytes = scratch_bytes, .run = run};
