/* SPDX-License-Identifier: Apache-2.0
 *
 * From the plan's offsets to pointers. Everything is bound once, when the runner is created, except what lies in the
 * caller's memory.
 */
#include "run/state.h"

static unsigned char *base_of(const pinion_runner *runner, const pinion__storage *storage)
{
    switch (storage->place) {
    case PINION__PLACE_ARENA:
        return runner->arena + storage->offset;
    case PINION__PLACE_WEIGHTS:
        return runner->plan->network->block + storage->offset;
    case PINION__PLACE_MOMENTS:
        return runner->moments + storage->offset;
    case PINION__PLACE_PREPARED:
        return runner->prepared + storage->offset;
    default:
        return NULL;
    }
}

static int bind_operand(pinion_runner *runner, int t, int operand)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    const pinion__tensor *tensor = &plan->tensors[plan->tasks[t].operand[operand]];
    const pinion__storage *storage = &plan->storages[tensor->storage];
    unsigned char *base = base_of(runner, storage);
    pinion__view *view = &runner->args[t].operand[operand];
    if (base) {
        *view = pinion__tensor_view(tensor, base);
        return PINION_OK;
    }
    *view = (pinion__view){.n = tensor->n, .h = tensor->h, .w = tensor->w, .c = tensor->c, .ld = tensor->ld};
    PINION_TRY(pinion__grow(ctx, &runner->patches, &runner->patch_capacity, runner->patch_count + 1,
                            sizeof *runner->patches, "a runner"));
    runner->patches[runner->patch_count++] =
        (pinion__patch){.task = t, .operand = operand, .place = storage->place, .offset = tensor->offset};
fail:
    return status;
}

/* A task that prepares writes there: it has no scratch of its own. */
static void bind_prepared(pinion__args *args, const pinion__task *task, unsigned char *base)
{
    if (task->prepare)
        args->scratch = base;
    else
        args->prepared = base;
}

int pinion__runner_bind(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    for (int t = 0; t < (int)plan->task_count; t++) {
        const pinion__task *task = &plan->tasks[t];
        runner->args[t] = (pinion__args){.attributes = &task->attributes,
                                         .accumulate = task->accumulate,
                                         .activation = task->activation,
                                         .update = task->update.op != PINION__OP_COUNT ? &task->update : NULL,
                                         .layer = task->layer,
                                         .first_sample = task->n0,
                                         .step = &runner->step,
                                         .workers = plan->processors[task->processor]->workers};
        if (task->scratch >= 0)
            runner->args[t].scratch = runner->arena + plan->storages[task->scratch].offset;
        if (task->prepared >= 0)
            bind_prepared(&runner->args[t], task, base_of(runner, &plan->storages[task->prepared]));
        for (int i = 0; i < PINION__MAX_OPERANDS; i++)
            if (task->operand[i] >= 0)
                PINION_TRY(bind_operand(runner, t, i));
    }
fail:
    return status;
}

/* Operands are views of mutable bytes; kernels only read what their op lists as read, and batch and labels are nowhere
 * written. */
static void *caller_bytes(const void *block, size_t offset)
{
    return (unsigned char *)block + offset;
}

static size_t sample_elements(const pinion_plan *plan)
{
    const pinion_shape *shape = &plan->network->input;
    return (size_t)shape->h * (size_t)shape->w * (size_t)shape->c;
}

void pinion__runner_set_batch(pinion_runner *runner, const float *images, const int32_t *labels, int part)
{
    const pinion_plan *plan = runner->plan;
    int first = part * plan->samples;
    images += (size_t)first * sample_elements(plan);
    labels = labels ? labels + first : NULL;
    runner->images = images;
    for (int t = 0; t < plan->part_end && plan->micro_batches > 1; t++) {
        runner->args[t].first_sample = plan->tasks[t].n0 + first;
        runner->args[t].accumulate = plan->tasks[t].accumulate || (plan->tasks[t].adds_up && part > 0);
    }
    for (size_t i = 0; i < runner->patch_count; i++) {
        const pinion__patch *patch = &runner->patches[i];
        const void *block = patch->place == PINION__PLACE_BATCH ? (const void *)images : (const void *)labels;
        runner->args[patch->task].operand[patch->operand].data = caller_bytes(block, patch->offset);
    }
}

const void *pinion__runner_tensor(const pinion_runner *runner, int tensor)
{
    const pinion__tensor *at = &runner->plan->tensors[tensor];
    const pinion__storage *storage = &runner->plan->storages[at->storage];
    const unsigned char *base = base_of(runner, storage);
    if (!base)
        base = (const unsigned char *)runner->images;
    return base + at->offset;
}
