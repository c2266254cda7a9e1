/* SPDX-License-Identifier: Apache-2.0
 *
 * The edges: which tasks must be done before a task may start. They are found in one walk over the serial order that
 * keeps, for every byte, its last writer and the readers since. A read follows the last writer of its bytes; a write
 * follows last writer and readers. Because the arena is one range of bytes, a storage that takes over the bytes of
 * another follows all its users by the same rule. Scratch counts as written, and so does what is handed over.
 *
 * Afterwards edges that others imply are dropped: of t's predecessors, nearest first, those stay that no kept one has
 * among its ancestors.
 */
#include "plan/build.h"

#include <stdlib.h>
#include <string.h>

enum space { ARENA, WEIGHTS, MOMENTS, PREPARED, BATCH, LABELS, PRIOR, SPACES };

typedef struct access {
    size_t begin, end; /* bytes */
    int task;
    bool write;
} access_record;

typedef struct history {
    access_record *at;
    size_t count, capacity;
} history;

typedef struct walk {
    pinion_context *ctx;
    pinion_plan *plan;
    history spaces[SPACES];
    bool *before;        /* per task: an edge from it to the current task */
    uint64_t *ancestors; /* task_count rows of `words` */
    uint64_t *reached;   /* one row */
    size_t words;
} walk;

static int space_of(const pinion__storage *storage)
{
    switch (storage->place) {
    case PINION__PLACE_ARENA:
        return ARENA;
    case PINION__PLACE_WEIGHTS:
        return WEIGHTS;
    case PINION__PLACE_MOMENTS:
        return MOMENTS;
    case PINION__PLACE_PREPARED:
        return PREPARED;
    case PINION__PLACE_BATCH:
        return BATCH;
    case PINION__PLACE_PRIOR:
        return PRIOR;
    default:
        return LABELS;
    }
}

static int add_record(walk *w, history *space, access_record record)
{
    pinion_context *ctx = w->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &space->at, &space->capacity, space->count + 1, sizeof *space->at, "edges of a plan"));
    space->at[space->count++] = record;
fail:
    return status;
}

/* Records an access of task `now`. What a write covers is forgotten: whoever touches those bytes later follows the
 * write. */
static int touch(walk *w, history *space, access_record now)
{
    pinion_context *ctx = w->ctx;
    int status = PINION_OK;
    size_t kept = 0, count = space->count;
    for (size_t i = 0; i < count; i++) {
        access_record old = space->at[i];
        bool meets = old.begin < now.end && now.begin < old.end;
        if (meets && old.task != now.task && (old.write || now.write))
            w->before[old.task] = true;
        if (!meets || !now.write) {
            space->at[kept++] = old;
            continue;
        }
        access_record head = old, tail = old;
        head.end = now.begin, tail.begin = now.end;
        bool has_head = old.begin < now.begin, has_tail = now.end < old.end;
        if (has_head || has_tail)
            space->at[kept++] = has_head ? head : tail;
        if (has_head && has_tail)
            PINION_TRY(add_record(w, space, tail));
    }
    if (space->count > count)
        memmove(space->at + kept, space->at + count, (space->count - count) * sizeof *space->at);
    space->count -= count - kept;
    PINION_TRY(add_record(w, space, now));
fail:
    return status;
}

static int touch_tensor(walk *w, int task, const pinion__tensor *tensor, bool write)
{
    const pinion__storage *storage = &w->plan->storages[tensor->storage];
    size_t begin = storage->offset + tensor->offset;
    return touch(w, &w->spaces[space_of(storage)],
                 (access_record){begin, begin + pinion__tensor_bytes(tensor), task, write});
}

/* Reads come first, so that a task that reads and writes the same bytes follows the writer before it. */
static int touch_operands(walk *w, int index, bool writes)
{
    pinion_context *ctx = w->ctx;
    int status = PINION_OK;
    const pinion__task *task = &w->plan->tasks[index];
    const pinion__operands *operands = &task->op->pass[task->pass];
    for (int i = 0; i < operands->count; i++) {
        bool write = (operands->at[i].access & PINION__WRITE) != 0;
        if (task->operand[i] >= 0 && write == writes)
            PINION_TRY(touch_tensor(w, index, &w->plan->tensors[task->operand[i]], write));
    }
fail:
    return status;
}

static int touch_storage(walk *w, int task, int index, bool write)
{
    if (index < 0)
        return PINION_OK;
    const pinion__storage *storage = &w->plan->storages[index];
    return touch(w, &w->spaces[space_of(storage)],
                 (access_record){storage->offset, storage->offset + storage->bytes, task, write});
}

static int touch_all(walk *w, int index)
{
    pinion_context *ctx = w->ctx;
    int status = PINION_OK;
    PINION_TRY(touch_operands(w, index, false));
    PINION_TRY(touch_operands(w, index, true));
    const pinion__task *task = &w->plan->tasks[index];
    PINION_TRY(touch_storage(w, index, task->scratch, true));
    PINION_TRY(touch_storage(w, index, task->prepared, task->prepare));
    PINION_TRY(touch_storage(w, index, task->hand_over.present ? task->hand_over.storage : -1, true));
fail:
    return status;
}

static bool has_bit(const uint64_t *row, int bit)
{
    return (row[bit / 64] >> (bit % 64)) & 1;
}

/* Turns w->before into the task's list without the edges that others imply, and clears it. */
static int close_task(walk *w, int index)
{
    pinion_context *ctx = w->ctx;
    int status = PINION_OK;
    pinion__task *task = &w->plan->tasks[index];
    int count = 0;
    memset(w->reached, 0, w->words * sizeof *w->reached);
    for (int other = index - 1; other >= 0; other--) {
        if (!w->before[other])
            continue;
        w->before[other] = !has_bit(w->reached, other);
        if (!w->before[other])
            continue;
        count++;
        w->reached[other / 64] |= UINT64_C(1) << (other % 64);
        for (size_t i = 0; i < w->words; i++)
            w->reached[i] |= w->ancestors[(size_t)other * w->words + i];
    }
    memcpy(w->ancestors + (size_t)index * w->words, w->reached, w->words * sizeof *w->reached);
    if (count)
        PINION_TRY(pinion__alloc(ctx, (size_t)count, sizeof *task->after, "edges of a plan", &task->after));
    for (int other = 0; other < index; other++)
        if (w->before[other])
            task->after[task->after_count++] = other;
    memset(w->before, 0, (size_t)index * sizeof *w->before);
fail:
    return status;
}

/* The gate stands behind all that writes the losses: slices of a batch do so one by one. */
static void follow_losses(walk *w)
{
    const pinion_plan *plan = w->plan;
    for (int t = 0; t < plan->gate; t++)
        for (int i = 0; i < PINION__MAX_OPERANDS; i++) {
            int tensor = plan->tasks[t].operand[i];
            if (tensor >= 0 && plan->tensors[tensor].storage == plan->tensors[plan->loss].storage)
                w->before[t] = true;
        }
}

int pinion__plan_order(pinion_plan *plan)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    walk w = {.ctx = ctx, .plan = plan, .words = (plan->task_count + 63) / 64};
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->task_count + 1, sizeof *w.before, "edges of a plan", &w.before));
    PINION_TRY(pinion__alloc_zeroed(ctx, w.words + 1, sizeof *w.reached, "edges of a plan", &w.reached));
    PINION_TRY(
        pinion__alloc(ctx, plan->task_count * w.words + 1, sizeof *w.ancestors, "edges of a plan", &w.ancestors));
    for (int t = 0; t < (int)plan->task_count; t++) {
        PINION_TRY(touch_all(&w, t));
        if (t == plan->gate)
            follow_losses(&w);
        if (plan->gate >= 0 && t > plan->gate)
            w.before[plan->gate] = true;
        PINION_TRY(close_task(&w, t));
    }
fail:
    for (int i = 0; i < SPACES; i++)
        pinion__release(ctx, w.spaces[i].at);
    pinion__release(ctx, w.ancestors);
    pinion__release(ctx, w.reached);
    pinion__release(ctx, w.before);
    return status;
}
