/* SPDX-License-Identifier: Apache-2.0
 *
 * A training plan's task list with some activations dropped after the forward pass and computed once more in the
 * backward pass. A walk over the list gives the sequence of tasks for one set of dropped storages, with the lives of
 * all storages and the time that it adds; the plan itself stays as it is until `apply`.
 *
 * What a forward task writes into a storage is a value; a storage that is written several times holds several values
 * one after the other. A value that a task of the backward pass reads, and that is not there any more, is made by the
 * form of the task that made it: the same task with the same kernel, on storages of its own. Two forms differ from
 * their tasks, not in bits: a batch normalisation becomes `normalise` with the constants it saved, so that running
 * statistics are left alone, and partial statistics of an output (op/stats.h) are not made again. What a form reads is
 * made in the same way where it is gone too. Forms stand directly in front of the task that needs them, and so before
 * their own layer's update: they read the weights that the forward pass read.
 */
#ifndef PINION_PLAN_REWRITE_H
#define PINION_PLAN_REWRITE_H

#include "plan/build.h"

enum { PINION__REWRITE_USES = PINION__MAX_OPERANDS + 1 }; /* operands, scratch */

/* A task of the sequence. */
typedef struct pinion__rewrite_step {
    int task;                          /* of the plan */
    bool again;                        /* its form */
    int storage[PINION__REWRITE_USES]; /* of each operand and of the scratch; -1: none */
} pinion__rewrite_step;

typedef struct pinion__rewrite_storage {
    size_t bytes; /* a multiple of the alignment */
    int first, last;
    int value; /* that it was made for; -1: it is the plan's */
} pinion__rewrite_storage;

typedef struct pinion__value {
    int storage;
    int task; /* that makes it */
} pinion__value;

typedef struct pinion__rewrite {
    pinion_context *ctx;
    pinion_plan *plan;
    int tasks, storages, values; /* of the plan */
    size_t align;
    pinion__task *forms;     /* per forward task; op NULL: it cannot be done again */
    double *seconds_of;      /* per forward task: its form */
    int *form_value;         /* per forward task and operand of its form: the value read or written; -1: no value */
    pinion__value *value_at; /* values */
    int *final_value;        /* per storage: what it holds after the forward pass; -1: nothing */
    bool *droppable;         /* per storage */
    bool *needed;            /* per storage: a task of the backward pass reads its final value */

    /* Of the last walk. */
    bool *lost;   /* per storage of the plan: the backward pass has overwritten it */
    int *renamed; /* per storage of the plan: what stands for it from here on in the backward pass */
    int *made;    /* per value: the storage it was made in once more; -1: none */
    int *stack;   /* values that are being made; a value is never twice on it */
    int depth;
    pinion__rewrite_step *steps;
    size_t step_count, step_capacity;
    pinion__rewrite_storage *at; /* the plan's storages, then further ones */
    size_t storage_count, storage_capacity;
    size_t *live; /* per step */
    size_t live_capacity;
    bool possible;
    double seconds; /* that the forms take */
    size_t peak;    /* the largest of live */
} pinion__rewrite;

/* How long a task takes, measured or, where that is not known, estimated. */
double pinion__rewrite_seconds(const pinion_plan *plan, const pinion__task *task);

/* On failure fini is called by the caller too. */
int pinion__rewrite_init(pinion__rewrite *r, pinion_plan *plan);
void pinion__rewrite_fini(pinion__rewrite *r);

/* dropped: per storage of the plan; only droppable ones may be. Sets r->possible. */
int pinion__rewrite_walk(pinion__rewrite *r, const bool *dropped);

/* The arena of the last walk's sequence. */
int pinion__rewrite_arena(pinion__rewrite *r, size_t *bytes);

/* The last walk's sequence becomes the plan's. */
int pinion__rewrite_apply(pinion__rewrite *r);

#endif
