/* SPDX-License-Identifier: Apache-2.0
 *
 * The pass that every form of batch normalisation ends with, built once an instruction set, so that its bits are the
 * same wherever it is called from:
 *
 *     y = activation((x - mean)*scale + shift + addend)
 */
#ifndef PINION_KERNEL_CPU_NORMALISE_H
#define PINION_KERNEL_CPU_NORMALISE_H

#include "kernel/cpu/cpu.h"

typedef struct pinion__normalising {
    const pinion__view *x, *addend, *y; /* addend->data may be NULL; y may lie over x or over the addend */
    const float *mean, *scale, *shift;  /* a float a channel */
} pinion__normalising;

/* The activation is that of the arguments. */
void PINION__CPU_SHARED(normalise)(const pinion__args *args, const pinion__normalising *what);

/* The constants of channel c from values in double: what the rounding of the mean loses goes into the shift. */
static inline void pinion__normalise_constants(float *mean_at, float *scale_at, float *shift_at, double mean,
                                               double scale, double beta)
{
    *mean_at = (float)mean;
    *scale_at = (float)scale;
    *shift_at = (float)(beta - (mean - (double)(float)mean) * scale);
}

#endif
