/* SPDX-License-Identifier: Apache-2.0
 *
 * The fully connected layer, forward: inner products of rows that both lie along the channels. An item is a tile of ROWS
 * samples by COLUMNS outputs, whose sums are a vector each until the end. Rows past the last repeat it and are not
 * stored. Samples run fastest: the tile's weights stay in the first-level cache while they do.
 */
#include "channels.cl"

#define TILE(i) _Pragma("unroll") for (int i = 0; i < ROWS; i++)
#define ACROSS(j) _Pragma("unroll") for (int j = 0; j < COLUMNS; j++)

typedef struct tile {
    const __global float *x[ROWS], *w[COLUMNS];
} tile;

static inline void add_products(const tile *t, vf sum[ROWS][COLUMNS], int c, const int count)
{
    vf w[COLUMNS];
    ACROSS(j) w[j] = vf_load_some(t->w[j] + c, count);
    TILE(i)
    {
        const vf x = vf_load_some(t->x[i] + c, count);
        ACROSS(j) sum[i][j] = mul_add(x, w[j], sum[i][j]);
    }
}

__kernel void linear_forward(const __global float *x, int x_offset, int x_ld, const __global float *w, int w_offset,
                             int w_ld, const __global float *b, int b_offset, __global float *y, int y_offset,
                             int y_ld, const __global float *addend, int addend_offset, int addend_ld, int samples,
                             int channels, int outputs, float low, float high)
{
    const int down = (samples + ROWS - 1) / ROWS, id = (int)get_global_id(0);
    const int n = id % down * ROWS, k = id / down * COLUMNS;
    if (k >= outputs)
        return;
    tile t;
    vf sum[ROWS][COLUMNS];
    TILE(i) t.x[i] = x + x_offset + min(n + i, samples - 1) * x_ld;
    ACROSS(j) t.w[j] = w + w_offset + min(k + j, outputs - 1) * w_ld;
    TILE(i) ACROSS(j) sum[i][j] = vf_set1(0.0f);
    int c = 0;
    for (; c + VECTOR <= channels; c += VECTOR)
        add_products(&t, sum, c, VECTOR);
    if (c < channels)
        add_products(&t, sum, c, channels - c);
    TILE(i)
    ACROSS(j)
    {
        if (n + i < samples && k + j < outputs) {
            float value = sum_of_lanes(sum[i][j]);
            if (b)
                value += b[b_offset + k + j];
            if (addend)
                value += addend[addend_offset + (n + i) * addend_ld + k + j];
            value = value < low ? low : value;
            y[y_offset + (n + i) * y_ld + k + j] = value > high ? high : value;
        }
    }
}
