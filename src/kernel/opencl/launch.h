/* SPDX-License-Identifier: Apache-2.0
 *
 * How an OpenCL kernel body starts its work: it fills a launch and runs it, once or more, one after another. Launches
 * of a processor run in their order. A failure (build, resources, a lost device) is the processor's
 * (pinion__processor_fail): later launches do nothing, and the body need not look.
 *
 * A program is a file of this folder, NAME.cl, built with options once per processor and kept
 * (device/opencl.h). In it a tensor is two arguments, `__global float *x, int x_offset` (in elements). A line
 * `#include "OTHER.cl"` of its own stands for that file's text, once a program, whatever is #if'd round it: that is
 * done here, not by the driver. Programs are ASCII.
 */
#ifndef PINION_KERNEL_OPENCL_LAUNCH_H
#define PINION_KERNEL_OPENCL_LAUNCH_H

#include "kernel/kernel.h"

typedef struct pinion__launch {
    const pinion__args *args;
    void *kernel;      /* cl_kernel; NULL: the processor has failed */
    unsigned next;     /* argument */
    size_t most_items; /* that the kernel allows in a work group */
} pinion__launch;

/* `options` is a string that is the same for the same build: "-DROWS=8 -DVECTORS=2". */
void pinion__launch_begin(pinion__launch *launch, const pinion__args *args, const char *program, const char *function,
                          const char *options);

/* Arguments, in the order of the function's. An absent operand is a null buffer and 0. */
void pinion__launch_operand(pinion__launch *launch, int operand);
/* The same for one whose elements are not 4 bytes wide. */
void pinion__launch_operand_of(pinion__launch *launch, int operand, size_t element_bytes);
void pinion__launch_scratch(pinion__launch *launch, size_t offset); /* bytes, a multiple of 4 */
void pinion__launch_int(pinion__launch *launch, int value);
void pinion__launch_float(pinion__launch *launch, float value);
void pinion__launch_ulong(pinion__launch *launch, uint64_t value);

/* Sizes in work items, rounded up to whole groups of `local`: functions check their global id. `local` NULL, or a 0 in
 * it: groups of 64 by 1 by 1. Groups that the kernel does not allow are halved until it does. Nothing happens where a
 * size is 0. */
void pinion__launch_run(pinion__launch *launch, const size_t global[3], const size_t local[3]);
/* The same in one dimension. */
void pinion__launch_run_flat(pinion__launch *launch, size_t items);

/* Floats in a vector that the device of args->processor likes: 1, 2, 4, 8 or 16. */
int pinion__launch_lanes(const pinion__args *args);
/* Local memory of a work group. */
size_t pinion__launch_local_bytes(const pinion__args *args);

/* Exported bodies are pinion__opencl_NAME. */
#define PINION__OPENCL_KERNEL(name) const pinion__kernel_body pinion__opencl_##name

/* Needs kernel/bodies.h for the declarations. */
#include "kernel/bodies.h"

#endif
