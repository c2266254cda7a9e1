/* SPDX-License-Identifier: Apache-2.0
 *
 * Partial statistics: what a forward pass leaves about its output for the batch normalisation that reads it, while the
 * output is still in cache. The pixels of a tensor are cut into blocks by its shape alone; of each block and channel
 * the mean and M2, the sum of squared distances from that mean, are stored: a tensor (blocks,2,1,c) of floats. The
 * reader combines blocks in their order by Chan's formula.
 *
 * A block is a number of whole images, or of rows of one image (a multiple of 4 except at its end), so it is one run of
 * pixels, and tiles of 4x4 never cross its border.
 */
#ifndef PINION_OP_STATS_H
#define PINION_OP_STATS_H

#include "tensor/view.h"

typedef struct pinion__stats_blocks {
    int images, rows; /* of a block: several images of all their rows, or one image and some rows */
    int per_image;    /* blocks an image; 1 where a block is whole images */
    int count;
} pinion__stats_blocks;

static inline pinion__stats_blocks pinion__stats_blocks_of(int n, int h, int w)
{
    enum { PIXELS = 256 };
    if ((int64_t)h * w <= PIXELS) {
        int images = PIXELS / (h * w) < n ? PIXELS / (h * w) : n;
        return (pinion__stats_blocks){images, h, 1, (n + images - 1) / images};
    }
    int rows = PIXELS / w / 4 * 4;
    rows = rows < 4 ? 4 : rows;
    int per_image = (h + rows - 1) / rows;
    return (pinion__stats_blocks){1, rows, per_image, n * per_image};
}

/* First pixel of a block, counted over the batch in memory order, and how many pixels it has. */
static inline size_t pinion__stats_block_begin(const pinion__stats_blocks *cut, int h, int w, int block)
{
    size_t image = (size_t)(block / cut->per_image) * (size_t)cut->images;
    size_t row = (size_t)(block % cut->per_image) * (size_t)cut->rows;
    return (image * (size_t)h + row) * (size_t)w;
}

static inline size_t pinion__stats_block_pixels(const pinion__stats_blocks *cut, int n, int h, int w, int block)
{
    size_t begin = pinion__stats_block_begin(cut, h, w, block);
    size_t end =
        block + 1 < cut->count ? pinion__stats_block_begin(cut, h, w, block + 1) : (size_t)n * (size_t)h * (size_t)w;
    return end - begin;
}

#endif
