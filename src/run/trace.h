/* SPDX-License-Identifier: Apache-2.0
 *
 * A runner's trace: what ran when on which processor, as Chrome trace JSON.
 */
#ifndef PINION_RUN_TRACE_H
#define PINION_RUN_TRACE_H

#include "run/executor.h"

typedef struct pinion__tracing pinion__tracing;

/* Begins the file. PINION_EIO. */
int pinion__tracing_open(const pinion_plan *plan, const char *path, pinion__tracing **out);
/* Ends it. PINION_EIO: not all could be written. NULL: nothing. */
int pinion__tracing_close(pinion__tracing *trace);

/* Where the executor leaves the times of each task. */
pinion__interval *pinion__tracing_times(pinion__tracing *trace);
/* Writes those of the tasks from first to end, which have just run; `step` is the training's, from 0. */
void pinion__tracing_add(pinion__tracing *trace, int first, int end, uint64_t step);

#endif
