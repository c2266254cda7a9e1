/* SPDX-License-Identifier: Apache-2.0
 *
 * The products that convolution and linear layers are made of.
 *
 * pinion__gemm_rows: out[i][0 … columns) = sum over taps t and channels c of rows[t][i][c] * panel[t][c][…]. The rows
 * are pointers into the activation itself (an indirect convolution, after Dukhan, "The Indirect Convolution Algorithm",
 * 2019), so nothing is unfolded; taps that fall into the padding point to a row of zeros.
 *
 * pinion__gemm_pixels: that product for every pixel of a grid, in parallel: the forward pass of a convolution, or one
 * phase of its backward_data. Source row of grid row y and tap r: y*step_h + first_h + r*tap_h; target row: target_h +
 * y*target_step_h; columns alike.
 *
 * pinion__gemm_reduce: tile[i][j] += sum over images, rows and columns of a[i] * b[j], both read in place:
 * backward_weights.
 */
#ifndef PINION_KERNEL_CPU_GEMM_H
#define PINION_KERNEL_CPU_GEMM_H

#include "kernel/cpu/activation.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/vec.h"

typedef struct pinion__gemm_rows {
    const float *const *rows; /* taps x count */
    int count, taps, depth;
    const float *panel;         /* taps x depth x PINION__TILE_COLUMNS */
    float *const *out;          /* count; written from `column` on */
    const float *const *addend; /* count, like out, which it may be; NULL: none */
    const float *bias;          /* like out; NULL: none */
    pinion__bounds bounds;
    int column, columns; /* to be written, 1 … PINION__TILE_COLUMNS of them */
    bool plain;          /* no addend, no bias, infinite bounds */
} pinion__gemm_rows;

void PINION__CPU_SHARED(gemm_rows)(const pinion__gemm_rows *product);
/* The same where there are no more columns than a vector has lanes. */
void PINION__CPU_SHARED(gemm_rows_narrow)(const pinion__gemm_rows *product);

typedef struct pinion__gemm_pixels {
    pinion__view source, target;
    int grid_h, grid_w;
    int step_h, step_w, first_h, first_w, tap_h, tap_w, taps_h, taps_w;
    int target_h, target_w, target_step_h, target_step_w;
    const float *panels; /* ceil(target.c / columns) panels of taps x source.c x PINION__TILE_COLUMNS */
    /* target = activation(product + bias + addend), the addend of the target's shape, maybe its bytes; data NULL: none.
     * stats: of the target (op/stats.h), whose grid must be the target's; data NULL: none */
    const float *bias;
    pinion__view addend, stats;
    enum pinion__activation activation;
    void *scratch; /* gemm_pixels_scratch bytes, aligned to 64 */
} pinion__gemm_pixels;

size_t PINION__CPU_SHARED(gemm_pixels_scratch)(const pinion__gemm_pixels *product, int threads);
void PINION__CPU_SHARED(gemm_pixels)(const pinion__gemm_pixels *product, pinion__workers *workers);

typedef struct pinion__gemm_reduce {
    const float *a, *b;
    ptrdiff_t a_image, a_row, a_column, b_image, b_row, b_column;
    int images, rows, columns;
    int count;   /* of the tile's rows */
    int width;   /* of the tile's columns: no more of b are read */
    float *tile; /* count x PINION__TILE_COLUMNS, rows `tile_row` floats apart */
    ptrdiff_t tile_row;
} pinion__gemm_reduce;

void PINION__CPU_SHARED(gemm_reduce)(const pinion__gemm_reduce *product);

/* ---- small things the kernels share ---- */

static inline int pinion__ceil_div(int a, int b)
{
    return (a + b - 1) / b;
}

static inline size_t pinion__round64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* The part of `items` that piece number `piece` of `pieces` gets: as even as possible, larger pieces first. */
static inline int pinion__piece_begin(int items, int pieces, int piece)
{
    return piece * (items / pieces) + (piece < items % pieces ? piece : items % pieces);
}

static inline int pinion__threads(const pinion__args *args)
{
    return args->workers == NULL ? 1 : pinion__workers_threads(args->workers);
}

#endif
