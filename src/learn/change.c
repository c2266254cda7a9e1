/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans that change during a training: on the processors that are left when a device has failed, and from new times
 * where steps no longer take what was planned.
 */
#include "learn/checkpoint.h"
#include "learn/trainer.h"
#include "net/shared.h"
#include "net/text.h"
#include "plan/place.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

bool pinion__trainer_has_device(const pinion_trainer *trainer)
{
    for (int i = 0; i < trainer->processors.count; i++)
        if (trainer->processors.at[i]->domain)
            return true;
    return false;
}

static bool has_failed(const pinion__processor *processor)
{
    return atomic_load(&processor->failure) != 0;
}

/* The checkpoints to come name the processors that are left: "cpu/1" for the second of that name, "cpu/1#2", too. */
static int name_processors(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion__processors *list = &trainer->processors;
    pinion__text text = {.ctx = ctx};
    for (int i = 0; i < list->count; i++) {
        const char *name = list->at[i]->name;
        PINION_TRY(pinion__text_add(&text, "%s%.*s", i ? "," : "", (int)strcspn(name, "#"), name));
    }
    pinion__release(ctx, trainer->list);
    trainer->options.processors = trainer->list = text.bytes;
    text.bytes = NULL;
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

/* Destroys the processors that failed; the CPU stands in where none is left. A way of placing that named one of them is
 * forgotten. */
static int drop_failed(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion__processors *list = &trainer->processors;
    int kept = 0;
    for (int i = 0; i < list->count; i++) {
        if (has_failed(list->at[i]))
            pinion__processor_destroy(list->at[i]);
        else
            list->at[kept++] = list->at[i];
    }
    list->count = kept;
    if (kept == 0)
        PINION_TRY(pinion__processors_choose(ctx, "cpu", list));
    if (!pinion__place_is_way(trainer->options.place, list->at, list->count))
        trainer->options.place = NULL;
    PINION_TRY(name_processors(trainer));
fail:
    return status;
}

int pinion__trainer_recover(pinion_trainer *trainer, pinion__change_text *text, pinion_change_report *report)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const int64_t done = trainer->progress.step;
    const pinion__processors *list = &trainer->processors;
    int failed = 0;
    while (failed < list->count && !has_failed(list->at[failed]))
        failed++;
    snprintf(text->cause, sizeof text->cause, "%s", pinion_context_error(ctx));
    PINION_FAIL_IF(failed == list->count, PINION_EDEVICE, "%s", text->cause);
    PINION_FAIL_IF(trainer->saved_step < 0, PINION_EDEVICE, "%.900s; there is no checkpoint to go on from",
                   text->cause);
    memcpy(text->failed, list->at[failed]->name, sizeof text->failed);
    pinion__trainer_clear(trainer);
    PINION_TRY(pinion__network_unshare(trainer->network));
    PINION_TRY(drop_failed(trainer));
    PINION_TRY(pinion__trainer_build(trainer, ctx->isa, (pinion__given_kernels){NULL, NULL, 0}));
    *report = (pinion_change_report){.failed = text->failed, .cause = text->cause};
    PINION_TRY(pinion__trainer_restore(trainer, trainer->state_path, &report->log_bytes));
    report->step = trainer->progress.step;
    report->repeated = done - trainer->progress.step;
    report->predicted_ms = pinion_plan_get_info(trainer->plan).predicted_ms;
fail:
    return status;
}

/* ---- new times ---- */

/* Copies the moments of all parameters out of the runner (save) or into it. */
static void move_moments(const pinion_trainer *trainer, unsigned char *copy, bool save)
{
    for (int which = 0; which < trainer->plan->moments_per_param; which++)
        for (int i = 0; i < pinion__trainer_params(trainer); i++) {
            float *moment = pinion__runner_moment(trainer->runner, i, which);
            const size_t bytes = trainer->network->params[i].bytes;
            if (!moment)
                continue;
            memcpy(save ? (void *)copy : moment, save ? moment : (void *)copy, bytes);
            copy += bytes;
        }
}

int pinion__trainer_replan(pinion_trainer *trainer, pinion_change_report *report)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    unsigned char *copy = NULL;
    PINION_TRY(pinion__runner_settle(trainer->runner));
    PINION_TRY(pinion__network_settle(trainer->network));
    PINION_TRY(pinion__alloc(ctx, trainer->plan->moments_bytes + 1, 1, "the optimiser's state", &copy));
    move_moments(trainer, copy, true);
    trainer->anew = true;
    status = pinion__trainer_build(trainer, ctx->isa, (pinion__given_kernels){NULL, NULL, 0});
    trainer->anew = false;
    PINION_TRY(status);
    PINION_TRY(pinion__runner_settle(trainer->runner));
    move_moments(trainer, copy, false);
    *report = (pinion_change_report){.step = trainer->progress.step,
                                     .log_bytes = -1,
                                     .predicted_ms = pinion_plan_get_info(trainer->plan).predicted_ms};
    PINION_TRY(pinion__checkpoint_save_state(trainer));
fail:
    pinion__release(ctx, copy);
    return status;
}
