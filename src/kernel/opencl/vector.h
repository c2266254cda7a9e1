/* SPDX-License-Identifier: Apache-2.0
 *
 * The vectors of vector.cl, chosen by the host: as wide as the device likes, but no wider than a row of channels.
 */
#ifndef PINION_KERNEL_OPENCL_VECTOR_H
#define PINION_KERNEL_OPENCL_VECTOR_H

#include "kernel/opencl/launch.h"
#include <stdio.h>

enum { PINION__VECTOR_LEAST = 4 };

/* VECTOR for rows of `count` elements: the widest that leaves no rest, else the widest that is no wider than a row, or
 * the least. A device that likes scalars loads several at once all the same. */
static inline int pinion__vector_of(const pinion__args *args, int count)
{
    const int lanes = pinion__launch_lanes(args), most = lanes < PINION__VECTOR_LEAST ? PINION__VECTOR_LEAST : lanes;
    for (int vector = most; vector >= PINION__VECTOR_LEAST; vector /= 2)
        if (count % vector == 0)
            return vector;
    return count < most ? PINION__VECTOR_LEAST : most;
}

/* The build options of vector.cl: "-DVECTOR=16 -DWHOLE". */
enum { PINION__VECTOR_OPTIONS = 32 };

static inline void pinion__vector_options(char text[PINION__VECTOR_OPTIONS], int count, int vector)
{
    snprintf(text, PINION__VECTOR_OPTIONS, "-DVECTOR=%d%s", vector, count % vector == 0 ? " -DWHOLE" : "");
}

/* Vectors in a row. */
static inline int pinion__vectors_in(int count, int vector)
{
    return (count + vector - 1) / vector;
}

/* An operand and its ld: `__global float *x, int x_offset, int x_ld`. */
static inline void pinion__launch_view(pinion__launch *launch, int operand)
{
    pinion__launch_operand(launch, operand);
    pinion__launch_int(launch, (int)launch->args->operand[operand].ld);
}

/* Long items, each a loop: where vectors are wide, `group` of them are a core's work. */
static inline void pinion__launch_run_loops(pinion__launch *launch, size_t items, size_t group)
{
    enum { WIDE = 8, NARROW_GROUP = 64 };
    const bool wide = pinion__launch_lanes(launch->args) >= WIDE;
    const size_t global[3] = {items, 1, 1}, local[3] = {wide ? group : NARROW_GROUP, 1, 1};
    pinion__launch_run(launch, global, local);
}

#endif
