/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs in the bytes of inputs. Where a task is the last user of an input in the serial order, backward included, and
 * the first of its output, and its pass may work in place (op/in_place.h), the output's tensors move into the input's
 * storage.
 */
#include "op/in_place.h"
#include "plan/build.h"

typedef struct lives {
    int first, last; /* tasks that use the storage, -1: none */
} lives;

static void find_lives(const pinion_plan *plan, lives *of)
{
    for (size_t s = 0; s < plan->storage_count; s++)
        of[s] = (lives){-1, -1};
    for (int t = 0; t < (int)plan->task_count; t++)
        for (int i = 0; i < PINION__MAX_OPERANDS; i++) {
            if (plan->tasks[t].operand[i] < 0)
                continue;
            lives *at = &of[plan->tensors[plan->tasks[t].operand[i]].storage];
            at->first = at->first < 0 ? t : at->first;
            at->last = t;
        }
}

/* The storage in the arena that the operand alone fills, and nobody else of the task's operands uses; -1: none. */
static int whole_storage(const pinion_plan *plan, const pinion__task *task, int operand)
{
    if (task->operand[operand] < 0)
        return -1;
    const pinion__tensor *tensor = &plan->tensors[task->operand[operand]];
    const pinion__storage *storage = &plan->storages[tensor->storage];
    if (storage->place != PINION__PLACE_ARENA || tensor->offset != 0 || storage->bytes != pinion__tensor_bytes(tensor))
        return -1;
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        if (i != operand && task->operand[i] >= 0 && plan->tensors[task->operand[i]].storage == tensor->storage)
            return -1;
    return tensor->storage;
}

static void move(pinion_plan *plan, lives *of, int from, int to)
{
    for (size_t i = 0; i < plan->tensor_count; i++)
        if (plan->tensors[i].storage == from)
            plan->tensors[i].storage = to;
    plan->storages[to].kept = plan->storages[from].kept;
    of[to].last = of[from].last;
    of[from] = (lives){-1, -1};
}

static void try_row(pinion_plan *plan, lives *of, int t, const pinion__in_place *row)
{
    const pinion__task *task = &plan->tasks[t];
    if (task->op->id != row->op || task->pass != row->pass || task->accumulate)
        return;
    int output = whole_storage(plan, task, row->output), input = whole_storage(plan, task, row->input);
    if (output < 0 || input < 0 || plan->storages[output].bytes != plan->storages[input].bytes)
        return;
    if (of[output].first == t && of[input].first < t && of[input].last == t && !plan->storages[input].kept)
        move(plan, of, output, input);
}

int pinion__build_in_place(pinion_plan *plan)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    lives *of = NULL;
    PINION_TRY(pinion__alloc(ctx, plan->storage_count + 1, sizeof *of, "a plan", &of));
    find_lives(plan, of);
    for (int t = 0; t < (int)plan->task_count; t++)
        for (int row = 0; row < PINION__IN_PLACE_ROWS; row++)
            try_row(plan, of, t, &pinion__in_place_table[row]);
fail:
    pinion__release(ctx, of);
    return status;
}
