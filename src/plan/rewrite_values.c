/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of the forward pass, how they can be made once more, and what that costs: see plan/rewrite.h.
 */
#include "op/operands.h"
#include "plan/candidates.h"
#include "plan/rewrite.h"

#include <math.h>
#include <string.h>

/* Where no time is known: what a middling core does in a second. Only their ratio matters. */
static const double macs_a_second = 100e9, bytes_a_second = 10e9;

static const pinion__operands *operands_of(const pinion__task *task)
{
    return &task->op->pass[task->pass];
}

static const pinion__tensor *tensor_of(const pinion__rewrite *r, const pinion__task *task, int operand)
{
    return task->operand[operand] < 0 ? NULL : &r->plan->tensors[task->operand[operand]];
}

static bool fills_storage(const pinion__rewrite *r, const pinion__tensor *tensor)
{
    return tensor->offset == 0 && pinion__tensor_bytes(tensor) == r->plan->storages[tensor->storage].bytes;
}

/* The last step of a batch normalisation with what it saved. */
static pinion__task normalise_form(const pinion__task *batchnorm)
{
    pinion__task form = *batchnorm;
    form.op = pinion__op_get(PINION__OP_normalise);
    form.attributes = (pinion__attributes){0};
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        form.operand[i] = -1;
    form.operand[PINION__NORMALISE_FORWARD_X] = batchnorm->operand[PINION__BATCHNORM_FORWARD_X];
    form.operand[PINION__NORMALISE_FORWARD_CONSTANTS] = batchnorm->operand[PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS];
    form.operand[PINION__NORMALISE_FORWARD_Y] = batchnorm->operand[PINION__BATCHNORM_FORWARD_Y];
    form.operand[PINION__NORMALISE_FORWARD_ADDEND] = batchnorm->operand[PINION__BATCHNORM_FORWARD_ADDEND];
    form.what[0] = '\0';
    form.record = 0;
    form.kernel = NULL;
    form.scratch = -1;
    form.scratch_bytes = 0;
    form.macs = 0;
    return form;
}

/* A task can be done again that only writes whole storages of the arena. */
static bool can_repeat(const pinion__rewrite *r, const pinion__task *task)
{
    const pinion__operands *operands = operands_of(task);
    for (int i = 0; i < operands->count; i++) {
        const pinion__tensor *tensor = tensor_of(r, task, i);
        if (!tensor || !(operands->at[i].access & PINION__WRITE))
            continue;
        if ((operands->at[i].access & PINION__READ) || !fills_storage(r, tensor) ||
            r->plan->storages[tensor->storage].place != PINION__PLACE_ARENA)
            return false;
    }
    return true;
}

static int make_form(pinion__rewrite *r, int t)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    pinion__task form = r->plan->tasks[t];
    if (form.op->id == PINION__OP_batchnorm) {
        form = normalise_form(&form);
        if (form.operand[PINION__NORMALISE_FORWARD_CONSTANTS] < 0)
            return PINION_OK; /* nobody trains below: nothing is saved, and nothing needed */
        PINION_TRY(pinion__plan_select_task(r->plan, &form));
    }
    const pinion__operands *operands = operands_of(&form);
    for (int i = 0; i < operands->count; i++)
        if (operands->at[i].role == PINION__STATS)
            form.operand[i] = -1;
    char *stats = strstr(form.what, "+stats");
    if (stats)
        memmove(stats, stats + strlen("+stats"), strlen(stats + strlen("+stats")) + 1);
    pinion__args args = pinion__plan_task_args(r->plan, &form);
    const pinion__kernel_body *body = form.kernel->body;
    if (!can_repeat(r, &form) || (body->applicable && !body->applicable(&args)))
        return PINION_OK;
    form.scratch_bytes = body->scratch_bytes ? body->scratch_bytes(&args) : 0;
    r->forms[t] = form;
fail:
    return status;
}

double pinion__rewrite_seconds(const pinion_plan *plan, const pinion__task *task)
{
    double ms = task->record ? pinion__candidates_ms(plan, task) : (double)NAN;
    if (isfinite(ms))
        return ms * 1e-3;
    double bytes = 0;
    for (int i = 0; i < operands_of(task)->count; i++)
        if (task->operand[i] >= 0)
            bytes += (double)pinion__tensor_bytes(&plan->tensors[task->operand[i]]);
    return task->macs / macs_a_second + bytes / bytes_a_second;
}

/* What a task writes is a value of its own, but for slices of channels: they are of the value that the first of them
 * began. */
static int add_value(pinion__rewrite *r, const pinion__tensor *tensor, int t)
{
    const int storage = tensor->storage;
    if (!fills_storage(r, tensor) && r->final_value[storage] >= 0)
        return r->final_value[storage];
    r->value_at[r->values] = (pinion__value){.storage = storage, .task = t};
    return r->values++;
}

/* Numbers what task t writes, and notes what its form reads and writes. Constants that a form reads are the task's own
 * work; all else that it reads was there before the task. */
static void number_values(pinion__rewrite *r, int t, int *before)
{
    const pinion__task *task = &r->plan->tasks[t], *form = &r->forms[t];
    for (int s = 0; s < r->storages; s++)
        before[s] = r->final_value[s];
    for (int i = 0; i < operands_of(task)->count; i++) {
        const pinion__tensor *tensor = tensor_of(r, task, i);
        if (tensor && (operands_of(task)->at[i].access & PINION__WRITE))
            r->final_value[tensor->storage] = add_value(r, tensor, t);
    }
    for (int i = 0; form->op && i < operands_of(form)->count; i++) {
        const pinion__tensor *tensor = tensor_of(r, form, i);
        if (!tensor || r->plan->storages[tensor->storage].place != PINION__PLACE_ARENA)
            continue;
        const pinion__operand *operand = &operands_of(form)->at[i];
        bool own = (operand->access & PINION__WRITE) || operand->role == PINION__SAVED;
        r->form_value[t * PINION__MAX_OPERANDS + i] = own ? r->final_value[tensor->storage] : before[tensor->storage];
    }
}

static bool makes(const pinion__rewrite *r, int value)
{
    int t = r->value_at[value].task;
    for (int i = 0; r->forms[t].op && i < operands_of(&r->forms[t])->count; i++)
        if (r->form_value[t * PINION__MAX_OPERANDS + i] == value &&
            (operands_of(&r->forms[t])->at[i].access & PINION__WRITE))
            return true;
    return false;
}

/* A storage is needed where the first task of the backward pass that uses it reads it. */
static void find_needs(pinion__rewrite *r, bool *seen)
{
    for (int s = 0; s < r->storages; s++) {
        const pinion__storage *storage = &r->plan->storages[s];
        seen[s] = false;
        r->droppable[s] = storage->place == PINION__PLACE_ARENA && !storage->kept && !storage->carried &&
                          r->final_value[s] >= 0 && makes(r, r->final_value[s]);
    }
    for (int t = r->plan->gate + 1; t < r->tasks; t++) {
        const pinion__task *task = &r->plan->tasks[t];
        for (int pass = 0; pass < 2; pass++) /* reads first */
            for (int i = 0; i < operands_of(task)->count; i++) {
                const pinion__tensor *tensor = tensor_of(r, task, i);
                bool reads = (operands_of(task)->at[i].access & PINION__READ) || task->accumulate;
                if (!tensor || seen[tensor->storage] || reads != !pass)
                    continue;
                seen[tensor->storage] = true;
                r->needed[tensor->storage] = reads && r->final_value[tensor->storage] >= 0;
            }
    }
}

static int allocate(pinion__rewrite *r)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    size_t forward = (size_t)r->plan->gate + 1, most = forward * PINION__MAX_OPERANDS, storages = (size_t)r->storages;
    PINION_TRY(pinion__alloc(ctx, most, sizeof *r->form_value, "a plan", &r->form_value));
    PINION_TRY(pinion__alloc(ctx, most, sizeof *r->value_at, "a plan", &r->value_at));
    PINION_TRY(pinion__alloc(ctx, most, sizeof *r->made, "a plan", &r->made));
    PINION_TRY(pinion__alloc(ctx, most, sizeof *r->stack, "a plan", &r->stack));
    PINION_TRY(pinion__alloc(ctx, forward, sizeof *r->seconds_of, "a plan", &r->seconds_of));
    PINION_TRY(pinion__alloc(ctx, storages, sizeof *r->final_value, "a plan", &r->final_value));
    PINION_TRY(pinion__alloc(ctx, storages, sizeof *r->renamed, "a plan", &r->renamed));
    PINION_TRY(pinion__alloc(ctx, storages, sizeof *r->lost, "a plan", &r->lost));
    PINION_TRY(pinion__alloc_zeroed(ctx, storages, sizeof *r->droppable, "a plan", &r->droppable));
    PINION_TRY(pinion__alloc_zeroed(ctx, storages, sizeof *r->needed, "a plan", &r->needed));
    for (size_t i = 0; i < most; i++)
        r->form_value[i] = -1;
    for (size_t s = 0; s < storages; s++)
        r->final_value[s] = -1;
fail:
    return status;
}

int pinion__rewrite_init(pinion__rewrite *r, pinion_plan *plan)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    int *before = NULL;
    bool *seen = NULL;
    *r = (pinion__rewrite){.ctx = ctx, .plan = plan, .tasks = (int)plan->task_count};
    r->align = pinion__plan_alignment(plan);
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)plan->gate + 1, sizeof *r->forms, "a plan", &r->forms));
    for (int t = 0; t <= plan->gate; t++)
        PINION_TRY(make_form(r, t)); /* may give the plan storages for scratch */
    r->storages = (int)plan->storage_count;
    PINION_TRY(allocate(r));
    PINION_TRY(pinion__alloc(ctx, plan->storage_count, sizeof *before, "a plan", &before));
    PINION_TRY(pinion__alloc(ctx, plan->storage_count, sizeof *seen, "a plan", &seen));
    for (int t = 0; t <= plan->gate; t++) {
        number_values(r, t, before);
        r->seconds_of[t] = r->forms[t].op ? pinion__rewrite_seconds(plan, &r->forms[t]) : 0;
    }
    find_needs(r, seen);
fail:
    pinion__release(ctx, seen);
    pinion__release(ctx, before);
    return status;
}

void pinion__rewrite_fini(pinion__rewrite *r)
{
    pinion_context *ctx = r->ctx;
    pinion__release(ctx, r->forms);
    pinion__release(ctx, r->seconds_of);
    pinion__release(ctx, r->form_value);
    pinion__release(ctx, r->value_at);
    pinion__release(ctx, r->final_value);
    pinion__release(ctx, r->droppable);
    pinion__release(ctx, r->needed);
    pinion__release(ctx, r->lost);
    pinion__release(ctx, r->renamed);
    pinion__release(ctx, r->made);
    pinion__release(ctx, r->stack);
    pinion__release(ctx, r->steps);
    pinion__release(ctx, r->at);
    pinion__release(ctx, r->live);
}
