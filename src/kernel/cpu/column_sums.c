/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over pixels, one block of channels an item (column_sums.h).
 */
#include "kernel/cpu/column_sums.h"
#include "kernel/cpu/vec.h"

enum { BLOCK_PIXELS = 256 };

typedef struct sums {
    const pinion__view *view;
    float *out;
    bool accumulate;
} sums;

static void item(void *user, size_t index, int lane)
{
    (void)lane;
    const sums *job = user;
    const pinion__view *view = job->view;
    const ptrdiff_t c = (ptrdiff_t)index * PINION__LANES;
    const int channels = view->c - c < PINION__LANES ? (int)(view->c - c) : PINION__LANES;
    const size_t pixels = pinion__view_pixels(view);
    const float *from = (const float *)view->data + c;
    pinion__vf total = job->accumulate ? pinion__vf_load_part(job->out + c, channels) : pinion__vf_zero();
    for (size_t begin = 0; begin < pixels; begin += BLOCK_PIXELS) {
        const size_t end = begin + BLOCK_PIXELS < pixels ? begin + BLOCK_PIXELS : pixels;
        pinion__vf block = pinion__vf_zero();
        for (size_t pixel = begin; pixel < end; pixel++, from += view->ld)
            block = pinion__vf_add(block, channels == PINION__LANES ? pinion__vf_load(from)
                                                                    : pinion__vf_load_part(from, channels));
        total = pinion__vf_add(total, block);
    }
    pinion__vf_store_part(job->out + c, total, channels);
}

void PINION__CPU_SHARED(column_sums)(const pinion__view *view, float *out, bool accumulate, pinion__workers *workers)
{
    sums job = {.view = view, .out = out, .accumulate = accumulate};
    pinion__parallel(workers, ((size_t)view->c + PINION__LANES - 1) / PINION__LANES, item, &job);
}
