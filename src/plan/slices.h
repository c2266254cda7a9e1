/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that cut a batch into slices (slices.c) share.
 */
#ifndef PINION_PLAN_SLICES_H
#define PINION_PLAN_SLICES_H

#include "plan/places.h"

typedef struct pinion__slicing {
    pinion_context *ctx;
    pinion__builder *b;
    pinion_plan *plan;
    int slices;
    int *tensor_of, *storage_of;   /* the piece of each tensor and storage there was, for each slice; -1: none yet */
    bool *gathered;                /* of tensors there were: the slices' pieces are copied into it */
    bool *whole;                   /* of storages there were: it holds all samples */
    int turn[PINION__MAX_SLICES];  /* slices as their tasks stand */
    int first[PINION__MAX_SLICES]; /* samples in front of a slice */
    pinion__task *tasks;           /* the new list */
    size_t count, capacity;
} pinion__slicing;

/* slices_pieces.c */

/* Does the tensor hold something of each sample, so that slices have parts of it? */
bool pinion__slicing_divides(const pinion__slicing *s, int tensor);
int pinion__slicing_storage(pinion__slicing *s, pinion__storage storage, int *out);
/* A slice's piece of a tensor, made when it is asked for first: its samples or, of what is no part of the batch, a
 * tensor of the same shape. */
int pinion__slicing_piece(pinion__slicing *s, int tensor, int slice, int *out);
/* Partial statistics of a slice of `of`: their blocks are cut by the slice's shape. `tensor` stands for those of the
 * batch, of which there need be none (-1). */
int pinion__slicing_stats(pinion__slicing *s, int tensor, int of, int slice, int *out);
int pinion__slicing_append(pinion__slicing *s, const pinion__task *task);
/* A task that takes a part of another's work, with no operands yet. */
pinion__task pinion__slicing_derive(const pinion__task *from, enum pinion__op_id op, enum pinion__pass pass);
/* What makes it the task of a slice. */
void pinion__slicing_assign(const pinion__slicing *s, pinion__task *task, int slice);

/* slices.c: a task for each slice; and sums of pieces, whole = ((first + second) + third) + fourth. */
int pinion__slicing_slice(pinion__slicing *s, const pinion__task *of);
int pinion__slicing_add(pinion__slicing *s, const pinion__task *of, const int pieces[], int whole);

/* slices_whole.c: copies the pieces of a tensor into it; a backward_weights that is not cut. */
int pinion__slicing_gather(pinion__slicing *s, const pinion__task *of, int tensor);
/* The same of an activation, which does not change: the first time only. */
int pinion__slicing_gather_once(pinion__slicing *s, const pinion__task *of, int tensor);
int pinion__slicing_whole(pinion__slicing *s, const pinion__task *of);

/* slices_joined.c: layers whose batch is not cut; the loss (layer -1) is behind them all. */
static inline bool pinion__slicing_is_joined(const pinion__slicing *s, const pinion__task *task)
{
    return s->plan->joined && (task->layer < 0 || task->layer >= s->plan->joined);
}
bool pinion__slicing_has_weights(const pinion__op *op);
void pinion__slicing_mark_whole(pinion__slicing *s);
int pinion__slicing_join(pinion__slicing *s, const pinion__task *of);

/* slices_batchnorm.c: batch normalisation forward, and its backward_weights. */
int pinion__slicing_batchnorm(pinion__slicing *s, const pinion__task *of);
int pinion__slicing_batchnorm_gradients(pinion__slicing *s, const pinion__task *of);

#endif
