/* SPDX-License-Identifier: Apache-2.0
 *
 * A dense copy of the part of an activation that a block of output pixels reads, with its padding: for convolutions of
 * few channels (the first layer), where a filter row of taps then is one run of memory and no tap needs a check. Blocks
 * are those of op/stats.h: whole images, or rows of one image.
 */
#ifndef PINION_KERNEL_CPU_PADDED_H
#define PINION_KERNEL_CPU_PADDED_H

#include "kernel/cpu/conv2d.h"
#include "op/stats.h"

typedef struct pinion__padded {
    int step_h, step_w;
    int images, rows, columns;   /* of the largest block */
    ptrdiff_t pixel, row, image; /* floats from one to the next */
} pinion__padded;

static inline pinion__padded pinion__padded_of(const pinion__conv *conv, const pinion__stats_blocks *blocks, int width,
                                               int channels)
{
    pinion__padded padded = {.step_h = conv->stride_h,
                             .step_w = conv->stride_w,
                             .images = blocks->images,
                             .rows = (blocks->rows - 1) * conv->stride_h + conv->r,
                             .columns = (width - 1) * conv->stride_w + conv->s,
                             .pixel = channels};
    padded.row = padded.columns * padded.pixel;
    padded.image = padded.rows * padded.row;
    return padded;
}

/* Floats of the copy; a vector behind the last pixel may be read. */
static inline size_t pinion__padded_floats(const pinion__padded *padded)
{
    return (size_t)padded->images * (size_t)padded->image + PINION__LANES;
}

/* Copies `images` images from `image` on, the rows that output rows y … read. */
void PINION__CPU_SHARED(pad)(const pinion__padded *padded, const pinion__conv *conv, const pinion__view *x, int image,
                             int images, int y, float *out);

#endif
