/* SPDX-License-Identifier: Apache-2.0
 *
 * The running statistics as before a step, for steps whose loss is not finite: forward moves them before the loss is
 * known. A statistic that a device holds between steps is copied there, to a place that stays with the device.
 */
#include "run/state.h"

#include <string.h>

int pinion__runner_make_states(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    const pinion_network *network = plan->network;
    int status = PINION_OK;
    size_t copy = 0;
    PINION_TRY(pinion__alloc_zeroed(ctx, network->param_count + 1, sizeof *runner->saved, "running statistics",
                                    &runner->saved));
    for (size_t s = 0; s < plan->storage_count; s++) {
        const pinion__storage *storage = &plan->storages[s];
        size_t p = 0;
        while (p < network->param_count && network->params[p].offset != storage->offset)
            p++;
        if (storage->place != PINION__PLACE_WEIGHTS || !network->params[p].state)
            continue;
        pinion__saved_state *saved = &runner->saved[runner->saved_count++];
        *saved = (pinion__saved_state){.live = storage->offset, .copy = copy, .bytes = storage->bytes, .hold = -1};
        copy += runner->device ? (storage->bytes + PINION__SHARED_ALIGNMENT - 1) / PINION__SHARED_ALIGNMENT *
                                     PINION__SHARED_ALIGNMENT
                               : storage->bytes;
        if (!runner->device || storage->home != PINION__HELD_BY_DEVICE)
            continue;
        saved->hold = runner->hold_of[s];
        PINION_TRY(pinion__memory_span(runner->states.memory, saved->copy, saved->bytes, &saved->span));
    }
fail:
    return status;
}

typedef struct copying {
    const pinion_runner *runner;
    bool save;
} copying;

/* The body that copies what the device holds. */
static void copy_states(const void *argument)
{
    const copying *of = argument;
    const pinion_runner *runner = of->runner;
    for (size_t i = 0; i < runner->saved_count; i++) {
        const pinion__saved_state *saved = &runner->saved[i];
        if (saved->hold < 0)
            continue;
        const pinion__span *live = &runner->holds[saved->hold].span;
        if (!runner->copies_away)
            pinion__hand_over(&(pinion__hand_over_args){.memory = runner->states.memory,
                                                        .by = runner->device,
                                                        .span = saved->span,
                                                        .bytes = saved->bytes,
                                                        .from = PINION__HELD_BY_HOST,
                                                        .to = PINION__HELD_BY_DEVICE});
        runner->plan->domain->class_->copy(runner->device, of->save ? live : &saved->span,
                                           of->save ? &saved->span : live, saved->bytes);
    }
}

/* The states are at home. */
static int move_states(pinion_runner *runner, bool save)
{
    int status = PINION_OK;
    bool away = false;
    for (size_t i = 0; i < runner->saved_count; i++) {
        const pinion__saved_state *saved = &runner->saved[i];
        unsigned char *live = runner->plan->network->block + saved->live, *copy = runner->states.host + saved->copy;
        if (saved->hold < 0)
            memcpy(save ? copy : live, save ? live : copy, saved->bytes);
        away = away || saved->hold >= 0;
    }
    if (away) {
        status = runner->device->class_->run(runner->device, copy_states, &(copying){runner, save});
        runner->copies_away = true;
    }
    return status < 0 ? pinion__runner_failed(runner, status) : status;
}

int pinion__runner_save_states(pinion_runner *runner)
{
    return move_states(runner, true);
}

int pinion__runner_restore_states(pinion_runner *runner)
{
    return move_states(runner, false);
}
