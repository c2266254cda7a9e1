/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd's minimal filtering on OpenCL (winograd.cl): what its passes share. Tiles of 4x4 pixels are taken in
 * batches whose transformed patches and products stay in a last-level cache.
 */
#ifndef PINION_KERNEL_OPENCL_WINOGRAD_H
#define PINION_KERNEL_OPENCL_WINOGRAD_H

#include "kernel/opencl/conv2d.h"

/* A tile's side of pixels, and what its patch is transformed to. */
enum {
    PINION__WINOGRAD_OUT = 4,
    PINION__WINOGRAD_IN = PINION__WINOGRAD_OUT + 2,
    PINION__WINOGRAD_FREQUENCIES = PINION__WINOGRAD_IN * PINION__WINOGRAD_IN
};

/* A transformed tensor in scratch: [frequency][row][channel], rows are tiles or output channels. Frequencies and rows
 * stand off the powers of two, so that they do not meet in one set of a cache. */
typedef struct pinion__winograd_plane {
    size_t offset; /* bytes of the scratch */
    int ld, plane; /* floats from one row, one frequency to the next */
} pinion__winograd_plane;

enum { PINION__WINOGRAD_OPTIONS = 128 };

static inline int pinion__round_to(int value, int unit)
{
    return pinion__opencl_ceil(value, unit) * unit;
}

/* Whole columns of channels, and whole rows of the tile. */
static inline pinion__winograd_plane pinion__winograd_plane_of(const pinion__opencl_tile *tile, int rows, int channels)
{
    enum { APART = 16 };
    const int ld = pinion__round_to(channels, pinion__tile_columns(tile)) + APART;
    return (pinion__winograd_plane){.ld = ld, .plane = pinion__round_to(rows, tile->rows) * ld + APART};
}

static inline size_t pinion__winograd_plane_bytes(const pinion__winograd_plane *at)
{
    return ((size_t)PINION__WINOGRAD_FREQUENCIES * (size_t)at->plane * sizeof(float) + 63) & ~(size_t)63;
}

/* 3x3 filters, stride 1, whole vectors of both kinds of channels. */
bool pinion__winograd_suits(const pinion__args *args, const pinion__opencl_tile *tile, int inputs, int outputs);

/* Tiles a batch, of `floats` floats a frequency each: evenly, whole rows of the product, `most` floats in all. */
enum { PINION__WINOGRAD_BATCH_FLOATS = 1 << 20 }; /* that stay in cache */
int pinion__winograd_batch(const pinion__opencl_tile *tile, int tiles, int floats, int most);

void pinion__winograd_begin(pinion__launch *launch, const pinion__args *args, const pinion__opencl_tile *tile,
                            const char *program, const char *function, const char *more);

/* The arguments `__global float *at, int at_offset, int ld, int plane`. */
void pinion__launch_plane(pinion__launch *launch, const pinion__winograd_plane *plane);

/* Patches of `count` tiles of operand x from `first` on; tiles are over the pixels of `grid`. `more` are the options of
 * the program beside the build's. */
void pinion__winograd_patches(const pinion__args *args, const pinion__opencl_tile *tile, const char *program,
                              const char *more, int x, const pinion__view *grid, int pad_h, int pad_w, int first,
                              int count, const pinion__winograd_plane *to);

#endif
