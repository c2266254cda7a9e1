/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of gamma and beta: dbeta = sum ds, dgamma = invstd * sum ds*(x - mean), one pass over x and dy. ds is dy
 * where an activation behind the normalisation passes it: x tells it once more, or, where there was an addend, the
 * output y does, and ds is stored then. Sums are formed block by block within an item and item by item, in double, in
 * the order of pixels.
 *
 * Scratch: two floats a channel and item.
 */
#include "kernel/cpu/batchnorm.h"

enum mask { MASK_NONE, MASK_NORMALISED, MASK_OUTPUT };
enum { STRIP_VECTORS = 4, CHAINS = 4 };

typedef struct sums {
    const pinion__args *args;
    const float *x, *dy, *y, *mean, *scale, *shift;
    float *ds;
    ptrdiff_t x_ld, dy_ld, y_ld, ds_ld;
    int c;
    pinion__bounds bounds;
    pinion__cut cut;
    float *partial; /* item by item: c sums of ds, c sums of ds*(x - mean) */
} sums;

/* Vectors of channels from `channel` on that are worked on together, `count` elements in each, in `chains` sums where
 * one vector alone would wait for itself. All but `channel` are known when this is compiled. */
typedef struct strip {
    int channel, vectors, chains, count;
    enum mask mask;
} strip;

typedef struct strip_sums {
    pinion__vf mean[STRIP_VECTORS], scale[STRIP_VECTORS], shift[STRIP_VECTORS];
    pinion__vf plain[STRIP_VECTORS * CHAINS], centred[STRIP_VECTORS * CHAINS];
} strip_sums;

PINION__INLINE void pixel(const sums *work, size_t at, strip of, int chain, strip_sums *into)
{
    const ptrdiff_t i = (ptrdiff_t)at;
#pragma GCC unroll 4
    for (int v = 0; v < of.vectors; v++) {
        const ptrdiff_t c = of.channel + v * PINION__LANES;
        const int sum = chain * of.vectors + v;
        const pinion__vf x = pinion__vf_load_some(work->x + i * work->x_ld + c, of.count);
        pinion__vf ds = pinion__vf_load_some(work->dy + i * work->dy_ld + c, of.count);
        if (of.mask == MASK_NORMALISED)
            ds = pinion__vf_gradient(pinion__vf_normalise(x, into->mean[v], into->scale[v], into->shift[v]), ds,
                                     work->bounds);
        if (of.mask == MASK_OUTPUT) {
            ds = pinion__vf_gradient(pinion__vf_load_some(work->y + i * work->y_ld + c, of.count), ds, work->bounds);
            pinion__vf_store_some(work->ds + i * work->ds_ld + c, ds, of.count);
        }
        into->plain[sum] = pinion__vf_add(into->plain[sum], ds);
        into->centred[sum] = pinion__vf_fma(ds, pinion__vf_sub(x, into->mean[v]), into->centred[sum]);
    }
}

PINION__INLINE void strip_begin(const sums *work, strip of, strip_sums *into)
{
#pragma GCC unroll 4
    for (int v = 0; v < of.vectors; v++) {
        const int c = of.channel + v * PINION__LANES;
        into->mean[v] = pinion__vf_load_some(work->mean + c, of.count);
        if (of.mask == MASK_NORMALISED) {
            into->scale[v] = pinion__vf_load_some(work->scale + c, of.count);
            into->shift[v] = pinion__vf_load_some(work->shift + c, of.count);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < of.vectors * of.chains; i++)
        into->plain[i] = into->centred[i] = pinion__vf_zero();
}

PINION__INLINE void block_strip(const sums *work, size_t first, size_t end, strip of, bool more, float *plain,
                                float *centred)
{
    strip_sums into;
    strip_begin(work, of, &into);
    size_t at = first;
    for (; at + (size_t)of.chains <= end; at += (size_t)of.chains)
#pragma GCC unroll 4
        for (int chain = 0; chain < of.chains; chain++)
            pixel(work, at + (size_t)chain, of, chain, &into);
    for (; at < end; at++)
        pixel(work, at, of, 0, &into);
#pragma GCC unroll 4
    for (int v = 0; v < of.vectors; v++) {
#pragma GCC unroll 4
        for (int chain = 1; chain < of.chains; chain++) {
            into.plain[v] = pinion__vf_add(into.plain[v], into.plain[chain * of.vectors + v]);
            into.centred[v] = pinion__vf_add(into.centred[v], into.centred[chain * of.vectors + v]);
        }
        pinion__vf_put(plain + of.channel + v * PINION__LANES, into.plain[v], of.count, more);
        pinion__vf_put(centred + of.channel + v * PINION__LANES, into.centred[v], of.count, more);
    }
}

/* 16 registers hold the sums and constants of two vectors. */
PINION__INLINE void block(const sums *work, size_t first, size_t end, enum mask mask, bool more, float *plain,
                          float *centred)
{
    enum { WIDE = PINION__TILE_ROWS == 12 ? STRIP_VECTORS : 2 };
    int i = 0;
    for (; i + WIDE * PINION__LANES <= work->c; i += WIDE * PINION__LANES)
        block_strip(work, first, end, (strip){i, WIDE, 1, PINION__LANES, mask}, more, plain, centred);
    for (; i + PINION__LANES <= work->c; i += PINION__LANES)
        block_strip(work, first, end, (strip){i, 1, CHAINS, PINION__LANES, mask}, more, plain, centred);
    if (i < work->c)
        block_strip(work, first, end, (strip){i, 1, CHAINS, work->c - i, mask}, more, plain, centred);
}

PINION__INLINE void sums_of(const sums *work, size_t item, enum mask mask)
{
    float *plain = work->partial + item * 2 * (size_t)work->c, *centred = plain + work->c;
    const size_t first = pinion__cut_first(&work->cut, item), end = pinion__cut_end(&work->cut, item);
    const size_t each = pinion__block_pixels(work->c);
    for (size_t at = first; at < end; at += each)
        block(work, at, end - at < each ? end : at + each, mask, at > first, plain, centred);
}

static void sums_item(void *user, size_t item, int lane)
{
    (void)lane;
    const sums *work = user;
    if (work->y)
        sums_of(work, item, MASK_OUTPUT);
    else if (work->args->activation != PINION__ACTIVATION_NONE)
        sums_of(work, item, MASK_NORMALISED);
    else
        sums_of(work, item, MASK_NONE);
}

/* Items in their order, some channels side by side. */
static void channels_item(void *user, size_t index, int lane)
{
    (void)lane;
    const sums *work = user;
    const pinion__args *args = work->args;
    const float *invstd = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_INVSTD].data;
    float *dgamma = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DGAMMA].data;
    float *dbeta = args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DBETA].data;
    double plain[PINION__COMBINE_CHANNELS] = {0}, centred[PINION__COMBINE_CHANNELS] = {0};
    const int first = (int)index * PINION__COMBINE_CHANNELS, count = pinion__combine_count(work->c, index);
    for (size_t item = 0; item < work->cut.items; item++) {
        const float *part = work->partial + item * 2 * (size_t)work->c + first;
        for (int i = 0; i < count; i++) {
            plain[i] += (double)part[i];
            centred[i] += (double)part[work->c + i];
        }
    }
    for (int i = 0; i < count; i++) {
        const int c = first + i;
        const double dot = centred[i] * (double)invstd[c];
        dgamma[c] = (float)(args->accumulate ? (double)dgamma[c] + dot : dot);
        dbeta[c] = (float)(args->accumulate ? (double)dbeta[c] + plain[i] : plain[i]);
    }
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
    const pinion__view *y = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_Y];
    const pinion__view *ds = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DS];
    const pinion__view *saved = &args->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_SAVED_CONSTANTS];
    sums work = {
        .args = args,
        .x = x->data,
        .dy = dy->data,
        .y = y->data,
        .ds = ds->data,
        .mean = saved->data,
        .scale = (const float *)saved->data + saved->ld,
        .shift = (const float *)saved->data + 2 * saved->ld,
        .x_ld = x->ld,
        .dy_ld = dy->ld,
        .y_ld = y->ld,
        .ds_ld = ds->ld,
        .c = x->c,
        .bounds = pinion__bounds_of(args->activation),
        .cut = pinion__cut_pixels(x),
        .partial = args->scratch,
    };
    pinion__parallel(args->workers, work.cut.items, sums_item, &work);
    pinion__parallel(args->workers, pinion__combine_items(work.c), channels_item, &work);
}

PINION__CPU_KERNEL(batchnorm_backward_weights) = {.scratch_bytes = scratch_bytes, .run = run};
