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

/* Index into runner->given; -1: only the host uses it. */
static int given_of(const pinion_runner *runner, int storage)
{
    for (int i = 0; i < runner->given_count; i++)
        if (runner->given[i] == storage)
            return i;
    return -1;
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

static int add_patch(pinion_runner *runner, pinion__patch patch)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &runner->patches, &runner->patch_capacity, runner->patch_count + 1,
                            sizeof *runner->patches, "a runner"));
    runner->patches[runner->patch_count++] = patch;
fail:
    return status;
}

/* An operand that the caller gives has a shape only, until there is a batch. */
static int bind_operand(pinion_runner *runner, int t, int operand, bool device)
{
    const pinion_plan *plan = runner->plan;
    const pinion__tensor *tensor = &plan->tensors[plan->tasks[t].operand[operand]];
    const pinion__storage *storage = &plan->storages[tensor->storage];
    unsigned char *base = base_of(runner, storage);
    pinion__view *view = &runner->args[t].operand[operand];
    if (!pinion__storage_is_given(storage)) {
        *view = pinion__tensor_view(tensor, base);
        if (device)
            runner->args[t].memory[operand] = bind_span(runner, tensor->storage, tensor->offset, &view->data);
        return PINION_OK;
    }
    *view = (pinion__view){.n = tensor->n, .h = tensor->h, .w = tensor->w, .c = tensor->c, .ld = tensor->ld};
    pinion__patch patch = {.task = t, .operand = operand, .place = storage->place, .offset = tensor->offset};
    patch.given = given_of(runner, tensor->storage);
    if (patch.given < 0)
        patch.offset += storage->begin;
    return add_patch(runner, patch);
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
    int given = task->hand_over.present ? given_of(runner, task->hand_over.storage) : -1;
    if (given >= 0)
        PINION_TRY(add_patch(runner, (pinion__patch){.task = t, .operand = -1, .given = given}));
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

static const unsigned char *given_bytes(const pinion_runner *runner, enum pinion__place place)
{
    switch (place) {
    case PINION__PLACE_BATCH:
        return (const unsigned char *)runner->images;
    case PINION__PLACE_PRIOR:
        return (const unsigned char *)runner->prior;
    default:
        return (const unsigned char *)runner->labels;
    }
}

/* What devices use, if it does not lie there. */
static void copy_input(pinion_runner *runner, const pinion__piece *pieces)
{
    for (int i = 0; i < runner->given_count; i++) {
        const pinion__storage *storage = &runner->plan->storages[runner->given[i]];
        const unsigned char *from = given_bytes(runner, storage->place);
        unsigned char *to = runner->input->room.host + pieces[i].at;
        if (!from || from + storage->begin == to)
            continue; /* inference has no labels */
        memcpy(to, from + storage->begin, storage->bytes);
        runner->copied_bytes += (int64_t)storage->bytes;
    }
}

/* What devices use is held by the host when a micro-batch begins, so it may be other memory than before. */
static void bind_holds(pinion_runner *runner, const pinion__piece *pieces)
{
    for (int i = 0; i < runner->given_count; i++) {
        pinion__hold *hold = &runner->holds[runner->hold_of[runner->given[i]]];
        hold->memory = runner->input->room.memory;
        hold->span = pieces[i].span;
        hold->bytes = pieces[i].bytes;
    }
}

/* An operand, or a hand-over, of what a device uses. */
static void bind_piece(pinion_runner *runner, const pinion__patch *patch, const pinion__piece *piece)
{
    const pinion_plan *plan = runner->plan;
    if (patch->operand < 0) {
        pinion__hand_over_args *hand_over = &runner->hand_overs[patch->task];
        hand_over->memory = runner->input->room.memory;
        hand_over->span = piece->span;
        hand_over->bytes = piece->bytes;
        return;
    }
    pinion__args *args = &runner->args[patch->task];
    void **address = &args->operand[patch->operand].data;
    *address = runner->input->room.host + piece->at + patch->offset;
    if (plan->processors[plan->tasks[patch->task].processor]->domain)
        args->memory[patch->operand] =
            bind_span(runner, runner->given[patch->given], piece->shift + patch->offset, address);
}

void pinion__runner_set_batch(pinion_runner *runner, const float *images, const int32_t *labels, int part)
{
    const pinion_plan *plan = runner->plan;
    const pinion__piece *pieces = pinion__runner_pieces(runner, part);
    int first = part * plan->samples;
    runner->images = images;
    runner->labels = labels;
    for (int t = 0; t < plan->part_end && plan->micro_batches > 1; t++) {
        runner->args[t].first_sample = plan->tasks[t].n0 + first;
        runner->args[t].accumulate = plan->tasks[t].accumulate || (plan->tasks[t].adds_up && part > 0);
    }
    bind_holds(runner, pieces);
    for (size_t i = 0; i < runner->patch_count; i++) {
        const pinion__patch *patch = &runner->patches[i];
        if (patch->given >= 0)
            bind_piece(runner, patch, &pieces[patch->given]);
        else
            runner->args[patch->task].operand[patch->operand].data =
                caller_bytes(given_bytes(runner, patch->place), patch->offset);
    }
    copy_input(runner, pieces);
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
