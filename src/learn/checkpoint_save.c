/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing checkpoints. Tensors are streamed from where they live, so a save needs little memory. Nothing in the file
 * depends on the time or the machine's load: two runs of the same training write the same bytes.
 */
#include "learn/checkpoint.h"

#include "learn/best.h"
#include "net/text.h"
#include "net/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int pinion__checkpoint_path(pinion_context *ctx, const char *path, const char *suffix, char **out)
{
    static const char ending[] = ".safetensors";
    int status = PINION_OK;
    size_t length = strlen(path), tail = sizeof ending - 1;
    if (length > tail && pinion__ends_with(path, ending))
        length -= tail;
    size_t bytes = length + 1 + strlen(suffix) + sizeof ending;
    char *text;
    PINION_TRY(pinion__alloc(ctx, bytes, 1, "a file name", &text));
    memcpy(text, path, length);
    snprintf(text + length, bytes - length, ".%s%s", suffix, ending);
    *out = text;
fail:
    return status;
}

int pinion__checkpoint_tensor_name(pinion_context *ctx, const char *param, int what, char **out)
{
    int status = PINION_OK;
    pinion__text text = {.ctx = ctx};
    if (what == PINION__TENSOR_WEIGHTS)
        PINION_TRY(pinion__text_add(&text, "%s", param));
    else if (what == PINION__TENSOR_BEST)
        PINION_TRY(pinion__text_add(&text, "pinion.best.%s", param));
    else
        PINION_TRY(pinion__text_add(&text, "pinion.moment%d.%s", what, param));
    *out = text.bytes;
    return PINION_OK;
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

pinion__hash_text pinion__checkpoint_hash_text(uint64_t hash)
{
    pinion__hash_text shown;
    snprintf(shown.text, sizeof shown.text, "%016" PRIx64, hash);
    return shown;
}

int pinion__checkpoint_model(const pinion_network *network, char **model, char **description)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    char *text = NULL;
    const char *zoo = NULL;
    PINION_TRY(pinion__network_describe(network, &text));
    PINION_TRY(pinion__network_zoo_model(network, &zoo));
    PINION_TRY(pinion__copy_string(ctx, zoo ? zoo : text, model));
    *description = text;
    text = NULL;
fail:
    pinion__release(ctx, text);
    return status;
}

static pinion_weights_metadata weights_metadata(const pinion_trainer *trainer)
{
    pinion_dataset_info info = pinion_dataset_get_info(trainer->dataset);
    pinion_weights_metadata metadata = {
        .model = trainer->model,
        .class_names = info.class_names,
        .class_count = info.classes,
        .input = info.image,
    };
    metadata.known_widths = trainer->known_widths;
    memcpy(metadata.top1_per_width, trainer->top1_per_width, sizeof metadata.top1_per_width);
    memcpy(metadata.mean, info.mean, sizeof metadata.mean);
    memcpy(metadata.std, info.std, sizeof metadata.std);
    return metadata;
}

int pinion__checkpoint_export(const pinion_trainer *trainer, const char *path)
{
    pinion_weights_metadata metadata = weights_metadata(trainer);
    return pinion_weights_save(trainer->network, path, &metadata);
}

/* What a tensor of the file is. */
typedef struct entry {
    int param; /* -1: the samples held back */
    int what;  /* of the parameter */
} entry;

typedef struct contents {
    const pinion_trainer *trainer;
    pinion__st_tensor *tensors;
    entry *entries;
    size_t count;
    pinion__pairs pairs;
} contents;

static void contents_fini(contents *file)
{
    pinion_context *ctx = file->trainer->ctx;
    for (size_t i = 0; i < file->count; i++)
        pinion__release(ctx, file->tensors[i].name);
    pinion__release(ctx, file->tensors);
    pinion__release(ctx, file->entries);
    pinion__pairs_fini(&file->pairs);
}

static int add_tensor(contents *file, int index, int what)
{
    const pinion_trainer *trainer = file->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion__param *param = &trainer->network->params[index];
    pinion__st_tensor tensor = {.dtype = PINION__F32, .bytes = param->bytes};
    pinion__param_file_shape(param, tensor.shape, &tensor.rank);
    PINION_TRY(pinion__checkpoint_tensor_name(ctx, param->name, what, &tensor.name));
    file->tensors[file->count] = tensor;
    file->entries[file->count++] = (entry){.param = index, .what = what};
fail:
    return status;
}

static int add_validation(contents *file)
{
    const pinion_trainer *trainer = file->trainer;
    int64_t count = trainer->options.validation;
    pinion__st_tensor tensor = {
        .dtype = PINION__I64, .shape = {count}, .rank = 1, .bytes = (uint64_t)count * sizeof(int64_t)};
    int status = pinion__copy_string(trainer->ctx, PINION__VALIDATION_TENSOR, &tensor.name);
    if (status < 0)
        return status;
    file->tensors[file->count] = tensor;
    file->entries[file->count++] = (entry){.param = -1};
    return PINION_OK;
}

static int add_best(contents *file)
{
    pinion_context *ctx = file->trainer->ctx;
    int status = PINION_OK;
    int first, end;
    if (!file->trainer->best)
        return PINION_OK;
    pinion__best_range(file->trainer, &first, &end);
    for (int param = first; param < end; param++)
        PINION_TRY(add_tensor(file, param, PINION__TENSOR_BEST));
fail:
    return status;
}

static int gather_tensors(contents *file)
{
    const pinion_trainer *trainer = file->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    int params = pinion__trainer_params(trainer), moments = trainer->plan->moments_per_param;
    size_t most = (size_t)params * (size_t)(2 + moments) + 1;
    PINION_TRY(pinion__alloc(ctx, most, sizeof *file->tensors, "a checkpoint's list of tensors", &file->tensors));
    PINION_TRY(pinion__alloc(ctx, most, sizeof *file->entries, "a checkpoint's list of tensors", &file->entries));
    for (int param = 0; param < params; param++)
        PINION_TRY(add_tensor(file, param, PINION__TENSOR_WEIGHTS));
    for (int moment = 0; moment < moments; moment++)
        for (int param = 0; param < params; param++)
            if (pinion__runner_moment(trainer->runner, param, moment))
                PINION_TRY(add_tensor(file, param, moment));
    PINION_TRY(add_best(file));
    if (trainer->validation_given)
        PINION_TRY(add_validation(file));
fail:
    return status;
}

static const float *entry_memory(const pinion_trainer *trainer, entry what)
{
    if (what.what == PINION__TENSOR_WEIGHTS)
        return pinion__param_data(trainer->network, what.param);
    if (what.what == PINION__TENSOR_BEST)
        return pinion__best_data(trainer, what.param);
    return pinion__runner_moment(trainer->runner, what.param, what.what);
}

static int fill(void *user, size_t tensor, uint64_t offset, void *buffer, size_t bytes)
{
    const contents *file = user;
    const pinion_trainer *trainer = file->trainer;
    entry what = file->entries[tensor];
    if (what.param < 0) {
        int64_t *samples = buffer;
        for (size_t i = 0; i < bytes / sizeof *samples; i++)
            samples[i] = trainer->validation_subset[offset / sizeof *samples + i];
        return PINION_OK;
    }
    pinion__param_to_file(&trainer->network->params[what.param], entry_memory(trainer, what), offset / sizeof(float),
                          bytes / sizeof(float), buffer);
    return PINION_OK;
}

static int add_progress(const pinion_trainer *trainer, pinion__pairs *pairs)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    const pinion__progress *progress = &trainer->progress;
    int64_t log_bytes = trainer->log_bytes ? trainer->log_bytes(trainer->log_user) : -1;
    PINION_TRY(pinion__pairs_add_integer(pairs, PINION__KEY_STEP, progress->step));
    PINION_TRY(pinion__pairs_add_integer(pairs, PINION__KEY_EPOCH, progress->epoch));
    PINION_TRY(pinion__pairs_add_integer(pairs, PINION__KEY_BATCH, progress->batch));
    PINION_TRY(pinion__pairs_add_real(pairs, PINION__KEY_LOSS_SUM, progress->loss_sum));
    PINION_TRY(pinion__pairs_add_real(pairs, PINION__KEY_EPOCH_LOSS, progress->epoch_loss));
    PINION_TRY(pinion__pairs_add_real(pairs, PINION__KEY_BEST, progress->best_top1));
    if (trainer->options.stage_count) {
        PINION_TRY(pinion__pairs_add_integer(pairs, PINION__KEY_STAGE, trainer->stage_index));
        PINION_TRY(pinion__pairs_add_integer(pairs, PINION__KEY_BEFORE, trainer->steps_before));
    }
    PINION_TRY(pinion__pairs_add_integer(pairs, PINION__KEY_LOG, log_bytes));
fail:
    return status;
}

static int add_origin(const pinion_trainer *trainer, pinion__pairs *pairs)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    char *plan = NULL, *evaluation = NULL;
    pinion_dataset_info info = pinion_dataset_get_info(trainer->dataset);
    PINION_TRY(pinion__pairs_add(pairs, PINION__KEY_NETWORK, trainer->description));
    PINION_TRY(pinion__pairs_add(pairs, PINION__KEY_DATA, info.spec));
    PINION_TRY(pinion__pairs_add(pairs, PINION__KEY_DATA_HASH, pinion__checkpoint_hash_text(trainer->data_hash).text));
    PINION_TRY(pinion__pairs_add(pairs, PINION__KEY_ISA, pinion__isa_name(trainer->processors.at[0]->isa)));
    PINION_TRY(pinion__pairs_add_integer(pairs, PINION__KEY_PARTS, trainer->plan->micro_batches));
    PINION_TRY(pinion__plan_kernels(trainer->plan, &plan));
    PINION_TRY(pinion__pairs_add(pairs, PINION__KEY_PLAN, plan));
    if (trainer->evaluator) {
        PINION_TRY(pinion__plan_kernels(pinion__evaluator_plan(trainer->evaluator), &evaluation));
        PINION_TRY(pinion__pairs_add(pairs, PINION__KEY_EVALUATION, evaluation));
    }
fail:
    pinion__release(ctx, plan);
    pinion__release(ctx, evaluation);
    return status;
}

static int gather_metadata(contents *file)
{
    const pinion_trainer *trainer = file->trainer;
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    pinion__pairs *pairs = &file->pairs;
    pinion_weights_metadata metadata = weights_metadata(trainer);
    PINION_TRY(pinion__weights_pairs(trainer->network, &metadata, pairs));
    PINION_TRY(pinion__options_write(&trainer->options, pairs));
    PINION_TRY(add_progress(trainer, pairs));
    PINION_TRY(add_origin(trainer, pairs));
fail:
    return status;
}

/* Which file a name stands for: a replaced one is another. */
static struct stat file_identity(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? info : (struct stat){0};
}

/* A failed save says which checkpoint is still good. `replaced`: the new file is there, but its folder is not synced.
 */
static int fail_save(const pinion_trainer *trainer, int code, bool replaced)
{
    if (code != PINION_EIO || trainer->saved_step < 0)
        return code;
    char cause[PINION__SENTENCE_MAX];
    snprintf(cause, sizeof cause, "%s", pinion_context_error(trainer->ctx));
    return pinion__fail(trainer->ctx, __FILE__, __LINE__, code, "%.800s; the checkpoint of step %" PRId64 " %s", cause,
                        trainer->saved_step, replaced ? "is written, but a crash of the machine may undo it" : "stays");
}

static int save_state(pinion_trainer *trainer, contents *file)
{
    struct stat before = file_identity(trainer->state_path);
    int status = pinion__st_save(trainer->ctx, trainer->state_path, file->tensors, file->count, file->pairs.at,
                                 file->pairs.count, fill, file);
    struct stat after = file_identity(trainer->state_path);
    bool replaced = before.st_ino != after.st_ino || before.st_dev != after.st_dev;
    if (status == PINION_OK || replaced)
        trainer->saved_step = trainer->progress.step;
    return status < 0 ? fail_save(trainer, status, replaced) : status;
}

static int save(pinion_trainer *trainer, bool export)
{
    pinion_context *ctx = trainer->ctx;
    int status = PINION_OK;
    contents file = {.trainer = trainer, .pairs = {.ctx = ctx}};
    if (!trainer->out)
        return PINION_OK;
    PINION_TRY(pinion__trainer_check_weights(trainer));
    PINION_TRY(pinion__trainer_check_moments(trainer));
    PINION_TRY(gather_tensors(&file));
    PINION_TRY(gather_metadata(&file));
    PINION_TRY(save_state(trainer, &file));
    if (export) {
        status = pinion__checkpoint_export(trainer, trainer->out);
        PINION_TRY(status < 0 ? fail_save(trainer, status, false) : status);
    }
fail:
    contents_fini(&file);
    return status;
}

int pinion__checkpoint_save(pinion_trainer *trainer)
{
    return save(trainer, true);
}

int pinion__checkpoint_save_state(pinion_trainer *trainer)
{
    return save(trainer, false);
}
