/* SPDX-License-Identifier: Apache-2.0
 *
 * Max pooling, forward: y and, where backward will want it, the index row*s + column of the first maximum in the
 * window. A NaN wins over every number.
 */
#include "kernel/cpu/pool.h"

/* One window of one sample. */
typedef struct window {
    const float *x; /* pixel (0, 0) of the sample */
    ptrdiff_t ld, row;
    pinion__range rows, columns;
    int corner; /* index of the pixel (0, 0), also when it lies outside */
    int s;
} window;

/* `vectors` vectors of channels, each of `count` elements. */
PINION__INLINE void strip(const window *in, int channel, int vectors, int count, float *y, uint8_t *index)
{
    enum { MOST = 4 };
    pinion__vf best[MOST];
    pinion__vi where[MOST];
    int first = in->corner + in->rows.first * in->s + in->columns.first;
    for (int v = 0; v < vectors; v++) {
        best[v] = pinion__vf_set1(-INFINITY);
        where[v] = pinion__vi_set1(first);
    }
    for (int r = in->rows.first; r < in->rows.end; r++) {
        for (int s = in->columns.first; s < in->columns.end; s++) {
            const float *x = in->x + r * in->row + s * in->ld + channel;
            pinion__vi here = pinion__vi_set1(in->corner + r * in->s + s);
            for (int v = 0; v < vectors; v++) {
                pinion__vf value = pinion__vf_load_some(x + v * PINION__LANES, count);
                pinion__vi better = pinion__vi_or(pinion__vf_is_nan(value), pinion__vf_gt(value, best[v]));
                best[v] = pinion__vf_select(better, value, best[v]);
                where[v] = pinion__vi_select(better, here, where[v]);
            }
        }
    }
    for (int v = 0; v < vectors; v++) {
        pinion__vf_store_some(y + channel + v * PINION__LANES, best[v], count);
        if (index && count == PINION__LANES)
            pinion__vi_store_u8(index + channel + v * PINION__LANES, where[v]);
        else if (index)
            pinion__vi_store_u8_part(index + channel + v * PINION__LANES, where[v], count);
    }
}

static void pixel(const window *in, int c, float *y, uint8_t *index)
{
    int i = 0;
    for (; i + 4 * PINION__LANES <= c; i += 4 * PINION__LANES)
        strip(in, i, 4, PINION__LANES, y, index);
    for (; i + PINION__LANES <= c; i += PINION__LANES)
        strip(in, i, 1, PINION__LANES, y, index);
    if (i < c)
        strip(in, i, 1, c - i, y, index);
}

static void row(const pinion__pooling *loop, int n, int p)
{
    const pinion_pool *pool = loop->pool;
    const pinion__view *x = loop->from, *y = loop->to;
    const pinion__view *index = &loop->args->operand[PINION__MAXPOOL_FORWARD_INDEX];
    window in = {
        .x = pinion__pool_pixel(x, n, 0, 0),
        .ld = x->ld,
        .row = x->ld * x->w,
        .rows = pinion__window_inputs(p, pool->r, pool->stride_h, pool->pad_h, x->h),
        .s = pool->s,
    };
    ptrdiff_t first = ((ptrdiff_t)n * y->h + p) * y->w;
    for (int q = 0; q < y->w; q++) {
        in.columns = pinion__window_inputs(q, pool->s, pool->stride_w, pool->pad_w, x->w);
        in.corner = (pool->pad_h - p * pool->stride_h) * pool->s + pool->pad_w - q * pool->stride_w;
        uint8_t *at = index->data ? (uint8_t *)index->data + (first + q) * index->ld : NULL;
        pixel(&in, y->c, (float *)y->data + (first + q) * y->ld, at);
    }
}

static void rows_item(void *user, size_t item, int lane)
{
    (void)lane;
    const pinion__pooling *loop = user;
    for (size_t i = pinion__cut_first(&loop->cut, item); i < pinion__cut_end(&loop->cut, item); i++)
        row(loop, (int)(i / (size_t)loop->to->h), (int)(i % (size_t)loop->to->h));
}

static void run(const pinion__args *args)
{
    pinion__pooling_run(args, PINION__MAXPOOL_FORWARD_X, PINION__MAXPOOL_FORWARD_Y, rows_item);
}

PINION__CPU_KERNEL(maxpool_forward) = {.run = run};
