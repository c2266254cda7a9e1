/* SPDX-License-Identifier: Apache-2.0
 *
 * Which processor and kernel runs each task. Every task has candidates (candidates.c), whose times are looked up or
 * measured (measure.c); the best runs, unless the plan is given its kernels. Kernels are asked with operands of the
 * right shape whose data is nowhere. Selection may be done again when tasks have changed.
 */
#include "plan/candidates.h"
#include "plan/measure.h"

#include "net/text.h"

#include <string.h>

static void *nowhere(void)
{
    static const unsigned char place = 0;
    return (void *)&place; /* views are of mutable bytes; nobody looks at these */
}

pinion__args pinion__plan_task_args(const pinion_plan *plan, const pinion__task *task)
{
    pinion__args args = {.attributes = &task->attributes,
                         .accumulate = task->accumulate,
                         .activation = task->activation,
                         .update = task->update.op != PINION__OP_COUNT ? &task->update : NULL,
                         .layer = task->layer,
                         .first_sample = task->n0,
                         .workers = plan->processors[task->processor]->workers};
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

/* "conv1 conv2d+relu forward ": what a line of kernels begins with. */
static int name_task(const pinion_plan *plan, const pinion__task *task, pinion__text *text)
{
    const char *layer = pinion__task_layer_name(plan, task);
    return pinion__text_add(text, "%s %s %s ", *layer ? layer : "-", pinion__task_what(task),
                            pinion__pass_name(task->pass));
}

/* How many tasks of the same name stand before it. */
static int find_turn(const pinion_plan *plan, int index)
{
    const pinion__task *task = &plan->tasks[index];
    int turn = 0;
    for (int t = 0; t < index; t++)
        turn += plan->tasks[t].layer == task->layer && plan->tasks[t].pass == task->pass &&
                strcmp(pinion__task_what(&plan->tasks[t]), pinion__task_what(task)) == 0;
    return turn;
}

/* The kernel in the turn-th of the lines that begin with `name`. NULL: there is none. */
static const char *find_line(const char *lines, const pinion__text *name, int turn)
{
    for (const char *line = lines; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, name->bytes, name->length) == 0 && turn-- == 0)
            return line + name->length;
    return NULL;
}

/* The kernel that `lines` give a task; where they do not name the task, its first. */
static int find_given(const pinion_plan *plan, int index, const char *lines, const pinion__kernel **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    const pinion__task *task = &plan->tasks[index];
    const pinion__candidate *candidates = &plan->candidates[plan->records[task->record - 1].first];
    pinion__text name = {.ctx = ctx};
    PINION_TRY(name_task(plan, task, &name));
    const char *given = find_line(lines, &name, find_turn(plan, index));
    if (!given)
        given = candidates[0].kernel->name;
    size_t length = strcspn(given, "\n");
    const pinion__kernel *found = NULL;
    for (int i = 0; i < plan->records[task->record - 1].count && !found; i++)
        if (strncmp(candidates[i].kernel->name, given, length) == 0 && !candidates[i].kernel->name[length])
            found = candidates[i].kernel;
    PINION_FAIL_IF(!found, PINION_EUNSUPPORTED, "task '%.*s': kernel '%.*s' is not there for %s or cannot do it",
                   (int)name.length - 1, name.bytes, (int)(length < 80 ? length : 80), given,
                   pinion__isa_name(plan->processors[task->processor]->isa));
    *out = found;
fail:
    pinion__release(ctx, name.bytes);
    return status;
}

int pinion__plan_select(pinion_plan *plan, const pinion__plan_tuning *tuning)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    for (int i = 0; tuning->processor_of && i < (int)plan->task_count; i++)
        plan->tasks[i].processor = tuning->processor_of(tuning->user, i);
    PINION_TRY(pinion__candidates_gather(plan));
    PINION_TRY(pinion__measure(plan, tuning->kernels ? PINION_PATIENCE_ESTIMATE : plan->options.patience));
    for (int i = 0; i < (int)plan->task_count; i++) {
        pinion__task *task = &plan->tasks[i];
        const pinion__kernel *kernel = pinion__candidates_best(plan, &plan->records[task->record - 1])->kernel;
        if (tuning->kernels)
            PINION_TRY(find_given(plan, i, tuning->kernels, &kernel));
        PINION_TRY(set_kernel(plan, task, kernel));
    }
fail:
    return status;
}

int pinion__plan_kernels(const pinion_plan *plan, char **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__text text = {.ctx = ctx};
    for (int i = plan->prologue; i < (int)plan->task_count; i++) {
        if (plan->tasks[i].recomputed)
            continue;
        PINION_TRY(name_task(plan, &plan->tasks[i], &text));
        PINION_TRY(pinion__text_add(&text, "%s\n", plan->tasks[i].kernel->name));
    }
    *out = text.bytes;
    return PINION_OK;
fail:
    pinion__release(ctx, text.bytes);
    return status;
}
