/* SPDX-License-Identifier: Apache-2.0
 *
 * Plan files (docs/placement.md): which processor and kernel runs each task, as JSON. They are the lines of lines.h, a
 * task an object, with what the plan was made for.
 */
#ifndef PINION_PLAN_PLAN_FILE_H
#define PINION_PLAN_PLAN_FILE_H

#include "plan/plan.h"

/* The lines of the file options->place, and its number of micro-batches; the caller owns *lines. PINION_EFORMAT: it is
 * not there, damaged, or of another network, batch or mode. */
int pinion__plan_file_read(const pinion_network *network, const pinion_plan_options *options, char **lines,
                           int *micro_batches);

#endif
