/* SPDX-License-Identifier: Apache-2.0
 *
 * Forward and backward_data of a depthwise convolution are one loop: a pixel is the sum over its taps of a source pixel
 * times a row of the filter, channel by channel. They differ in which taps a pixel has.
 */
#ifndef PINION_KERNEL_CPU_DEPTHWISE_H
#define PINION_KERNEL_CPU_DEPTHWISE_H

#include "kernel/cpu/conv2d.h"

typedef struct pinion__depthwise_tap {
    const float *source, *filter;
} pinion__depthwise_tap;

/* out[c] = bias[c] (0 where NULL) + out[c] (if accumulate) + sum over taps of source[c] * filter[c]. */
void PINION__CPU_SHARED(depthwise_pixel)(const pinion__depthwise_tap *taps, int count, int channels, const float *bias,
                                         bool accumulate, float *out);

#endif
