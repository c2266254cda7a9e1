/* SPDX-License-Identifier: Apache-2.0
 *
 * Partial statistics (op/stats.h) of a tensor that a pass has stored: one launch behind those that store it. Every
 * (block, channel) is added up in an order of its own, so all kernels leave the same bits for the same output.
 */
#ifndef PINION_KERNEL_OPENCL_STATS_H
#define PINION_KERNEL_OPENCL_STATS_H

#include "kernel/opencl/launch.h"

/* Of operand `y` into operand `stats`; nothing where that is absent. */
void pinion__launch_stats(const pinion__args *args, int y, int stats);
/* Of operand `y` into scratch, as a dense tensor. */
void pinion__launch_stats_scratch(const pinion__args *args, int y, size_t scratch_offset);

#endif
