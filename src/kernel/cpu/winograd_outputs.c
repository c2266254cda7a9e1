/* SPDX-License-Identifier: Apache-2.0
 *
 * Products to outputs (winograd.h): the transform back, and what is fused behind it.
 */
#include "kernel/cpu/winograd.h"
#include "kernel/cpu/winograd_transform.h"

enum { LINE_FLOATS = 16 };

/* A tile in the view it is written to. */
typedef struct target_tile {
    ptrdiff_t pixel; /* its first */
    int rows, columns;
} target_tile;

static target_tile target_of(const pinion__winograd_outputs *outputs, int index)
{
    const pinion__view *target = &outputs->conv->target;
    const pinion__winograd_tiles *tiles = outputs->tiles;
    const int out = tiles->out, tile = outputs->first + index, row = tile / tiles->w;
    const int x = tile % tiles->w * out, y = row % tiles->h * out, n = row / tiles->h;
    return (target_tile){.pixel = ((ptrdiff_t)n * target->h + y) * target->w + x,
                         .rows = target->h - y < out ? target->h - y : out,
                         .columns = target->w - x < out ? target->w - x : out};
}

PINION__INLINE void transform_back(const int out, const float *products, ptrdiff_t plane, pinion__vf *outputs)
{
    const int in = out + 2;
    pinion__vf half[PINION__WINOGRAD_OUT * PINION__WINOGRAD_IN], column[PINION__WINOGRAD_IN];
#pragma GCC unroll 6
    for (int j = 0; j < in; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < in; i++)
            column[i] = pinion__vf_load(products + (i * in + j) * plane);
        pinion__winograd_a(out, column, 1, half + j, in);
    }
#pragma GCC unroll 4
    for (int i = 0; i < out; i++)
        pinion__winograd_a(out, half + (ptrdiff_t)i * in, 1, outputs + (ptrdiff_t)i * out, 1);
}

/* A whole tile and vector with nothing but a bias and an activation. */
PINION__INLINE void store_plain(const pinion__winograd_conv *conv, const int out, const pinion__vf *values,
                                pinion__vf bias, float *to)
{
    const ptrdiff_t ld = conv->target.ld, row = conv->target.w * ld;
#pragma GCC unroll 4
    for (int i = 0; i < out; i++)
#pragma GCC unroll 4
        for (int j = 0; j < out; j++)
            pinion__vf_store(to + i * row + j * ld,
                             pinion__vf_clamp(pinion__vf_add(values[i * out + j], bias), conv->bounds));
}

static void store_any(const pinion__winograd_conv *conv, int out, const pinion__vf *values, pinion__vf bias,
                      const target_tile *tile, int column, int channels)
{
    for (int i = 0; i < tile->rows; i++)
        for (int j = 0; j < tile->columns; j++) {
            const ptrdiff_t pixel = tile->pixel + i * (ptrdiff_t)conv->target.w + j;
            float *to = (float *)conv->target.data + pixel * conv->target.ld + column;
            pinion__vf value = pinion__vf_add(values[i * out + j], bias);
            if (conv->accumulate)
                value = pinion__vf_add(value, pinion__vf_load_part(to, channels));
            if (conv->addend.data) {
                const float *addend = (const float *)conv->addend.data + pixel * conv->addend.ld + column;
                value = pinion__vf_add(value, pinion__vf_load_part(addend, channels));
            }
            pinion__vf_store_part(to, pinion__vf_clamp(value, conv->bounds), channels);
        }
}

PINION__INLINE void write_vector(const pinion__winograd_outputs *outputs, const int out, const target_tile *tile,
                                 const float *products, int column)
{
    const pinion__winograd_conv *conv = outputs->conv;
    const int left = conv->target.c - column, channels = left < PINION__LANES ? left : PINION__LANES;
    pinion__vf values[PINION__WINOGRAD_OUT * PINION__WINOGRAD_OUT];
    transform_back(out, products, outputs->plane, values);
    const pinion__vf bias = conv->bias ? pinion__vf_load_part(conv->bias + column, channels) : pinion__vf_zero();
    if (tile->rows == out && tile->columns == out && channels == PINION__LANES && !conv->accumulate &&
        !conv->addend.data)
        store_plain(conv, out, values, bias, (float *)conv->target.data + tile->pixel * conv->target.ld + column);
    else
        store_any(conv, out, values, bias, tile, column, channels);
}

PINION__INLINE void write_tiles(const pinion__winograd_outputs *outputs, int begin, int end, const int out)
{
    for (int i = begin; i < end; i++) {
        const target_tile tile = target_of(outputs, i);
        const float *products = outputs->products + (ptrdiff_t)i * PINION__TILE_COLUMNS;
        for (int v = 0; v < PINION__TILE_COLUMNS && outputs->column + v < outputs->conv->target.c; v += PINION__LANES)
            write_vector(outputs, out, &tile, products + v, outputs->column + v);
    }
}

void PINION__CPU_SHARED(winograd_write)(const pinion__winograd_outputs *outputs, int begin, int end)
{
    if (outputs->tiles->out == 4)
        write_tiles(outputs, begin, end, 4);
    else
        write_tiles(outputs, begin, end, 2);
}

static void expect_pixel(const pinion__view *view, ptrdiff_t pixel, int column)
{
    const float *at = (const float *)view->data + pixel * view->ld;
    for (int c = column; c < column + PINION__TILE_COLUMNS && c < view->c; c += LINE_FLOATS)
        __builtin_prefetch(at + c);
}

void PINION__CPU_SHARED(winograd_expect)(const pinion__winograd_outputs *outputs, int begin, int end)
{
    const pinion__winograd_conv *conv = outputs->conv;
    const bool addend = conv->addend.data && conv->addend.data != conv->target.data;
    for (int index = begin; index < end; index++) {
        const target_tile tile = target_of(outputs, index);
        for (int i = 0; i < tile.rows; i++)
            for (int j = 0; j < tile.columns; j++) {
                const ptrdiff_t pixel = tile.pixel + i * (ptrdiff_t)conv->target.w + j;
                expect_pixel(&conv->target, pixel, outputs->column);
                if (addend)
                    expect_pixel(&conv->addend, pixel, outputs->column);
            }
    }
}
