/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a depthwise convolution's input: an item is a row of the input and a vector of channels. It gathers: each
 * pixel takes the output gradients of the windows that hold it. 3x3 with stride 1 is depthwise_forward.cl's; STRIDED3 (a
 * build option) says that it is 3x3 with stride 2: then a row is walked two pixels at a time, each gradient loaded once.
 */
#include "channels.cl"

typedef struct row_task {
    const __global float *dy, *w; /* dy: image */
    __global float *dx;           /* row */
    int dy_ld, w_ld, dx_ld;
    int row, rows, columns, width; /* row of the input, extents of the output, width of the input */
    int accumulate;
} row_task;

#ifdef STRIDED3

/* Gradients of a row of the output, 0 outside of it, and the filter's row that lies over this row of the input. */
typedef struct source {
    const __global float *dy;
    bool inside;
    vf w0, w1, w2;
} source;

static inline source source_of(const row_task *t, int p, int r, const int count)
{
    const __global float *w = t->w + 3 * r * t->w_ld;
    source of;
    of.dy = t->dy + p * t->columns * t->dy_ld;
    of.inside = p >= 0 && p < t->rows;
    of.w0 = vf_load_some(w, count), of.w1 = vf_load_some(w + t->w_ld, count);
    of.w2 = vf_load_some(w + 2 * t->w_ld, count);
    return of;
}

static inline vf gradient_of(const row_task *t, const source *from, int q, const int count)
{
    return from->inside && q >= 0 && q < t->columns ? vf_load_some(from->dy + q * t->dy_ld, count) : vf_set1(0.0f);
}

/* Output rows p with taps 0 and p-1 with taps 2, or p alone with taps 1; likewise the columns. */
static inline void row(const row_task *t, const window *win, const int count)
{
    const int over = t->row + win->pad_h, p = over / 2;
    source a = source_of(t, p, over % 2, count), b = source_of(t, p - 1, 2, count);
    b.inside = b.inside && over % 2 == 0;
    int q = win->pad_w / 2, column = 2 * q - win->pad_w;
    vf last_a = gradient_of(t, &a, q - 1, count), last_b = gradient_of(t, &b, q - 1, count);
    for (; column < t->width; q++, column += 2) {
        const vf now_a = gradient_of(t, &a, q, count), now_b = gradient_of(t, &b, q, count);
        __global float *at = t->dx + column * t->dx_ld;
        if (column >= 0)
            vf_put(at, mul_add(now_a, a.w0, mul_add(last_a, a.w2, mul_add(now_b, b.w0, last_b * b.w2))), count,
                   t->accumulate);
        if (column + 1 < t->width)
            vf_put(at + t->dx_ld, mul_add(now_a, a.w1, now_b * b.w1), count, t->accumulate);
        last_a = now_a, last_b = now_b;
    }
}

#else

static inline void row(const row_task *t, const window *win, const int count)
{
    const range ps = windows_over(t->row, win->r, win->stride_h, win->pad_h, t->rows);
    range qs = windows_over(0, win->s, win->stride_w, win->pad_w, t->columns);
    for (int column = 0; column < t->width; column++) {
        if (column > 0)
            qs = windows_over_next(qs, column, win->s, win->stride_w, win->pad_w, t->columns);
        vf sum = vf_set1(0.0f);
        for (int p = ps.begin; p < ps.end; p++)
            for (int q = qs.begin; q < qs.end; q++) {
                const int r = t->row + win->pad_h - p * win->stride_h, s = column + win->pad_w - q * win->stride_w;
                sum = mul_add(vf_load_some(t->dy + (p * t->columns + q) * t->dy_ld, count),
                          vf_load_some(t->w + (r * win->s + s) * t->w_ld, count), sum);
            }
        vf_put(t->dx + column * t->dx_ld, sum, count, t->accumulate);
    }
}

#endif

__kernel void depthwise_backward_data(const __global float *dy, int dy_offset, int dy_ld, const __global float *w,
                                      int w_offset, int w_ld, __global float *dx, int dx_offset, int dx_ld, int images,
                                      int height, int width, int rows, int columns, int channels, WINDOW_PARAMETERS,
                                      int accumulate)
{
    const window win = WINDOW_OF;
    const channels_item at = channels_item_of(images, height, channels);
    if (at.image < 0)
        return;
    row_task t;
    t.dy = dy + dy_offset + at.image * rows * columns * dy_ld + at.c;
    t.w = w + w_offset + at.c;
    t.dx = dx + dx_offset + (at.image * height + at.row) * width * dx_ld + at.c;
    t.dy_ld = dy_ld, t.w_ld = w_ld, t.dx_ld = dx_ld;
    t.row = at.row, t.rows = rows, t.columns = columns, t.width = width;
    t.accumulate = accumulate;
    if (at.count == VECTOR)
        row(&t, &win, VECTOR);
    else
        row(&t, &win, at.count);
}
