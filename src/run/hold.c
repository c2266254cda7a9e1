/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds a runner's memory between steps. Storages of the same bytes of the arena are one hold. All hand-overs that
 * are due at once are one piece of work for the device, which is waited for.
 */
#include "net/shared.h"
#include "run/state.h"

static const pinion__room *room_of(const pinion_runner *runner, enum pinion__place place)
{
    switch (place) {
    case PINION__PLACE_ARENA:
        return &runner->arena;
    case PINION__PLACE_MOMENTS:
        return &runner->moments;
    case PINION__PLACE_PREPARED:
        return &runner->prepared;
    default:
        return &runner->copied.room;
    }
}

/* The weight that lies at this offset of the block. */
static int find_param(const pinion_network *network, size_t offset)
{
    int param = 0;
    while (network->params[param].offset != offset)
        param++;
    return param;
}

/* Storages that a device uses, and all weights, which may be anywhere when a step begins. */
static void mark_shared(const pinion_plan *plan, bool *shared)
{
    for (size_t s = 0; s < plan->storage_count; s++)
        shared[s] =
            plan->storages[s].home == PINION__HELD_BY_DEVICE || plan->storages[s].place == PINION__PLACE_WEIGHTS;
    for (size_t t = 0; t < plan->task_count; t++)
        if (plan->tasks[t].hand_over.present)
            shared[plan->tasks[t].hand_over.storage] = true;
}

static int fill_hold(pinion_runner *runner, const pinion__storage *storage, pinion__hold *hold)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    struct pinion__shared_weights *weights = runner->plan->network->shared;
    *hold = (pinion__hold){.bytes = storage->bytes, .home = storage->home, .held = &hold->own};
    hold->lasting = storage->place != PINION__PLACE_ARENA || storage->kept || storage->carried;
    if (storage->place == PINION__PLACE_WEIGHTS) {
        int param = find_param(runner->plan->network, storage->offset);
        hold->memory = weights->memory;
        hold->span = weights->spans[param];
        hold->held = &weights->held[param];
        return PINION_OK;
    }
    size_t offset = storage->offset + (storage->place == PINION__PLACE_PREPARED ? runner->prepared_offset : 0);
    hold->memory = room_of(runner, storage->place)->memory;
    PINION_TRY(pinion__memory_span(hold->memory, offset, storage->bytes, &hold->span));
fail:
    return status;
}

/* The hold of the same bytes among those there are; -1: none. */
static int find_hold(const pinion_runner *runner, const pinion__hold *hold)
{
    for (int i = 0; i < runner->hold_count; i++) {
        const pinion__hold *at = &runner->holds[i];
        if (at->memory == hold->memory && at->span.object == hold->span.object &&
            at->span.offset == hold->span.offset && at->bytes == hold->bytes)
            return i;
    }
    return -1;
}

static int make_hold(pinion_runner *runner, int s)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    pinion__hold *next = &runner->holds[runner->hold_count];
    PINION_TRY(fill_hold(runner, &runner->plan->storages[s], next));
    runner->hold_of[s] = find_hold(runner, next);
    if (runner->hold_of[s] < 0)
        runner->hold_of[s] = runner->hold_count++;
    else
        runner->holds[runner->hold_of[s]].lasting |= next->lasting;
fail:
    return status;
}

static void fill_hand_overs(pinion_runner *runner)
{
    const pinion_plan *plan = runner->plan;
    for (size_t t = 0; t < plan->task_count; t++) {
        const pinion__task *task = &plan->tasks[t];
        if (!task->hand_over.present)
            continue;
        const pinion__hold *hold = &runner->holds[runner->hold_of[task->hand_over.storage]];
        runner->hand_overs[t] = (pinion__hand_over_args){.memory = hold->memory,
                                                         .by = plan->processors[task->processor],
                                                         .span = hold->span,
                                                         .bytes = hold->bytes,
                                                         .from = task->hand_over.from,
                                                         .to = task->hand_over.to,
                                                         .contents = task->hand_over.contents};
    }
}

static pinion__processor *find_device(const pinion_plan *plan)
{
    int i = 0;
    while (plan->processors[i]->domain != plan->domain)
        i++;
    return plan->processors[i];
}

int pinion__runner_make_holds(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    bool *shared = NULL;
    if (!plan->domain)
        return PINION_OK;
    runner->device = find_device(plan);
    PINION_TRY(pinion__network_share(plan->network, runner->device));
    runner->sharing = true;
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->storage_count + 1, sizeof *shared, "a runner", &shared));
    PINION_TRY(pinion__alloc(ctx, plan->storage_count + 1, sizeof *runner->hold_of, "a runner", &runner->hold_of));
    PINION_TRY(pinion__alloc(ctx, plan->storage_count + 1, sizeof *runner->holds, "a runner", &runner->holds));
    PINION_TRY(pinion__alloc(ctx, plan->task_count + 1, sizeof *runner->hand_overs, "a runner", &runner->hand_overs));
    mark_shared(plan, shared);
    for (size_t s = 0; s < plan->storage_count; s++) {
        runner->hold_of[s] = -1;
        if (shared[s] && plan->storages[s].bytes > 0)
            PINION_TRY(make_hold(runner, (int)s));
    }
    fill_hand_overs(runner);
fail:
    pinion__release(ctx, shared);
    return status;
}

/* ---- hand-overs between steps ---- */

typedef struct errand {
    const pinion_runner *runner;
    int first, end; /* holds */
    bool home;      /* each goes home; else to `to` */
    enum pinion__holder to;
    bool contents;
} errand;

static void run_errand(const void *argument)
{
    const errand *of = argument;
    for (int i = of->first; i < of->end; i++) {
        const pinion__hold *hold = &of->runner->holds[i];
        pinion__hand_over(&(pinion__hand_over_args){.memory = hold->memory,
                                                    .by = of->runner->device,
                                                    .span = hold->span,
                                                    .bytes = hold->bytes,
                                                    .from = *hold->held,
                                                    .to = of->home ? hold->home : of->to,
                                                    .contents = of->home ? hold->lasting : of->contents});
    }
}

int pinion__runner_failed(pinion_runner *runner, int status)
{
    runner->failure = status;
    if (runner->device)
        pinion__network_lose(runner->plan->network, status);
    return status;
}

static int do_errand(const errand *what)
{
    pinion_runner *runner = (pinion_runner *)what->runner;
    bool due = false;
    for (int i = what->first; i < what->end; i++)
        due = due || *runner->holds[i].held != (what->home ? runner->holds[i].home : what->to);
    int status = due ? runner->device->class_->run(runner->device, run_errand, what) : PINION_OK;
    if (status < 0)
        return pinion__runner_failed(runner, status);
    for (int i = what->first; i < what->end; i++)
        *runner->holds[i].held = what->home ? runner->holds[i].home : what->to;
    return PINION_OK;
}

void pinion__runner_part_span(const pinion_runner *runner, pinion__memory *memory, const pinion__span *span,
                              size_t bytes)
{
    for (int back = 0; back < 2; back++)
        pinion__hand_over(&(pinion__hand_over_args){.memory = memory,
                                                    .by = runner->device,
                                                    .span = *span,
                                                    .bytes = bytes,
                                                    .from = back ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_HOST,
                                                    .to = back ? PINION__HELD_BY_HOST : PINION__HELD_BY_DEVICE,
                                                    .contents = true});
}

/* The body that does so with all that the host holds. */
static void part_holds(const void *argument)
{
    const pinion_runner *runner = argument;
    for (int i = 0; i < runner->hold_count; i++) {
        const pinion__hold *hold = &runner->holds[i];
        if (*hold->held == PINION__HELD_BY_HOST)
            pinion__runner_part_span(runner, hold->memory, &hold->span, hold->bytes);
    }
}

static int part_all(pinion_runner *runner)
{
    if (runner->parted || runner->plan->domain->copies)
        return PINION_OK;
    runner->parted = true;
    int status = runner->device->class_->run(runner->device, part_holds, runner);
    return status < 0 ? pinion__runner_failed(runner, status) : PINION_OK;
}

int pinion__runner_go_home(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    struct pinion__shared_weights *weights = runner->plan->network->shared;
    if (!runner->device)
        return pinion__network_settle(runner->plan->network);
    if (weights->failure)
        return pinion__network_settle(runner->plan->network);
    weights->by = runner->device;
    PINION_TRY(part_all(runner));
    PINION_TRY(do_errand(&(errand){.runner = runner, .end = runner->hold_count, .home = true}));
fail:
    return status;
}

int pinion__runner_move_out(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    pinion_runner *owner = runner->lender ? runner->lender : runner;
    int status = PINION_OK;
    if (owner->tenant != runner)
        return PINION_OK;
    owner->tenant = NULL;
    for (int i = 0; i < runner->hold_count; i++)
        if (runner->holds[i].memory == owner->arena.memory)
            PINION_TRY(pinion__runner_pass(runner, i, PINION__HELD_BY_HOST, false));
fail:
    return status;
}

int pinion__runner_move_in(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    pinion_runner *owner = runner->lender ? runner->lender : runner;
    int status = PINION_OK;
    if (owner->tenant == runner)
        return PINION_OK;
    if (owner->tenant)
        PINION_TRY(pinion__runner_move_out((pinion_runner *)owner->tenant));
    owner->tenant = runner;
    for (int group = 0; group < PINION_MAX_GROUPS; group++)
        runner->groups[group].is_prepared = false;
fail:
    return status;
}

int pinion__runner_pass(pinion_runner *runner, int hold, enum pinion__holder to, bool contents)
{
    return do_errand(&(errand){.runner = runner, .first = hold, .end = hold + 1, .to = to, .contents = contents});
}

void pinion__runner_note_hand_overs(pinion_runner *runner, int first, int end)
{
    const pinion_plan *plan = runner->plan;
    for (int t = first; t < end && runner->device; t++)
        if (plan->tasks[t].hand_over.present)
            *runner->holds[runner->hold_of[plan->tasks[t].hand_over.storage]].held = plan->tasks[t].hand_over.to;
}

int pinion__runner_settle(const pinion_runner *of)
{
    pinion_runner *runner = (pinion_runner *)of;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    if (runner->failure)
        return runner->failure;
    PINION_TRY(pinion__network_settle(runner->plan->network));
    for (int i = 0; i < runner->hold_count; i++)
        if (runner->holds[i].lasting && *runner->holds[i].held != PINION__HELD_BY_HOST)
            PINION_TRY(pinion__runner_pass(runner, i, PINION__HELD_BY_HOST, true));
fail:
    return status;
}
