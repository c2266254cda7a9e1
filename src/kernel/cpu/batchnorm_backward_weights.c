/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of gamma and beta: dbeta = sum dy, dgamma = invstd * sum dy*(x - mean), one pass over x and dy. Sums are
 * formed block by block within an item and item by item, in double, in the order of pixels.
 *
 * Scratch: two floats a channel and item.
 */
#include "kernel/cpu/batchnorm.h"

typedef struct sums {
    const float *x, *dy, *mean;
    ptrdiff_t x_ld, dy_ld;
    int c;
    pinion__cut cut;
    float *partial; /* item by item: c sums of dy, c sums of dy*(x - mean) */
} sums;

PINION__INLINE void block_strip(const sums *work, size_t first, size_t pixels, int channel, pinion__strip strip,
                                bool more, float *plain, float *centred)
{
    pinion__vf mean[PINION__STRIP_VECTORS], sum[PINION__STRIP_VECTORS], dot[PINION__STRIP_VECTORS];
    for (int v = 0; v < strip.vectors; v++)
        mean[v] = pinion__vf_load_some(work->mean + channel + v * PINION__LANES, strip.count);
    for (int i = 0; i < strip.vectors * strip.unroll; i++)
        sum[i] = dot[i] = pinion__vf_zero();
    for (size_t pixel = 0; pixel < pixels; pixel += (size_t)strip.unroll) {
        for (int u = 0; u < strip.unroll && pixel + (size_t)u < pixels; u++) {
            const float *x = work->x + (ptrdiff_t)(first + pixel + (size_t)u) * work->x_ld + channel;
            const float *dy = work->dy + (ptrdiff_t)(first + pixel + (size_t)u) * work->dy_ld + channel;
            for (int v = 0; v < strip.vectors; v++) {
                int i = u * strip.vectors + v;
                pinion__vf gradient = pinion__vf_load_some(dy + v * PINION__LANES, strip.count);
                pinion__vf value = pinion__vf_load_some(x + v * PINION__LANES, strip.count);
                sum[i] = pinion__vf_add(sum[i], gradient);
                dot[i] = pinion__vf_fma(gradient, pinion__vf_sub(value, mean[v]), dot[i]);
            }
        }
    }
    for (int v = 0; v < strip.vectors; v++) {
        for (int u = 1; u < strip.unroll; u++) {
            sum[v] = pinion__vf_add(sum[v], sum[u * strip.vectors + v]);
            dot[v] = pinion__vf_add(dot[v], dot[u * strip.vectors + v]);
        }
        pinion__vf_put(plain + channel + v * PINION__LANES, sum[v], strip.count, more);
        pinion__vf_put(centred + channel + v * PINION__LANES, dot[v], strip.count, more);
    }
}

static void block(const sums *work, size_t first, size_t pixels, bool more, float *plain, float *centred)
{
    int i = 0, c = work->c;
    for (; i + 4 * PINION__LANES <= c; i += 4 * PINION__LANES)
        block_strip(work, first, pixels, i, (pinion__strip){4, 1, PINION__LANES}, more, plain, centred);
    for (; i + PINION__LANES <= c; i += PINION__LANES)
        block_strip(work, first, pixels, i, (pinion__strip){1, 4, PINION__LANES}, more, plain, centred);
    if (i < c)
        block_strip(work, first, pixels, i, (pinion__strip){1, 4, c - i}, more, plain, centred);
}

static void sums_item(void *user, size_t item, int lane)
{
    (void)lane;
    const sums *work = user;
    float *plain = work->partial + item * 2 * (size_t)work->c, *centred = plain + work->c;
    size_t first = pinion__cut_first(&work->cut, item), end = pinion__cut_end(&work->cut, item);
    size_t each = pinion__block_pixels(work->c);
    for (size_t pixel = first; pixel < end; pixel += each)
        block(work, pixel, end - pixel < each ? end - pixel : each, pixel > first, plain, centred);
}

static void finish_channel(const pinion__args *args, const sums *work, int c)
{
    const float *invstd = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_INVSTD].data;
    float *dgamma = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DGAMMA].data;
    float *dbeta = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DBETA].data;
    double sum = 0.0, dot = 0.0;
    for (size_t item = 0; item < work->cut.items; item++) {
        const float *part = work->partial + item * 2 * (size_t)work->c;
        sum += (double)part[c];
        dot += (double)part[work->c + c];
    }
    dot *= (double)invstd[c];
    dgamma[c] = (float)(args->accumulate ? (double)dgamma[c] + dot : dot);
    dbeta[c] = (float)(args->accumulate ? (double)dbeta[c] + sum : sum);
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_X];
    return (size_t)x->c * 2 * pinion__cut_pixels(x).items * sizeof(float);
}

static void run(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_X];
    const pinion__view *dy = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DY];
    sums work = {
        .x = x->data,
        .dy = dy->data,
        .mean = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_MEAN].data,
        .x_ld = x->ld,
        .dy_ld = dy->ld,
        .c = x->c,
        .cut = pinion__cut_pixels(x),
        .partial = args->scratch,
    };
    pinion__parallel(args->workers, work.cut.items, sums_item, &work);
    for (int c = 0; c < x->c; c++)
        finish_channel(args, &work, c);
}

PINION__CPU_KERNEL(batchnorm_backward_weights) = {.scratch_bytes = scratch_bytes, .run = run};
