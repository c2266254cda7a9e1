/* SPDX-License-Identifier: Apache-2.0
 *
 * The processors of this machine.
 */
#ifndef PINION_DEVICE_H
#define PINION_DEVICE_H

#include <pinion/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pinion_processor_info {
    char name[32];         /* "cpu", "cpu:0" (a kind of cores), "opencl:0" */
    char kind[16];         /* "cpu", "opencl" */
    char description[128]; /* "AMD EPYC"; of OpenCL devices also version and driver */
    char isa[16];          /* "avx512"; "" where there is none */
    char memory[32]; /* "host"; else the name of the memory it works in: tensors pass between the two by hand-overs */
    int copies;      /* hand-overs copy */
    int cores;       /* of an OpenCL device: its compute units */
    int shares_cores_with; /* bit i: with processor i of the list; the two never run at once */
} pinion_processor_info;

/* Fills at most `capacity` entries, sets *count to how many there are: at most PINION_MAX_PROCESSORS. */
enum { PINION_MAX_PROCESSORS = 16 };
int pinion_processors_list(pinion_context *ctx, pinion_processor_info *entries, int capacity, int *count);

#ifdef __cplusplus
}
#endif
#endif
