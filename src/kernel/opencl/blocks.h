/* SPDX-License-Identifier: Apache-2.0
 *
 * The blocks of op/stats.h, for programs that include blocks.cl.
 */
#ifndef PINION_KERNEL_OPENCL_BLOCKS_H
#define PINION_KERNEL_OPENCL_BLOCKS_H

#include "kernel/opencl/launch.h"
#include "op/stats.h"

/* The arguments BLOCKS_PARAMETERS for n images (0: there is no block) of h x w pixels. Returns how many blocks there
 * are. */
static inline int pinion__launch_blocks(pinion__launch *launch, int n, int h, int w)
{
    const pinion__stats_blocks none = {0, 0, 1, 0}, cut = n > 0 ? pinion__stats_blocks_of(n, h, w) : none;
    pinion__launch_int(launch, cut.count);
    pinion__launch_int(launch, cut.per_image);
    pinion__launch_int(launch, cut.images * h * w);
    pinion__launch_int(launch, cut.rows * w);
    pinion__launch_int(launch, n * h * w);
    return cut.count;
}

#endif
