/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of the bias of a backward_weights pass of conv2d (operands PINION__CONV_BACKWARD_WEIGHTS_*).
 */
#ifndef PINION_KERNEL_OPENCL_BIAS_H
#define PINION_KERNEL_OPENCL_BIAS_H

#include "kernel/opencl/launch.h"

/* Both do nothing where DB is absent. */
size_t pinion__bias_scratch(const pinion__args *args); /* bytes */
void pinion__launch_bias_gradient(const pinion__args *args, size_t scratch_offset);

#endif
