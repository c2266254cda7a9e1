/* SPDX-License-Identifier: Apache-2.0
 *
 * The pass that every form of batch normalisation ends with: y = activation((x - mean)*scale + shift + addend).
 */
#ifndef PINION_KERNEL_OPENCL_NORMALISE_H
#define PINION_KERNEL_OPENCL_NORMALISE_H

#include "kernel/opencl/launch.h"
#include <stddef.h>

typedef struct pinion__normalising {
    int x, addend, y;      /* operands; the addend may be absent */
    int constants;         /* operand with rows mean, scale, shift; absent (or -1): they stand in scratch, dense */
    size_t scratch_offset; /* there */
} pinion__normalising;

void pinion__launch_normalise(const pinion__args *args, const pinion__normalising *what);
/* The arguments `__global float *constants, int offset, int ld`. */
void pinion__launch_normalise_constants(pinion__launch *launch, const pinion__normalising *what);

#endif
