/* SPDX-License-Identifier: Apache-2.0
 *
 * A runner's memory: the arena, the optimiser's moments, prepared weights, a copy of the running statistics, room for
 * batches. All of it is the host's own, or all of it lies in the domain of the plan's processors.
 */
#include "base/pages.h"
#include "net/shared.h"
#include "plan/build.h"
#include "run/state.h"

#include <string.h>

enum { ALIGNMENT = 64 };

size_t pinion__runner_part_bytes(const pinion_plan *plan)
{
    pinion_shape shape = plan->network->input;
    return sizeof(float) * (size_t)plan->samples * (size_t)shape.h * (size_t)shape.w * (size_t)shape.c;
}

static size_t align(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* All in the arena of another, or nothing. */
static void borrow(pinion_runner *runner, const pinion_runner *lender)
{
    const pinion_plan *plan = runner->plan;
    size_t to = pinion__plan_alignment(plan), prepared = align(plan->arena_bytes, to);
    size_t padded = prepared + align(plan->prepared_bytes, to);
    if (!lender || plan->domain != lender->plan->domain ||
        padded + pinion__runner_part_bytes(plan) > lender->plan->arena_bytes)
        return;
    runner->lender = (pinion_runner *)lender;
    runner->arena = runner->prepared = lender->arena;
    runner->prepared_offset = prepared;
    runner->padded.host = lender->arena.host + padded;
}

/* Rooms whose pages are given back begin at a page. */
static size_t alignment_of(const pinion_plan *plan)
{
    return plan->width ? PINION__PAGE : ALIGNMENT;
}

int pinion__runner_furnish(const pinion_runner *runner, size_t bytes, bool shared, const char *what, pinion__room *room)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    if (shared) {
        PINION_TRY(pinion__memory_create(runner->plan->domain, bytes + 1, &room->memory));
        room->host = room->memory->host;
    } else {
        PINION_TRY(pinion__alloc_aligned(ctx, bytes + 1, alignment_of(runner->plan), what, &room->host));
    }
fail:
    return status;
}

static int furnish(const pinion_runner *runner, size_t bytes, const char *what, pinion__room *room)
{
    return pinion__runner_furnish(runner, bytes, runner->plan->domain != NULL, what, room);
}

static size_t count_state_bytes(const pinion_plan *plan)
{
    size_t bytes = 0, unit = plan->domain ? PINION__SHARED_ALIGNMENT : 1;
    for (size_t p = 0; p < plan->network->param_count; p++)
        if (plan->network->params[p].state)
            bytes += align(plan->network->params[p].bytes, unit);
    return bytes;
}

int pinion__runner_allocate(pinion_runner *runner, const pinion_runner *lender)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    borrow(runner, lender);
    if (!runner->lender)
        PINION_TRY(furnish(runner, plan->arena_bytes, "the arena", &runner->arena));
    if (plan->options.mode == PINION_TRAIN) {
        PINION_TRY(furnish(runner, plan->moments_bytes, "the optimiser's state", &runner->moments));
        memset(runner->moments.host, 0, plan->moments_bytes);
        PINION_TRY(furnish(runner, count_state_bytes(plan), "running statistics", &runner->states));
    } else if (!runner->lender) {
        PINION_TRY(furnish(runner, plan->prepared_bytes, "prepared weights", &runner->prepared));
        PINION_TRY(pinion__alloc_aligned(ctx, pinion__runner_part_bytes(plan), ALIGNMENT, "a batch of images",
                                         &runner->padded.host));
    }
    const size_t answers = (size_t)plan->width * (size_t)plan->options.batch * pinion__infer_row(plan);
    if (plan->options.mode == PINION_INFER && plan->width && plan->micro_batches > 1)
        PINION_TRY(pinion__alloc(ctx, answers, sizeof *runner->answers, "the logits of each width", &runner->answers));
    if (plan->input_bytes)
        PINION_TRY(furnish(runner, plan->input_bytes, "a batch for devices", &runner->copied.room));
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->task_count + 1, sizeof *runner->args, "a runner", &runner->args));
fail:
    return status;
}

void pinion__runner_clear(const pinion_runner *runner, pinion__room *room)
{
    if (room->memory)
        pinion__memory_destroy(room->memory);
    else
        pinion__release(runner->ctx, room->host);
    *room = (pinion__room){0};
}

void pinion__runner_free(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    (void)pinion__runner_move_out(runner);
    if (runner->sharing)
        pinion__network_leave(runner->plan->network);
    pinion__runner_free_inputs(runner);
    pinion__runner_clear(runner, &runner->states);
    pinion__runner_clear(runner, &runner->moments);
    if (!runner->lender) {
        pinion__runner_clear(runner, &runner->padded);
        pinion__runner_clear(runner, &runner->prepared);
        pinion__runner_clear(runner, &runner->arena);
    }
    pinion__release(ctx, runner->answers);
    pinion__release(ctx, runner->saved);
    pinion__release(ctx, runner->hand_overs);
    pinion__release(ctx, runner->holds);
    pinion__release(ctx, runner->hold_of);
    pinion__release(ctx, runner->patches);
    pinion__release(ctx, runner->args);
}
