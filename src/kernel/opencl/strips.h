/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums along pixels: an item is a block of pixels and a strip of VECTORS vectors of channels, whose sums it keeps in
 * registers (1 where channels are left over). Where vectors are wide, so is the register file.
 */
#ifndef PINION_KERNEL_OPENCL_STRIPS_H
#define PINION_KERNEL_OPENCL_STRIPS_H

#include "kernel/opencl/vector.h"

enum { PINION__STRIPS_OPTIONS = PINION__VECTOR_OPTIONS + 16 };

typedef struct pinion__strips {
    int vector, vectors;
    int count; /* strips of all channels */
    char options[PINION__STRIPS_OPTIONS];
} pinion__strips;

static inline pinion__strips pinion__strips_of(const pinion__args *args, int channels)
{
    enum { MOST = 4, WIDE = 8 };
    pinion__strips strips = {.vector = pinion__vector_of(args, channels), .vectors = 1};
    while (strips.vector >= WIDE && strips.vector == pinion__launch_lanes(args) && strips.vectors < MOST &&
           channels % (2 * strips.vectors * strips.vector) == 0)
        strips.vectors *= 2;
    char options[PINION__VECTOR_OPTIONS];
    pinion__vector_options(options, channels, strips.vector);
    snprintf(strips.options, sizeof strips.options, "%s -DVECTORS=%d", options, strips.vectors);
    strips.count = pinion__vectors_in(channels, strips.vector * strips.vectors);
    return strips;
}

#endif
