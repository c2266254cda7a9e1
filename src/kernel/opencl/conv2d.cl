/* SPDX-License-Identifier: Apache-2.0
 *
 * The implicit matrix product of a convolution's forward and backward_data passes (conv2d_product.c). An item owns a
 * tile of ROWS pixels by VECTORS vectors of VECTOR output channels, whose sums stay in registers during the whole
 * reduction over taps and channels; a pixel's channels are factors that are spread over a vector, the filters vectors
 * from panels that are packed first. With STEP 4 a pixel's channels are loaded four at a time, which GPUs with vector
 * registers like; with STEP 1 one at a time, which processors do that spread a float while they load it.
 *
 * The rows of a tile are one pixel of `images` images of the batch, and so on with the next pixel: where all of them
 * are the same pixel they agree on the taps that fall into the padding, and those are skipped. Else such a row reads
 * zeros.
 */
#include "activation.cl"

#define COLUMNS (VECTORS * VECTOR)
/* Where a row that is behind the last pixel begins: outside whatever the tap. */
#define NOWHERE (-(1 << 24))

/* One channel of all rows. */
#define MULTIPLY(factor_of_row, filter)                                                                                \
    {                                                                                                                  \
        vf f[VECTORS];                                                                                                 \
        _Pragma("unroll") for (int v = 0; v < VECTORS; v++) f[v] = vf_load((filter) + v * VECTOR);                     \
        _Pragma("unroll") for (int i = 0; i < ROWS; i++)                                                               \
        {                                                                                                              \
            const vf x = vf_set1(factor_of_row);                                                                       \
            _Pragma("unroll") for (int v = 0; v < VECTORS; v++) sum[i][v] = x * f[v] + sum[i][v];                      \
        }                                                                                                              \
    }

/* Tap (r, s) of grid pixel (y, x) reads source pixel (y*step_h + first_h + r*tap_h, x*step_w + first_w + s*tap_w) and
 * is tap (r*filter_step_h + filter_h, s*filter_step_w + filter_w) of the filter, which has filter_taps a row. The grid
 * pixel's sums go to target pixel (target_y + y*target_step_h, target_x + x*target_step_w). Ids: tile, panel. */
__kernel void convolve(const __global float *source, int source_offset, int source_ld, int source_h, int source_w,
                       int depth, const __global float *zeros, int zeros_offset, const __global float *panels,
                       int panels_offset, int filter_h, int filter_w, int filter_step_h, int filter_step_w,
                       int filter_columns, int filter_taps, __global float *target, int target_offset, int target_ld,
                       int target_h, int target_w, int columns, int target_y, int target_x, int target_step_h,
                       int target_step_w, const __global float *bias, int bias_offset, const __global float *addend,
                       int addend_offset, int addend_ld, int grid_h, int grid_w, int images, int step_h,
                       int step_w, int first_h, int first_w, int tap_h, int tap_w, int taps_h, int taps_w, int tiles,
                       int plain, int accumulate, float low, float high)
{
    const int tile = (int)get_global_id(0), column = (int)get_global_id(1) * COLUMNS;
    if (tile >= tiles || column >= columns)
        return;
    const int pixels = ROWS / images, grid = grid_h * grid_w, runs = (grid + pixels - 1) / pixels;
    const int image0 = tile / runs * images, pixel0 = tile % runs * pixels;
    int base[ROWS], y0[ROWS], x0[ROWS];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const int pixel = pixel0 + i / images, image = image0 + i % images;
        base[i] = source_offset + image * source_h * source_w * source_ld;
        y0[i] = pixel < grid ? pixel / grid_w * step_h + first_h : NOWHERE;
        x0[i] = pixel % grid_w * step_w + first_w;
    }
    vf sum[ROWS][VECTORS];
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = vf_set1(0.0f);
    panels += panels_offset + column * filter_taps * depth;
    for (int tap = 0; tap < taps_h * taps_w; tap++) {
        const int r = tap / taps_w, s = tap % taps_w;
        const __global float *row[ROWS];
        bool any = false;
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const int y = y0[i] + r * tap_h, x = x0[i] + s * tap_w;
            const bool inside = y >= 0 && y < source_h && x >= 0 && x < source_w;
            row[i] = inside ? source + base[i] + (y * source_w + x) * source_ld : zeros + zeros_offset;
            any = any || inside;
        }
        if (!any)
            continue;
        const __global float *filter = panels + ((r * filter_step_h + filter_h) * filter_columns +
                                                 s * filter_step_w + filter_w) * depth * COLUMNS;
        int c = 0;
#if STEP == 4
        for (; c + 4 <= depth; c += 4, filter += 4 * COLUMNS) {
            float4 factors[ROWS];
#pragma unroll
            for (int i = 0; i < ROWS; i++)
                factors[i] = vload4(0, row[i] + c);
            MULTIPLY(factors[i].s0, filter)
            MULTIPLY(factors[i].s1, filter + COLUMNS)
            MULTIPLY(factors[i].s2, filter + 2 * COLUMNS)
            MULTIPLY(factors[i].s3, filter + 3 * COLUMNS)
        }
#endif
        for (; c < depth; c++, filter += COLUMNS)
            MULTIPLY(row[i][c], filter)
    }
    /* The rest is done in a loop that is not unrolled, from memory, but in the plain case. */
    vf sums[ROWS * VECTORS];
    plain = plain && column + COLUMNS <= columns;
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const int pixel = pixel0 + i / images, image = image0 + i % images;
        __global float *to = target + target_offset + column +
                             ((image * target_h + target_y + pixel / grid_w * target_step_h) * target_w + target_x +
                              pixel % grid_w * target_step_w) * target_ld;
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
            if (!plain)
                sums[i * VECTORS + v] = sum[i][v];
            else if (pixel < grid)
                vf_store(to + v * VECTOR, sum[i][v]);
    }
    if (plain)
        return;
#pragma unroll 1
    for (int i = 0; i < ROWS; i++) {
        const int pixel = pixel0 + i / images, image = image0 + i % images;
        if (pixel >= grid)
            continue;
        const int at = (image * target_h + target_y + pixel / grid_w * target_step_h) * target_w + target_x +
                       pixel % grid_w * target_step_w;
        __global float *to = target + target_offset + at * target_ld;
#pragma unroll 1
        for (int c = column; c < min(column + COLUMNS, columns); c += VECTOR) {
            const int count = columns - c;
            vf value = sums[i * VECTORS + (c - column) / VECTOR];
            if (bias)
                value += vf_load_some(bias + bias_offset + c, count);
            if (addend)
                value += vf_load_some(addend + addend_offset + at * addend_ld + c, count);
            vf_put(to + c, activate(value, low, high), count, accumulate);
        }
    }
}
