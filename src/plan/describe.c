/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling about a plan: its figures, tasks, processors, times.
 */
#include "plan/build.h"
#include "plan/candidates.h"
#include "plan/timeline.h"

#include <math.h>

static int count_hand_overs(const pinion_plan *plan)
{
    int count = 0;
    for (size_t t = 0; t < plan->task_count; t++)
        count += plan->tasks[t].hand_over.present;
    return count;
}

pinion_plan_info pinion_plan_get_info(const pinion_plan *plan)
{
    if (!plan)
        return (pinion_plan_info){0};
    return (pinion_plan_info){.tasks = (int)plan->task_count,
                              .arena_bytes = plan->arena_bytes,
                              .moments_bytes = plan->moments_bytes,
                              .total_bytes = pinion__plan_total_bytes(plan),
                              .recomputed = plan->recomputed,
                              .micro_batches = plan->micro_batches,
                              .macs = plan->macs,
                              .measured_tasks = plan->measured_tasks,
                              .measuring_ms = plan->measuring_ms,
                              .predicted_ms = plan->predicted_ms,
                              .processors = plan->processor_count,
                              .hand_overs = count_hand_overs(plan),
                              .concurrent = !plan->serial,
                              .width = plan->width};
}

pinion_comparison pinion_plan_get_comparison(const pinion_plan *plan)
{
    const double unknown = (double)NAN;
    if (!plan)
        return (pinion_comparison){unknown, unknown, unknown, unknown, unknown, unknown};
    const pinion__comparison *compared = &plan->comparison;
    return (pinion_comparison){compared->greedy_ms,     compared->layerwise_ms, compared->serial_ms,
                               compared->concurrent_ms, compared->uncut_ms,     compared->bound_ms};
}

int pinion_plan_get_processor(const pinion_plan *plan, int index, pinion_plan_processor *out)
{
    if (!plan)
        return PINION_EINVAL;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(!out, PINION_EINVAL, "pinion_plan_get_processor: expected somewhere to put the processor");
    PINION_FAIL_IF(index < 0 || index >= plan->processor_count, PINION_EINVAL, "processor %d: the plan has %d", index,
                   plan->processor_count);
    const pinion__processor *processor = plan->processors[index];
    *out = (pinion_plan_processor){.name = processor->name,
                                   .description = processor->description,
                                   .single_ms = plan->processor_count == 1 ? plan->predicted_ms
                                                                           : plan->comparison.single_ms[index]};
fail:
    return status;
}

static const char *pass_word(const pinion_plan *plan, int index)
{
    const pinion__task *task = &plan->tasks[index];
    if (task->hand_over.present)
        return "hand_over";
    return index < plan->prologue ? "prepare" : task->recomputed ? "recompute" : pinion__pass_name(task->pass);
}

static int check_task(const pinion_plan *plan, int index)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(index < 0 || (size_t)index >= plan->task_count, PINION_EINVAL, "task %d: the plan has %zu", index,
                   plan->task_count);
fail:
    return status;
}

int pinion_plan_get_task(const pinion_plan *plan, int index, pinion_task_info *out)
{
    if (!plan)
        return PINION_EINVAL;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(!out, PINION_EINVAL, "pinion_plan_get_task: expected somewhere to put the task");
    PINION_TRY(check_task(plan, index));
    const pinion__task *task = &plan->tasks[index];
    const double *start = plan->timeline, *end = plan->timeline + plan->task_count;
    *out = (pinion_task_info){.layer = pinion__task_layer_name(plan, task),
                              .op = pinion__task_what(task),
                              .pass = pass_word(plan, index),
                              .processor = plan->processors[task->processor]->name,
                              .slice = {task->slice ? task->n0 : -1, task->slice ? task->n1 - 1 : -1},
                              .kernel = task->kernel ? task->kernel->name : "",
                              .macs = (int64_t)task->macs,
                              .scratch_bytes = task->scratch_bytes,
                              .ms = index < plan->prologue ? (double)NAN : pinion__timeline_ms(plan, task),
                              .start_ms = start[index],
                              .end_ms = end[index]};
    for (int i = 0; i < task->fused_count; i++)
        out->fused[i] = plan->network->layers[task->fused[i]].name;
fail:
    return status;
}

int pinion_plan_get_time(const pinion_plan *plan, int task, int processor, pinion_task_time *out)
{
    if (!plan)
        return PINION_EINVAL;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(!out, PINION_EINVAL, "pinion_plan_get_time: expected somewhere to put the time");
    PINION_TRY(check_task(plan, task));
    PINION_FAIL_IF(processor < 0 || processor >= plan->processor_count, PINION_EINVAL, "processor %d: the plan has %d",
                   processor, plan->processor_count);
    const pinion__record *record = pinion__candidates_record(plan, &plan->tasks[task], processor);
    const pinion__candidate *best = record && record->count > 0 ? pinion__candidates_best(plan, record) : NULL;
    *out = (pinion_task_time){best ? best->kernel->name : NULL, best ? best->ms : (double)NAN};
fail:
    return status;
}

int pinion_plan_get_candidate(const pinion_plan *plan, int task, int index, pinion_candidate_info *out)
{
    if (!plan)
        return PINION_EINVAL;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(!out, PINION_EINVAL, "pinion_plan_get_candidate: expected somewhere to put the candidate");
    PINION_TRY(check_task(plan, task));
    const pinion__task *of = &plan->tasks[task];
    const pinion__record *record = pinion__candidates_record(plan, of, of->processor);
    int count = record ? record->count : 0;
    PINION_FAIL_IF(index < 0 || index >= count, PINION_EINVAL, "candidate %d of task %d: it has %d", index, task,
                   count);
    const pinion__candidate *candidate = &plan->candidates[record->first + index];
    *out = (pinion_candidate_info){.kernel = candidate->kernel->name,
                                   .ms = candidate->ms,
                                   .repetitions = candidate->repetitions,
                                   .chosen = candidate->kernel == of->kernel};
fail:
    return status;
}
