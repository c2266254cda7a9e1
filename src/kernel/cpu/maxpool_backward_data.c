/* SPDX-License-Identifier: Apache-2.0
 *
 * Max pooling, backward: dx = sum of dy over the windows whose saved index is this pixel.
 */
#include "kernel/cpu/pool.h"

/* One input pixel of one sample: the windows it lies in. */
typedef struct member {
    const float *dy; /* window (0, 0) of the sample */
    const uint8_t *index;
    ptrdiff_t dy_ld, index_ld;
    int q; /* windows in a row */
    pinion__range rows, columns;
    int stride_h, stride_w, s;
    int corner; /* index this pixel has in window (0, 0), also when it lies outside */
} member;

PINION__INLINE pinion__vi load_index(const uint8_t *p, int count)
{
    return count == PINION__LANES ? pinion__vi_load_u8(p) : pinion__vi_load_u8_part(p, count);
}

/* `vectors` vectors of channels, each of `count` elements. */
PINION__INLINE void strip(const member *of, int channel, int vectors, int count, bool accumulate, float *dx)
{
    enum { MOST = 4 };
    pinion__vf sum[MOST];
    for (int v = 0; v < vectors; v++)
        sum[v] = pinion__vf_zero();
    for (int p = of->rows.first; p < of->rows.end; p++) {
        for (int q = of->columns.first; q < of->columns.end; q++) {
            ptrdiff_t at = (ptrdiff_t)p * of->q + q;
            pinion__vi here = pinion__vi_set1(of->corner - p * of->stride_h * of->s - q * of->stride_w);
            const uint8_t *index = of->index + at * of->index_ld + channel;
            const float *dy = of->dy + at * of->dy_ld + channel;
            for (int v = 0; v < vectors; v++) {
                pinion__vi mine = pinion__vi_eq(load_index(index + v * PINION__LANES, count), here);
                pinion__vf gradient = pinion__vf_load_some(dy + v * PINION__LANES, count);
                sum[v] = pinion__vf_add(sum[v], pinion__vf_and(mine, gradient));
            }
        }
    }
    for (int v = 0; v < vectors; v++)
        pinion__vf_put(dx + channel + v * PINION__LANES, sum[v], count, accumulate);
}

PINION__INLINE void pixel(const member *of, int c, bool accumulate, float *dx)
{
    int i = 0;
    for (; i + 4 * PINION__LANES <= c; i += 4 * PINION__LANES)
        strip(of, i, 4, PINION__LANES, accumulate, dx);
    for (; i + PINION__LANES <= c; i += PINION__LANES)
        strip(of, i, 1, PINION__LANES, accumulate, dx);
    if (i < c)
        strip(of, i, 1, c - i, accumulate, dx);
}

static void row(const pinion__pooling *loop, int n, int h)
{
    const pinion_pool *pool = loop->pool;
    const pinion__view *dy = loop->from, *dx = loop->to;
    const pinion__view *index = &loop->args->operand[PINION__MAXPOOL_BACKWARD_DATA_INDEX];
    member of = {
        .dy = pinion__pool_pixel(dy, n, 0, 0),
        .index = (const uint8_t *)index->data + (ptrdiff_t)n * dy->h * dy->w * index->ld,
        .dy_ld = dy->ld,
        .index_ld = index->ld,
        .q = dy->w,
        .rows = pinion__input_windows(h, pool->r, pool->stride_h, pool->pad_h, dy->h),
        .stride_h = pool->stride_h,
        .stride_w = pool->stride_w,
        .s = pool->s,
    };
    for (int w = 0; w < dx->w; w++) {
        of.columns = pinion__next_windows(of.columns, w, pool->s, pool->stride_w, pool->pad_w, dy->w);
        of.corner = (h + pool->pad_h) * pool->s + w + pool->pad_w;
        float *to = pinion__pool_pixel(dx, n, h, w);
        if (loop->args->accumulate)
            pixel(&of, dx->c, true, to);
        else
            pixel(&of, dx->c, false, to);
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
    pinion__pooling_run(args, PINION__MAXPOOL_BACKWARD_DATA_DY, PINION__MAXPOOL_BACKWARD_DATA_DX, rows_item);
}

PINION__CPU_KERNEL(maxpool_backward_data) = {.run = run};
