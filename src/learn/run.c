/* SPDX-License-Identifier: Apache-2.0
 *
 * The training loop: steps, ends of epochs, checkpoints. The order matters for resuming: callbacks come before the save
 * that follows them, so a log that is cut back to its length at the checkpoint is complete; an interrupted training
 * saves between two steps and leaves the end of an epoch that may be due to the run that resumes it. A step or
 * evaluation that a device fails is done again from the last checkpoint, on the processors that are left.
 */
#include "base/clock.h"
#include "learn/checkpoint.h"
#include "learn/feed.h"
#include "learn/prior.h"
#include "learn/schedule.h"
#include "learn/session.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TIMED_STEPS = 1 << 16 }; /* the median is that of the last so many steps */

static double milliseconds(int64_t from_ns, int64_t to_ns)
{
    return (double)(to_ns - from_ns) / 1e6;
}

static void close_loader(pinion__session *run)
{
    pinion__loader_destroy(run->loader); /* its batches may lie in the runner's memory */
    run->loader = NULL;
}

static int open_loader(pinion__session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion__progress *progress = &trainer->progress;
    bool next = progress->batch == trainer->batches;
    pinion__loader_options options = {
        .dataset = trainer->dataset,
        .part = PINION_PART_TRAIN,
        .subset = trainer->train_subset,
        .subset_count = trainer->train_count,
        .batch = trainer->options.batch,
        .shuffle = true,
        .drop_last = true,
        .augment = (unsigned)trainer->options.augment,
        .seed = trainer->seed,
        .first_epoch = next ? progress->epoch + 1 : progress->epoch,
        .first_batch = next ? 0 : progress->batch,
        .repeat = true,
    };
    PINION_TRY(pinion__prior_prepare(trainer));
    PINION_TRY(pinion__feed_create(trainer->runner, PINION__TRAINER_SLOTS, &options, &run->loader));
fail:
    return status;
}

/* What a device holds is lost when it fails: there is a checkpoint from the start. */
static int begin(pinion__session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    run->begin_ns = run->epoch_begin_ns = pinion__now_ns();
    run->test.top1 = (double)NAN;
    pinion__pace_begin(&run->pace, pinion_plan_get_info(trainer->plan).predicted_ms, false);
    int64_t left = trainer->steps - trainer->progress.step;
    if (left == 0)
        return PINION_OK;

    run->timed = left < TIMED_STEPS ? left : TIMED_STEPS;
    PINION_TRY(pinion__alloc(ctx, (size_t)run->timed, sizeof(double), "timings of steps", &run->step_ms));
    if (pinion__trainer_has_device(trainer) && trainer->saved_step < 0)
        PINION_TRY(pinion__checkpoint_save_state(trainer));
    PINION_TRY(open_loader(run));
fail:
    return status;
}

static int train_step(pinion__session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion__progress *progress = &trainer->progress;
    const pinion_train_options *options = &trainer->options;
    int64_t begin_ns = pinion__now_ns(), wait_ns = 0;
    pinion__batch batch;
    status = pinion__loader_next(run->loader, &batch, &wait_ns);
    PINION_TRY(status < 0 ? pinion__trainer_rescue(trainer, status) : status);

    pinion_runner_step_options step = {
        .learning_rate =
            pinion__schedule_rate(options->schedule, trainer->stage.learning_rate, progress->step, trainer->steps),
        .clip_norm = options->clip_norm,
        .seed = trainer->seed,
        .number = (uint64_t)progress->step,
        .prior = pinion__prior_gather(trainer, &batch),
    };
    float loss;
    PINION_TRY(pinion_runner_train(trainer->runner, batch.images, batch.labels, &step, &loss));
    double step_ms = milliseconds(begin_ns, pinion__now_ns()), wait_ms = (double)wait_ns / 1e6;
    progress->step++;
    progress->batch++;
    progress->loss_sum += (double)loss;
    trainer->known_widths = 0;
    assert(run->timed > 0);
    run->step_ms[run->steps++ % run->timed] = step_ms;
    run->total_ms += step_ms;
    run->wait_ms += wait_ms;
    run->epoch_ms += step_ms;
    run->epoch_wait_ms += wait_ms;
    run->test.top1 = (double)NAN;
    run->pace_lost = pinion__pace_lost(&run->pace, step_ms - wait_ms);

    if (run->callbacks->step) {
        pinion_step_report report = {
            .step = progress->step,
            .steps = trainer->steps,
            .done = trainer->steps_before + progress->step,
            .stage = trainer->stage_index + 1,
            .stages = pinion__stage_count(options),
            .epoch = progress->epoch + 1,
            .epochs = trainer->epochs,
            .loss = loss,
            .learning_rate = step.learning_rate,
            .step_ms = step_ms,
            .wait_ms = wait_ms,
            .images_per_s = (double)options->batch / (step_ms / 1e3),
        };
        run->callbacks->step(run->callbacks->user, &report);
    }
fail:
    return status;
}

static int fail_interrupted(const pinion_trainer *trainer)
{
    return pinion__fail(trainer->ctx, __FILE__, __LINE__, PINION_EINTERRUPTED,
                        "interrupted after step %" PRId64 " of %" PRId64 "%s%s", trainer->progress.step, trainer->steps,
                        trainer->state_path ? "; the state is saved in " : "",
                        trainer->state_path ? trainer->state_path : "");
}

static int interrupt(pinion_trainer *trainer)
{
    int status = pinion__checkpoint_save(trainer);
    return status < 0 ? status : fail_interrupted(trainer);
}

static int ask_stop(const pinion__session *run)
{
    return run->callbacks->stop && run->callbacks->stop(run->callbacks->user);
}

/* Steps, or the evaluation that ends a training. */
static bool something_is_left(const pinion__session *run)
{
    const pinion_trainer *trainer = run->trainer;
    return trainer->progress.step < trainer->steps ||
           (isnan(run->test.top1) && pinion_dataset_get_info(trainer->dataset).test_count > 0);
}

static void tell(const pinion__session *run, const pinion_change_report *report)
{
    if (run->callbacks->changed)
        run->callbacks->changed(run->callbacks->user, report);
}

/* A device has failed. */
static int recover(pinion__session *run)
{
    pinion_context *ctx = run->trainer->ctx;
    int status = PINION_OK;
    pinion__change_text text;
    pinion_change_report report;
    close_loader(run);
    PINION_TRY(pinion__trainer_recover(run->trainer, &text, &report));
    if (!run->callbacks->changed)
        pinion__log(ctx, PINION_LOG_WARNING,
                    "%.800s; training goes on without it from step %" PRId64 ", %" PRId64 " steps are repeated",
                    text.cause, report.step, report.repeated);
    PINION_TRY(open_loader(run));
    run->test.top1 = (double)NAN;
    run->epoch_ms = run->epoch_wait_ms = 0;
    pinion__pace_begin(&run->pace, report.predicted_ms, false);
    tell(run, &report);
fail:
    return status;
}

/* Steps have left the pace of the plan. */
static int replan(pinion__session *run)
{
    pinion_context *ctx = run->trainer->ctx;
    int status = PINION_OK;
    char cause[128];
    pinion_change_report report;
    snprintf(cause, sizeof cause, "steps take %.1f ms where %.1f were expected", pinion__pace_median(&run->pace),
             run->pace.expected_ms);
    close_loader(run);
    PINION_TRY(pinion__trainer_replan(run->trainer, &report));
    PINION_TRY(open_loader(run));
    report.cause = cause;
    pinion__pace_begin(&run->pace, report.predicted_ms, true);
    tell(run, &report);
fail:
    return status;
}

/* The last evaluation. What it says of the widths of a dynamic network belongs into its files. */
static int finish(pinion__session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const int known = trainer->known_widths;
    PINION_TRY(pinion__epoch_evaluate_test(run));
    if (trainer->known_widths != known)
        PINION_TRY(pinion__checkpoint_save(trainer));
fail:
    return status;
}

/* One step or the end of an epoch; *done: the training is at its end. */
static int advance(pinion__session *run, bool *done)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    int64_t save_every = trainer->options.save_every;
    if (pinion__epoch_is_due(trainer)) {
        PINION_TRY(pinion__epoch_end(run));
        if (something_is_left(run) && ask_stop(run))
            PINION_TRY(interrupt(trainer));
    }
    if (trainer->progress.step == trainer->steps) {
        PINION_TRY(finish(run));
        *done = true;
        return PINION_OK;
    }
    PINION_TRY(train_step(run));
    if (ask_stop(run))
        PINION_TRY(interrupt(trainer));
    if (save_every && trainer->progress.step % save_every == 0 && !pinion__epoch_is_due(trainer))
        PINION_TRY(pinion__checkpoint_save(trainer));
    if (trainer->options.replan && run->pace_lost && trainer->progress.step < trainer->steps)
        PINION_TRY(replan(run));
fail:
    return status;
}

static int loop(pinion__session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    /* A finished training that was ended between the state and the export. */
    if (trainer->progress.step == trainer->steps && !pinion__epoch_is_due(trainer))
        PINION_TRY(pinion__checkpoint_save(trainer));
    for (bool done = false; !done;) {
        status = advance(run, &done);
        if (status == PINION_EDEVICE)
            status = recover(run);
        PINION_TRY(status);
    }
fail:
    return status;
}

static void summarise(const pinion__session *run, pinion_train_result *result)
{
    const pinion_trainer *trainer = run->trainer;
    const pinion_plan_info plan = pinion_plan_get_info(trainer->plan);
    *result = (pinion_train_result){
        .steps = trainer->progress.step,
        .loss = trainer->progress.epoch_loss,
        .top1 = run->test.top1,
        .widths = run->test.widths,
        .best_top1 = trainer->progress.best_top1,
        .seconds = milliseconds(run->begin_ns, pinion__now_ns()) / 1e3,
        .arena_bytes = plan.arena_bytes,
        .total_bytes = plan.total_bytes,
        .recomputed = plan.recomputed,
        .micro_batches = plan.micro_batches,
    };
    memcpy(result->top1_per_width, run->test.top1_per_width, sizeof result->top1_per_width);
    if (run->steps == 0)
        return;
    int64_t timed = run->steps < run->timed ? run->steps : run->timed;
    result->images_per_s = (double)run->steps * trainer->options.batch / (run->total_ms / 1e3);
    result->step_ms = pinion__summarise(run->step_ms, (size_t)timed).median;
    result->wait_share = run->wait_ms / run->total_ms;
}

static void tell_stage(const pinion__session *run, const pinion_train_result *result)
{
    pinion_stage_report report = pinion__trainer_stage_report(run->trainer);
    report.result = result;
    if (run->callbacks->stage)
        run->callbacks->stage(run->callbacks->user, &report);
}

/* The present stage from where it stands to its end. */
static int run_stage(pinion_trainer *trainer, const pinion_train_callbacks *callbacks, pinion_train_result *result)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion__session run = {.trainer = trainer, .callbacks = callbacks};
    tell_stage(&run, NULL);
    PINION_TRY(begin(&run));
    PINION_TRY(loop(&run));
    summarise(&run, result);
    tell_stage(&run, result);
fail:
    close_loader(&run);
    pinion__release(ctx, run.step_ms);
    return status;
}

int pinion_trainer_run(pinion_trainer *trainer, const pinion_train_callbacks *callbacks, pinion_train_result *result)
{
    static const pinion_train_callbacks silent = {0};
    if (!trainer)
        return PINION_EINVAL;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const int last = pinion__stage_count(&trainer->options) - 1;
    pinion_train_result of_stage;
    callbacks = callbacks ? callbacks : &silent;
    PINION_FAIL_IF(!trainer->runner, PINION_EINVAL, "the trainer cannot run: it has failed before");
    PINION_TRY(run_stage(trainer, callbacks, &of_stage));
    while (trainer->stage_index < last) {
        PINION_TRY(pinion__trainer_next_stage(trainer));
        if (callbacks->stop && callbacks->stop(callbacks->user))
            PINION_TRY(fail_interrupted(trainer));
        PINION_TRY(run_stage(trainer, callbacks, &of_stage));
    }
    if (result)
        *result = of_stage;
fail:
    return status;
}
