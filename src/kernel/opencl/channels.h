/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels that walk rows of pixels, a vector of channels at a time, share on the host's side.
 */
#ifndef PINION_KERNEL_OPENCL_CHANNELS_H
#define PINION_KERNEL_OPENCL_CHANNELS_H

#include "kernel/opencl/vector.h"

enum { PINION__OPTIONS_BYTES = 96 };

/* Floats in a vector for so many channels: as vector.h has it, but never fewer than four. */
static inline int pinion__channels_vector(const pinion__args *args, int channels)
{
    const int vector = pinion__vector_of(args, channels);
    return vector < PINION__VECTOR_LEAST ? PINION__VECTOR_LEAST : vector;
}

/* Begins a launch of a program with its vectors and further options; how many vectors the channels are. */
static inline size_t pinion__channels_begin(pinion__launch *launch, const pinion__args *args, const char *program,
                                            const char *function, int channels, const char *more)
{
    char options[PINION__OPTIONS_BYTES + PINION__VECTOR_OPTIONS], vectors[PINION__VECTOR_OPTIONS];
    const int vector = pinion__channels_vector(args, channels);
    pinion__vector_options(vectors, channels, vector);
    snprintf(options, sizeof options, "%s %s", vectors, more);
    pinion__launch_begin(launch, args, program, function, options);
    return (size_t)pinion__vectors_in(channels, vector);
}

/* Vectors of an item's run (channels_run of channels.cl): all of a pixel's where vectors are wide, so that memory is
 * walked over as it lies. */
static inline int pinion__channels_run(const pinion__args *args, size_t vectors)
{
    enum { WIDE = 8 };
    return pinion__launch_lanes(args) >= WIDE ? (int)vectors : 1;
}

/* Arguments WINDOW_PARAMETERS of channels.cl. */
static inline void pinion__launch_window(pinion__launch *launch, int r, int s, int stride_h, int stride_w, int pad_h,
                                         int pad_w)
{
    const int values[] = {r, s, stride_h, stride_w, pad_h, pad_w};
    for (int i = 0; i < 6; i++)
        pinion__launch_int(launch, values[i]);
}

/* Arguments `int images, int height, int width, int rows, int columns, int channels`: those of a windowed op's input
 * and output. */
static inline void pinion__launch_extents(pinion__launch *launch, const pinion__view *input, const pinion__view *output)
{
    const int values[] = {input->n, input->h, input->w, output->h, output->w, input->c};
    for (int i = 0; i < 6; i++)
        pinion__launch_int(launch, values[i]);
}

#endif
