/* SPDX-License-Identifier: Apache-2.0
 *
 * Activation functions of fused passes, for kernels that include activation.cl: a clamp to two bounds.
 */
#ifndef PINION_KERNEL_OPENCL_ACTIVATION_H
#define PINION_KERNEL_OPENCL_ACTIVATION_H

#include "kernel/opencl/launch.h"
#include <math.h>

/* Arguments `float low, float high`. */
static inline void pinion__launch_bounds(pinion__launch *launch, enum pinion__activation activation)
{
    pinion__launch_float(launch, activation == PINION__ACTIVATION_NONE ? -INFINITY : 0.0F);
    pinion__launch_float(launch, activation == PINION__ACTIVATION_RELU6 ? 6.0F : INFINITY);
}

#endif
