/* SPDX-License-Identifier: Apache-2.0
 *
 * Winograd's minimal filtering on OpenCL (winograd.cl): what its passes share. Tiles of out x out pixels are taken in
 * batches whose transformed patches and products stay in a last-level cache.
 */
#ifndef PINION_KERNEL_OPENCL_WINOGRAD_H
#define PINION_KERNEL_OPENCL_WINOGRAD_H

#include "kernel/opencl/conv2d.h"

/* Of a transform's build. */
typedef struct pinion__winograd_build {
    const pinion__opencl_tile *tile;
    int out; /* pixels of a tile's side: 4 or 2 */
} pinion__winograd_build;

/* A transformed tensor in scratch: [frequency][row][channel], rows are tiles or output channels. Frequencies and rows
 * stand off the powers of two, so that they do not meet in one set of a cache. */
typedef struct pinion__winograd_plane {
    size_t offset; /* bytes of the scratch */
    int ld, plane; /* floats from one row, one frequency to the next */
} pinion__winograd_plane;

enum { PINION__WINOGRAD_OPTIONS = 96 };

static inline int pinion__winograd_frequencies(const pinion__winograd_build *build)
{
    return (build->out + 2) * (build->out + 2);
}

static inline int pinion__round_to(int value, int unit)
{
    return pinion__opencl_ceil(value, unit) * unit;
}

/* Whole columns of channels, and whole rows of the tile. */
static inline pinion__winograd_plane pinion__winograd_plane_of(const pinion__winograd_build *build, int rows,
                                                               int channels)
{
    enum { APART = 16 };
    const int ld = pinion__round_to(channels, pinion__tile_columns(build->tile)) + APART;
    return (pinion__winograd_plane){.ld = ld, .plane = pinion__round_to(rows, build->tile->rows) * ld + APART};
}

static inline size_t pinion__winograd_plane_bytes(const pinion__winograd_build *build, const pinion__winograd_plane *at)
{
    return ((size_t)pinion__winograd_frequencies(build) * (size_t)at->plane * sizeof(float) + 63) & ~(size_t)63;
}

/* 3x3 filters, stride 1, whole vectors of both kinds of channels. */
bool pinion__winograd_suits(const pinion__args *args, const pinion__winograd_build *build, int inputs, int outputs);

/* Tiles a batch, of `floats` floats a frequency each: as many as stay in cache, evenly, whole rows of the product. */
int pinion__winograd_batch(const pinion__winograd_build *build, int tiles, int floats);

void pinion__winograd_begin(pinion__launch *launch, const pinion__args *args, const pinion__winograd_build *build,
                            const char *program, const char *function, const char *more);

/* The arguments `__global float *at, int at_offset, int ld, int plane`. */
void pinion__launch_plane(pinion__launch *launch, const pinion__winograd_plane *plane);

/* Patches of `count` tiles of operand x from `first` on; tiles are over the pixels of `grid`. `more` are the options of
 * the program beside the build's. */
void pinion__winograd_patches(const pinion__args *args, const pinion__winograd_build *build, const char *program,
                              const char *more, int x, const pinion__view *grid, int pad_h, int pad_w, int first,
                              int count, const pinion__winograd_plane *to);

#endif
