/* SPDX-License-Identifier: Apache-2.0
 *
 * Average pooling, padding averaged in. Both passes are the same: the sum of a range of pixels over R*S, forward of the
 * inputs in a window, backward of the windows that hold an input.
 */
#include "kernel/cpu/pool.h"

typedef pinion__range ranges(int at, int window, int stride, int pad, int others);

/* Elements channel … channel+count-1 of the pixel. */
PINION__INLINE void vector(const float *from, ptrdiff_t row, ptrdiff_t ld, int rows, int columns, int count,
                           float scale, bool accumulate, float *to)
{
    pinion__vf sum = pinion__vf_zero();
    for (int r = 0; r < rows; r++)
        for (int s = 0; s < columns; s++)
            sum = pinion__vf_add(sum, pinion__vf_load_some(from + r * row + s * ld, count));
    pinion__vf_put(to, pinion__vf_mul(sum, pinion__vf_set1(scale)), count, accumulate);
}

static void pixel(const pinion__pooling *loop, const float *from, int rows, int columns, bool accumulate, float *to)
{
    ptrdiff_t ld = loop->from->ld, row = ld * loop->from->w;
    float scale = 1.0F / ((float)loop->pool->r * (float)loop->pool->s);
    int i = 0, c = loop->to->c;
    for (; i + PINION__LANES <= c; i += PINION__LANES)
        vector(from + i, row, ld, rows, columns, PINION__LANES, scale, accumulate, to + i);
    if (i < c)
        vector(from + i, row, ld, rows, columns, c - i, scale, accumulate, to + i);
}

static void row(const pinion__pooling *loop, int n, int y, ranges *ranges_of, bool accumulate)
{
    const pinion_pool *pool = loop->pool;
    pinion__range rows = ranges_of(y, pool->r, pool->stride_h, pool->pad_h, loop->from->h);
    for (int x = 0; x < loop->to->w; x++) {
        pinion__range columns = ranges_of(x, pool->s, pool->stride_w, pool->pad_w, loop->from->w);
        pixel(loop, pinion__pool_pixel(loop->from, n, rows.first, columns.first), rows.end - rows.first,
              columns.end - columns.first, accumulate, pinion__pool_pixel(loop->to, n, y, x));
    }
}

static void forward_item(void *user, size_t item, int lane)
{
    (void)lane;
    const pinion__pooling *loop = user;
    size_t h = (size_t)loop->to->h;
    for (size_t i = pinion__cut_first(&loop->cut, item); i < pinion__cut_end(&loop->cut, item); i++)
        row(loop, (int)(i / h), (int)(i % h), pinion__window_inputs, false);
}

static void backward_item(void *user, size_t item, int lane)
{
    (void)lane;
    const pinion__pooling *loop = user;
    size_t h = (size_t)loop->to->h;
    for (size_t i = pinion__cut_first(&loop->cut, item); i < pinion__cut_end(&loop->cut, item); i++)
        row(loop, (int)(i / h), (int)(i % h), pinion__input_windows, loop->args->accumulate);
}

static void forward(const pinion__args *args)
{
    pinion__pooling_run(args, PINION__AVGPOOL_FORWARD_X, PINION__AVGPOOL_FORWARD_Y, forward_item);
}

static void backward_data(const pinion__args *args)
{
    pinion__pooling_run(args, PINION__AVGPOOL_BACKWARD_DATA_DY, PINION__AVGPOOL_BACKWARD_DATA_DX, backward_item);
}

PINION__CPU_KERNEL(avgpool_forward) = {.run = forward};
PINION__CPU_KERNEL(avgpool_backward_data) = {.run = backward_data};
