/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends of epochs: the weights are checked and evaluated, the best ones kept, everything saved.
 */
#include "base/clock.h"
#include "learn/best.h"
#include "learn/checkpoint.h"
#include "learn/session.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

bool pinion__epoch_is_due(const pinion_trainer *trainer)
{
    const pinion__progress *progress = &trainer->progress;
    return progress->batch == trainer->batches || (progress->batch > 0 && progress->step == trainer->steps);
}

int pinion__trainer_rescue(pinion_trainer *trainer, int code)
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

int pinion__epoch_evaluate_test(pinion__session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    if (pinion_dataset_get_info(trainer->dataset).test_count == 0 || !isnan(run->test.top1))
        return PINION_OK;
    pinion_eval_result result;
    PINION_TRY(pinion__evaluator_run(trainer->evaluator, trainer->dataset, PINION_PART_TEST, NULL, 0, &result));
    run->test = result;
    trainer->known_widths = result.widths;
    memcpy(trainer->top1_per_width, result.top1_per_width, sizeof trainer->top1_per_width);
fail:
    return status;
}

static void report_widths(const pinion_eval_result *result, pinion_epoch_report *report)
{
    report->top1 = result->top1;
    report->widths = result->widths;
    memcpy(report->top1_per_width, result->top1_per_width, sizeof report->top1_per_width);
}

static int keep_best(pinion_trainer *trainer, double top1)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    if (top1 <= trainer->progress.best_top1)
        return PINION_OK;
    trainer->progress.best_top1 = top1;
    if (pinion__best_wanted(trainer))
        PINION_TRY(pinion__best_keep(trainer));
    if (trainer->best_path)
        PINION_TRY(pinion__checkpoint_export(trainer, trainer->best_path));
fail:
    return status;
}

/* Evaluates on the samples held back and keeps the best weights; without such samples, on the test part. */
static int evaluate_epoch(pinion__session *run, pinion_epoch_report *report)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    report->validation_top1 = (double)NAN;
    if (trainer->validation_subset) {
        pinion_eval_result result;
        PINION_TRY(pinion__evaluator_run(trainer->evaluator, trainer->dataset, PINION_PART_TRAIN,
                                         trainer->validation_subset, trainer->options.validation, &result));
        report_widths(&result, report);
        report->validation_top1 = result.top1;
        PINION_TRY(keep_best(trainer, result.top1));
    } else {
        PINION_TRY(pinion__epoch_evaluate_test(run));
        report_widths(&run->test, report);
    }
fail:
    return status;
}

int pinion__epoch_end(pinion__session *run)
{
    pinion_trainer *trainer = run->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion__progress *progress = &trainer->progress;
    pinion_epoch_report report = {
        .epoch = progress->epoch + 1,
        .epochs = trainer->epochs,
        .loss = progress->loss_sum / (double)progress->batch,
        .stage = trainer->stage_index + 1,
        .stages = pinion__stage_count(&trainer->options),
    };
    PINION_TRY(pinion__trainer_check_weights(trainer));
    status = evaluate_epoch(run, &report);
    if (status < 0 && status != PINION_EIO && status != PINION_ENONFINITE && status != PINION_EDEVICE)
        status = pinion__trainer_rescue(trainer, status);
    PINION_TRY(status);
    progress->epoch_loss = report.loss;
    progress->epoch++;
    progress->batch = 0;
    progress->loss_sum = 0;

    int64_t now_ns = pinion__now_ns();
    report.seconds = (double)(now_ns - run->epoch_begin_ns) / 1e9;
    run->epoch_begin_ns = now_ns;
    report.wait_share = run->epoch_ms > 0 ? run->epoch_wait_ms / run->epoch_ms : 0;
    run->epoch_ms = run->epoch_wait_ms = 0;
    if (run->callbacks->epoch)
        run->callbacks->epoch(run->callbacks->user, &report);
    PINION_TRY(pinion__checkpoint_save(trainer));
fail:
    return status;
}
