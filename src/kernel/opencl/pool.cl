/* SPDX-License-Identifier: Apache-2.0
 *
 * Max and average pooling. An item is a row of the written tensor and a run of `run` vectors of channels. Backward
 * passes gather: each pixel of the input takes the gradients of the windows that hold it.
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

/* The maximum of members rows x columns of a window whose first pixel x is, and which of them it is. */
static inline void max_window(const __global float *x, int x_ld, int width, const range rows, const range columns,
                              int win_s, const int count, vf *best, vi *where)
{
    *best = vf_load_some(x + (rows.begin * width + columns.begin) * x_ld, count);
    *where = (vi)(rows.begin * win_s + columns.begin);
    for (int r = rows.begin; r < rows.end; r++)
        for (int s = columns.begin; s < columns.end; s++) {
            const vf value = vf_load_some(x + (r * width + s) * x_ld, count);
            const vi better = (value > *best) | (value != value);
            *best = vf_where(better, value, *best);
            *where = select(*where, (vi)(r * win_s + s), better);
        }
}

/* Build options WIN_R and WIN_S: the window's size, where it is small. */
__kernel void maxpool_forward(const __global float *x, int x_offset, int x_ld, __global float *y, int y_offset,
                              int y_ld, __global uchar *index, int index_offset, int index_ld, int images, int height,
                              int width, int rows, int columns, int channels, WINDOW_PARAMETERS, int run)
{
    const window win = WINDOW_OF;
    const channels_run at = channels_run_of(images, rows, channels, run);
    if (at.image < 0)
        return;
    const int top = at.row * win.stride_h - win.pad_h, first = (at.image * rows + at.row) * columns;
    const range down = window_inside(top, win.r, height);
    x += x_offset + (at.image * height + top) * width * x_ld;
    y += y_offset + first * y_ld;
    index = index ? index + index_offset + first * index_ld : 0;
    for (int q = 0; q < columns; q++) {
        const int left = q * win.stride_w - win.pad_w;
        const range across = window_inside(left, win.s, width);
#ifdef WIN_R
        const range all_down = {0, WIN_R}, all_across = {0, WIN_S};
        const bool all = down.end - down.begin == WIN_R && across.end - across.begin == WIN_S;
#endif
        for (int c = at.c; c < at.end; c += VECTOR) {
            vf best;
            vi where;
#ifdef WIN_R
            if (all)
                max_window(x + left * x_ld + c, x_ld, width, all_down, all_across, WIN_S, RUN_LEFT(&at, c), &best,
                           &where);
            else
#endif
                max_window(x + left * x_ld + c, x_ld, width, down, across, win.s, RUN_LEFT(&at, c), &best, &where);
            vf_store_some(y + q * y_ld + c, best, RUN_LEFT(&at, c));
            if (index)
                index_store(index + q * index_ld + c, where, RUN_LEFT(&at, c));
        }
    }
}

typedef struct gradients {
    const __global float *dy;
    const __global uchar *index; /* maxpool */
    int dy_ld, index_ld;
    __global float *dx; /* the row */
    int dx_ld, accumulate;
} gradients;

static inline void max_row_backward(const gradients *of, const channels_run *at, int rows, int columns, int width,
                                    const window *win)
{
    const range ps = windows_over(at->row, win->r, win->stride_h, win->pad_h, rows);
    range qs = windows_over(0, win->s, win->stride_w, win->pad_w, columns);
    for (int column = 0; column < width; column++) {
        if (column > 0)
            qs = windows_over_next(qs, column, win->s, win->stride_w, win->pad_w, columns);
        for (int c = at->c; c < at->end; c += VECTOR) {
            vf sum = vf_set1(0.0f);
            for (int p = ps.begin; p < ps.end; p++)
                for (int q = qs.begin; q < qs.end; q++) {
                    const int r = at->row + win->pad_h - p * win->stride_h, s = column + win->pad_w - q * win->stride_w;
                    const int from = p * columns + q;
                    const vi where = index_load(of->index + from * of->index_ld + c, RUN_LEFT(at, c));
                    const vf gradient = vf_load_some(of->dy + from * of->dy_ld + c, RUN_LEFT(at, c));
                    sum += vf_where(where == (vi)(r * win->s + s), gradient, vf_set1(0.0f));
                }
            vf_put(of->dx + column * of->dx_ld + c, sum, RUN_LEFT(at, c), of->accumulate);
        }
    }
}

/* The same where windows do not overlap: each gradient is loaded once and given to the pixels of its window. */
static inline void max_row_backward_apart(const gradients *of, const channels_run *at, int rows, int columns, int width,
                                          const window *win)
{
    const int p = (at->row + win->pad_h) / win->stride_h, r = at->row + win->pad_h - p * win->stride_h;
    const bool covered = p < rows && r < win->r;
    int q = win->pad_w / win->stride_w, first = win->pad_w - q * win->stride_w;
    for (int column = 0; column < width; q++, first = 0) {
        const bool any = covered && q < columns;
        const int from = p * columns + q, end = min(win->stride_w, first + width - column);
        for (int c = at->c; c < at->end; c += VECTOR) {
            const int count = RUN_LEFT(at, c);
            const vf gradient = any ? vf_load_some(of->dy + from * of->dy_ld + c, count) : vf_set1(0.0f);
            const vi where = any ? index_load(of->index + from * of->index_ld + c, count) : (vi)(-1);
            for (int s = first; s < end; s++) {
                const vi mine = where == (vi)(s < win->s ? r * win->s + s : 256);
                vf_put(of->dx + (column + s - first) * of->dx_ld + c, vf_where(mine, gradient, vf_set1(0.0f)), count,
                       of->accumulate);
            }
        }
        column += end - first;
    }
}

__kernel void maxpool_backward_data(const __global float *dy, int dy_offset, int dy_ld, const __global uchar *index,
                                    int index_offset, int index_ld, __global float *dx, int dx_offset, int dx_ld,
                                    int images, int height, int width, int rows, int columns, int channels,
                                    WINDOW_PARAMETERS, int accumulate, int run)
{
    const window win = WINDOW_OF;
    const channels_run at = channels_run_of(images, height, channels, run);
    if (at.image < 0)
        return;
    const int image = at.image * rows * columns;
    const gradients of = {dy + dy_offset + image * dy_ld,
                          index + index_offset + image * index_ld,
                          dy_ld,
                          index_ld,
                          dx + dx_offset + (at.image * height + at.row) * width * dx_ld,
                          dx_ld,
                          accumulate};
    if (win.stride_h >= win.r && win.stride_w >= win.s)
        max_row_backward_apart(&of, &at, rows, columns, width, &win);
    else
        max_row_backward(&of, &at, rows, columns, width, &win);
}

__kernel void avgpool_forward(const __global float *x, int x_offset, int x_ld, __global float *y, int y_offset,
                              int y_ld, int images, int height, int width, int rows, int columns, int channels,
                              WINDOW_PARAMETERS, int run)
{
    const window win = WINDOW_OF;
    const channels_run at = channels_run_of(images, rows, channels, run);
    if (at.image < 0)
        return;
    const int top = at.row * win.stride_h - win.pad_h;
    const range down = window_inside(top, win.r, height);
    const vf share = vf_set1(1.0f / (float)(win.r * win.s));
    x += x_offset + at.image * height * width * x_ld;
    y += y_offset + (at.image * rows + at.row) * columns * y_ld;
    for (int q = 0; q < columns; q++) {
        const int left = q * win.stride_w - win.pad_w;
        const range across = window_inside(left, win.s, width);
        for (int c = at.c; c < at.end; c += VECTOR) {
            vf sum = vf_set1(0.0f);
            for (int r = down.begin; r < down.end; r++)
                for (int s = across.begin; s < across.end; s++)
                    sum += vf_load_some(x + ((top + r) * width + left + s) * x_ld + c, RUN_LEFT(&at, c));
            vf_store_some(y + q * y_ld + c, sum * share, RUN_LEFT(&at, c));
        }
    }
}

__kernel void avgpool_backward_data(const __global float *dy, int dy_offset, int dy_ld, __global float *dx,
                                    int dx_offset, int dx_ld, int images, int height, int width, int rows, int columns,
                                    int channels, WINDOW_PARAMETERS, int accumulate, int run)
{
    const window win = WINDOW_OF;
    const channels_run at = channels_run_of(images, height, channels, run);
    if (at.image < 0)
        return;
    const range ps = windows_over(at.row, win.r, win.stride_h, win.pad_h, rows);
    const vf share = vf_set1(1.0f / (float)(win.r * win.s));
    range qs = windows_over(0, win.s, win.stride_w, win.pad_w, columns);
    dy += dy_offset + at.image * rows * columns * dy_ld;
    dx += dx_offset + (at.image * height + at.row) * width * dx_ld;
    for (int column = 0; column < width; column++) {
        if (column > 0)
            qs = windows_over_next(qs, column, win.s, win.stride_w, win.pad_w, columns);
        for (int c = at.c; c < at.end; c += VECTOR) {
            vf sum = vf_set1(0.0f);
            for (int p = ps.begin; p < ps.end; p++)
                for (int q = qs.begin; q < qs.end; q++)
                    sum += vf_load_some(dy + (p * columns + q) * dy_ld + c, RUN_LEFT(&at, c));
            vf_put(dx + column * dx_ld + c, sum * share, RUN_LEFT(&at, c), accumulate);
        }
    }
}
