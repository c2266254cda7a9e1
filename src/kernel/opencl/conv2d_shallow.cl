/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions with few input channels (conv2d_shallow.h). A pixel of the output reads `run` floats in a row of the
 * padded copy of x for each row of the filter, all of its taps and channels; its neighbour's begin `apart` floats
 * behind them, the stride times the channels.
 */
#include "activation.cl"

#define COLUMNS (VECTORS * VECTOR)
#define TILE(i) _Pragma("unroll") for (int i = 0; i < ROWS; i++)
#define ACROSS(v) _Pragma("unroll") for (int v = 0; v < VECTORS; v++)

/* x with its padding: rows of `width` floats, `front` of them zeros before the pixels. Id: row. */
__kernel void pad(const __global float *x, int x_offset, int ld, int channels, int images, int h, int w, int pad_h,
                  int front, int width, __global float *padded, int padded_offset)
{
    const int id = (int)get_global_id(0), rows = h + 2 * pad_h, n = id / rows, y = id % rows - pad_h;
    if (n >= images)
        return;
    const bool inside = y >= 0 && y < h;
    const __global float *from = x + x_offset + (inside ? (n * h + y) * w * ld : 0);
    __global float *to = padded + padded_offset + id * width;
    const int end = inside ? front + w * channels : 0;
    for (int i = 0; i < front; i++)
        to[i] = 0.0f;
    if (ld == channels) {
        int i = front;
        for (; i + VECTOR <= end; i += VECTOR)
            vf_store(to + i, vf_load(from + i - front));
        for (; i < end; i++)
            to[i] = from[i - front];
    } else {
        for (int i = front; i < end; i += channels)
            for (int c = 0; c < channels; c++)
                to[i + c] = from[(i - front) / channels * ld + c];
    }
    for (int i = max(front, end); i < width; i++)
        to[i] = 0.0f;
}

/* ROWS pixels by COLUMNS outputs; filters are panels of [tap and channel][COLUMNS]. */
static inline void add_taps(const __global float *from, int row_step, int apart, const __global float *panel,
                            int filter_rows, int run, vf sum[ROWS][VECTORS])
{
    TILE(i) ACROSS(v) sum[i][v] = vf_set1(0.0f);
    for (int r = 0; r < filter_rows; r++, from += row_step) {
        for (int j = 0; j < run; j++, panel += COLUMNS) {
            vf filter[VECTORS];
            ACROSS(v) filter[v] = vf_load(panel + v * VECTOR);
            TILE(i)
            {
                const vf x = vf_set1(from[i * apart + j]);
                ACROSS(v) sum[i][v] = x * filter[v] + sum[i][v];
            }
        }
    }
}

/* y = activation(bias + filters of x + addend). An item takes tiles part, part + parts, ... of a row of y. Id: row of
 * y, part. */
__kernel void convolve(const __global float *padded, int padded_offset, int row_step, int image_step, int stride_h,
                       int apart, const __global float *panels, int panels_offset, int filter_rows, int run, __global float *y,
                       int y_offset, int y_ld, int images, int p_count, int q_count, int columns,
                       const __global float *bias, int bias_offset, const __global float *addend, int addend_offset,
                       int addend_ld, int parts, int plain, float low, float high)
{
    const int row = (int)get_global_id(0) / parts, part = (int)get_global_id(0) % parts;
    if (row >= images * p_count)
        return;
    const int across = (columns + COLUMNS - 1) / COLUMNS, tiles = (q_count + ROWS - 1) / ROWS * across;
    const __global float *from = padded + padded_offset + row / p_count * image_step +
                                 row % p_count * stride_h * row_step;
    for (int tile = part; tile < tiles; tile += parts) {
        const int q = tile / across * ROWS, column = tile % across * COLUMNS, count = min(q_count - q, ROWS);
        vf sum[ROWS][VECTORS];
        add_taps(from + q * apart, row_step, apart, panels + panels_offset + column * filter_rows * run, filter_rows,
                 run, sum);
        const int at = row * q_count + q;
        __global float *to = y + y_offset + at * y_ld + column;
        if (plain && column + COLUMNS <= columns && count == ROWS) {
            TILE(i) ACROSS(v) vf_store(to + i * y_ld + v * VECTOR, sum[i][v]);
            continue;
        }
        /* The rest is done in a loop that is not unrolled, from memory. */
        vf sums[ROWS * VECTORS];
        TILE(i) ACROSS(v) sums[i * VECTORS + v] = sum[i][v];
#pragma unroll 1
        for (int i = 0; i < count * VECTORS; i++) {
            const int pixel = i / VECTORS, c = i % VECTORS * VECTOR, left = columns - column - c;
            if (left <= 0)
                continue;
            vf value = sums[i];
            if (bias)
                value += vf_load_some(bias + bias_offset + column + c, left);
            if (addend)
                value += vf_load_some(addend + addend_offset + (at + pixel) * addend_ld + column + c, left);
            vf_store_some(to + pixel * y_ld + c, activate(value, low, high), left);
        }
    }
}

/* Sums over the pixels of some rows of dy of the products of ROWS neighbours of the run, from `from` on, with COLUMNS
 * outputs. */
static inline void add_row(const __global float *from, int apart, const __global float *dy, int dy_ld, int pixels,
                           const int left, vf sum[ROWS][VECTORS])
{
    for (int q = 0; q < pixels; q++, from += apart, dy += dy_ld) {
        vf d[VECTORS];
        ACROSS(v) d[v] = vf_load_some(dy + v * VECTOR, left - v * VECTOR);
        TILE(i)
        {
            const vf x = vf_set1(from[i]);
            ACROSS(v) sum[i][v] = x * d[v] + sum[i][v];
        }
    }
}

/* sums[piece][row of the filter][run, in blocks of ROWS][output]. A piece is piece_rows rows of dy, which an item walks
 * over in chunks that stay in cache, for its blocks part, part + parts, ... of a filter row, a cut of its run and
 * COLUMNS outputs. Id: piece, part. */
__kernel void reduce(const __global float *padded, int padded_offset, int row_step, int image_step, int stride_h,
                     int apart, int filter_rows, int cuts, const __global float *dy, int dy_offset, int dy_ld, int images,
                     int p_count, int q_count, int columns, __global float *sums, int sums_offset, int parts,
                     int piece_rows, int chunk_rows)
{
    const int piece = (int)get_global_id(0) / parts, part = (int)get_global_id(0) % parts;
    const int begin = piece * piece_rows, end = min(begin + piece_rows, images * p_count);
    const int across = (columns + COLUMNS - 1) / COLUMNS, width = across * COLUMNS, blocks = filter_rows * cuts;
    padded += padded_offset;
    dy += dy_offset;
    sums += sums_offset + piece * blocks * ROWS * width;
    for (int chunk = begin; chunk < end; chunk += chunk_rows)
        for (int tile = part; tile < blocks * across; tile += parts) {
            const int column = tile % across * COLUMNS, block = tile / across, left = columns - column;
            __global float *at = sums + block * ROWS * width + column;
            vf sum[ROWS][VECTORS];
            TILE(i) ACROSS(v) sum[i][v] = chunk == begin ? vf_set1(0.0f) : vf_load(at + i * width + v * VECTOR);
            for (int row = chunk; row < min(chunk + chunk_rows, end); row++) {
                const __global float *from = padded + row / p_count * image_step + block % cuts * ROWS +
                                             (row % p_count * stride_h + block / cuts) * row_step;
                const __global float *gradients = dy + row * q_count * dy_ld + column;
                if (left >= COLUMNS)
                    add_row(from, apart, gradients, dy_ld, q_count, COLUMNS, sum);
                else
                    add_row(from, apart, gradients, dy_ld, q_count, left, sum);
            }
            TILE(i) ACROSS(v) vf_store(at + i * width + v * VECTOR, sum[i][v]);
        }
}
