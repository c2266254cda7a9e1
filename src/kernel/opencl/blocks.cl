/* SPDX-License-Identifier: Apache-2.0
 *
 * The blocks of pixels of partial statistics (op/stats.h). Block b begins at pixel (b / per_image)*image_pixels +
 * (b % per_image)*row_pixels and ends where the next one begins, the last one at `pixels`.
 */
#ifndef BLOCKS_CL
#define BLOCKS_CL

#define BLOCKS_PARAMETERS int blocks, int per_image, int image_pixels, int row_pixels, int pixels
#define BLOCKS_OF {blocks, per_image, image_pixels, row_pixels, pixels}

typedef struct block_cut {
    int blocks, per_image, image_pixels, row_pixels, pixels;
} block_cut;

static inline int block_begin(const block_cut *cut, int b)
{
    return b < cut->blocks ? b / cut->per_image * cut->image_pixels + b % cut->per_image * cut->row_pixels
                           : cut->pixels;
}

#endif
