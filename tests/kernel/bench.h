/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing of kernels on the shapes of common networks.
 */
#ifndef TESTS_KERNEL_BENCH_H
#define TESTS_KERNEL_BENCH_H

#include "kernel/check.h"

/* "avx2", or "opencl". */
const char *bench_target_name(const pinion__kernel *kernel);

/* Prints a line for each shape: milliseconds (least and median), GFLOP/s (GB/s of operands where the op counts no
 * multiply-adds), the worst error over bound on one sample of the shape. Uses as many threads as the context, OpenCL
 * the room's device, with its memory filled before. */
void bench_row(const pinion__kernel *kernel, const bench_room *room);

#endif
