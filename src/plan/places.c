/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of tasks while fusion rewrites it: see places.h.
 */
#include "plan/places.h"

#include <limits.h>
#include <string.h>

static const pinion__operands *operands_of(const pinion__task *task)
{
    return &task->op->pass[task->pass];
}

static int storage_of(const pinion__places *p, int tensor)
{
    return p->plan->tensors[tensor].storage;
}

int pinion__operand_of(const pinion__task *task, enum pinion__role role, int index)
{
    const pinion__operands *operands = operands_of(task);
    for (int i = 0; i < operands->count; i++)
        if (operands->at[i].role == role && operands->at[i].index == index)
            return i;
    return -1;
}

int pinion__tensor_of(const pinion__task *task, enum pinion__role role, int index)
{
    int operand = pinion__operand_of(task, role, index);
    return operand < 0 ? -1 : task->operand[operand];
}

bool pinion__places_is(const pinion__places *p, int place, enum pinion__op_id op, enum pinion__pass pass)
{
    int t = p->task_at[place];
    return t >= 0 && p->plan->tasks[t].op->id == op && p->plan->tasks[t].pass == pass;
}

static bool uses(const pinion__places *p, const pinion__task *task, int storage, unsigned access)
{
    const pinion__operands *operands = operands_of(task);
    for (int i = 0; i < operands->count; i++)
        if (task->operand[i] >= 0 && (operands->at[i].access & access) && storage_of(p, task->operand[i]) == storage)
            return true;
    return false;
}

int pinion__places_search(const pinion__places *p, int tensor, unsigned access, int from, int end)
{
    int step = from < end ? 1 : -1;
    for (int place = from; place != end; place += step)
        if (p->task_at[place] >= 0 && uses(p, pinion__places_task(p, place), storage_of(p, tensor), access))
            return place;
    return -1;
}

int pinion__places_readers(const pinion__places *p, int tensor)
{
    int storage = storage_of(p, tensor);
    return p->plan->storages[storage].kept ? INT_MAX : p->reads[storage];
}

static const pinion__kernel *preferred(const pinion_plan *plan, const pinion__task *task, int processor)
{
    pinion__task there = *task;
    there.processor = processor;
    pinion__args args = pinion__plan_task_args(plan, &there);
    int cursor = 0;
    const pinion__processor *on = plan->processors[processor];
    return pinion__kernel_next(task->op->id, task->pass, on->kernel_kind, on->isa, &args, &cursor);
}

/* A processor that cannot run the task now need not run it then. */
bool pinion__places_can_replace(const pinion__places *p, int t, const pinion__task *task)
{
    int able = 0;
    for (int i = 0; i < p->plan->processor_count; i++) {
        const pinion__kernel *now = preferred(p->plan, &p->plan->tasks[t], i);
        if (now && now != preferred(p->plan, task, i))
            return false;
        able += now != NULL;
    }
    return able > 0;
}

static void count_reads(pinion__places *p, const pinion__task *task, int by)
{
    const pinion__operands *operands = operands_of(task);
    for (int i = 0; i < operands->count; i++)
        if (task->operand[i] >= 0 && (operands->at[i].access & PINION__READ))
            p->reads[storage_of(p, task->operand[i])] += by;
}

void pinion__places_replace(pinion__places *p, int t, const pinion__task *task)
{
    count_reads(p, &p->plan->tasks[t], -1);
    count_reads(p, task, 1);
    p->plan->tasks[t] = *task;
}

void pinion__places_drop(pinion__places *p, int place)
{
    count_reads(p, pinion__places_task(p, place), -1);
    p->task_at[place] = -1;
}

void pinion__places_move(pinion__places *p, int t, int place)
{
    p->task_at[p->place_of[t]] = -1;
    p->task_at[place] = t;
    p->place_of[t] = place;
}

int pinion__places_init(pinion__places *p, pinion__builder *b)
{
    enum { ADDED = 2 }; /* storages that rules make for a task, at most */
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    size_t storages = plan->storage_count + ADDED * plan->task_count;
    *p = (pinion__places){.ctx = ctx, .b = b, .plan = plan, .count = (int)plan->task_count};
    PINION_TRY(pinion__alloc(ctx, plan->task_count, sizeof *p->task_at, "a plan", &p->task_at));
    PINION_TRY(pinion__alloc(ctx, plan->task_count, sizeof *p->place_of, "a plan", &p->place_of));
    PINION_TRY(pinion__alloc_zeroed(ctx, storages, sizeof *p->reads, "a plan", &p->reads));
    for (int t = 0; t < p->count; t++) {
        p->task_at[t] = p->place_of[t] = t;
        count_reads(p, &plan->tasks[t], 1);
    }
fail:
    return status;
}

void pinion__places_fini(pinion__places *p)
{
    pinion__release(p->ctx, p->task_at);
    pinion__release(p->ctx, p->place_of);
    pinion__release(p->ctx, p->reads);
}

int pinion__places_close(pinion__places *p)
{
    pinion_context *ctx = p->ctx;
    pinion_plan *plan = p->plan;
    int status = PINION_OK, gate = plan->gate;
    pinion__task *tasks = NULL;
    PINION_TRY(pinion__alloc(ctx, (size_t)p->count, sizeof *tasks, "tasks of a plan", &tasks));
    plan->task_count = 0;
    for (int place = 0; place < p->count; place++) {
        if (p->task_at[place] < 0)
            continue;
        if (p->task_at[place] == gate)
            plan->gate = (int)plan->task_count;
        tasks[plan->task_count++] = plan->tasks[p->task_at[place]];
    }
    memcpy(plan->tasks, tasks, plan->task_count * sizeof *tasks);
fail:
    pinion__release(ctx, tasks);
    return status;
}
