/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradient of a bias: sums of every channel over all pixels of a view, in parallel over channels, summed in blocks of a
 * fixed length so that the order is the same for any number of workers.
 */
#ifndef PINION_KERNEL_CPU_COLUMN_SUMS_H
#define PINION_KERNEL_CPU_COLUMN_SUMS_H

#include "kernel/cpu/cpu.h"

/* out[c] (+)= sum over pixels of view[…][c]. */
void PINION__CPU_SHARED(column_sums)(const pinion__view *view, float *out, bool accumulate, pinion__workers *workers);

#endif
