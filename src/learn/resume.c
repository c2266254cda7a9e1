/* SPDX-License-Identifier: Apache-2.0
 *
 * Resuming: first everything is checked - options, data, network, progress, kernels, tensors - then network and trainer
 * change.
 */
#include "learn/best.h"
#include "learn/checkpoint.h"
#include "net/weights.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Is the file's text under a key what the trainer has? */
static bool agrees(const pinion_checkpoint *checkpoint, const char *key, const char *text)
{
    const char *saved = pinion__st_get(checkpoint->file, key);
    return saved && strcmp(saved, text) == 0;
}

static const char *connect_text(int groups, enum pinion_connect connect)
{
    return groups == 0 ? "" : connect == PINION_TOWERS ? " as towers" : ", nested";
}

/* The same data and network. SPECs may differ: folders move. */
static int check_origin(const pinion_trainer *trainer, const pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const char *path = checkpoint->file->path;
    pinion_dataset_info info = pinion_dataset_get_info(trainer->dataset);
    PINION_FAIL_IF(!agrees(checkpoint, PINION__KEY_NETWORK, trainer->description), PINION_EINVAL,
                   "%s: was made with another network than '%s'%s%.40s", path, trainer->network->name,
                   *checkpoint->info.model == '{' ? "" : ": ",
                   *checkpoint->info.model == '{' ? "" : checkpoint->info.model);
    const pinion_network *network = trainer->network;
    PINION_FAIL_IF(checkpoint->info.groups != network->groups ||
                       (network->groups && checkpoint->info.connect != network->connect),
                   PINION_EINVAL, "%s: was made with %d groups%s, but network '%s' has %d%s", path,
                   checkpoint->info.groups, connect_text(checkpoint->info.groups, checkpoint->info.connect),
                   network->name, network->groups, connect_text(network->groups, network->connect));
    PINION_FAIL_IF(!agrees(checkpoint, PINION__KEY_DATA_HASH, pinion__checkpoint_hash_text(trainer->data_hash).text),
                   PINION_EINVAL,
                   "%s: was made with other training data ('%.200s') than "
                   "'%.200s' holds now",
                   path, checkpoint->info.data, info.spec);
fail:
    return status;
}

/* The same samples are held back. */
static int check_validation(const pinion_trainer *trainer, const pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    bool same = trainer->validation_given == (checkpoint->validation != NULL);
    for (int64_t i = 0; same && checkpoint->validation && i < trainer->options.validation; i++)
        same = checkpoint->validation[i] == trainer->validation_subset[i];
    PINION_FAIL_IF(!same, PINION_EINVAL, "val-split: %s: was made with other samples held back",
                   checkpoint->file->path);
fail:
    return status;
}

/* Where the checkpoint's training stands is a place of this one. */
static int check_progress(const pinion_trainer *trainer, const pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion__progress *progress = &checkpoint->progress;
    const pinion__stage stage = pinion__stage_at(&trainer->options, checkpoint->stage_index);
    const int64_t batches = trainer->batches, steps = pinion__stage_steps(stage, batches);
    const int64_t epochs = (steps + batches - 1) / batches;
    bool inside = progress->epoch <= epochs && progress->batch <= batches &&
                  progress->step == progress->epoch * batches + progress->batch && progress->step <= steps;
    bool at_end = progress->step == steps && progress->epoch == epochs && progress->batch == 0;
    PINION_FAIL_IF(!inside && !at_end, PINION_EFORMAT,
                   "%s: step %" PRId64 ", %" PRId64 " epochs and %" PRId64 " steps; expected a place within %" PRId64
                   " steps in epochs of %" PRId64,
                   checkpoint->file->path, progress->step, progress->epoch, progress->batch, steps, batches);
fail:
    return status;
}

/* Kernels of a lesser instruction set run here too. */
static bool can_run(enum pinion__isa machine, enum pinion__isa isa)
{
    if (machine == PINION__ISA_NEON || isa == PINION__ISA_NEON)
        return machine == isa;
    return isa <= machine;
}

/* Names the first line in which two plans differ. */
static int fail_plan(pinion_context *ctx, const char *path, const char *now, const char *then)
{
    size_t at = 0;
    while (now[at] && now[at] == then[at])
        at++;
    while (at > 0 && now[at - 1] != '\n')
        at--;
    const char *a = now + at, *b = then + at;
    int status = PINION_OK;
    PINION_FAIL_IF(true, PINION_EINVAL,
                   "%s: was made with the task '%.*s' where this build has "
                   "'%.*s'; the same bits cannot be promised",
                   path, (int)strcspn(b, "\n"), b, (int)strcspn(a, "\n"), a);
fail:
    return status;
}

/* Does a plan have the kernels of the checkpoint (NULL: it says nothing of them)? */
static int compare_plan(const pinion_plan *plan, const char *kernels, char **text, bool *same)
{
    int status = PINION_OK;
    *same = true;
    if (!kernels)
        return PINION_OK;
    status = pinion__plan_kernels(plan, text);
    *same = status == PINION_OK && strcmp(*text, kernels) == 0;
    return status;
}

/* PINION_OK and *same false: they differ; with `report` that is a failure. */
static int compare_plans(const pinion_trainer *trainer, const pinion_checkpoint *checkpoint, bool report, bool *same)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const char *path = checkpoint->file->path;
    char *training = NULL, *evaluation = NULL;
    bool same_evaluation = true;
    PINION_TRY(compare_plan(trainer->plan, checkpoint->plan, &training, same));
    if (report && training && !*same)
        PINION_TRY(fail_plan(ctx, path, training, checkpoint->plan));
    *same = *same && trainer->plan->micro_batches == checkpoint->micro_batches;
    PINION_FAIL_IF(report && !*same, PINION_EINVAL,
                   "%s: was made with %d micro-batches where the plan has %d; "
                   "the same bits cannot be promised",
                   path, checkpoint->micro_batches, trainer->plan->micro_batches);
    if (trainer->evaluator)
        PINION_TRY(compare_plan(pinion__evaluator_plan(trainer->evaluator), checkpoint->evaluation, &evaluation,
                                &same_evaluation));
    if (report && evaluation && !same_evaluation)
        PINION_TRY(fail_plan(ctx, path, evaluation, checkpoint->evaluation));
    *same = *same && same_evaluation;
fail:
    pinion__release(ctx, training);
    pinion__release(ctx, evaluation);
    return status;
}

/* Plans with exactly the checkpoint's kernels; nothing is measured. */
static int repeat_plans(pinion_trainer *trainer, const pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion__given_kernels given = {checkpoint->plan, checkpoint->evaluation, checkpoint->micro_batches};
    status = pinion__trainer_build(trainer, checkpoint->isa, given);
    if (status == PINION_EUNSUPPORTED) {
        char cause[PINION__SENTENCE_MAX];
        snprintf(cause, sizeof cause, "%s", pinion_context_error(ctx));
        PINION_FAIL_IF(true, PINION_EINVAL, "%.400s: its plan cannot be repeated: %.500s", checkpoint->file->path,
                       cause);
    }
    PINION_TRY(status);
fail:
    return status;
}

/* The plan of the checkpoint is used again, or refused. */
static int restore_plan(pinion_trainer *trainer, const pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    bool same = false;
    PINION_FAIL_IF(!can_run(ctx->isa, checkpoint->isa), PINION_EINVAL,
                   "%s: was made with kernels for %s; this context may use %s", checkpoint->file->path,
                   pinion__isa_name(checkpoint->isa), pinion__isa_name(ctx->isa));
    if (checkpoint->isa == trainer->processors.at[0]->isa)
        PINION_TRY(compare_plans(trainer, checkpoint, false, &same));
    if (!same) {
        PINION_TRY(repeat_plans(trainer, checkpoint));
        PINION_TRY(compare_plans(trainer, checkpoint, true, &same));
    }
fail:
    return status;
}

/* Finds the tensor of a moment, or of the best weights, and checks that it is one. */
static int find_tensor(const pinion_trainer *trainer, const pinion_checkpoint *checkpoint, int index, int what,
                       const pinion__st_tensor **out)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion__param *param = &trainer->network->params[index];
    char *name = NULL;
    int64_t shape[8] = {0};
    int rank;
    PINION_TRY(pinion__checkpoint_tensor_name(ctx, param->name, what, &name));
    const pinion__st_tensor *tensor = pinion__st_find(checkpoint->file, name);
    PINION_FAIL_IF(!tensor, PINION_EFORMAT, "%s: tensor '%s' is missing", checkpoint->file->path, name);
    pinion__param_file_shape(param, shape, &rank);
    PINION_FAIL_IF(tensor->dtype != PINION__F32 || tensor->rank != rank || tensor->bytes != param->bytes ||
                       memcmp(tensor->shape, shape, (size_t)rank * sizeof *shape) != 0,
                   PINION_EFORMAT, "%s: tensor '%s' has another shape or type than '%s'", checkpoint->file->path, name,
                   param->name);
    for (uint64_t i = 0; i < tensor->bytes; i += sizeof(float)) {
        float value;
        memcpy(&value, tensor->data + i, sizeof value);
        PINION_FAIL_IF(!isfinite(value), PINION_EFORMAT, "%s: tensor '%s' has a value that is not finite",
                       checkpoint->file->path, name);
    }
    *out = tensor;
fail:
    pinion__release(ctx, name);
    return status;
}

/* Checks a tensor, or (buffer, which holds the largest) takes it over into `memory`. */
static int visit_tensor(const pinion_trainer *trainer, const pinion_checkpoint *checkpoint, int index, int what,
                        float *buffer, float *memory)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion__st_tensor *tensor = NULL;
    PINION_TRY(find_tensor(trainer, checkpoint, index, what, &tensor));
    assert(tensor);
    if (buffer) {
        memcpy(buffer, tensor->data, (size_t)tensor->bytes);
        pinion__param_from_file(&trainer->network->params[index], buffer, memory);
    }
fail:
    return status;
}

static int visit_moments(pinion_trainer *trainer, const pinion_checkpoint *checkpoint, float *buffer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    for (int which = 0; which < trainer->plan->moments_per_param; which++) {
        for (int i = 0; i < pinion__trainer_params(trainer); i++) {
            float *moment = pinion__runner_moment(trainer->runner, i, which);
            if (moment)
                PINION_TRY(visit_tensor(trainer, checkpoint, i, which, buffer, moment));
        }
    }
fail:
    return status;
}

/* Of a stage that another follows, once it was evaluated. */
static int visit_best(pinion_trainer *trainer, const pinion_checkpoint *checkpoint, float *buffer)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    int first, end;
    if (!pinion__best_wanted(trainer) || isnan(checkpoint->progress.best_top1))
        return PINION_OK;
    PINION_TRY(pinion__best_allocate(trainer));
    pinion__best_range(trainer, &first, &end);
    for (int i = first; i < end; i++)
        PINION_TRY(visit_tensor(trainer, checkpoint, i, PINION__TENSOR_BEST, buffer, pinion__best_data(trainer, i)));
fail:
    return status;
}

/* The groups of the stage, no more, no fewer. */
static int check_width(const pinion_trainer *trainer, const pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const int expected = pinion__stage_width(trainer->network, trainer->stage);
    PINION_FAIL_IF(checkpoint->width != expected, PINION_EFORMAT, "%s: has the weights of %d groups; expected %d",
                   checkpoint->file->path, checkpoint->width, expected);
fail:
    return status;
}

static int restore_values(pinion_trainer *trainer, const pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    float *buffer = NULL;
    size_t largest = 0;
    for (int i = 0; i < pinion__trainer_params(trainer); i++)
        if (trainer->network->params[i].bytes > largest)
            largest = trainer->network->params[i].bytes;
    pinion__best_forget(trainer);
    PINION_TRY(check_width(trainer, checkpoint));
    PINION_TRY(pinion__alloc(ctx, largest, 1, "a moment", &buffer));
    PINION_TRY(visit_moments(trainer, checkpoint, NULL));
    PINION_TRY(visit_best(trainer, checkpoint, NULL));
    PINION_TRY(pinion__weights_load(trainer->network, checkpoint->file, false));
    PINION_TRY(visit_moments(trainer, checkpoint, buffer));
    PINION_TRY(visit_best(trainer, checkpoint, buffer));
fail:
    pinion__release(ctx, buffer);
    return status;
}

static void take_progress(pinion_trainer *trainer, const pinion_checkpoint *checkpoint)
{
    trainer->progress = checkpoint->progress;
    trainer->saved_step = checkpoint->progress.step;
    trainer->known_widths = 0;
}

/* Goes to the checkpoint's stage. On failure the network has the width that it had; a trainer that was to go to another
 * stage is of no use then. */
static int restore_stage(pinion_trainer *trainer, const pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion_network *network = trainer->network;
    const int width = network->width;
    const bool other = checkpoint->stage_index != trainer->stage_index;
    if (other) {
        pinion__trainer_clear(trainer);
        pinion__trainer_set_stage(trainer, checkpoint->stage_index);
        network->width = pinion__stage_width(network, trainer->stage);
    }
    PINION_TRY(other ? repeat_plans(trainer, checkpoint) : PINION_OK);
    PINION_TRY(restore_plan(trainer, checkpoint));
    PINION_TRY(restore_values(trainer, checkpoint));
    take_progress(trainer, checkpoint);
    return PINION_OK;
fail:
    network->width = width;
    if (other)
        pinion__trainer_clear(trainer);
    return status;
}

int pinion_trainer_resume(pinion_trainer *trainer, const char *path)
{
    if (!trainer)
        return PINION_EINVAL;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion_checkpoint *checkpoint = NULL;
    PINION_TRY(pinion_checkpoint_open(ctx, path, &checkpoint));
    PINION_TRY(pinion__options_compare(ctx, &trainer->options, &checkpoint->info.options));
    PINION_TRY(check_origin(trainer, checkpoint));
    PINION_TRY(check_validation(trainer, checkpoint));
    PINION_TRY(check_progress(trainer, checkpoint));
    PINION_TRY(restore_stage(trainer, checkpoint));
fail:
    pinion_checkpoint_close(checkpoint);
    return status;
}

int pinion__trainer_restore(pinion_trainer *trainer, const char *path, int64_t *log_bytes)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion_checkpoint *checkpoint = NULL;
    PINION_TRY(pinion_checkpoint_open(ctx, path, &checkpoint));
    PINION_TRY(check_origin(trainer, checkpoint));
    PINION_TRY(check_progress(trainer, checkpoint));
    PINION_TRY(restore_values(trainer, checkpoint));
    take_progress(trainer, checkpoint);
    *log_bytes = checkpoint->info.log_bytes;
fail:
    pinion_checkpoint_close(checkpoint);
    return status;
}
