/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans as text: a line a task, "LAYER OP PASS KERNEL", in a plan of several processors " PROCESSOR" behind it and in a
 * concurrent one " START END" of its schedule in microseconds. OP of a fused task is "conv2d+relu"; a second input's
 * gradient has the pass "backward_data#1". Pinned lines come from checkpoints and files: nothing in them is trusted.
 */
#ifndef PINION_PLAN_LINES_H
#define PINION_PLAN_LINES_H

#include "plan/plan.h"

#include <string.h>

/* Is a word of a line, of that length, this name? */
static inline bool pinion__lines_is(const char *name, const char *word, int length)
{
    return strlen(name) == (size_t)length && memcmp(name, word, (size_t)length) == 0;
}

/* Brings the tasks on the processors, and in the order, that the lines say; tasks that they do not name stay on the
 * first processor that can. PINION_EUNSUPPORTED: a processor that the plan does not have; an order that is not one; a
 * line of a layer that is not there, or a second one of a task. */
int pinion__lines_place(pinion_plan *plan, const char *lines);

/* The kernel that the lines give a task on its processor; where they do not name it, its first. PINION_EUNSUPPORTED: a
 * kernel that is not there or does not apply. */
int pinion__lines_kernel(const pinion_plan *plan, int index, const char *lines, const pinion__kernel **out);

/* How the batch of the plan with these lines is cut; count 0: it is not. PINION_EUNSUPPORTED: slices that do not make
 * the batch, or are too many, or for a processor that is not there. */
int pinion__lines_cut(pinion_context *ctx, const char *lines, int batch, pinion__processor *const *processors,
                      int count, pinion__cut *out);

#endif
