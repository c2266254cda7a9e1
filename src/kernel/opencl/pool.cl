/* SPDX-License-Identifier: Apache-2.0
 *
 * Max and average pooling. An item is a row of the written tensor and a vector of channels. Backward passes gather: each
 * pixel of the input takes the gradients of the windows that hold it.
 */
#include "channels.cl"

typedef VF_JOIN(uchar, VECTOR) vuc;
typedef struct __attribute__((packed)) vuc_unaligned {
    vuc of;
} vuc_unaligned;

/* Indices of maxima: bytes. Those behind `count` are not touched. */
static inline vi index_load(const __global uchar *at, int count)
{
    if (count >= VECTOR)
        return VF_JOIN(convert_int, VECTOR)(((const __global vuc_unaligned *)at)->of);
    int part[VECTOR];
    for (int i = 0; i < VECTOR; i++)
        part[i] = i < count ? at[i] : 255;
    return VF_JOIN(vload, VECTOR)(0, (const int *)part);
}

static inline void index_store(__global uchar *at, vi index, int count)
{
    const vuc bytes = VF_JOIN(convert_uchar, VECTOR)(index);
    if (count >= VECTOR) {
        ((__global vuc_unaligned *)at)->of = bytes;
        return;
    }
    uchar part[VECTOR];
    VF_JOIN(vstore, VECTOR)(bytes, 0, (uchar *)part);
    for (int i = 0; i < count; i++)
        at[i] = part[i];
}

static inline void max_row(const __global float *x, int x_ld, __global float *y, int y_ld, __global uchar *index,
                           int index_ld, int top, int height, int width, int columns, const window *win,
                           const int count)
{
    const range rows = window_inside(top, win->r, height);
    for (int q = 0; q < columns; q++) {
        const int left = q * win->stride_w - win->pad_w;
        const range members = window_inside(left, win->s, width);
        vf best = vf_load_some(x + ((top + rows.begin) * width + left + members.begin) * x_ld, count);
        vi where = (vi)(rows.begin * win->s + members.begin);
        for (int r = rows.begin; r < rows.end; r++)
            for (int s = members.begin; s < members.end; s++) {
                const vf value = vf_load_some(x + ((top + r) * width + left + s) * x_ld, count);
                const vi better = (value > best) | (value != value);
                best = vf_where(better, value, best);
                where = select(where, (vi)(r * win->s + s), better);
            }
        vf_store_some(y + q * y_ld, best, count);
        if (index)
            index_store(index + q * index_ld, where, count);
    }
}

__kernel void maxpool_forward(const __global float *x, int x_offset, int x_ld, __global float *y, int y_offset,
                              int y_ld, __global uchar *index, int index_offset, int index_ld, int images, int height,
                              int width, int rows, int columns, int channels, WINDOW_PARAMETERS)
{
    const window win = WINDOW_OF;
    const channels_item at = channels_item_of(images, rows, channels);
    if (at.image < 0)
        return;
    const int top = at.row * win.stride_h - win.pad_h, first = (at.image * rows + at.row) * columns;
    x += x_offset + at.image * height * width * x_ld + at.c;
    y += y_offset + first * y_ld + at.c;
    index = index ? index + index_offset + first * index_ld + at.c : 0;
    if (at.count == VECTOR)
        max_row(x, x_ld, y, y_ld, index, index_ld, top, height, width, columns, &win, VECTOR);
    else
        max_row(x, x_ld, y, y_ld, index, index_ld, top, height, width, columns, &win, at.count);
}

static inline void max_row_backward(const __global float *dy, int dy_ld, const __global uchar *index, int index_ld,
                                    __global float *dx, int dx_ld, int row, int rows, int columns, int width,
                                    const window *win, int accumulate, const int count)
{
    const range ps = windows_over(row, win->r, win->stride_h, win->pad_h, rows);
    range qs = windows_over(0, win->s, win->stride_w, win->pad_w, columns);
    for (int column = 0; column < width; column++) {
        if (column > 0)
            qs = windows_over_next(qs, column, win->s, win->stride_w, win->pad_w, columns);
        vf sum = vf_set1(0.0f);
        for (int p = ps.begin; p < ps.end; p++)
            for (int q = qs.begin; q < qs.end; q++) {
                const int r = row + win->pad_h - p * win->stride_h, s = column + win->pad_w - q * win->stride_w;
                const int at = p * columns + q;
                const vi mine = index_load(index + at * index_ld, count) == (vi)(r * win->s + s);
                sum += vf_where(mine, vf_load_some(dy + at * dy_ld, count), vf_set1(0.0f));
            }
        vf_put(dx + column * dx_ld, sum, count, accumulate);
    }
}

/* The same where windows do not overlap: each gradient is loaded once and given to the pixels of its window. */
static inline void max_row_backward_apart(const __global float *dy, int dy_ld, const __global uchar *index,
                                          int index_ld, __global float *dx, int dx_ld, int row, int rows, int columns,
                                          int width, const window *win, int accumulate, const int count)
{
    const int p = (row + win->pad_h) / win->stride_h, r = row + win->pad_h - p * win->stride_h;
    const bool covered = p < rows && r < win->r;
    int q = win->pad_w / win->stride_w, s = win->pad_w - q * win->stride_w, column = 0;
    for (; column < width; q++, s = 0) {
        const bool any = covered && q < columns;
        const int at = p * columns + q;
        const vf gradient = any ? vf_load_some(dy + at * dy_ld, count) : vf_set1(0.0f);
        const vi where = any ? index_load(index + at * index_ld, count) : (vi)(-1);
        for (; s < win->stride_w && column < width; s++, column++) {
            const vi mine = where == (vi)(s < win->s ? r * win->s + s : 256);
            vf_put(dx + column * dx_ld, vf_where(mine, gradient, vf_set1(0.0f)), count, accumulate);
        }
    }
}

__kernel void maxpool_backward_data(const __global float *dy, int dy_offset, int dy_ld, const __global uchar *index,
                                    int index_offset, int index_ld, __global float *dx, int dx_offset, int dx_ld,
                                    int images, int height, int width, int rows, int columns, int channels,
                                    WINDOW_PARAMETERS, int accumulate)
{
    const window win = WINDOW_OF;
    const channels_item at = channels_item_of(images, height, channels);
    if (at.image < 0)
        return;
    const int image = at.image * rows * columns;
    dy += dy_offset + image * dy_ld + at.c;
    index += index_offset + image * index_ld + at.c;
    dx += dx_offset + (at.image * height + at.row) * width * dx_ld + at.c;
    if (win.stride_h >= win.r && win.stride_w >= win.s)
        max_row_backward_apart(dy, dy_ld, index, index_ld, dx, dx_ld, at.row, rows, columns, width, &win, accumulate,
                               at.count);
    else if (at.count == VECTOR)
        max_row_backward(dy, dy_ld, index, index_ld, dx, dx_ld, at.row, rows, columns, width, &win, accumulate,
                         VECTOR);
    else
        max_row_backward(dy, dy_ld, index, index_ld, dx, dx_ld, at.row, rows, columns, width, &win, accumulate,
                         at.count);
}

static inline void average_row(const __global float *x, int x_ld, __global float *y, int y_ld, int top, int height,
                               int width, int columns, const window *win, const int count)
{
    const range rows = window_inside(top, win->r, height);
    const vf share = vf_set1(1.0f / (float)(win->r * win->s));
    for (int q = 0; q < columns; q++) {
        const int left = q * win->stride_w - win->pad_w;
        const range members = window_inside(left, win->s, width);
        vf sum = vf_set1(0.0f);
        for (int r = rows.begin; r < rows.end; r++)
            for (int s = members.begin; s < members.end; s++)
                sum += vf_load_some(x + ((top + r) * width + left + s) * x_ld, count);
        vf_store_some(y + q * y_ld, sum * share, count);
    }
}

__kernel void avgpool_forward(const __global float *x, int x_offset, int x_ld, __global float *y, int y_offset,
                              int y_ld, int images, int height, int width, int rows, int columns, int channels,
                              WINDOW_PARAMETERS)
{
    const window win = WINDOW_OF;
    const channels_item at = channels_item_of(images, rows, channels);
    if (at.image < 0)
        return;
    const int top = at.row * win.stride_h - win.pad_h;
    x += x_offset + at.image * height * width * x_ld + at.c;
    y += y_offset + (at.image * rows + at.row) * columns * y_ld + at.c;
    if (at.count == VECTOR)
        average_row(x, x_ld, y, y_ld, top, height, width, columns, &win, VECTOR);
    else
        average_row(x, x_ld, y, y_ld, top, height, width, columns, &win, at.count);
}

static inline void average_row_backward(const __global float *dy, int dy_ld, __global float *dx, int dx_ld, int row,
                                        int rows, int columns, int width, const window *win, int accumulate,
                                        const int count)
{
    const range ps = windows_over(row, win->r, win->stride_h, win->pad_h, rows);
    const vf share = vf_set1(1.0f / (float)(win->r * win->s));
    range qs = windows_over(0, win->s, win->stride_w, win->pad_w, columns);
    for (int column = 0; column < width; column++) {
        if (column > 0)
            qs = windows_over_next(qs, column, win->s, win->stride_w, win->pad_w, columns);
        vf sum = vf_set1(0.0f);
        for (int p = ps.begin; p < ps.end; p++)
            for (int q = qs.begin; q < qs.end; q++)
                sum += vf_load_some(dy + (p * columns + q) * dy_ld, count);
        vf_put(dx + column * dx_ld, sum * share, count, accumulate);
    }
}

__kernel void avgpool_backward_data(const __global float *dy, int dy_offset, int dy_ld, __global float *dx,
                                    int dx_offset, int dx_ld, int images, int height, int width, int rows, int columns,
                                    int channels, WINDOW_PARAMETERS, int accumulate)
{
    const window win = WINDOW_OF;
    const channels_item at = channels_item_of(images, height, channels);
    if (at.image < 0)
        return;
    dy += dy_offset + at.image * rows * columns * dy_ld + at.c;
    dx += dx_offset + (at.image * height + at.row) * width * dx_ld + at.c;
    if (at.count == VECTOR)
        average_row_backward(dy, dy_ld, dx, dx_ld, at.row, rows, columns, width, &win, accumulate, VECTOR);
    else
        average_row_backward(dy, dy_ld, dx, dx_ld, at.row, rows, columns, width, &win, accumulate, at.count);
}
