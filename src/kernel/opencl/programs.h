/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of the OpenCL programs, embedded by the build (cmake/opencl.cmake) from this folder's files NAME.cl.
 */
#ifndef PINION_KERNEL_OPENCL_PROGRAMS_H
#define PINION_KERNEL_OPENCL_PROGRAMS_H

#include <stddef.h>

typedef struct pinion__program_text {
    const char *name; /* "conv2d" of conv2d.cl; NULL: past the last */
    const char *text;
    size_t length;
} pinion__program_text;

extern const pinion__program_text pinion__program_texts[];

#endif
