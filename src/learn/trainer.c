/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a trainer: everything that can be refused is refused here, before the first step; everything that training
 * needs is allocated.
 */
#include "learn/trainer.h"

#include "learn/best.h"
#include "learn/checkpoint.h"
#include "learn/feed.h"
#include "learn/options.h"
#include "learn/prior.h"
#include "learn/split.h"
#include "net/groups.h"
#include "net/shared.h"
#include "net/text.h"
#include "plan/place.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* Names of the files, and whether they can be written, before any time is spent on training. */
static int set_output(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const char *out = trainer->options.out;
    if (!out)
        return PINION_OK;
    PINION_FAIL_IF(!*out || pinion__ends_with(out, ".state.safetensors") || pinion__ends_with(out, ".best.safetensors"),
                   PINION_EINVAL,
                   "out is '%s'; expected a file name that does not end in "
                   ".state.safetensors or .best.safetensors",
                   out);
    PINION_TRY(pinion__checkpoint_path(ctx, out, "state", &trainer->state_path));
    PINION_TRY(pinion__checkpoint_path(ctx, out, "best", &trainer->best_path));
    const char *const files[] = {out, trainer->state_path, trainer->best_path};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct stat info;
        PINION_FAIL_IF(stat(files[i], &info) == 0 && S_ISDIR(info.st_mode), PINION_EIO,
                       "%s: is a folder; expected the name of a file to write", files[i]);
    }
    PINION_TRY(pinion__file_check_writable(ctx, out));
fail:
    return status;
}

static int set_options(pinion_trainer *trainer, const pinion_train_options *options)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    trainer->options = *options;
    PINION_TRY(pinion__options_check(ctx, &trainer->options));
    if (trainer->options.freeze)
        PINION_TRY(pinion__copy_string(ctx, trainer->options.freeze, &trainer->freeze));
    if (trainer->options.out)
        PINION_TRY(pinion__copy_string(ctx, trainer->options.out, &trainer->out));
    if (trainer->options.processors)
        PINION_TRY(pinion__copy_string(ctx, trainer->options.processors, &trainer->list));
    if (trainer->options.place)
        PINION_TRY(pinion__copy_string(ctx, trainer->options.place, &trainer->place));
    if (trainer->options.trace)
        PINION_TRY(pinion__copy_string(ctx, trainer->options.trace, &trainer->trace));
    trainer->options.processors = trainer->list;
    trainer->options.place = trainer->place;
    trainer->options.trace = trainer->trace;
    trainer->options.freeze = trainer->freeze;
    trainer->options.out = trainer->out;
fail:
    return status;
}

static int set_data(pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion_train_options *options = &trainer->options;
    pinion_dataset_info info = pinion_dataset_get_info(trainer->dataset);
    PINION_TRY(pinion__options_check_data(trainer->network, &info, options));
    PINION_TRY(pinion__stages_check(trainer->network, options));
    if (options->augment < 0)
        options->augment = (int)info.augment;

    PINION_TRY(pinion__data_fingerprint(ctx, trainer->dataset, &trainer->data_hash));
    trainer->train_count = info.train_count - options->validation;
    if (options->validation > 0) {
        trainer->validation_given = options->validation_indices != NULL;
        PINION_TRY(pinion__split(ctx, options->seed, info.train_count, options->validation, options->validation_indices,
                                 &trainer->train_subset, &trainer->validation_subset));
    }
    options->validation_indices = NULL;
    trainer->batches = trainer->train_count / options->batch;
    pinion__trainer_set_stage(trainer, 0);
fail:
    return status;
}

void pinion__trainer_clear(pinion_trainer *trainer)
{
    pinion__prior_fini(trainer);
    pinion__evaluator_destroy(trainer->evaluator);
    pinion_runner_destroy(trainer->runner);
    pinion_plan_destroy(trainer->plan);
    trainer->evaluator = NULL;
    trainer->runner = NULL;
    trainer->plan = NULL;
}

pinion_plan_options pinion__trainer_plan_options(const pinion_trainer *trainer, pinion__stage stage)
{
    const pinion_train_options *options = &trainer->options;
    pinion_plan_options plan = pinion_plan_options_default();
    plan.mode = PINION_TRAIN;
    plan.batch = options->batch;
    plan.patience = options->patience;
    plan.optimizer = options->optimizer;
    plan.momentum = options->momentum;
    plan.weight_decay = options->weight_decay;
    plan.label_smoothing = options->label_smoothing;
    plan.clip = options->clip_norm > 0;
    plan.freeze = options->freeze;
    plan.memory_limit = options->memory_limit;
    plan.recompute_share = options->recompute_share;
    plan.unfused = options->unfused;
    plan.processors = options->processors;
    plan.place = options->place;
    plan.measuring = options->measuring;
    plan.measuring_user = options->measuring_user;
    plan.stage = stage.group;
    plan.joint = stage.joint;
    plan.distillation_weight = options->distillation_weight;
    plan.width = pinion__stage_width(trainer->network, stage);
    plan.prior = pinion__prior_possible(trainer, stage);
    return plan;
}

int pinion__trainer_build(pinion_trainer *trainer, enum pinion__isa isa, pinion__given_kernels given)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion__trainer_clear(trainer);

    const pinion_train_options *options = &trainer->options;
    pinion__processors *processors = &trainer->processors;
    for (int i = 0; i < processors->count; i++)
        processors->at[i]->isa = isa;
    pinion_plan_options plan = pinion__trainer_plan_options(trainer, trainer->stage);
    const pinion__plan_tuning tuning = {
        .kernels = given.training, .micro_batches = given.micro_batches, .anew = trainer->anew};
    if (trainer->anew && plan.patience < PINION_PATIENCE_MEASURE)
        plan.patience = PINION_PATIENCE_MEASURE;
    PINION_TRY(
        pinion__plan_create_tuned(trainer->network, &plan, &tuning, processors->at, processors->count, &trainer->plan));
    PINION_TRY(pinion_runner_create(trainer->plan, &trainer->runner));
    PINION_TRY(pinion__feed_prepare(trainer->runner, PINION__TRAINER_SLOTS));
    if (options->trace)
        PINION_TRY(pinion_runner_set_trace(trainer->runner, options->trace));
    if (trainer->validation_subset || pinion_dataset_get_info(trainer->dataset).test_count > 0 || plan.prior)
        PINION_TRY(pinion__evaluator_create(trainer->network, processors, &plan, given.evaluation, trainer->runner,
                                            &trainer->evaluator));
fail:
    return status;
}

int pinion__trainer_params(const pinion_trainer *trainer)
{
    int width = pinion__stage_width(trainer->network, trainer->stage);
    return (int)pinion__network_param_count(trainer->network, width);
}

/* `what` holds as many values as a parameter; `kind` says what of it they are. */
static int check_finite(const pinion_trainer *trainer, int index, const float *what, const char *kind)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion__param *param = &trainer->network->params[index];
    for (size_t i = 0; i < param->bytes / sizeof *what; i++)
        PINION_FAIL_IF(!isfinite(what[i]), PINION_ENONFINITE,
                       "step %lld: %s'%s' of layer '%s' has the value %g after the "
                       "update; try a lower learning rate",
                       (long long)trainer->progress.step, kind, param->name,
                       trainer->network->layers[param->layer].name, (double)what[i]);
fail:
    return status;
}

int pinion__trainer_check_weights(const pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__network_settle(trainer->network));
    for (int i = 0; i < pinion__trainer_params(trainer); i++)
        PINION_TRY(check_finite(trainer, i, pinion__param_data(trainer->network, i), ""));
fail:
    return status;
}

int pinion__trainer_check_moments(const pinion_trainer *trainer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__runner_settle(trainer->runner));
    for (int which = 0; which < trainer->plan->moments_per_param; which++)
        for (int i = 0; i < pinion__trainer_params(trainer); i++) {
            const float *moment = pinion__runner_moment(trainer->runner, i, which);
            if (moment)
                PINION_TRY(check_finite(trainer, i, moment, which ? "the second moment of " : "the first moment of "));
        }
fail:
    return status;
}

/* The checkpoint holds the plan: a training that is resumed does not need the file that the plan came from. */
static void forget_plan_file(pinion_trainer *trainer)
{
    const pinion__processors *list = &trainer->processors;
    if (!pinion__place_is_way(trainer->options.place, list->at, list->count))
        trainer->options.place = NULL;
}

int pinion_trainer_create(pinion_network *network, pinion_dataset *dataset, const pinion_train_options *options,
                          pinion_trainer **out)
{
    if (!network)
        return PINION_EINVAL;
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    pinion_trainer *trainer = NULL;
    const int width = network->width;
    PINION_FAIL_IF(!dataset || !out, PINION_EINVAL, "a trainer needs a data set and a place for the result");
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *trainer, "a trainer", &trainer));
    trainer->ctx = ctx;
    trainer->network = network;
    trainer->dataset = dataset;
    trainer->saved_step = -1;
    trainer->progress.epoch_loss = (double)NAN;
    trainer->progress.best_top1 = (double)NAN;

    pinion_train_options defaults = pinion_train_options_default();
    PINION_TRY(set_options(trainer, options ? options : &defaults));
    PINION_TRY(set_data(trainer));
    PINION_TRY(set_output(trainer));
    PINION_TRY(pinion__checkpoint_model(network, &trainer->model, &trainer->description));
    PINION_TRY(pinion__processors_choose(ctx, trainer->options.processors, &trainer->processors));
    PINION_TRY(pinion__trainer_check_later_stages(trainer));
    PINION_TRY(pinion__trainer_enter_stage(trainer));
    PINION_TRY(pinion__trainer_build(trainer, ctx->isa, (pinion__given_kernels){NULL, NULL, 0}));
    forget_plan_file(trainer);
    *out = trainer;
    return PINION_OK;
fail:
    pinion_trainer_destroy(trainer);
    network->width = width;
    return status;
}

void pinion_trainer_destroy(pinion_trainer *trainer)
{
    if (!trainer)
        return;
    pinion_context *ctx = trainer->ctx;
    pinion__trainer_clear(trainer);
    pinion__processors_fini(&trainer->processors);
    pinion__best_forget(trainer);
    pinion__release(ctx, trainer->train_subset);
    pinion__release(ctx, trainer->validation_subset);
    pinion__release(ctx, trainer->freeze);
    pinion__release(ctx, trainer->out);
    pinion__release(ctx, trainer->list);
    pinion__release(ctx, trainer->place);
    pinion__release(ctx, trainer->trace);
    pinion__release(ctx, trainer->state_path);
    pinion__release(ctx, trainer->best_path);
    pinion__release(ctx, trainer->model);
    pinion__release(ctx, trainer->description);
    pinion__release(ctx, trainer);
}

pinion_plan_info pinion_trainer_get_plan(const pinion_trainer *trainer)
{
    return pinion_plan_get_info(trainer ? trainer->plan : NULL);
}

void pinion_trainer_set_log_bytes(pinion_trainer *trainer, int64_t (*position)(void *user), void *user)
{
    if (!trainer)
        return;
    trainer->log_bytes = position;
    trainer->log_user = user;
}
