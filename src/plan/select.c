/* SPDX-License-Identifier: Apache-2.0
 *
 * Which processor and kernel runs each task. Every task has candidates on each processor (candidates.c), whose times
 * are looked up or measured (measure.c); tasks are placed by them (place.c), and on its processor the best candidate of
 * a task runs, unless the plan is given its kernels (lines.c). Kernels are asked with operands of the right shape whose
 * data is nowhere.
 */
#include "plan/candidates.h"
#include "plan/lines.h"
#include "plan/measure.h"
#include "plan/place.h"

static void *nowhere(void)
{
    static const unsigned char place = 0;
    return (void *)&place; /* views are of mutable bytes; nobody looks at these */
}

pinion__args pinion__plan_task_args(const pinion_plan *plan, const pinion__task *task)
{
    pinion__args args = pinion__task_args(plan, task);
    for (int i = 0; i < task->op->pass[task->pass].count; i++) {
        if (task->operand[i] < 0)
            continue;
        args.operand[i] = pinion__tensor_view(&plan->tensors[task->operand[i]], nowhere());
        args.operand[i].data = nowhere();
    }
    return args;
}

/* A task that is selected again keeps its storage. */
static int set_scratch(pinion_plan *plan, pinion__task *task, size_t bytes)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    task->scratch_bytes = bytes;
    if (task->scratch < 0 && bytes) {
        PINION_TRY(pinion__grow(ctx, &plan->storages, &plan->storage_capacity, plan->storage_count + 1,
                                sizeof *plan->storages, "storages of a plan"));
        task->scratch = (int)plan->storage_count++;
    }
    if (task->scratch >= 0)
        plan->storages[task->scratch] =
            (pinion__storage){.place = PINION__PLACE_ARENA, .bytes = bytes, .first = -1, .last = -1};
    if (!bytes)
        task->scratch = -1;
fail:
    return status;
}

static int set_kernel(pinion_plan *plan, pinion__task *task, const pinion__kernel *kernel)
{
    pinion__args args = pinion__plan_task_args(plan, task);
    task->kernel = kernel;
    if (pinion__candidates_prepared_bytes(plan, task, kernel, &args) > 0)
        args.prepared = nowhere();
    return set_scratch(plan, task, kernel->body->scratch_bytes ? kernel->body->scratch_bytes(&args) : 0);
}

int pinion__plan_select_task(pinion_plan *plan, pinion__task *task)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const pinion__processor *processor = plan->processors[task->processor];
    pinion__args args = pinion__plan_task_args(plan, task);
    int cursor = 0;
    const pinion__kernel *kernel =
        pinion__kernel_next(task->op->id, task->pass, processor->kernel_kind, processor->isa, &args, &cursor);
    PINION_FAIL_IF(!kernel, PINION_EUNSUPPORTED, "layer '%s': processor '%s' has no kernel for %s %s",
                   pinion__task_layer_name(plan, task), processor->name, task->op->name, pinion__pass_name(task->pass));
    PINION_TRY(set_kernel(plan, task, kernel));
fail:
    return status;
}

int pinion__plan_select(pinion_plan *plan, const pinion__plan_tuning *tuning)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const char *lines = tuning->kernels;
    PINION_TRY(pinion__candidates_gather(plan));
    PINION_TRY(pinion__measure(plan, lines ? PINION_PATIENCE_ESTIMATE : plan->options.patience));
    for (int i = 0; tuning->processor_of && i < (int)plan->task_count; i++)
        if (!plan->tasks[i].slice)
            plan->tasks[i].processor = tuning->processor_of(tuning->user, i);
    PINION_TRY(pinion__plan_place(plan, lines || tuning->processor_of));
    plan->serial = plan->serial && !tuning->processor_of;
    if (lines && !tuning->processor_of)
        PINION_TRY(pinion__lines_place(plan, lines));
    for (int i = 0; i < (int)plan->task_count; i++) {
        pinion__task *task = &plan->tasks[i];
        const pinion__record *record = pinion__candidates_record(plan, task, task->processor);
        PINION_FAIL_IF(record->count == 0, PINION_EUNSUPPORTED, "layer '%s': processor '%s' has no kernel for %s %s",
                       pinion__task_layer_name(plan, task), plan->processors[task->processor]->name, task->op->name,
                       pinion__pass_name(task->pass));
        const pinion__kernel *kernel = pinion__candidates_best(plan, record)->kernel;
        if (lines)
            PINION_TRY(pinion__lines_kernel(plan, i, lines, &kernel));
        PINION_TRY(set_kernel(plan, task, kernel));
    }
fail:
    return status;
}
