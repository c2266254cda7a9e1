/* SPDX-License-Identifier: Apache-2.0
 *
 * Which processor and kernel runs each task: the first applicable kernel of the task's processor. Kernels are asked
 * with operands of the right shape whose data is nowhere.
 */
#include "plan/build.h"

static pinion__args shape_args(const pinion_plan *plan, const pinion__task *task, const pinion__processor *processor)
{
    static const unsigned char place = 0;
    void *nowhere = (void *)&place; /* views are of mutable bytes; nobody looks at these */
    pinion__args args = {.attributes = &task->attributes,
                         .accumulate = task->accumulate,
                         .layer = task->layer,
                         .first_sample = task->n0,
                         .workers = processor->workers};
    for (int i = 0; i < task->op->pass[task->pass].count; i++) {
        if (task->operand[i] < 0)
            continue;
        args.operand[i] = pinion__tensor_view(&plan->tensors[task->operand[i]], nowhere);
        args.operand[i].data = nowhere;
    }
    return args;
}

static int add_scratch(pinion_plan *plan, pinion__task *task, size_t bytes)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    task->scratch_bytes = bytes;
    if (!bytes)
        return PINION_OK;
    PINION_TRY(pinion__grow(ctx, &plan->storages, &plan->storage_capacity, plan->storage_count + 1,
                            sizeof *plan->storages, "storages of a plan"));
    task->scratch = (int)plan->storage_count;
    plan->storages[plan->storage_count++] =
        (pinion__storage){.place = PINION__PLACE_ARENA, .bytes = bytes, .first = -1, .last = -1};
fail:
    return status;
}

static int select_kernel(pinion_plan *plan, pinion__task *task)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const pinion__processor *processor = plan->processors[task->processor];
    pinion__args args = shape_args(plan, task, processor);
    int cursor = 0;
    task->kernel =
        pinion__kernel_next(task->op->id, task->pass, processor->kernel_kind, processor->isa, &args, &cursor);
    PINION_FAIL_IF(!task->kernel, PINION_EUNSUPPORTED, "layer '%s': processor '%s' has no kernel for %s %s",
                   pinion__task_layer_name(plan, task), processor->name, task->op->name, pinion__pass_name(task->pass));
    const pinion__kernel_body *body = task->kernel->body;
    PINION_TRY(add_scratch(plan, task, body->scratch_bytes ? body->scratch_bytes(&args) : 0));
fail:
    return status;
}

int pinion__plan_select(pinion_plan *plan, const pinion__plan_tuning *tuning)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    for (int i = 0; i < (int)plan->task_count; i++) {
        if (tuning->processor_of)
            plan->tasks[i].processor = tuning->processor_of(tuning->user, i);
        PINION_TRY(select_kernel(plan, &plan->tasks[i]));
    }
fail:
    return status;
}
