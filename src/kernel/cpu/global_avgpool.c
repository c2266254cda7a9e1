/* SPDX-License-Identifier: Apache-2.0
 *
 * Global average pooling: the mean of each channel of a sample, and its gradient spread evenly. Sums are formed in
 * blocks of pixels, so that the error grows with the block and not with the image.
 */
#include "kernel/cpu/elementwise.h"

enum { BLOCK = 128, VECTORS = 4 };

typedef struct work {
    const pinion__args *args;
    pinion__cut cut; /* forward: samples; backward: pixels */
} work;

PINION__INLINE void strip_mean(const float *x, ptrdiff_t ld, int pixels, int vectors, int count, float *y)
{
    pinion__vf all[VECTORS], sum[VECTORS];
    for (int v = 0; v < vectors; v++)
        all[v] = pinion__vf_zero();
    for (int first = 0; first < pixels; first += BLOCK) {
        int end = pixels - first < BLOCK ? pixels : first + BLOCK;
        for (int v = 0; v < vectors; v++)
            sum[v] = pinion__vf_zero();
        for (int i = first; i < end; i++)
            for (int v = 0; v < vectors; v++)
                sum[v] = pinion__vf_add(sum[v], pinion__vf_load_some(x + i * ld + v * PINION__LANES, count));
        for (int v = 0; v < vectors; v++)
            all[v] = pinion__vf_add(all[v], sum[v]);
    }
    for (int v = 0; v < vectors; v++)
        pinion__vf_store_some(y + v * PINION__LANES, pinion__vf_mul(all[v], pinion__vf_set1(1.0F / (float)pixels)),
                              count);
}

static void sample_mean(const float *x, ptrdiff_t ld, int pixels, int c, float *y)
{
    int i = 0;
    for (; i + VECTORS * PINION__LANES <= c; i += VECTORS * PINION__LANES)
        strip_mean(x + i, ld, pixels, VECTORS, PINION__LANES, y + i);
    for (; i + PINION__LANES <= c; i += PINION__LANES)
        strip_mean(x + i, ld, pixels, 1, PINION__LANES, y + i);
    if (i < c)
        strip_mean(x + i, ld, pixels, 1, c - i, y + i);
}

static void forward_item(void *user, size_t item, int lane)
{
    (void)lane;
    const work *loop = user;
    const pinion__view *x = &loop->args->operand[PINION__AVGPOOL_FORWARD_X];
    const pinion__view *y = &loop->args->operand[PINION__AVGPOOL_FORWARD_Y];
    int pixels = x->h * x->w;
    for (size_t n = pinion__cut_first(&loop->cut, item); n < pinion__cut_end(&loop->cut, item); n++)
        sample_mean((const float *)x->data + (ptrdiff_t)n * pixels * x->ld, x->ld, pixels, x->c,
                    (float *)y->data + (ptrdiff_t)n * y->ld);
}

static void spread(const float *dy, int c, float scale, bool accumulate, float *dx)
{
    int i = 0;
    pinion__vf by = pinion__vf_set1(scale);
    for (; i + PINION__LANES <= c; i += PINION__LANES)
        pinion__vf_put(dx + i, pinion__vf_mul(pinion__vf_load(dy + i), by), PINION__LANES, accumulate);
    if (i < c)
        pinion__vf_put(dx + i, pinion__vf_mul(pinion__vf_load_part(dy + i, c - i), by), c - i, accumulate);
}

static void backward_item(void *user, size_t item, int lane)
{
    (void)lane;
    const work *loop = user;
    const pinion__view *dy = &loop->args->operand[PINION__AVGPOOL_BACKWARD_DATA_DY];
    const pinion__view *dx = &loop->args->operand[PINION__AVGPOOL_BACKWARD_DATA_DX];
    size_t pixels = (size_t)dx->h * (size_t)dx->w;
    for (size_t i = pinion__cut_first(&loop->cut, item); i < pinion__cut_end(&loop->cut, item); i++)
        spread((const float *)dy->data + (ptrdiff_t)(i / pixels) * dy->ld, dx->c, 1.0F / (float)pixels,
               loop->args->accumulate, (float *)dx->data + (ptrdiff_t)i * dx->ld);
}

static void forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__AVGPOOL_FORWARD_X];
    size_t sample = (size_t)x->h * (size_t)x->w * (size_t)x->c;
    work loop = {.args = args, .cut = pinion__cut_units((size_t)x->n, sample)};
    pinion__parallel(args->workers, loop.cut.items, forward_item, &loop);
}

static void backward_data(const pinion__args *args)
{
    const pinion__view *dx = &args->operand[PINION__AVGPOOL_BACKWARD_DATA_DX];
    work loop = {.args = args, .cut = pinion__cut_units(pinion__view_pixels(dx), (size_t)dx->c)};
    pinion__parallel(args->workers, loop.cut.items, backward_item, &loop);
}

PINION__CPU_KERNEL(global_avgpool_forward) = {.run = forward};
PINION__CPU_KERNEL(global_avgpool_backward_data) = {.run = backward_data};
