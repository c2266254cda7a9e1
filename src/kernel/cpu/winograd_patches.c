/* SPDX-License-Identifier: Apache-2.0
 *
 * Patches of activations to frequencies (winograd.h). A few tiles are an item; pixels outside the view are read from a
 * row of zeros.
 */
#include "kernel/cpu/winograd.h"

enum { ITEM_TILES = 8, MOST = PINION__WINOGRAD_FREQUENCIES };

/* Where the pixels of a tile's patch of size x size stand. */
static void point(const pinion__winograd_block *block, int tile, const int size, const float **pixels)
{
    const pinion__view *view = block->view;
    const int tx = tile % block->tiles.w, row = tile / block->tiles.w;
    const int y0 = row % block->tiles.h * PINION__WINOGRAD_OUT - block->pad_h,
              x0 = tx * PINION__WINOGRAD_OUT - block->pad_w;
    const int n = row / block->tiles.h;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            const int y = y0 + i, x = x0 + j;
            const bool inside = y >= 0 && y < view->h && x >= 0 && x < view->w;
            const ptrdiff_t pixel = ((ptrdiff_t)n * view->h + y) * view->w + x;
            pixels[i * size + j] = inside ? (const float *)view->data + pixel * view->ld : block->zeros;
        }
}

PINION__INLINE void load(const float *const *pixels, const int count, int c, int channels, pinion__vf *patch)
{
#pragma GCC unroll 36
    for (int i = 0; i < count; i++)
        patch[i] =
            channels >= PINION__LANES ? pinion__vf_load(pixels[i] + c) : pinion__vf_load_part(pixels[i] + c, channels);
}

PINION__INLINE void input_of(const pinion__vf *patch, float *out, ptrdiff_t plane)
{
    pinion__vf half[MOST], whole[PINION__WINOGRAD_IN];
#pragma GCC unroll 6
    for (int j = 0; j < PINION__WINOGRAD_IN; j++)
        pinion__winograd_b(patch + j, half + j, PINION__WINOGRAD_IN);
#pragma GCC unroll 6
    for (int i = 0; i < PINION__WINOGRAD_IN; i++) {
        pinion__winograd_b(half + (ptrdiff_t)i * PINION__WINOGRAD_IN, whole, 1);
#pragma GCC unroll 6
        for (int j = 0; j < PINION__WINOGRAD_IN; j++)
            pinion__vf_store(out + (i * PINION__WINOGRAD_IN + j) * plane, whole[j]);
    }
}

PINION__INLINE void gradient_of(const pinion__vf *patch, float *out, ptrdiff_t plane)
{
    pinion__vf half[PINION__WINOGRAD_IN * PINION__WINOGRAD_OUT], whole[PINION__WINOGRAD_IN];
#pragma GCC unroll 4
    for (int j = 0; j < PINION__WINOGRAD_OUT; j++)
        pinion__winograd_a_transposed(patch + j, PINION__WINOGRAD_OUT, half + j, PINION__WINOGRAD_OUT);
#pragma GCC unroll 6
    for (int i = 0; i < PINION__WINOGRAD_IN; i++) {
        pinion__winograd_a_transposed(half + (ptrdiff_t)i * PINION__WINOGRAD_OUT, 1, whole, 1);
#pragma GCC unroll 6
        for (int j = 0; j < PINION__WINOGRAD_IN; j++)
            pinion__vf_store(out + (i * PINION__WINOGRAD_IN + j) * plane, whole[j]);
    }
}

PINION__INLINE void item_of(const pinion__winograd_block *block, size_t index, const int size,
                            void (*transform)(const pinion__vf *, float *, ptrdiff_t))
{
    const float *pixels[MOST];
    pinion__vf patch[MOST];
    const int begin = (int)index * ITEM_TILES;
    const int end = begin + ITEM_TILES < block->count ? begin + ITEM_TILES : block->count;
    for (int tile = begin; tile < end; tile++) {
        point(block, block->first + tile, size, pixels);
        float *out = block->out + tile * block->ld;
        int c = 0;
        for (; c + PINION__LANES <= block->view->c; c += PINION__LANES) {
            load(pixels, size * size, c, PINION__LANES, patch);
            transform(patch, out + c, block->plane);
        }
        if (c < block->view->c) {
            load(pixels, size * size, c, block->view->c - c, patch);
            transform(patch, out + c, block->plane);
        }
    }
}

static void input_item(void *user, size_t index, int lane)
{
    (void)lane;
    item_of(user, index, PINION__WINOGRAD_IN, input_of);
}

static void gradient_item(void *user, size_t index, int lane)
{
    (void)lane;
    item_of(user, index, PINION__WINOGRAD_OUT, gradient_of);
}

void PINION__CPU_SHARED(winograd_inputs)(const pinion__winograd_block *block, pinion__workers *workers)
{
    pinion__winograd_block shared = *block;
    pinion__parallel(workers, (size_t)pinion__ceil_div(block->count, ITEM_TILES), input_item, &shared);
}

void PINION__CPU_SHARED(winograd_gradients)(const pinion__winograd_block *block, pinion__workers *workers)
{
    pinion__winograd_block shared = *block;
    pinion__parallel(workers, (size_t)pinion__ceil_div(block->count, ITEM_TILES), gradient_item, &shared);
}
