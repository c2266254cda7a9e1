/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a placement problem (plan/problem.h). Where the time of a task on a processor that can do it is not known,
 * an estimate from its work stands in, the same for every processor but for a preference of the first ones, so that
 * what is not known is placed as if there was only the first processor.
 */
#include "plan/problem.h"

#include "plan/candidates.h"
#include "plan/co_run.h"

#include <math.h>
#include <string.h>

/* What a middling core does in a second. */
static const double macs_a_ms = 100e6, bytes_a_ms = 10e6;
static const double preference = 1e-3;

static const pinion__operands *operands_of(const pinion__task *task)
{
    return &task->op->pass[task->pass];
}

static bool takes_part(const pinion_plan *plan, int t)
{
    return t >= plan->prologue && !plan->tasks[t].hand_over.present;
}

static double estimate_ms(const pinion_plan *plan, const pinion__task *task, int processor)
{
    double bytes = 0;
    for (int i = 0; i < operands_of(task)->count; i++)
        if (task->operand[i] >= 0)
            bytes += (double)pinion__tensor_bytes(&plan->tensors[task->operand[i]]);
    return (task->macs / macs_a_ms + bytes / bytes_a_ms + 0.001) * (1 + preference * processor);
}

/* A task that was selected by another way than candidates (a recomputed form) runs where it is. */
static double time_on(const pinion_plan *plan, const pinion__task *task, int processor, bool *known)
{
    double ms = pinion__candidates_best_ms(plan, task, processor);
    if (atomic_load(&plan->processors[processor]->failure))
        return (double)INFINITY;
    if (!task->record)
        ms = processor == task->processor ? (double)NAN : (double)INFINITY;
    if (!isnan(ms))
        return ms;
    *known = false;
    return estimate_ms(plan, task, processor);
}

static void fill_times(const pinion_plan *plan, pinion__problem *p)
{
    int processors = plan->processor_count;
    p->known = true;
    for (int t = 0; t < (int)plan->task_count; t++) {
        const pinion__task *task = &plan->tasks[t];
        p->times[t] = task->pass == PINION__UPDATE ? 1 : plan->micro_batches;
        p->work_class[t] = (int)pinion__work_class_of(plan, task);
        p->unit[t] = task->layer < 0 ? -1 : 2 * task->layer + (task->pass != PINION__FORWARD);
        for (int q = 0; q < processors; q++)
            p->ms[t * processors + q] = takes_part(plan, t) ? time_on(plan, task, q, &p->known) : 0;
    }
}

/* ---- uses ---- */

/* How a task uses a storage; several operands may lie in it. */
typedef struct storage_use {
    int storage;
    bool reads, writes;
} storage_use;

enum { MAX_USES = PINION__MAX_OPERANDS + 2 };

static void add_use(storage_use *list, int *count, int storage, bool reads, bool writes)
{
    int i = 0;
    while (i < *count && list[i].storage != storage)
        i++;
    if (i == *count)
        list[(*count)++] = (storage_use){.storage = storage};
    list[i].reads = list[i].reads || reads;
    list[i].writes = list[i].writes || writes;
}

/* A task that writes only a part leaves the rest as it was: it counts as a reader. */
static bool fills(const pinion_plan *plan, const pinion__tensor *tensor)
{
    return tensor->ld == tensor->c && pinion__tensor_bytes(tensor) == plan->storages[tensor->storage].bytes;
}

static int list_uses(const pinion_plan *plan, int t, storage_use list[MAX_USES])
{
    const pinion__task *task = &plan->tasks[t];
    int count = 0;
    if (!takes_part(plan, t))
        return 0;
    for (int i = 0; i < operands_of(task)->count; i++) {
        const pinion__operand *operand = &operands_of(task)->at[i];
        if (task->operand[i] < 0)
            continue;
        const pinion__tensor *tensor = &plan->tensors[task->operand[i]];
        bool writes = (operand->access & PINION__WRITE) != 0;
        bool adds = (task->accumulate || task->adds_up) &&
                    (operand->role == PINION__D_INPUT || operand->role == PINION__D_PARAM);
        bool reads = adds || (operand->access & PINION__READ) || (writes && !fills(plan, tensor));
        add_use(list, &count, tensor->storage, reads, writes);
    }
    if (task->scratch >= 0)
        add_use(list, &count, task->scratch, false, true);
    if (task->prepared >= 0)
        add_use(list, &count, task->prepared, true, false);
    return count;
}

static int fill_uses(const pinion_plan *plan, pinion__problem *p)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK, total = 0;
    storage_use list[MAX_USES];
    for (int t = 0; t < (int)plan->task_count; t++) {
        int count = list_uses(plan, t, list);
        total += count;
        for (int i = 0; i < count; i++)
            p->storages[list[i].storage].use_count++;
    }
    PINION_TRY(pinion__alloc(ctx, (size_t)total + 1, sizeof *p->uses, "a placement", &p->uses));
    int next = 0;
    for (size_t s = 0; s < plan->storage_count; s++) {
        const pinion__storage *storage = &plan->storages[s];
        p->storages[s].bytes = storage->bytes;
        p->storages[s].host_home = storage->kept || pinion__storage_is_given(storage);
        p->storages[s].first_use = next;
        next += p->storages[s].use_count;
        p->storages[s].use_count = 0;
    }
    for (int t = 0; t < (int)plan->task_count; t++) {
        int count = list_uses(plan, t, list);
        for (int i = 0; i < count; i++) {
            pinion__placement_storage *storage = &p->storages[list[i].storage];
            p->uses[storage->first_use + storage->use_count++] =
                (pinion__placement_use){.task = t, .reads = list[i].reads, .writes = list[i].writes};
        }
    }
fail:
    return status;
}

/* ---- processors and edges ---- */

static int fill_processors(const pinion_plan *plan, pinion__problem *p)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK, count = plan->processor_count;
    const pinion__processor *first = NULL;
    for (int q = 0; q < count; q++) {
        const pinion__processor *processor = plan->processors[q];
        p->device[q] = processor->domain != NULL;
        first = first || !p->device[q] ? first : processor;
        PINION_FAIL_IF(p->device[q] && processor->domain != first->domain, PINION_EUNSUPPORTED,
                       "processors '%s' and '%s' have memories of their own: a plan takes processors of one only",
                       first->name, processor->name);
        for (int other = 0; other < count; other++)
            if (other != q && pinion__processors_share_cores(processor, plan->processors[other]))
                p->rivals[q] |= UINT32_C(1) << other;
    }
    pinion__co_run_factors(plan, p->slowdown);
fail:
    return status;
}

/* What stands behind the gate waits for it. */
static int fill_edges(const pinion_plan *plan, pinion__problem *p)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK, count = 0;
    PINION_TRY(pinion__alloc(ctx, plan->task_count + 1, sizeof *p->edges, "a placement", &p->edges));
    for (int t = plan->gate + 1; plan->gate >= 0 && t < (int)plan->task_count; t++, count++) {
        p->edges[count][0] = plan->gate;
        p->edges[count][1] = t;
    }
    p->of.edge_count = count;
fail:
    return status;
}

int pinion__problem_build(const pinion_plan *plan, pinion__problem *out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    size_t tasks = plan->task_count, processors = (size_t)plan->processor_count;
    pinion__problem p = {.known = true};
    PINION_TRY(pinion__alloc(ctx, tasks * processors + 1, sizeof *p.ms, "a placement", &p.ms));
    PINION_TRY(pinion__alloc(ctx, tasks + 1, sizeof *p.times, "a placement", &p.times));
    PINION_TRY(pinion__alloc(ctx, tasks + 1, sizeof *p.unit, "a placement", &p.unit));
    PINION_TRY(pinion__alloc(ctx, tasks + 1, sizeof *p.work_class, "a placement", &p.work_class));
    PINION_TRY(pinion__alloc(ctx, PINION__WORK_CLASSES * processors * processors, sizeof *p.slowdown, "a placement",
                             &p.slowdown));
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->storage_count + 1, sizeof *p.storages, "a placement", &p.storages));
    PINION_TRY(fill_processors(plan, &p));
    PINION_TRY(fill_uses(plan, &p));
    PINION_TRY(fill_edges(plan, &p));
    fill_times(plan, &p);
    p.of = (pinion__placement_problem){.ctx = ctx,
                                       .task_count = (int)tasks,
                                       .processor_count = (int)processors,
                                       .storage_count = (int)plan->storage_count,
                                       .ms = p.ms,
                                       .storages = p.storages,
                                       .uses = p.uses,
                                       .costs = &plan->hand_over_costs,
                                       .times = p.times,
                                       .unit = p.unit,
                                       .edges = (const int(*)[2])p.edges,
                                       .edge_count = p.of.edge_count,
                                       .slowdown = p.slowdown,
                                       .work_class = p.work_class};
    *out = p;
    out->of.device = out->device;
    out->of.rivals = out->rivals;
    return PINION_OK;
fail:
    pinion__problem_fini(ctx, &p);
    return status;
}

void pinion__problem_fini(pinion_context *ctx, pinion__problem *problem)
{
    pinion__release(ctx, problem->ms);
    pinion__release(ctx, problem->times);
    pinion__release(ctx, problem->storages);
    pinion__release(ctx, problem->uses);
    pinion__release(ctx, problem->unit);
    pinion__release(ctx, problem->edges);
    pinion__release(ctx, problem->slowdown);
    pinion__release(ctx, problem->work_class);
    memset(problem, 0, sizeof *problem);
}
