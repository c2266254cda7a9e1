/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions with few input channels, the first of a network. x is copied once with its padding, so that for each row
 * of a filter the taps and channels that a pixel reads are one run of floats, without checks and longer than a pixel's
 * channels.
 */
#ifndef PINION_KERNEL_OPENCL_CONV2D_SHALLOW_H
#define PINION_KERNEL_OPENCL_CONV2D_SHALLOW_H

#include "kernel/opencl/conv2d.h"

enum { PINION__SHALLOW_CHANNELS = 8, PINION__SHALLOW_OPTIONS = 96 };

/* The padded copy of x: in scratch, from its begin on. */
typedef struct pinion__shallow {
    const pinion__args *args;
    const pinion__opencl_tile *tile;
    pinion__opencl_conv conv;
    int x;                /* the operand */
    int channels, run;    /* of a filter row: floats that a pixel reads */
    int rows, row_floats; /* of an image, and of a row */
    size_t bytes;         /* with what tiles read behind it, for nothing */
} pinion__shallow;

pinion__shallow pinion__shallow_of(const pinion__args *args, const pinion__opencl_tile *tile, int x);
bool pinion__shallow_applicable(const pinion__shallow *copy);
/* The launch that makes it. */
void pinion__shallow_pad(const pinion__shallow *copy);
/* Begins a launch of a function that reads it, with tiles of `rows` rows, and gives it the arguments
 * `__global float *padded, int padded_offset, int row_step, int image_step, int stride_h, int apart`. */
void pinion__shallow_begin(pinion__launch *launch, const pinion__shallow *copy, const char *function, int rows);

#endif
