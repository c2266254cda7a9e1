/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading checkpoints, which are hostile input until proved otherwise.
 */
#include "learn/checkpoint.h"
#include "learn/text.h"
#include "net/text.h"
#include "net/weights.h"
#include "net/zoo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int read_integer(pinion_context *ctx, const pinion__st_file *file, const char *key, int64_t min, int64_t max,
                        int64_t *out)
{
    int status = PINION_OK;
    const char *text = pinion__st_get(file, key);
    PINION_FAIL_IF(!text, PINION_EFORMAT, "%s: is no checkpoint of a training: it has no '%s'", file->path, key);
    PINION_FAIL_IF(!pinion__integer_read(text, out) || *out < min || *out > max, PINION_EFORMAT,
                   "%s: '%s' is '%.80s'; expected %" PRId64 " to %" PRId64, file->path, key, text, min, max);
fail:
    return status;
}

static int read_real(pinion_context *ctx, const pinion__st_file *file, const char *key, double *out)
{
    int status = PINION_OK;
    const char *text = pinion__st_get(file, key);
    PINION_FAIL_IF(!text, PINION_EFORMAT, "%s: is no checkpoint of a training: it has no '%s'", file->path, key);
    PINION_FAIL_IF(!pinion__real_read(text, out), PINION_EFORMAT, "%s: '%s' is '%.80s'; expected a number", file->path,
                   key, text);
fail:
    return status;
}

static int read_text(pinion_context *ctx, const pinion__st_file *file, const char *key, const char **out)
{
    int status = PINION_OK;
    const char *text = pinion__st_get(file, key);
    PINION_FAIL_IF(!text, PINION_EFORMAT, "%s: is no checkpoint of a training: it has no '%s'", file->path, key);
    *out = text;
fail:
    return status;
}

/* The number of a key that not all checkpoints have: 0. */
static int read_optional(pinion_context *ctx, const pinion__st_file *file, const char *key, int64_t max, int64_t *out)
{
    *out = 0;
    return pinion__st_get(file, key) ? read_integer(ctx, file, key, 0, max, out) : PINION_OK;
}

static int read_progress(pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = checkpoint->ctx;
    int status = PINION_OK;
    const pinion__st_file *file = checkpoint->file;
    pinion__progress *progress = &checkpoint->progress;
    PINION_TRY(read_integer(ctx, file, PINION__KEY_STEP, 0, PINION__MAX_COUNT, &progress->step));
    PINION_TRY(read_integer(ctx, file, PINION__KEY_EPOCH, 0, PINION__MAX_COUNT, &progress->epoch));
    PINION_TRY(read_integer(ctx, file, PINION__KEY_BATCH, 0, PINION__MAX_COUNT, &progress->batch));
    PINION_TRY(read_integer(ctx, file, PINION__KEY_LOG, -1, PINION__MAX_COUNT, &checkpoint->info.log_bytes));
    PINION_TRY(read_real(ctx, file, PINION__KEY_LOSS_SUM, &progress->loss_sum));
    PINION_TRY(read_real(ctx, file, PINION__KEY_EPOCH_LOSS, &progress->epoch_loss));
    PINION_TRY(read_real(ctx, file, PINION__KEY_BEST, &progress->best_top1));
    int64_t index, before;
    PINION_TRY(read_optional(ctx, file, PINION__KEY_STAGE, pinion__stage_count(&checkpoint->info.options) - 1, &index));
    PINION_TRY(read_optional(ctx, file, PINION__KEY_BEFORE, PINION__MAX_COUNT, &before));
    checkpoint->stage_index = (int)index;
    checkpoint->info.step = before + progress->step;
fail:
    return status;
}

static int read_options(pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = checkpoint->ctx;
    int status = PINION_OK;
    pinion_train_options *options = &checkpoint->info.options;
    PINION_TRY(pinion__options_read(ctx, checkpoint->file, options));
    if (pinion__options_check(ctx, options) < 0) {
        char cause[PINION__SENTENCE_MAX];
        snprintf(cause, sizeof cause, "%s", pinion_context_error(ctx));
        PINION_FAIL_IF(true, PINION_EFORMAT, "%.400s: %.400s", checkpoint->file->path, cause);
    }
fail:
    return status;
}

/* How the model was cut. */
static int read_groups(pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = checkpoint->ctx;
    int status = PINION_OK;
    pinion_weights_file *file = NULL;
    PINION_TRY(pinion__weights_metadata(ctx, checkpoint->file, &file));
    const pinion_weights_metadata *metadata = pinion_weights_get_metadata(file);
    checkpoint->info.groups = metadata->groups;
    checkpoint->info.connect = metadata->connect;
    checkpoint->width = metadata->width;
fail:
    pinion_weights_close(file);
    return status;
}

static int read_origin(pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = checkpoint->ctx;
    int status = PINION_OK;
    const pinion__st_file *file = checkpoint->file;
    pinion_checkpoint_info *info = &checkpoint->info;
    const char *input = "", *isa = "";
    int64_t classes = 0, parts = 1;
    PINION_TRY(read_text(ctx, file, PINION__KEY_MODEL, &info->model));
    PINION_FAIL_IF(!pinion__model_valid(info->model), PINION_EFORMAT,
                   "%s: '%s' is '%.80s'; expected a name of the zoo or a JSON description", file->path,
                   PINION__KEY_MODEL, info->model);
    PINION_TRY(read_text(ctx, file, PINION__KEY_DATA, &info->data));
    PINION_TRY(read_integer(ctx, file, PINION__KEY_CLASSES, 1, INT32_MAX, &classes));
    info->classes = (int)classes;
    PINION_TRY(read_text(ctx, file, PINION__KEY_INPUT, &input));
    PINION_FAIL_IF(!pinion__shape_read(input, &info->input), PINION_EFORMAT, "%s: '%s' is '%.80s'; expected HxWxC",
                   file->path, PINION__KEY_INPUT, input);
    PINION_TRY(read_text(ctx, file, PINION__KEY_ISA, &isa));
    int found = pinion__isa_from_name(isa);
    PINION_FAIL_IF(found < 0, PINION_EFORMAT, "%s: '%s' is '%.80s', which is no instruction set known here", file->path,
                   PINION__KEY_ISA, isa);
    checkpoint->isa = (enum pinion__isa)found;
    PINION_TRY(read_text(ctx, file, PINION__KEY_PLAN, &checkpoint->plan));
    PINION_TRY(read_integer(ctx, file, PINION__KEY_PARTS, 1, info->options.batch, &parts));
    PINION_FAIL_IF(info->options.batch % parts != 0, PINION_EFORMAT,
                   "%s: '%s' is %" PRId64 "; expected a divisor of the batch, %d", file->path, PINION__KEY_PARTS, parts,
                   info->options.batch);
    checkpoint->micro_batches = (int)parts;
    checkpoint->evaluation = pinion__st_get(file, PINION__KEY_EVALUATION);
fail:
    return status;
}

/* The samples held back, where they were given. */
static int read_validation(pinion_checkpoint *checkpoint)
{
    pinion_context *ctx = checkpoint->ctx;
    int status = PINION_OK;
    pinion_train_options *options = &checkpoint->info.options;
    const char *path = checkpoint->file->path;
    const pinion__st_tensor *tensor = pinion__st_find(checkpoint->file, PINION__VALIDATION_TENSOR);
    if (!tensor)
        return PINION_OK;
    PINION_FAIL_IF(tensor->dtype != PINION__I64 || tensor->rank != 1 || tensor->shape[0] != options->validation,
                   PINION_EFORMAT, "%s: '%s' does not hold the %" PRId64 " samples of 'pinion.train.val-split'", path,
                   PINION__VALIDATION_TENSOR, options->validation);
    const size_t bytes = (size_t)tensor->bytes; /* the file is in memory */
    PINION_TRY(pinion__alloc(ctx, 1, bytes, "the validation split", &checkpoint->validation));
    memcpy(checkpoint->validation, tensor->data, bytes);
    for (int64_t i = 0; i < options->validation; i++)
        PINION_FAIL_IF(checkpoint->validation[i] < 0 ||
                           (i > 0 && checkpoint->validation[i] <= checkpoint->validation[i - 1]),
                       PINION_EFORMAT, "%s: '%s' is not an ascending list of samples", path, PINION__VALIDATION_TENSOR);
    options->validation_indices = checkpoint->validation;
fail:
    return status;
}

int pinion_checkpoint_open(pinion_context *ctx, const char *path, pinion_checkpoint **out)
{
    if (!ctx)
        return PINION_EINVAL;
    int status = PINION_OK;
    char *state = NULL;
    pinion_checkpoint *checkpoint = NULL;
    PINION_FAIL_IF(!path || !out, PINION_EINVAL, "a checkpoint needs a path and a place for the result");
    if (pinion__ends_with(path, ".state.safetensors"))
        PINION_TRY(pinion__copy_string(ctx, path, &state));
    else
        PINION_TRY(pinion__checkpoint_path(ctx, path, "state", &state));
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *checkpoint, "a checkpoint", &checkpoint));
    checkpoint->ctx = ctx;
    PINION_TRY(pinion__st_open(ctx, state, &checkpoint->file));
    PINION_TRY(read_options(checkpoint));
    PINION_TRY(read_validation(checkpoint));
    PINION_TRY(read_progress(checkpoint));
    PINION_TRY(read_origin(checkpoint));
    PINION_TRY(read_groups(checkpoint));
    *out = checkpoint;
    checkpoint = NULL;
fail:
    pinion_checkpoint_close(checkpoint);
    pinion__release(ctx, state);
    return status;
}

void pinion_checkpoint_close(pinion_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    pinion__st_close(checkpoint->ctx, checkpoint->file);
    pinion__release(checkpoint->ctx, checkpoint->validation);
    pinion__release(checkpoint->ctx, checkpoint);
}

const pinion_checkpoint_info *pinion_checkpoint_get_info(const pinion_checkpoint *checkpoint)
{
    return &checkpoint->info;
}
