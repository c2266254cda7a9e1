/* SPDX-License-Identifier: Apache-2.0
 *
 * What the depthwise convolutions share: the cut of a written tensor into items, and the pixel of the general kernels.
 * An item is a block of rows (that of op/stats.h, so that its statistics can be taken while it is in cache) and a range
 * of channels.
 */
#ifndef PINION_KERNEL_CPU_DEPTHWISE_H
#define PINION_KERNEL_CPU_DEPTHWISE_H

#include "kernel/cpu/activation.h"
#include "kernel/cpu/conv2d.h"
#include "op/stats.h"

typedef struct pinion__depthwise_cut {
    pinion__stats_blocks blocks;
    int chunk, chunks; /* channels */
    size_t items;
} pinion__depthwise_cut;

/* Blocks of small images are few: their channels are cut instead. */
static inline pinion__depthwise_cut pinion__depthwise_cut_of(const pinion__view *view)
{
    enum { MANY_BLOCKS = 16, CHANNELS = 128 };
    pinion__depthwise_cut cut = {.blocks = pinion__stats_blocks_of(view->n, view->h, view->w)};
    const int lines = pinion__ceil_div(view->c, PINION__LANES);
    cut.chunks = cut.blocks.count < MANY_BLOCKS ? pinion__ceil_div(view->c, CHANNELS) : 1;
    cut.chunk = pinion__ceil_div(lines, cut.chunks) * PINION__LANES;
    cut.chunks = pinion__ceil_div(view->c, cut.chunk);
    cut.items = (size_t)cut.blocks.count * (size_t)cut.chunks;
    return cut;
}

/* Rows (n*h + y) and channels of an item. */
typedef struct pinion__depthwise_part {
    int block;
    size_t first_row, end_row;
    int first, channels;
} pinion__depthwise_part;

static inline pinion__depthwise_part pinion__depthwise_part_of(const pinion__depthwise_cut *cut,
                                                               const pinion__view *view, size_t item)
{
    pinion__depthwise_part part = {.block = (int)(item / (size_t)cut->chunks),
                                   .first = (int)(item % (size_t)cut->chunks) * cut->chunk};
    const size_t begin = pinion__stats_block_begin(&cut->blocks, view->h, view->w, part.block);
    const size_t pixels = pinion__stats_block_pixels(&cut->blocks, view->n, view->h, view->w, part.block);
    part.first_row = begin / (size_t)view->w;
    part.end_row = (begin + pixels) / (size_t)view->w;
    part.channels = view->c - part.first < cut->chunk ? view->c - part.first : cut->chunk;
    return part;
}

/* ---- a pixel of any window ---- */

typedef struct pinion__depthwise_tap {
    const float *source, *filter;
} pinion__depthwise_tap;

/* What else goes into the pixel; addend may be NULL, and may be `out`. */
typedef struct pinion__depthwise_end {
    const float *bias, *addend;
    pinion__bounds bounds;
} pinion__depthwise_end;

/* out[c] = activation(bias[c] + addend[c] + sum over taps of source[c] * filter[c]), `channels` of them. */
void PINION__CPU_SHARED(depthwise_pixel)(const pinion__depthwise_tap *taps, int count, int channels,
                                         const pinion__depthwise_end *end, float *out);

#endif
