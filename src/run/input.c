/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for batches. What devices read of a batch lies in blocks of their domain: in slots that the caller writes into
 * (pinion_runner_input), each a dense batch, or where he has his batch elsewhere in a copy, which has room for one
 * micro-batch. Between steps the host holds all of it. The plan's hand-overs name storages; which memory they pass on
 * is bound anew for each micro-batch (bind.c).
 *
 * Spans begin at multiples of the domain's alignment, micro-batches of a slot anywhere. So the span of a piece begins
 * at the last such multiple and takes some bytes of the micro-batch before, which nobody reads any more. Slices of a
 * batch, which are used at the same time, have storages of their own only where they are aligned
 * (plan/slices_pieces.c).
 */
#include "plan/build.h"
#include "run/state.h"

static int list_given(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    PINION_TRY(pinion__alloc(ctx, plan->storage_count + 1, sizeof *runner->given, "a runner", &runner->given));
    for (int s = 0; s < (int)plan->storage_count; s++)
        if (runner->device && runner->hold_of[s] >= 0 && pinion__storage_is_given(&plan->storages[s]))
            runner->given[runner->given_count++] = s;
fail:
    return status;
}

int pinion__runner_make_inputs(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    pinion__input *copied = &runner->copied;
    PINION_TRY(list_given(runner));
    PINION_TRY(
        pinion__alloc(ctx, (size_t)runner->given_count + 1, sizeof *copied->pieces, "a runner", &copied->pieces));
    for (int i = 0; i < runner->given_count; i++) {
        const pinion__hold *hold = &runner->holds[runner->hold_of[runner->given[i]]];
        copied->pieces[i] = (pinion__piece){
            .at = runner->plan->storages[runner->given[i]].offset, .bytes = hold->bytes, .span = hold->span};
    }
    runner->input = copied;
fail:
    return status;
}

static void clear_input(const pinion_runner *runner, pinion__input *input)
{
    pinion__runner_clear(runner, &input->room);
    pinion__release(runner->ctx, input->pieces);
    *input = (pinion__input){0};
}

void pinion__runner_free_inputs(pinion_runner *runner)
{
    for (int i = 0; i < PINION_INPUT_SLOTS; i++)
        clear_input(runner, &runner->slots[i]);
    clear_input(runner, &runner->copied);
    pinion__release(runner->ctx, runner->given);
}

/* ---- slots ---- */

static size_t align(const pinion_plan *plan, size_t at)
{
    size_t to = pinion__plan_alignment(plan);
    return (at + to - 1) / to * to;
}

/* Where the labels of a slot begin. */
static size_t labels_offset(const pinion_plan *plan)
{
    return align(plan, pinion__runner_part_bytes(plan) * (size_t)plan->micro_batches);
}

/* Behind them, where the plan takes them, the logits of other groups. */
static size_t prior_offset(const pinion_plan *plan)
{
    return align(plan, labels_offset(plan) + (size_t)plan->options.batch * sizeof(int32_t));
}

static size_t prior_row_bytes(const pinion_plan *plan)
{
    bool given = plan->options.mode == PINION_TRAIN && plan->options.prior;
    return given ? (size_t)plan->tensors[plan->output].c * sizeof(float) : 0;
}

static int make_piece(const pinion_runner *runner, pinion__input *slot, int part, int given)
{
    const pinion_plan *plan = runner->plan;
    const pinion__storage *storage = &plan->storages[runner->given[given]];
    const size_t alignment = plan->domain->alignment, number = (size_t)part;
    pinion__piece *piece = &slot->pieces[part * runner->given_count + given];
    const size_t samples = number * (size_t)plan->samples; /* before the part */
    switch (storage->place) {
    case PINION__PLACE_BATCH:
        piece->at = number * pinion__runner_part_bytes(plan);
        break;
    case PINION__PLACE_PRIOR:
        piece->at = prior_offset(plan) + samples * prior_row_bytes(plan);
        break;
    default:
        piece->at = labels_offset(plan) + samples * sizeof(int32_t);
    }
    piece->at += storage->begin;
    piece->shift = piece->at % alignment;
    piece->bytes = piece->shift + storage->bytes;
    return pinion__memory_span(slot->room.memory, piece->at - piece->shift, piece->bytes, &piece->span);
}

static int make_slot(pinion_runner *runner, pinion__input *slot)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    const size_t labels = labels_offset(plan), batch = (size_t)plan->options.batch;
    const size_t bytes =
        prior_row_bytes(plan) ? prior_offset(plan) + batch * prior_row_bytes(plan) : labels + batch * sizeof(int32_t);
    const int parts = plan->micro_batches;
    PINION_TRY(pinion__runner_furnish(runner, bytes, runner->given_count > 0, "a batch", &slot->room));
    PINION_TRY(
        pinion__alloc(ctx, (size_t)(parts * runner->given_count) + 1, sizeof *slot->pieces, "a batch", &slot->pieces));
    for (int part = 0; part < parts; part++)
        for (int i = 0; i < runner->given_count; i++)
            PINION_TRY(make_piece(runner, slot, part, i));
    slot->images = (float *)(void *)slot->room.host;
    slot->labels = (int32_t *)(void *)(slot->room.host + labels);
    return PINION_OK;
fail:
    clear_input(runner, slot);
    return status;
}

int pinion_runner_input(pinion_runner *runner, int slot, float **images, int32_t **labels)
{
    if (!runner)
        return PINION_EINVAL;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(!images, PINION_EINVAL, "pinion_runner_input: expected somewhere to put where images go");
    PINION_FAIL_IF(slot < 0 || slot >= PINION_INPUT_SLOTS, PINION_EINVAL,
                   "pinion_runner_input: slot %d; expected 0 to %d", slot, PINION_INPUT_SLOTS - 1);
    pinion__input *of = &runner->slots[slot];
    if (!of->images)
        PINION_TRY(make_slot(runner, of));
    *images = of->images;
    if (labels)
        *labels = of->labels;
fail:
    return status;
}

/* ---- steps ---- */

static pinion__input *find_slot(const pinion_runner *runner, const float *images)
{
    for (int i = 0; i < PINION_INPUT_SLOTS; i++)
        if (runner->slots[i].images == images)
            return (pinion__input *)&runner->slots[i];
    return NULL;
}

bool pinion__runner_is_slot(const pinion_runner *runner, const float *images)
{
    return find_slot(runner, images) != NULL;
}

float *pinion__runner_prior_room(const pinion_runner *runner, const float *images)
{
    const pinion__input *slot = find_slot(runner, images);
    if (!slot || !prior_row_bytes(runner->plan))
        return NULL;
    return (float *)(void *)(slot->room.host + prior_offset(runner->plan));
}

/* The body that gives each span of a new slot bounds of its own. */
static void part_pieces(const void *argument)
{
    const pinion_runner *runner = argument;
    const pinion__input *slot = runner->input;
    for (int i = 0; i < runner->given_count * runner->plan->micro_batches; i++)
        pinion__runner_part_span(runner, slot->room.memory, &slot->pieces[i].span, slot->pieces[i].bytes);
}

static int part_slot(pinion_runner *runner)
{
    pinion__input *slot = runner->input;
    if (slot->parted || runner->given_count == 0 || runner->plan->domain->copies)
        return PINION_OK;
    slot->parted = true;
    int status = runner->device->class_->run(runner->device, part_pieces, runner);
    return status < 0 ? pinion__runner_failed(runner, status) : PINION_OK;
}

int pinion__runner_choose_input(pinion_runner *runner, const float *images)
{
    pinion__input *slot = find_slot(runner, images);
    runner->input = slot ? slot : &runner->copied;
    return slot ? part_slot(runner) : PINION_OK;
}

const pinion__piece *pinion__runner_pieces(const pinion_runner *runner, int part)
{
    const pinion__input *input = runner->input;
    return input->pieces + (input == &runner->copied ? 0 : part * runner->given_count);
}
