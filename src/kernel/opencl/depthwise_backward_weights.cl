/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a depthwise convolution's weights and bias. The output's rows, counted over the batch, are cut into
 * chunks. An item of the first launch adds up one chunk for a vector of channels, into scratch: (chunks, taps+1,
 * channels), the last "tap" being the bias. The second launch adds up the chunks in their order.
 */
#include "channels.cl"

#ifndef COMBINE

typedef struct chunk_task {
    const __global float *x, *dy;
    int x_ld, dy_ld;
    int height, width, rows, columns; /* of the input, of the output */
    range chunk;                      /* output rows over the batch */
} chunk_task;

/* The output row's gradients, its input image, the input row and the filter rows under it. */
typedef struct line {
    const __global float *x, *dy;
    int top;
    range taps;
} line;

static inline line line_of(const chunk_task *t, const window *win, int row)
{
    const int image = row / t->rows;
    line of;
    of.x = t->x + image * t->height * t->width * t->x_ld;
    of.dy = t->dy + row * t->columns * t->dy_ld;
    of.top = (row - image * t->rows) * win->stride_h - win->pad_h;
    of.taps = window_inside(of.top, win->r, t->height);
    return of;
}

#ifdef WINDOW3

#define LOAD(r, s) vf_load_some(at + ((r) * t->width + (s)) * t->x_ld, count)
#define INSIDE(i, r, s) sum##i = mul_add(LOAD(r, s), g, sum##i)
#define CHECKED(i, r, s)                                                                                               \
    if (r >= of.taps.begin && r < of.taps.end && s >= columns.begin && s < columns.end)                                \
    INSIDE(i, r, s)
#define NINE(tap)                                                                                                      \
    tap(0, 0, 0);                                                                                                      \
    tap(1, 0, 1);                                                                                                      \
    tap(2, 0, 2);                                                                                                      \
    tap(3, 1, 0);                                                                                                      \
    tap(4, 1, 1);                                                                                                      \
    tap(5, 1, 2);                                                                                                      \
    tap(6, 2, 0);                                                                                                      \
    tap(7, 2, 1);                                                                                                      \
    tap(8, 2, 2)
#define STORE(i) vf_store_some(into + (i) * channels, sum##i, count)

/* All nine taps in one walk, their sums in registers. */
static inline void chunk_sums(const chunk_task *t, const window *win, __global float *into, int channels,
                              const int count)
{
    const vf zero = vf_set1(0.0f);
    vf sum0 = zero, sum1 = zero, sum2 = zero, sum3 = zero, sum4 = zero, sum5 = zero, sum6 = zero, sum7 = zero;
    vf sum8 = zero, sum9 = zero;
    for (int row = t->chunk.begin; row < t->chunk.end; row++) {
        const line of = line_of(t, win, row);
        const bool whole = of.taps.begin == 0 && of.taps.end == 3;
        for (int q = 0; q < t->columns; q++) {
            const int left = q * win->stride_w - win->pad_w;
            const __global float *at = of.x + (of.top * t->width + left) * t->x_ld;
            const vf g = vf_load_some(of.dy + q * t->dy_ld, count);
            sum9 += g;
            if (whole && left >= 0 && left + 3 <= t->width) {
                NINE(INSIDE);
            } else {
                const range columns = window_inside(left, 3, t->width);
                NINE(CHECKED);
            }
        }
    }
    STORE(0), STORE(1), STORE(2), STORE(3), STORE(4), STORE(5), STORE(6), STORE(7), STORE(8), STORE(9);
}

#else

/* Tap (r, s); r == win->r: the bias. */
static inline vf tap_sum(const chunk_task *t, const window *win, int r, int s, const int count)
{
    vf sum = vf_set1(0.0f);
    for (int row = t->chunk.begin; row < t->chunk.end; row++) {
        const line of = line_of(t, win, row);
        const __global float *x = of.x + (of.top + r) * t->width * t->x_ld;
        if (r < win->r && (r < of.taps.begin || r >= of.taps.end))
            continue;
        for (int q = 0; q < t->columns; q++) {
            const vf g = vf_load_some(of.dy + q * t->dy_ld, count);
            const int column = q * win->stride_w - win->pad_w + s;
            if (r == win->r)
                sum += g;
            else if (column >= 0 && column < t->width)
                sum = mul_add(vf_load_some(x + column * t->x_ld, count), g, sum);
        }
    }
    return sum;
}

#endif

/* Items: with WINDOW3 (chunk, vector), else (chunk, tap, vector). */
__kernel void depthwise_backward_weights(const __global float *x, int x_offset, int x_ld, const __global float *dy,
                                         int dy_offset, int dy_ld, __global float *scratch, int scratch_offset,
                                         int images, int height, int width, int rows, int columns, int channels,
                                         int chunks, WINDOW_PARAMETERS)
{
    const window win = WINDOW_OF;
    const int taps = win.r * win.s + 1;
#ifdef WINDOW3
    const channels_item at = channels_item_of(chunks, 1, channels);
#else
    const channels_item at = channels_item_of(chunks, taps, channels);
#endif
    if (at.image < 0)
        return;
    const int chunk_rows = (images * rows + chunks - 1) / chunks;
    chunk_task t;
    t.x = x + x_offset + at.c, t.dy = dy + dy_offset + at.c;
    t.x_ld = x_ld, t.dy_ld = dy_ld, t.height = height, t.width = width, t.rows = rows, t.columns = columns;
    t.chunk.begin = at.image * chunk_rows;
    t.chunk.end = min(images * rows, t.chunk.begin + chunk_rows);
    __global float *into = scratch + scratch_offset + at.image * taps * channels + at.c;
#ifdef WINDOW3
    if (at.count == VECTOR)
        chunk_sums(&t, &win, into, channels, VECTOR);
    else
        chunk_sums(&t, &win, into, channels, at.count);
#else
    const int r = at.row / win.s, s = at.row % win.s;
    into += at.row * channels;
    if (at.count == VECTOR)
        vf_store(into, tap_sum(&t, &win, r, s, VECTOR));
    else
        vf_store_some(into, tap_sum(&t, &win, r, s, at.count), at.count);
#endif
}

#else /* COMBINE */

#include "update.cl"

/* Items: (tap, vector). */
__kernel void combine(const __global float *scratch, int scratch_offset, int chunks, int taps, int channels, int ld,
                      __global float *db, int db_offset, int accumulate, SINK_PARAMETERS)
{
    const channels_item at = channels_item_of(1, taps + 1, channels);
    if (at.image < 0)
        return;
    const sink to = SINK_OF;
    const __global float *from = scratch + scratch_offset + at.row * channels + at.c;
    vf sum = vf_load_some(from, at.count);
    for (int chunk = 1; chunk < chunks; chunk++)
        sum += vf_load_some(from + chunk * (taps + 1) * channels, at.count);
    if (at.row < taps)
        sink_put(&to, at.row * ld + at.c, sum, at.count);
    else if (db)
        vf_put(db + db_offset + at.c, sum, at.count, accumulate);
}

#endif
