/* SPDX-License-Identifier: Apache-2.0
 *
 * Patches of activations to frequencies (winograd.h). Pixels outside the view are read from a row of zeros. The reads
 * jump from row to row of the image too often for the processor to foresee them, so the pixels that a tile to come adds
 * are asked for ahead of it.
 */
#include "kernel/cpu/winograd.h"
#include "kernel/cpu/winograd_transform.h"

enum { MOST = PINION__WINOGRAD_FREQUENCIES, AHEAD = 2, LINE_FLOATS = 16 };

typedef struct place {
    int n, y, x; /* of the first pixel of a patch */
} place;

static place place_of(const pinion__winograd_patches *patches, int tile)
{
    const pinion__winograd_tiles *tiles = patches->tiles;
    const int row = tile / tiles->w;
    return (place){.n = row / tiles->h,
                   .y = row % tiles->h * tiles->out - patches->pad_h,
                   .x = tile % tiles->w * tiles->out - patches->pad_w};
}

/* Where the pixels of a patch of size x size stand. */
PINION__INLINE void point(const pinion__winograd_patches *patches, place at, const int size, const float **pixels)
{
    const pinion__view *view = patches->view;
    const float *first = (const float *)view->data + (((ptrdiff_t)at.n * view->h + at.y) * view->w + at.x) * view->ld;
    const ptrdiff_t row = view->w * view->ld;
    if (at.y >= 0 && at.x >= 0 && at.y + size <= view->h && at.x + size <= view->w) {
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++)
                pixels[i * size + j] = first + i * row + j * view->ld;
        return;
    }
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            const int y = at.y + i, x = at.x + j;
            const bool inside = y >= 0 && y < view->h && x >= 0 && x < view->w;
            pixels[i * size + j] = inside ? first + i * row + j * view->ld : patches->zeros;
        }
}

static void prefetch_pixel(const pinion__view *view, int n, int y, int x)
{
    const float *from = (const float *)view->data + (((ptrdiff_t)n * view->h + y) * view->w + x) * view->ld;
    for (int c = 0; c < view->c; c += LINE_FLOATS)
        __builtin_prefetch(from + c);
}

/* The pixels of a patch that the tiles left of it and above it have not touched. */
static void prefetch(const pinion__winograd_patches *patches, int tile, const int size)
{
    const pinion__view *view = patches->view;
    const place at = place_of(patches, tile);
    const int overlap = size - patches->tiles->out;
    for (int i = at.y > 0 ? overlap : 0; i < size; i++)
        for (int j = at.x > 0 ? overlap : 0; j < size; j++) {
            const int y = at.y + i, x = at.x + j;
            if (y >= 0 && y < view->h && x >= 0 && x < view->w)
                prefetch_pixel(view, at.n, y, x);
        }
}

PINION__INLINE void load(const float *const *pixels, const int count, int c, int channels, pinion__vf *patch)
{
#pragma GCC unroll 36
    for (int i = 0; i < count; i++)
        patch[i] = pinion__vf_load_some(pixels[i] + c, channels);
}

PINION__INLINE void input_of(const int out, const pinion__vf *patch, float *to, ptrdiff_t plane)
{
    const int in = out + 2;
    pinion__vf half[MOST], whole[PINION__WINOGRAD_IN];
#pragma GCC unroll 6
    for (int j = 0; j < in; j++)
        pinion__winograd_b(out, patch + j, half + j, in);
#pragma GCC unroll 6
    for (int i = 0; i < in; i++) {
        pinion__winograd_b(out, half + (ptrdiff_t)i * in, whole, 1);
#pragma GCC unroll 6
        for (int j = 0; j < in; j++)
            pinion__vf_store(to + (i * in + j) * plane, whole[j]);
    }
}

PINION__INLINE void gradient_of(const int out, const pinion__vf *patch, float *to, ptrdiff_t plane)
{
    const int in = out + 2;
    pinion__vf half[MOST], whole[PINION__WINOGRAD_IN];
#pragma GCC unroll 4
    for (int j = 0; j < out; j++)
        pinion__winograd_a_transposed(out, patch + j, out, half + j, out);
#pragma GCC unroll 6
    for (int i = 0; i < in; i++) {
        pinion__winograd_a_transposed(out, half + (ptrdiff_t)i * out, 1, whole, 1);
#pragma GCC unroll 6
        for (int j = 0; j < in; j++)
            pinion__vf_store(to + (i * in + j) * plane, whole[j]);
    }
}

PINION__INLINE void transform(const pinion__winograd_patches *patches, int first, int count, const int out,
                              const int size,
                              void (*one)(const int out, const pinion__vf *patch, float *to, ptrdiff_t plane))
{
    const float *pixels[MOST];
    pinion__vf patch[MOST];
    const int channels = patches->view->c;
    for (int i = 0; i < count; i++) {
        if (patches->ahead && i + AHEAD < count)
            prefetch(patches, first + i + AHEAD, size);
        point(patches, place_of(patches, first + i), size, pixels);
        float *to = patches->out + i * patches->ld;
        for (int begin = 0; begin < channels; begin += patches->depth, to += patches->step) {
            const int end = channels - begin < patches->depth ? channels : begin + patches->depth;
            int c = begin;
            for (; c + PINION__LANES <= end; c += PINION__LANES) {
                load(pixels, size * size, c, PINION__LANES, patch);
                one(out, patch, to + (c - begin), patches->plane);
            }
            if (c < end) {
                load(pixels, size * size, c, end - c, patch);
                one(out, patch, to + (c - begin), patches->plane);
            }
        }
    }
}

void PINION__CPU_SHARED(winograd_inputs)(const pinion__winograd_patches *patches, int first, int count)
{
    if (patches->tiles->out == 4)
        transform(patches, first, count, 4, 6, input_of);
    else
        transform(patches, first, count, 2, 4, input_of);
}

void PINION__CPU_SHARED(winograd_gradients)(const pinion__winograd_patches *patches, int first, int count)
{
    if (patches->tiles->out == 4)
        transform(patches, first, count, 4, 4, gradient_of);
    else
        transform(patches, first, count, 2, 2, gradient_of);
}

void PINION__CPU_SHARED(winograd_foresee)(const pinion__view *view, const pinion__winograd_tiles *tiles, int begin,
                                          int end)
{
    for (int tile = begin; tile < end; tile++) {
        const int row = tile / tiles->w, n = row / tiles->h;
        const int y0 = row % tiles->h * tiles->out, x0 = tile % tiles->w * tiles->out;
        for (int y = y0; y < y0 + tiles->out && y < view->h; y++)
            for (int x = x0; x < x0 + tiles->out && x < view->w; x++)
                prefetch_pixel(view, n, y, x);
    }
}
