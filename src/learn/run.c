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
#include "learn/pace.h"
#include "learn/schedule.h"
#include "learn/trainer.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { TIMED_STEPS = 1 << 16 }; /* the median is that of the last so many steps */

/* One call of pinion_trainer_run. */
typedef struct session {
    pinion_trainer *trainer;
    const pinion_train_callbacks *callbacks; /* never NULL */
    pinion__loader *loader;                  /* NULL: no step is left */
    double *step_ms;                         /* ring of timings */
    int64_t timed;                           /* its length */
    int64_t steps;                           /* done in this run */
    double total_ms, wait_ms;
    double epoch_ms, epoch_wait_ms; /* of the epoch's steps in this run */
    int64_t begin_ns, epoch_begin_ns;
    double test_top1; /* of the present weights; NaN: not evaluated */
    pinion__pace pace;
    bool pace_lost; /* by the last step */
} session;

static double milliseconds(int64_t from_ns, int64_t to_ns)
{
    return (double)(to_ns - from_ns) / 1e6;
}

static bool epoch_is_due(const pinion_trainer *trainer)
{
    const pinion__progress *progress = &trainer->progress;
    return progress->batch == trainer->batches || (progress->batch > 0 && progress->step == trainer->steps);
}

static void close_loader(session *run)
{
    pinion__loader_destroy(run->loader); /* its batches may lie in the runner's memory */
    run->loader = NULL;
}

static int open_loader(session *run)
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
        .seed = trainer->options.seed,
        .first_epoch = next ? progress->epoch + 1 : progress->epoch,
        .first_batch = next ? 0 : progress->batch,
        .repeat = true,
    };
    PINION_TRY(pinion__feed_create(trainer->runner, PINION__TRAINER_SLOTS, &options, &run->loader));
fail:
    return status;
}

/* What a device holds is lost when it fails: there is a checkpoint from the start. */
static int begin(session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    run->begin_ns = run->epoch_begin_ns = pinion__now_ns();
    run->test_top1 = (double)NAN;
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

/* After a failure between two steps, where the weights are good: saves what was done since the last save. Returns the
 * failure's code, with its sentence. */
static int rescue(pinion_trainer *trainer, int code)
{
    pinion_context *ctx = trainer->ctx;
    int64_t step = trainer->progress.step;
    char cause[PINION__SENTENCE_MAX];
    snprintf(cause, sizeof cause, "%s", pinion_context_error(ctx));
    if (!trainer->out || step == 0)
        return code;
    if (pinion__checkpoint_save(trainer) < 0)
        return pinion__fail(ctx, __FILE__, __LINE__, code, "%s", cause);
    return pinion__fail(ctx, __FILE__, __LINE__, code, "%.600s; the state after step %" PRId64 " is saved in %.300s",
                        cause, step, trainer->state_path);
}

static int train_step(session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion__progress *progress = &trainer->progress;
    const pinion_train_options *options = &trainer->options;
    int64_t begin_ns = pinion__now_ns(), wait_ns = 0;
    pinion__batch batch;
    status = pinion__loader_next(run->loader, &batch, &wait_ns);
    PINION_TRY(status < 0 ? rescue(trainer, status) : status);

    pinion_runner_step_options step = {
        .learning_rate =
            pinion__schedule_rate(options->schedule, options->learning_rate, progress->step, trainer->steps),
        .clip_norm = options->clip_norm,
        .seed = options->seed,
        .number = (uint64_t)progress->step,
    };
    float loss;
    PINION_TRY(pinion_runner_train(trainer->runner, batch.images, batch.labels, &step, &loss));
    double step_ms = milliseconds(begin_ns, pinion__now_ns()), wait_ms = (double)wait_ns / 1e6;
    progress->step++;
    progress->batch++;
    progress->loss_sum += (double)loss;
    assert(run->timed > 0);
    run->step_ms[run->steps++ % run->timed] = step_ms;
    run->total_ms += step_ms;
    run->wait_ms += wait_ms;
    run->epoch_ms += step_ms;
    run->epoch_wait_ms += wait_ms;
    run->test_top1 = (double)NAN;
    run->pace_lost = pinion__pace_lost(&run->pace, step_ms - wait_ms);

    if (run->callbacks->step) {
        pinion_step_report report = {
            .step = progress->step,
            .steps = trainer->steps,
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

static int evaluate_test(session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    if (pinion_dataset_get_info(trainer->dataset).test_count == 0 || !isnan(run->test_top1))
        return PINION_OK;
    pinion_eval_result result;
    PINION_TRY(pinion__evaluator_run(trainer->evaluator, trainer->dataset, PINION_PART_TEST, NULL, 0, &result));
    run->test_top1 = result.top1;
fail:
    return status;
}

/* Evaluates on the samples held back and keeps the best weights; without such samples, on the test part. */
static int evaluate_epoch(session *run, pinion_epoch_report *report)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    report->validation_top1 = (double)NAN;
    if (trainer->validation_subset) {
        pinion_eval_result result;
        PINION_TRY(pinion__evaluator_run(trainer->evaluator, trainer->dataset, PINION_PART_TRAIN,
                                         trainer->validation_subset, trainer->options.validation, &result));
        report->validation_top1 = report->top1 = result.top1;
        if (!(result.top1 <= trainer->progress.best_top1)) {
            trainer->progress.best_top1 = result.top1;
            if (trainer->best_path)
                PINION_TRY(pinion__checkpoint_export(trainer, trainer->best_path));
        }
    } else {
        PINION_TRY(evaluate_test(run));
        report->top1 = run->test_top1;
    }
fail:
    return status;
}

static int end_epoch(session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion__progress *progress = &trainer->progress;
    pinion_epoch_report report = {
        .epoch = progress->epoch + 1,
        .epochs = trainer->epochs,
        .loss = progress->loss_sum / (double)progress->batch,
    };
    PINION_TRY(pinion__trainer_check_weights(trainer));
    status = evaluate_epoch(run, &report);
    if (status < 0 && status != PINION_EIO && status != PINION_ENONFINITE && status != PINION_EDEVICE)
        status = rescue(trainer, status);
    PINION_TRY(status);
    progress->epoch_loss = report.loss;
    progress->epoch++;
    progress->batch = 0;
    progress->loss_sum = 0;

    int64_t now_ns = pinion__now_ns();
    report.seconds = milliseconds(run->epoch_begin_ns, now_ns) / 1e3;
    run->epoch_begin_ns = now_ns;
    report.wait_share = run->epoch_ms > 0 ? run->epoch_wait_ms / run->epoch_ms : 0;
    run->epoch_ms = run->epoch_wait_ms = 0;
    if (run->callbacks->epoch)
        run->callbacks->epoch(run->callbacks->user, &report);
    PINION_TRY(pinion__checkpoint_save(trainer));
fail:
    return status;
}

static int interrupt(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__checkpoint_save(trainer));
    PINION_FAIL_IF(true, PINION_EINTERRUPTED, "interrupted after step %" PRId64 " of %" PRId64 "%s%s",
                   trainer->progress.step, trainer->steps, trainer->state_path ? "; the state is saved in " : "",
                   trainer->state_path ? trainer->state_path : "");
fail:
    return status;
}

static int ask_stop(const session *run)
{
    return run->callbacks->stop && run->callbacks->stop(run->callbacks->user);
}

/* Steps, or the evaluation that ends a training. */
static bool something_is_left(const session *run)
{
    const pinion_trainer *trainer = run->trainer;
    return trainer->progress.step < trainer->steps ||
           (isnan(run->test_top1) && pinion_dataset_get_info(trainer->dataset).test_count > 0);
}

static void tell(const session *run, const pinion_change_report *report)
{
    if (run->callbacks->changed)
        run->callbacks->changed(run->callbacks->user, report);
}

/* A device has failed. */
static int recover(session *run)
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
    run->test_top1 = (double)NAN;
    run->epoch_ms = run->epoch_wait_ms = 0;
    pinion__pace_begin(&run->pace, report.predicted_ms, false);
    tell(run, &report);
fail:
    return status;
}

/* Steps have left the pace of the plan. */
static int replan(session *run)
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

/* One step or the end of an epoch; *done: the training is at its end. */
static int advance(session *run, bool *done)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    int64_t save_every = trainer->options.save_every;
    if (epoch_is_due(trainer)) {
        PINION_TRY(end_epoch(run));
        if (something_is_left(run) && ask_stop(run))
            PINION_TRY(interrupt(trainer));
    }
    if (trainer->progress.step == trainer->steps) {
        PINION_TRY(evaluate_test(run));
        *done = true;
        return PINION_OK;
    }
    PINION_TRY(train_step(run));
    if (ask_stop(run))
        PINION_TRY(interrupt(trainer));
    if (save_every && trainer->progress.step % save_every == 0 && !epoch_is_due(trainer))
        PINION_TRY(pinion__checkpoint_save(trainer));
    if (trainer->options.replan && run->pace_lost && trainer->progress.step < trainer->steps)
        PINION_TRY(replan(run));
fail:
    return status;
}

static int loop(session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    /* A finished training that was ended between the state and the export. */
    if (trainer->progress.step == trainer->steps && !epoch_is_due(trainer))
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

static void summarise(const session *run, pinion_train_result *result)
{
    const pinion_trainer *trainer = run->trainer;
    const pinion_plan_info plan = pinion_plan_get_info(trainer->plan);
    *result = (pinion_train_result){
        .steps = trainer->progress.step,
        .loss = trainer->progress.epoch_loss,
        .top1 = run->test_top1,
        .best_top1 = trainer->progress.best_top1,
        .seconds = milliseconds(run->begin_ns, pinion__now_ns()) / 1e3,
        .arena_bytes = plan.arena_bytes,
        .total_bytes = plan.total_bytes,
        .recomputed = plan.recomputed,
        .micro_batches = plan.micro_batches,
    };
    if (run->steps == 0)
        return;
    int64_t timed = run->steps < run->timed ? run->steps : run->timed;
    result->images_per_s = (double)run->steps * trainer->options.batch / (run->total_ms / 1e3);
    result->step_ms = pinion__summarise(run->step_ms, (size_t)timed).median;
    result->wait_share = run->wait_ms / run->total_ms;
}

int pinion_trainer_run(pinion_trainer *trainer, const pinion_train_callbacks *callbacks, pinion_train_result *result)
{
    static const pinion_train_callbacks silent = {0};
    if (!trainer)
        return PINION_EINVAL;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    session run = {.trainer = trainer, .callbacks = callbacks ? callbacks : &silent};
    PINION_TRY(begin(&run));
    PINION_TRY(loop(&run));
    if (result)
        summarise(&run, result);
fail:
    close_loader(&run);
    pinion__release(ctx, run.step_ms);
    return status;
}
