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
    char name[32];         /* "cpu" */
    char description[128]; /* "AMD EPYC" */
    char isa[16];          /* "avx512"; "" where there is none */
    int cores;
    int shares_cores_with; /* bit i: with processor i of the list */
} pinion_processor_info;

/* Fills at most `capacity` entries, sets *count to how many there are. */
int pinion_processors_list(pinion_context *ctx, pinion_processor_info *entries, int capacity, int *count);

#ifdef __cplusplus
}
#endif
#endif
