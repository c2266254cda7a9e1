/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of tasks while fusion (fuse.c) rewrites it. The serial order is an array of places, a task each. A task that
 * is taken in leaves its place empty, or the task that takes it in moves there; so tasks keep their numbers until the
 * places are closed up at the end.
 */
#ifndef PINION_PLAN_PLACES_H
#define PINION_PLAN_PLACES_H

#include "plan/build.h"

typedef struct pinion__places {
    pinion_context *ctx;
    pinion__builder *b;
    pinion_plan *plan;
    int count;
    int *task_at;  /* per place; -1: empty */
    int *place_of; /* per task */
    int *reads;    /* per storage: operands that read it */
} pinion__places;

int pinion__places_init(pinion__places *p, pinion__builder *b);
void pinion__places_fini(pinion__places *p);
/* Brings the plan's tasks into the order of their places. */
int pinion__places_close(pinion__places *p);

/* The task at a place that is not empty. */
static inline const pinion__task *pinion__places_task(const pinion__places *p, int place)
{
    return &p->plan->tasks[p->task_at[place]];
}

/* Is there a task of this kind at the place? */
bool pinion__places_is(const pinion__places *p, int place, enum pinion__op_id op, enum pinion__pass pass);

/* Where an operand stands in the task's pass; -1: it has none such. */
int pinion__operand_of(const pinion__task *task, enum pinion__role role, int index);
/* The tensor of an operand, -1: absent. */
int pinion__tensor_of(const pinion__task *task, enum pinion__role role, int index);

/* The first place from `from` on towards `end` (exclusive), up or down, whose task reads or writes (`access`) the
 * storage of the tensor; -1: none. */
int pinion__places_search(const pinion__places *p, int tensor, unsigned access, int from, int end);
/* Operands that read the tensor's storage; INT_MAX where it is read after the step too. */
int pinion__places_readers(const pinion__places *p, int tensor);

/* Can every processor that is able to run task t, which is to be replaced, run `task` by the kernel that it prefers for
 * t? And is there such a processor? */
bool pinion__places_can_replace(const pinion__places *p, int t, const pinion__task *task);
void pinion__places_replace(pinion__places *p, int t, const pinion__task *task);
void pinion__places_drop(pinion__places *p, int place);
void pinion__places_move(pinion__places *p, int t, int place);

#endif
