/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk of plan/rewrite.h and what comes of it.
 */
#include "plan/rewrite.h"

#include <string.h>

static const pinion__operands *operands_of(const pinion__task *task)
{
    return &task->op->pass[task->pass];
}

static const pinion__storage *storage_of(const pinion__rewrite *r, int tensor)
{
    return &r->plan->storages[r->plan->tensors[tensor].storage];
}

static bool in_arena(const pinion__rewrite *r, int storage)
{
    return storage >= r->storages || r->plan->storages[storage].place == PINION__PLACE_ARENA;
}

/* ---- lives ---- */

static int add_storage(pinion__rewrite *r, size_t bytes, int value, int *out)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &r->at, &r->storage_capacity, r->storage_count + 1, sizeof *r->at, "a plan"));
    *out = (int)r->storage_count;
    r->at[r->storage_count++] = (pinion__rewrite_storage){
        .bytes = (bytes + r->align - 1) / r->align * r->align, .first = -1, .last = -1, .value = value};
fail:
    return status;
}

static int add_step(pinion__rewrite *r, const pinion__rewrite_step *step)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &r->steps, &r->step_capacity, r->step_count + 1, sizeof *r->steps, "a plan"));
    for (int i = 0; i < PINION__REWRITE_USES; i++) {
        if (step->storage[i] < 0)
            continue;
        pinion__rewrite_storage *used = &r->at[step->storage[i]];
        used->first = used->first < 0 ? (int)r->step_count : used->first;
        used->last = (int)r->step_count;
    }
    r->steps[r->step_count++] = *step;
fail:
    return status;
}

static int find_peak(pinion__rewrite *r)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    int count = (int)r->step_count;
    PINION_TRY(pinion__grow(ctx, &r->live, &r->live_capacity, r->step_count + 2, sizeof *r->live, "a plan"));
    memset(r->live, 0, (r->step_count + 2) * sizeof *r->live);
    for (int s = 0; s < (int)r->storage_count; s++) {
        pinion__rewrite_storage *at = &r->at[s];
        if (at->first < 0 || !in_arena(r, s))
            continue;
        const pinion__storage *storage = s < r->storages ? &r->plan->storages[s] : NULL;
        if (storage && (storage->kept || storage->carried))
            at->last = count;
        if (storage && storage->carried)
            at->first = 0;
        r->live[at->first] += at->bytes;
        r->live[at->last + 1] -= at->bytes; /* sums wrap and come right */
    }
    r->peak = 0;
    for (int t = 0; t < count; t++) {
        r->live[t] += t > 0 ? r->live[t - 1] : 0;
        r->peak = r->live[t] > r->peak ? r->live[t] : r->peak;
    }
fail:
    return status;
}

int pinion__rewrite_arena(pinion__rewrite *r, size_t *bytes)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    size_t count = 0;
    pinion__block *blocks = NULL;
    PINION_TRY(pinion__alloc(ctx, r->storage_count + 1, sizeof *blocks, "the layout of a plan", &blocks));
    for (int s = 0; s < (int)r->storage_count; s++) {
        const pinion__rewrite_storage *at = &r->at[s];
        if (at->first >= 0 && in_arena(r, s))
            blocks[count++] = (pinion__block){.bytes = at->bytes, .first = at->first, .last = at->last, .storage = s};
    }
    PINION_TRY(pinion__layout_pack(ctx, blocks, count, bytes));
fail:
    pinion__release(ctx, blocks);
    return status;
}

/* ---- the walk ---- */

/* Where a value is to be found; -1: nowhere. */
static int find_value(const pinion__rewrite *r, const bool *dropped, int value)
{
    int storage = r->value_at[value].storage;
    if (r->made[value] >= 0)
        return r->made[value];
    return r->final_value[storage] == value && !dropped[storage] && !r->lost[storage] ? storage : -1;
}

/* The first value that the form reads and that is nowhere; -1: all are there. */
static int find_missing(const pinion__rewrite *r, const bool *dropped, int t)
{
    const pinion__operands *operands = operands_of(&r->forms[t]);
    for (int i = 0; i < operands->count; i++) {
        int value = r->form_value[t * PINION__MAX_OPERANDS + i];
        if (value >= 0 && (operands->at[i].access & PINION__READ) && find_value(r, dropped, value) < 0)
            return value;
    }
    return -1;
}

/* Weights that are updated by now are not those that the task read. */
static bool reads_lost(const pinion__rewrite *r, const pinion__task *form)
{
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        if (form->operand[i] >= 0 && storage_of(r, form->operand[i])->place != PINION__PLACE_ARENA &&
            r->lost[r->plan->tensors[form->operand[i]].storage])
            return true;
    return false;
}

static int run_form(pinion__rewrite *r, const bool *dropped, int t)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    const pinion__task *form = &r->forms[t];
    const pinion__operands *operands = operands_of(form);
    pinion__rewrite_step step = {.task = t, .again = true};
    for (int i = 0; i < PINION__REWRITE_USES; i++)
        step.storage[i] = -1;
    for (int i = 0; i < operands->count; i++) {
        int value = r->form_value[t * PINION__MAX_OPERANDS + i];
        if (form->operand[i] < 0)
            continue;
        if (value < 0)
            step.storage[i] = r->plan->tensors[form->operand[i]].storage;
        else if (operands->at[i].access & PINION__READ)
            step.storage[i] = find_value(r, dropped, value);
    }
    for (int i = 0; i < operands->count; i++) {
        int value = r->form_value[t * PINION__MAX_OPERANDS + i];
        if (form->operand[i] < 0 || value < 0 || !(operands->at[i].access & PINION__WRITE))
            continue;
        PINION_TRY(add_storage(r, storage_of(r, form->operand[i])->bytes, value, &step.storage[i]));
        r->made[value] = step.storage[i];
    }
    if (form->scratch_bytes)
        PINION_TRY(add_storage(r, form->scratch_bytes, -1, &step.storage[PINION__MAX_OPERANDS]));
    PINION_TRY(add_step(r, &step));
    r->seconds += r->seconds_of[t];
    r->possible = r->possible && !reads_lost(r, form);
fail:
    return status;
}

/* Makes a value and all that it takes, deepest first. A value is made from values of earlier tasks, so this ends. */
static int make_value(pinion__rewrite *r, const bool *dropped, int value)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    int depth = 0;
    r->stack[depth++] = value;
    while (depth > 0 && r->possible) {
        int t = r->value_at[r->stack[depth - 1]].task;
        if (!r->forms[t].op) {
            r->possible = false;
            break;
        }
        int missing = find_missing(r, dropped, t);
        if (missing >= 0) {
            r->stack[depth++] = missing;
            continue;
        }
        PINION_TRY(run_form(r, dropped, t));
        depth--;
    }
fail:
    return status;
}

/* Which storage stands for one of the plan's in the backward pass. What its first user there overwrites is not made. */
static int rename_storage(pinion__rewrite *r, const bool *dropped, int storage, bool read, int *out)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    int value = r->final_value[storage];
    if (value >= 0 && r->renamed[storage] < 0) {
        if (read && find_value(r, dropped, value) < 0)
            PINION_TRY(make_value(r, dropped, value));
        int found = read && r->possible ? find_value(r, dropped, value) : -1;
        r->renamed[storage] = found >= 0 ? found : storage;
    }
    *out = r->renamed[storage] >= 0 ? r->renamed[storage] : storage;
fail:
    return status;
}

static bool reads_storage(const pinion__rewrite *r, const pinion__task *task, int storage)
{
    const pinion__operands *operands = operands_of(task);
    for (int i = 0; i < operands->count; i++) {
        bool added_to = task->accumulate && (operands->at[i].access & PINION__WRITE);
        if (task->operand[i] >= 0 && ((operands->at[i].access & PINION__READ) || added_to) &&
            r->plan->tensors[task->operand[i]].storage == storage)
            return true;
    }
    return false;
}

static void lose(pinion__rewrite *r, int storage)
{
    if (storage >= r->storages && r->at[storage].value >= 0)
        r->made[r->at[storage].value] = -1;
    else if (storage < r->storages)
        r->lost[storage] = true;
}

static int keep_task(pinion__rewrite *r, const bool *dropped, int t)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    const pinion__task *task = &r->plan->tasks[t];
    const pinion__operands *operands = operands_of(task);
    bool backward = t > r->plan->gate;
    pinion__rewrite_step step = {.task = t};
    step.storage[PINION__MAX_OPERANDS] = task->scratch;
    for (int i = 0; i < PINION__MAX_OPERANDS; i++) {
        step.storage[i] = task->operand[i] < 0 ? -1 : r->plan->tensors[task->operand[i]].storage;
        if (backward && step.storage[i] >= 0)
            PINION_TRY(
                rename_storage(r, dropped, step.storage[i], reads_storage(r, task, step.storage[i]), &step.storage[i]));
    }
    PINION_TRY(add_step(r, &step));
    for (int i = 0; i < operands->count && backward; i++)
        if (step.storage[i] >= 0 && (operands->at[i].access & PINION__WRITE))
            lose(r, step.storage[i]);
fail:
    return status;
}

int pinion__rewrite_walk(pinion__rewrite *r, const bool *dropped)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    r->step_count = r->storage_count = 0;
    r->seconds = 0;
    r->possible = true;
    for (int s = 0; s < r->storages; s++) {
        int storage;
        PINION_TRY(add_storage(r, r->plan->storages[s].bytes, -1, &storage));
        r->lost[s] = false;
        r->renamed[s] = -1;
    }
    for (int v = 0; v < r->values; v++)
        r->made[v] = -1;
    for (int t = 0; t < r->tasks && r->possible; t++)
        PINION_TRY(keep_task(r, dropped, t));
    PINION_TRY(find_peak(r));
fail:
    return status;
}

/* ---- the plan's ---- */

/* The tensor of an operand on the storage that the step has for it. */
static int place_operand(pinion__rewrite *r, int storage, int *tensor)
{
    pinion_context *ctx = r->ctx;
    pinion_plan *plan = r->plan;
    int status = PINION_OK;
    if (*tensor < 0 || plan->tensors[*tensor].storage == storage)
        return PINION_OK;
    PINION_TRY(pinion__grow(ctx, &plan->tensors, &plan->tensor_capacity, plan->tensor_count + 1, sizeof *plan->tensors,
                            "tensors of a plan"));
    plan->tensors[plan->tensor_count] = plan->tensors[*tensor];
    plan->tensors[plan->tensor_count].storage = storage;
    *tensor = (int)plan->tensor_count++;
fail:
    return status;
}

static int place_task(pinion__rewrite *r, const pinion__rewrite_step *step, pinion__task *out)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    *out = step->again ? r->forms[step->task] : r->plan->tasks[step->task];
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        PINION_TRY(place_operand(r, step->storage[i], &out->operand[i]));
    out->scratch = step->storage[PINION__MAX_OPERANDS];
    out->recomputed = step->again;
    if (step->again)
        out->start_ms = out->end_ms = 0; /* those of what it repeats */
fail:
    return status;
}

int pinion__rewrite_apply(pinion__rewrite *r)
{
    pinion_context *ctx = r->ctx;
    pinion_plan *plan = r->plan;
    int status = PINION_OK;
    pinion__task *tasks = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, r->step_count, sizeof *tasks, "tasks of a plan", &tasks));
    PINION_TRY(pinion__grow(ctx, &plan->storages, &plan->storage_capacity, r->storage_count, sizeof *plan->storages,
                            "storages of a plan"));
    for (size_t s = plan->storage_count; s < r->storage_count; s++)
        plan->storages[s] = (pinion__storage){.place = PINION__PLACE_ARENA, .bytes = r->at[s].bytes};
    plan->storage_count = r->storage_count;
    plan->recomputed = 0;
    for (size_t i = 0; i < r->step_count; i++) {
        PINION_TRY(place_task(r, &r->steps[i], &tasks[i]));
        plan->recomputed += tasks[i].recomputed;
    }
    pinion__release(ctx, plan->tasks);
    plan->tasks = tasks;
    plan->task_count = plan->task_capacity = r->step_count;
    return PINION_OK;
fail:
    pinion__release(ctx, tasks);
    return status;
}
