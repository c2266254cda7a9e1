/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels that could run each task of a plan, and which of them is best. Tasks that are the same work - the same
 * op, pass, shapes, attributes and so on, on the same kind of processor - share a record, whose key is a readable
 * sentence of all that: what wisdom is kept under.
 */
#ifndef PINION_PLAN_CANDIDATES_H
#define PINION_PLAN_CANDIDATES_H

#include "net/text.h"
#include "plan/build.h"

/* Gives every task its records with all applicable kernels, times not known. PINION_EUNSUPPORTED: a task has none on
 * any processor. */
int pinion__candidates_gather(pinion_plan *plan);

/* The same for tasks that came later: those without a record. Tasks may have moved; *added: there were any. */
int pinion__candidates_add(pinion_plan *plan, bool *added);

/* Forgets the records. */
void pinion__candidates_clear(pinion_plan *plan);

/* The record of a task on a processor. NULL: it has none (prologue, hand-over). */
const pinion__record *pinion__candidates_record(const pinion_plan *plan, const pinion__task *task, int processor);

/* The best candidate of a record that has one: the fastest, where it beats those before it by a margin that is more
 * than noise; where no time is known, the first. */
const pinion__candidate *pinion__candidates_best(const pinion_plan *plan, const pinion__record *record);

/* The time of a task with its kernel; NaN: not known. */
double pinion__candidates_ms(const pinion_plan *plan, const pinion__task *task);
/* With the best candidate on a processor; NaN: not known; INFINITY: it cannot. */
double pinion__candidates_best_ms(const pinion_plan *plan, const pinion__task *task, int processor);

/* "conv2d forward input=32x16x16x64 param=64x3x3x64 output=32x16x16x64 filter=3x3 stride=1x1 … cpu avx512 threads=2":
 * sizes are n, h, w, c, and behind a slash ld where it is not c. The caller owns *out. */
int pinion__candidates_key(const pinion_plan *plan, const pinion__task *task, bool prepares, char **out);

/* What a key says of the processor: "cpu avx512 threads=2". */
int pinion__candidates_add_processor(const pinion__processor *processor, pinion__text *text);

/* Bytes of weights that `kernel` prepares before it runs a task. */
size_t pinion__candidates_prepared_bytes(const pinion_plan *plan, const pinion__task *task,
                                         const pinion__kernel *kernel, const pinion__args *args);

#endif
