/* SPDX-License-Identifier: Apache-2.0
 *
 * Pieces of tensors and storages for the slices of a batch, and the tasks that use them.
 */
#include "op/stats.h"
#include "plan/slices.h"

/* Does the tensor hold something of each sample? */
bool pinion__slicing_divides(const pinion__slicing *s, int tensor)
{
    const pinion__tensor *of = &s->plan->tensors[tensor];
    enum pinion__place place = s->plan->storages[of->storage].place;
    if (place != PINION__PLACE_ARENA && !pinion__storage_is_given(&s->plan->storages[of->storage]))
        return false;
    switch (of->role) {
    case PINION__INPUT:
    case PINION__LABELS:
    case PINION__OUTPUT:
    case PINION__D_INPUT:
    case PINION__D_OUTPUT:
    case PINION__STATS:
        return true;
    case PINION__SAVED:
        return of->n == s->plan->samples; /* else it is one for the batch */
    default:
        return false;
    }
}

int pinion__slicing_storage(pinion__slicing *s, pinion__storage storage, int *out)
{
    pinion_context *ctx = s->ctx;
    pinion_plan *plan = s->plan;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &plan->storages, &plan->storage_capacity, plan->storage_count + 1,
                            sizeof *plan->storages, "storages of a plan"));
    storage.first = storage.last = -1;
    *out = (int)plan->storage_count;
    plan->storages[plan->storage_count++] = storage;
fail:
    return status;
}

/* Bytes of the caller's batch in front of a slice. */
static size_t bytes_before(const pinion__slicing *s, int storage, int slice)
{
    return s->plan->storages[storage].bytes / (size_t)s->plan->samples * (size_t)s->first[slice];
}

/* The storage of a slice's piece: its share of the bytes, or as many for what is no part of the batch. */
static int piece_of_storage(pinion__slicing *s, int storage, int slice, bool share, int *out)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    int *piece = &s->storage_of[storage * s->slices + slice];
    if (*piece < 0) {
        const pinion__storage *of = &s->plan->storages[storage];
        const size_t sample = of->bytes / (size_t)s->plan->samples;
        pinion__storage made = {.place = of->place, .bytes = of->bytes};
        if (share)
            made.bytes = sample * (size_t)s->plan->cut.n[slice];
        if (of->place != PINION__PLACE_ARENA)
            made.begin = made.offset = bytes_before(s, storage, slice);
        PINION_TRY(pinion__slicing_storage(s, made, piece));
    }
    *out = *piece;
fail:
    return status;
}

/* Slices of what the caller gives, which lies as he has it, can pass from hand to hand by themselves only where devices
 * can address them; else they stay parts of one storage. */
static bool is_indivisible(const pinion__slicing *s, int storage)
{
    const size_t alignment = pinion__plan_alignment(s->plan);
    bool divisible = true;
    for (int slice = 0; slice < s->slices; slice++)
        divisible = divisible && bytes_before(s, storage, slice) % alignment == 0;
    return s->plan->storages[storage].place != PINION__PLACE_ARENA && !divisible;
}

/* The piece of a tensor whose storage is divided with it, or has the same size in each slice. */
int pinion__slicing_piece(pinion__slicing *s, int tensor, int slice, int *out)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    int *piece = &s->tensor_of[tensor * s->slices + slice];
    if (*piece < 0) {
        pinion__tensor made = s->plan->tensors[tensor];
        bool share = pinion__slicing_divides(s, tensor);
        if (share)
            made.n = s->plan->cut.n[slice];
        if (share && (s->whole[made.storage] || is_indivisible(s, made.storage)))
            made.offset += bytes_before(s, made.storage, slice);
        else
            PINION_TRY(piece_of_storage(s, made.storage, slice, share, &made.storage));
        PINION_TRY(pinion__build_alias(s->b, &made, piece));
    }
    *out = *piece;
fail:
    return status;
}

/* Partial statistics of a slice: their blocks are cut by the slice's shape. `tensor` stands for those of the batch, of
 * which there need be none (-1). */
int pinion__slicing_stats(pinion__slicing *s, int tensor, int of, int slice, int *out)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    const pinion__tensor *x = &s->plan->tensors[of];
    pinion__tensor stats = {.role = PINION__STATS, .layer = x->layer, .h = 2, .w = 1, .c = x->c, .element_bytes = 4};
    stats.n = pinion__stats_blocks_of(s->plan->cut.n[slice], x->h, x->w).count;
    PINION_TRY(pinion__build_tensor(s->b, PINION__PLACE_ARENA, 0, &stats, out));
    if (tensor >= 0)
        s->tensor_of[tensor * s->slices + slice] = *out;
fail:
    return status;
}

int pinion__slicing_append(pinion__slicing *s, const pinion__task *task)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &s->tasks, &s->capacity, s->count + 1, sizeof *s->tasks, "tasks of a plan"));
    s->tasks[s->count++] = *task;
fail:
    return status;
}

/* A task of the whole batch that takes a part of another's work, with no operands yet. */
pinion__task pinion__slicing_derive(const pinion__task *from, enum pinion__op_id op, enum pinion__pass pass)
{
    pinion__task task = *from;
    task.op = pinion__op_get(op);
    task.pass = pass;
    task.attributes = (pinion__attributes){0};
    task.activation = PINION__ACTIVATION_NONE;
    task.accumulate = false;
    task.update.op = PINION__OP_COUNT;
    task.macs = 0;
    task.fused_count = 0;
    task.what[0] = '\0';
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        task.operand[i] = -1;
    return task;
}

/* What makes it the task of a slice. */
void pinion__slicing_assign(const pinion__slicing *s, pinion__task *task, int slice)
{
    const pinion__cut *cut = &s->plan->cut;
    task->slice = slice + 1;
    task->samples = s->plan->samples;
    task->n0 = s->first[slice];
    task->n1 = task->n0 + cut->n[slice];
    task->processor = cut->processor[slice];
    task->macs *= (double)cut->n[slice] / s->plan->samples;
}
