/* SPDX-License-Identifier: Apache-2.0
 *
 * From the plan's offsets to pointers, and to spans for the processors of a domain. Everything is bound once, when the
 * runner is created, except what lies in the caller's memory; and anew when the network's weights have moved.
 */
#include "run/state.h"

#include <string.h>

static unsigned char *base_of(const pinion_runner *runner, const pinion__storage *storage)
{
    switch (storage->place) {
    case PINION__PLACE_ARENA:
        return runner->arena.host + storage->offset;
    case PINION__PLACE_WEIGHTS:
        return runner->plan->network->block + storage->offset;
    case PINION__PLACE_MOMENTS:
        return runner->moments.host + storage->offset;
    case PINION__PLACE_PREPARED:
        return runner->prepared.host + runner->prepared_offset + storage->offset;
    default:
        return NULL;
    }
}

static bool is_callers(const pinion__storage *storage)
{
    return storage->place == PINION__PLACE_BATCH || storage->place == PINION__PLACE_LABELS;
}

/* Does the storage of the caller lie in the runner's own block, because a device reads it? */
static bool is_copied(const pinion_runner *runner, int storage)
{
    return runner->device && runner->hold_of[storage] >= 0 && is_callers(&runner->plan->storages[storage]);
}

static unsigned char *device_address(const pinion__span *span)
{
    return (unsigned char *)span->object + span->offset;
}

/* The span of an operand of a device's task, `offset` bytes into the storage; where kernels take addresses, that too.
 */
static pinion__span bind_span(const pinion_runner *runner, int storage, size_t offset, void **address)
{
    pinion__span span = runner->holds[runner->hold_of[storage]].span;
    span.offset += offset;
    if (runner->plan->domain->host_addressed)
        *address = device_address(&span);
    return span;
}

static int bind_operand(pinion_runner *runner, int t, int operand, bool device)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    const pinion__tensor *tensor = &plan->tensors[plan->tasks[t].operand[operand]];
    const pinion__storage *storage = &plan->storages[tensor->storage];
    unsigned char *base = base_of(runner, storage);
    pinion__view *view = &runner->args[t].operand[operand];
    if (is_copied(runner, tensor->storage))
        base = runner->input.host + storage->offset;
    if (base) {
        *view = pinion__tensor_view(tensor, base);
        if (device)
            runner->args[t].memory[operand] = bind_span(runner, tensor->storage, tensor->offset, &view->data);
        return PINION_OK;
    }
    *view = (pinion__view){.n = tensor->n, .h = tensor->h, .w = tensor->w, .c = tensor->c, .ld = tensor->ld};
    PINION_TRY(pinion__grow(ctx, &runner->patches, &runner->patch_capacity, runner->patch_count + 1,
                            sizeof *runner->patches, "a runner"));
    runner->patches[runner->patch_count++] = (pinion__patch){
        .task = t, .operand = operand, .place = storage->place, .offset = storage->begin + tensor->offset};
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

static int bind_task(pinion_runner *runner, int t)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    const pinion__task *task = &plan->tasks[t];
    pinion__processor *processor = plan->processors[task->processor];
    pinion__args *args = &runner->args[t];
    *args = pinion__task_args(plan, task);
    args->step = &runner->step;
    if (task->scratch >= 0)
        args->scratch = base_of(runner, &plan->storages[task->scratch]);
    if (task->scratch >= 0 && processor->domain)
        args->scratch_memory = bind_span(runner, task->scratch, 0, &args->scratch);
    if (task->prepared >= 0)
        bind_prepared(args, task, base_of(runner, &plan->storages[task->prepared]));
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        if (task->operand[i] >= 0)
            PINION_TRY(bind_operand(runner, t, i, processor->domain != NULL));
fail:
    return status;
}

int pinion__runner_bind(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    runner->patch_count = 0;
    for (int t = 0; t < (int)runner->plan->task_count; t++)
        PINION_TRY(bind_task(runner, t));
    runner->block = runner->plan->network->block;
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

static void copy_input(pinion_runner *runner)
{
    const pinion_plan *plan = runner->plan;
    for (size_t s = 0; s < plan->storage_count; s++) {
        const pinion__storage *storage = &plan->storages[s];
        if (!is_copied(runner, (int)s))
            continue;
        const void *from =
            storage->place == PINION__PLACE_BATCH ? (const void *)runner->images : (const void *)runner->labels;
        unsigned char *to = runner->input.host + storage->offset;
        if (!from || from == to)
            continue; /* inference has no labels */
        memcpy(to, (const unsigned char *)from + storage->begin, storage->bytes);
        runner->copied_bytes += (int64_t)storage->bytes;
    }
}

void pinion__runner_set_batch(pinion_runner *runner, const float *images, const int32_t *labels, int part)
{
    const pinion_plan *plan = runner->plan;
    int first = part * plan->samples;
    runner->images = images + (size_t)first * sample_elements(plan);
    runner->labels = labels ? labels + first : NULL;
    for (int t = 0; t < plan->part_end && plan->micro_batches > 1; t++) {
        runner->args[t].first_sample = plan->tasks[t].n0 + first;
        runner->args[t].accumulate = plan->tasks[t].accumulate || (plan->tasks[t].adds_up && part > 0);
    }
    for (size_t i = 0; i < runner->patch_count; i++) {
        const pinion__patch *patch = &runner->patches[i];
        const void *block = patch->place == PINION__PLACE_BATCH ? (const void *)runner->images : runner->labels;
        runner->args[patch->task].operand[patch->operand].data = caller_bytes(block, patch->offset);
    }
    if (plan->input_bytes)
        copy_input(runner);
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
