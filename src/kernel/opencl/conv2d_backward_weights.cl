/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a convolution's weights (conv2d_backward_weights.c). An item owns COLUMNS input channels, some tiles of
 * ROWS output channels, all taps, and a piece of the pixels. It walks over its pixels in chunks; a chunk is read again
 * for every tile and tap, whose sums stay in registers for the length of the chunk and in memory between chunks.
 *
 * The pixels of a tap that lie inside the image are runs of constant step: the columns of a row of the output, or,
 * where `by_batch`, the same pixel of all images.
 */
#include "vector.cl"

#define COLUMNS (VECTORS * VECTOR)

/* Channels panel*lanes ... of all pixels side by side: pixel i of image n stands at place i*pixel_step + n*image_step
 * of its panel. Lanes without a channel are 0. Ids: pixel, image, panel. */
__kernel void pack_pixels(const __global float *x, int x_offset, int ld, int channels, int pixels, int images,
                          __global float *panels, int panels_offset, int lanes, int pixel_step, int image_step)
{
    const int pixel = (int)get_global_id(0), n = (int)get_global_id(1), panel = (int)get_global_id(2);
    if (pixel >= pixels || n >= images || panel * lanes >= channels)
        return;
    const __global float *from = x + x_offset + (n * pixels + pixel) * ld + panel * lanes;
    __global float *to =
        panels + panels_offset + (panel * pixels * images + pixel * pixel_step + n * image_step) * lanes;
    const int count = channels - panel * lanes;
    int c = 0;
    for (; c + 4 <= min(lanes, count); c += 4)
        vstore4(vload4(0, from + c), 0, to + c);
    for (; c < lanes; c++)
        to[c] = c < count ? from[c] : 0.0f;
}

/* The products of all pixels of a run. */
#define ADD_RUN(x_vector, dy_element)                                                                                  \
    for (int left = count; left > 0; left--, a += dy_step, b += x_step) {                                              \
        vf f[VECTORS];                                                                                                 \
        _Pragma("unroll") for (int v = 0; v < VECTORS; v++) f[v] = x_vector;                                           \
        _Pragma("unroll") for (int i = 0; i < ROWS; i++)                                                               \
        {                                                                                                              \
            const vf g = vf_set1(dy_element);                                                                          \
            _Pragma("unroll") for (int v = 0; v < VECTORS; v++) sum[i][v] = g * f[v] + sum[i][v];                      \
        }                                                                                                              \
    }

/* Steps of x: panel of COLUMNS channels, image, row, column; of dy: tile of ROWS channels, image, row, column. Steps of
 * the sums: piece, output channel, tap. by_batch: a run is a pixel, else a row of an image. Ids: panel, group of tiles,
 * piece. x and dy have this many channels: copies whole tiles of them. */
__kernel void reduce(const __global float *x, int x_offset, int x_panel, int x_image, int x_row, int x_column, int h,
                     int w, const __global float *dy, int dy_offset, int dy_tile, int dy_image, int dy_row,
                     int dy_column, int batch, int p_count, int q_count, __global float *sums, int sums_offset,
                     int piece_step, int output_step, int tap_step, int accumulate, int stride_h, int stride_w,
                     int pad_h, int pad_w, int taps_h, int taps_w, int by_batch, int runs, int piece_runs,
                     int chunk_runs, int x_channels, int dy_channels,
                     int group_tiles)
{
    const int panel = (int)get_global_id(0), group = (int)get_global_id(1), piece = (int)get_global_id(2);
    const int begin = piece * piece_runs, end = min(begin + piece_runs, runs);
    const int tile_end = min((group + 1) * group_tiles, (dy_channels + ROWS - 1) / ROWS);
    const int x_left = x_channels - panel * COLUMNS;
    if (x_left <= 0 || begin >= end)
        return;
    x += x_offset + panel * x_panel;
    dy += dy_offset;
    sums += sums_offset + piece * piece_step + panel * COLUMNS;
    const int dy_step = by_batch ? dy_image : dy_column, x_step = by_batch ? x_image : stride_w * x_column;
    for (int chunk = begin; chunk < end; chunk += chunk_runs) {
        const int chunk_end = min(chunk + chunk_runs, end);
        for (int tile = group * group_tiles; tile < tile_end; tile++) {
            const int dy_last = dy_channels - tile * ROWS - 1; /* of the tile, where it is not whole */
            const bool whole = x_left >= COLUMNS && dy_last >= ROWS - 1;
            for (int tap = 0; tap < taps_h * taps_w; tap++) {
                const int r = tap / taps_w, s = tap % taps_w;
                /* Output columns whose tap lies inside. */
                const int low = max(pad_w - s, 0), high = w - 1 + pad_w - s;
                const int q_begin = (low + stride_w - 1) / stride_w;
                const int q_end = high < 0 ? 0 : min(high / stride_w + 1, q_count);
                __global float *at = sums + tile * ROWS * output_step + tap * tap_step;
                vf sum[ROWS][VECTORS];
#pragma unroll
                for (int i = 0; i < ROWS; i++)
#pragma unroll
                    for (int v = 0; v < VECTORS; v++)
                        sum[i][v] = chunk == begin && !accumulate ? vf_set1(0.0f)
                                                                  : vf_load(at + i * output_step + v * VECTOR);
                for (int run = chunk; run < chunk_end; run++) {
                    const int n = by_batch ? 0 : run / p_count, p = by_batch ? run / q_count : run % p_count;
                    const int q = by_batch ? run % q_count : q_begin, y = p * stride_h + r - pad_h;
                    if (y < 0 || y >= h || q < q_begin || q >= q_end)
                        continue;
                    const __global float *a = dy + tile * dy_tile + n * dy_image + p * dy_row + q * dy_column;
                    const __global float *b = x + n * x_image + y * x_row + (q * stride_w + s - pad_w) * x_column;
                    const int count = by_batch ? batch : q_end - q_begin;
                    if (whole)
                        ADD_RUN(vf_load(b + v * VECTOR), a[i])
                    else
                        ADD_RUN(vf_load_some(b + v * VECTOR, x_left - v * VECTOR), a[min(i, dy_last)])
                }
#pragma unroll
                for (int i = 0; i < ROWS; i++)
#pragma unroll
                    for (int v = 0; v < VECTORS; v++)
                        vf_store(at + i * output_step + v * VECTOR, sum[i][v]);
            }
        }
    }
}
