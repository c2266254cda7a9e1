/* SPDX-License-Identifier: Apache-2.0
 *
 * Defaults and checks. A new option gets a row in the table of option_table.c, and a check here where it can be out of
 * range.
 */
#include "learn/options.h"

#include "learn/split.h"
#include "learn/stages.h"
#include "net/network.h"

#include <inttypes.h>
#include <math.h>

enum { MAX_BATCH = 65536 };

pinion_train_options pinion_train_options_default(void)
{
    return (pinion_train_options){
        .batch = 64,
        .epochs = 10,
        .optimizer = PINION_SGD,
        .momentum = 0.9f,
        .weight_decay = 5e-4f,
        .schedule = PINION_SCHEDULE_ONECYCLE,
        .augment = -1,
        .seed = 1,
        .distillation_weight = 0.3f,
    };
}

static int check_counts(pinion_context *ctx, const pinion_train_options *o)
{
    int status = PINION_OK;
    PINION_FAIL_IF(o->batch < 1 || o->batch > MAX_BATCH, PINION_EINVAL, "batch is %d; expected 1 to %d", o->batch,
                   MAX_BATCH);
    PINION_FAIL_IF(o->epochs < 1, PINION_EINVAL, "epochs is %d; expected at least 1", o->epochs);
    PINION_FAIL_IF(o->steps < 0 || o->steps > PINION__MAX_COUNT, PINION_EINVAL,
                   "steps is %" PRId64 "; expected 1 to %" PRId64 ", or 0 for whole epochs", o->steps,
                   PINION__MAX_COUNT);
    PINION_FAIL_IF(o->save_every < 0 || o->save_every > PINION__MAX_COUNT, PINION_EINVAL,
                   "save-every is %" PRId64 "; expected 1 to %" PRId64 " steps, or 0 for ends of epochs only",
                   o->save_every, PINION__MAX_COUNT);
    PINION_FAIL_IF(o->validation < 0 || o->validation > PINION__MAX_COUNT, PINION_EINVAL,
                   "val-split is %" PRId64 "; expected a number of samples", o->validation);
    PINION_FAIL_IF(o->validation == 0 && o->validation_indices, PINION_EINVAL,
                   "val-split: there are indices of samples, but their number is 0");
    PINION_FAIL_IF(o->unfused != 0 && o->unfused != 1, PINION_EINVAL, "unfused is %d; expected 0 or 1", o->unfused);
    PINION_FAIL_IF(o->augment < -1 || o->augment > (PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP), PINION_EINVAL,
                   "augment is %d; expected -1 or a combination of enum pinion_augment", o->augment);
fail:
    return status;
}

static int check_rates(pinion_context *ctx, const pinion_train_options *o)
{
    int status = PINION_OK;
    PINION_FAIL_IF(!isfinite(o->learning_rate) || o->learning_rate < 0, PINION_EINVAL,
                   "learning rate is %g; expected a positive number", (double)o->learning_rate);
    PINION_FAIL_IF(!(o->momentum >= 0 && o->momentum < 1), PINION_EINVAL,
                   "momentum is %g; expected at least 0 and less than 1", (double)o->momentum);
    PINION_FAIL_IF(!isfinite(o->weight_decay) || o->weight_decay < 0, PINION_EINVAL,
                   "weight decay is %g; expected 0 or a positive number", (double)o->weight_decay);
    PINION_FAIL_IF(!isfinite(o->clip_norm) || o->clip_norm < 0, PINION_EINVAL,
                   "clip-norm is %g; expected 0 or a positive number", (double)o->clip_norm);
    PINION_FAIL_IF(!(o->label_smoothing >= 0 && o->label_smoothing < 1), PINION_EINVAL,
                   "label smoothing is %g; expected at least 0 and less than 1", (double)o->label_smoothing);
    PINION_FAIL_IF(!isfinite(o->distillation_weight) || o->distillation_weight < 0, PINION_EINVAL,
                   "distillation weight is %g; expected 0 or a positive number", (double)o->distillation_weight);
    PINION_FAIL_IF(!isfinite(o->recompute_share) || o->recompute_share < 0, PINION_EINVAL,
                   "recompute share is %g; expected 0 or a positive number", (double)o->recompute_share);
    PINION_FAIL_IF((int)o->optimizer < PINION_SGD || o->optimizer > PINION_ADAMW, PINION_EINVAL,
                   "optimizer is %d; expected PINION_SGD or PINION_ADAMW", (int)o->optimizer);
    PINION_FAIL_IF((int)o->patience < PINION_PATIENCE_ESTIMATE || o->patience > PINION_PATIENCE_PATIENT, PINION_EINVAL,
                   "patience is %d; expected a value of enum pinion_patience", (int)o->patience);
    PINION_FAIL_IF((int)o->schedule < PINION_SCHEDULE_CONSTANT || o->schedule > PINION_SCHEDULE_ONECYCLE, PINION_EINVAL,
                   "schedule is %d; expected a value of enum pinion_schedule", (int)o->schedule);
fail:
    return status;
}

/* Groups one after another, then perhaps all of them. */
static int check_stages(pinion_context *ctx, const pinion_train_options *o)
{
    int status = PINION_OK;
    PINION_FAIL_IF(o->stage < 0 || o->stage > PINION_MAX_GROUPS, PINION_EINVAL, "stage is %d; expected 1 to %d, or 0",
                   o->stage, (int)PINION_MAX_GROUPS);
    PINION_FAIL_IF(o->joint != 0 && o->joint != 1, PINION_EINVAL, "joint is %d; expected 0 or 1", o->joint);
    PINION_FAIL_IF(o->stage && o->joint, PINION_EINVAL,
                   "stage %d and joint: a stage trains one group, joint training "
                   "all of them",
                   o->stage);
    PINION_FAIL_IF(o->stage_count < 0 || o->stage_count > PINION_MAX_STAGES, PINION_EINVAL,
                   "there are %d stages; expected at most %d", o->stage_count, (int)PINION_MAX_STAGES);
    PINION_FAIL_IF(o->stage_count && (o->stage || o->joint), PINION_EINVAL,
                   "there are %d stages, and stage or joint is given; expected one of them", o->stage_count);
    for (int i = 0; i < o->stage_count; i++) {
        const pinion_train_stage *at = &o->stages[i];
        int before = i ? o->stages[i - 1].group : 0;
        bool joint = at->group == 0 && i + 1 == o->stage_count;
        bool next = at->group >= 1 && at->group <= PINION_MAX_GROUPS && (i == 0 || at->group == before + 1);
        PINION_FAIL_IF(!joint && !next, PINION_EINVAL,
                       "stages: number %d trains group %d; expected one group "
                       "after another, and all (0) last at most",
                       i + 1, at->group);
        PINION_FAIL_IF(at->epochs < 0 || at->steps < 0 || at->steps > PINION__MAX_COUNT ||
                           !isfinite(at->learning_rate) || at->learning_rate < 0,
                       PINION_EINVAL, "stages: number %d has %d epochs, %" PRId64 " steps and the learning rate %g",
                       i + 1, at->epochs, at->steps, (double)at->learning_rate);
    }
fail:
    return status;
}

/* Zeros of a stage are the options'; the options are then those of the first stage. */
static void fill_stages(pinion_train_options *options)
{
    for (int i = 0; i < options->stage_count; i++) {
        pinion_train_stage *at = &options->stages[i];
        at->epochs = at->epochs ? at->epochs : options->epochs;
        at->steps = at->steps ? at->steps : options->steps;
        at->learning_rate = at->learning_rate != 0 ? at->learning_rate : options->learning_rate;
    }
    if (options->stage_count) {
        options->epochs = options->stages[0].epochs;
        options->steps = options->stages[0].steps;
        options->learning_rate = options->stages[0].learning_rate;
    }
}

int pinion__options_check(pinion_context *ctx, pinion_train_options *options)
{
    int status = PINION_OK;
    PINION_TRY(check_counts(ctx, options));
    PINION_TRY(check_rates(ctx, options));
    PINION_TRY(check_stages(ctx, options));
    if (options->learning_rate == 0)
        options->learning_rate = options->optimizer == PINION_SGD ? 0.1f : 1e-3f;
    fill_stages(options);
    if (options->freeze && !*options->freeze)
        options->freeze = NULL;
    if (options->processors && !*options->processors)
        options->processors = NULL;
    if (options->place && !*options->place)
        options->place = NULL;
fail:
    return status;
}

int pinion__options_check_data(const pinion_network *network, const pinion_dataset_info *info,
                               const pinion_train_options *options)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__data_fits(network, info));
    PINION_FAIL_IF(info->train_count > UINT32_MAX, PINION_EINVAL,
                   "'%s' has %" PRId64 " training samples; expected at most %" PRIu32, info->spec, info->train_count,
                   UINT32_MAX);
    PINION_FAIL_IF(options->validation > 0 && options->validation >= info->train_count, PINION_EINVAL,
                   "val-split is %" PRId64 ", but '%s' has %" PRId64 " training samples", options->validation,
                   info->spec, info->train_count);
    int64_t rest = info->train_count - options->validation;
    PINION_FAIL_IF(rest < options->batch, PINION_EINVAL,
                   "batch is %d, but '%s' has %" PRId64 " samples to train on (%" PRId64 " held back)", options->batch,
                   info->spec, rest, options->validation);
    for (int i = 0; i < pinion__stage_count(options); i++)
        PINION_FAIL_IF(pinion__stage_at(options, i).epochs > PINION__MAX_COUNT / (rest / options->batch), PINION_EINVAL,
                       "epochs is %d, of %" PRId64 " steps each; expected at most %" PRId64 " steps",
                       pinion__stage_at(options, i).epochs, rest / options->batch, PINION__MAX_COUNT);
fail:
    return status;
}
