/* SPDX-License-Identifier: Apache-2.0
 *
 * Data sets whatever their kind: SPEC to kind, data sets of a user's own, reading with checks, names.
 */
#include "data/dataset.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const pinion__dataset_kind *const kinds[] = {
    &pinion__dataset_cifar10,
    &pinion__dataset_images,
    &pinion__dataset_synthetic,
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0], MAX_NAME = 255 };

static const char *part_text(enum pinion_part part)
{
    return part == PINION_PART_TRAIN ? "training" : "test";
}

/* Splits "kind:folder"; a kind that takes no folder stands alone. */
static int parse_spec(pinion_context *ctx, const char *spec, const pinion__dataset_kind **kind, const char **folder)
{
    int status = PINION_OK;
    const char *colon = strchr(spec, ':');
    size_t length = colon ? (size_t)(colon - spec) : strlen(spec);
    const pinion__dataset_kind *found = NULL;
    for (int i = 0; i < KIND_COUNT; i++)
        if (strlen(kinds[i]->name) == length && memcmp(kinds[i]->name, spec, length) == 0)
            found = kinds[i];
    PINION_FAIL_IF(!found, PINION_EINVAL, "data set '%s' is unknown: expected cifar10:DIR, images:DIR or synthetic",
                   spec);
    bool takes_folder = strchr(found->spec, ':') != NULL;
    PINION_FAIL_IF(takes_folder != (colon && colon[1]) || (colon && !colon[1]), PINION_EINVAL,
                   "data set '%s': expected %s", spec, found->spec);
    *kind = found;
    *folder = colon ? colon + 1 : "";
fail:
    return status;
}

static int allocate(pinion_context *ctx, const char *spec, const pinion__dataset_kind *kind, pinion_dataset **out)
{
    int status = PINION_OK;
    pinion_dataset *dataset = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *dataset, "a data set", &dataset));
    dataset->ctx = ctx;
    PINION_TRY(pinion__copy_string(ctx, spec, &dataset->spec));
    dataset->kind = kind;
    dataset->info.spec = dataset->spec;
    *out = dataset;
    return PINION_OK;
fail:
    pinion__release(ctx, dataset);
    return status;
}

int pinion_dataset_open(pinion_context *ctx, const char *spec, const pinion_dataset_options *options,
                        pinion_dataset **out)
{
    if (!ctx)
        return PINION_EINVAL;
    int status = PINION_OK;
    const pinion__dataset_kind *kind = NULL;
    const char *folder = NULL;
    pinion_dataset *dataset = NULL;
    pinion_dataset_options chosen = options ? *options : (pinion_dataset_options){0};
    PINION_FAIL_IF(!spec || !out, PINION_EINVAL, "a data set needs a SPEC and a place for the result");
    PINION_TRY(parse_spec(ctx, spec, &kind, &folder));
    assert(kind);
    PINION_TRY(allocate(ctx, spec, kind, &dataset));
    PINION_TRY(kind->open(ctx, dataset, folder, &chosen));
    *out = dataset;
    return PINION_OK;
fail:
    pinion_dataset_destroy(dataset);
    return status;
}

void pinion_dataset_destroy(pinion_dataset *dataset)
{
    if (!dataset)
        return;
    if (dataset->kind->close)
        dataset->kind->close(dataset);
    pinion__release(dataset->ctx, dataset->names);
    pinion__release(dataset->ctx, dataset->spec);
    pinion__release(dataset->ctx, dataset);
}

pinion_dataset_info pinion_dataset_get_info(const pinion_dataset *dataset)
{
    return dataset->info;
}

int pinion__dataset_set_names(pinion_context *ctx, pinion_dataset *dataset, const char *const *names, int count)
{
    int status = PINION_OK;
    enum { NUMBER_BYTES = 12 };
    size_t bytes = (size_t)count * sizeof(char *);
    for (int i = 0; i < count; i++)
        bytes += names ? strlen(names[i]) + 1 : NUMBER_BYTES;
    char **table;
    PINION_TRY(pinion__alloc(ctx, bytes, 1, "class names", &table));
    char *text = (char *)(table + count);
    for (int i = 0; i < count; i++) {
        char number[NUMBER_BYTES];
        snprintf(number, sizeof number, "%d", i);
        const char *name = names ? names[i] : number;
        size_t length = strlen(name) + 1;
        memcpy(text, name, length);
        table[i] = text;
        text += length;
    }
    dataset->names = table;
    dataset->info.classes = count;
    dataset->info.class_names = (const char *const *)table;
fail:
    return status;
}

int64_t pinion__dataset_count(const pinion_dataset *dataset, enum pinion_part part)
{
    return part == PINION_PART_TRAIN ? dataset->info.train_count : dataset->info.test_count;
}

int pinion__dataset_read(pinion_context *ctx, const pinion_dataset *dataset, enum pinion_part part, int64_t index,
                         unsigned char *pixels, int *label)
{
    int status = PINION_OK;
    int found = 0;
    PINION_TRY(dataset->kind->read(ctx, dataset, part, index, pixels, &found));
    PINION_FAIL_IF(found < 0 || found >= dataset->info.classes, PINION_EFORMAT,
                   "%s: sample %lld of the %s part has label %d: expected 0 to %d", dataset->spec, (long long)index,
                   part_text(part), found, dataset->info.classes - 1);
    *label = found;
fail:
    return status;
}

int pinion_dataset_read(pinion_dataset *dataset, enum pinion_part part, int64_t index, unsigned char *pixels,
                        int *label)
{
    if (!dataset)
        return PINION_EINVAL;
    pinion_context *ctx = dataset->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(!pixels || !label, PINION_EINVAL, "%s: a sample needs a place for its pixels and its label",
                   dataset->spec);
    PINION_FAIL_IF(part != PINION_PART_TRAIN && part != PINION_PART_TEST, PINION_EINVAL,
                   "%s: part %d: expected the training or the test part", dataset->spec, (int)part);
    int64_t count = pinion__dataset_count(dataset, part);
    PINION_FAIL_IF(index < 0 || index >= count, PINION_EINVAL, "%s: sample %lld: the %s part has %lld samples",
                   dataset->spec, (long long)index, part_text(part), (long long)count);
    status = pinion__dataset_read(ctx, dataset, part, index, pixels, label);
fail:
    return status;
}

/* A user's own data. */

typedef struct user_state {
    pinion_dataset_source source;
    pthread_mutex_t lock; /* one call of read at a time, however many loaders there are */
} user_state;

static int user_read(pinion_context *ctx, const pinion_dataset *dataset, enum pinion_part part, int64_t index,
                     unsigned char *pixels, int *label)
{
    user_state *state = dataset->state;
    const pinion_dataset_source *source = &state->source;
    pthread_mutex_lock(&state->lock);
    int status = source->read(source->user, part, index, pixels, label);
    pthread_mutex_unlock(&state->lock);
    PINION_FAIL_IF(status < 0, status, "%s: sample %lld of the %s part could not be read: %s", dataset->spec,
                   (long long)index, part_text(part), pinion_error_text(status));
    status = PINION_OK;
fail:
    return status;
}

static void user_close(pinion_dataset *dataset)
{
    user_state *state = dataset->state;
    if (!state)
        return;
    if (state->source.destroy)
        state->source.destroy(state->source.user);
    pthread_mutex_destroy(&state->lock);
    pinion__release(dataset->ctx, state);
}

static const pinion__dataset_kind user_kind = {.read = user_read, .close = user_close};

static int check_info(pinion_context *ctx, const pinion_dataset_info *info)
{
    int status = PINION_OK;
    const pinion_shape *image = &info->image;
    PINION_FAIL_IF(image->h < 1 || image->w < 1 || image->h > PINION__MAX_IMAGE_SIDE ||
                       image->w > PINION__MAX_IMAGE_SIDE || (image->c != 1 && image->c != 3),
                   PINION_EINVAL, "%s: images of %dx%dx%d: expected sides of 1 to %d and 1 or 3 channels", info->spec,
                   image->h, image->w, image->c, (int)PINION__MAX_IMAGE_SIDE);
    PINION_FAIL_IF(info->classes < 1 || info->classes > PINION__MAX_CLASSES, PINION_EINVAL,
                   "%s: %d classes: expected 1 to %d", info->spec, info->classes, (int)PINION__MAX_CLASSES);
    for (int i = 0; info->class_names && i < info->classes; i++)
        PINION_FAIL_IF(!info->class_names[i] || strlen(info->class_names[i]) > MAX_NAME, PINION_EINVAL,
                       "%s: the name of class %d is missing or longer than %d bytes", info->spec, i, (int)MAX_NAME);
    PINION_FAIL_IF(info->train_count < 0 || info->test_count < 0 || info->train_count > INT32_MAX ||
                       info->test_count > INT32_MAX || info->train_count + info->test_count == 0,
                   PINION_EINVAL, "%s: %lld training and %lld test samples: expected 1 to %d in all parts", info->spec,
                   (long long)info->train_count, (long long)info->test_count, INT32_MAX);
    for (int c = 0; c < image->c; c++)
        PINION_FAIL_IF(!isfinite(info->mean[c]) || !isfinite(info->std[c]) || info->std[c] <= 0.0f, PINION_EINVAL,
                       "%s: channel %d has mean %g and standard deviation %g: expected finite, the latter above 0",
                       info->spec, c, (double)info->mean[c], (double)info->std[c]);
    PINION_FAIL_IF(info->augment & ~(unsigned)(PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP), PINION_EINVAL,
                   "%s: augmentation 0x%x is unknown", info->spec, info->augment);
fail:
    return status;
}

int pinion_dataset_create(pinion_context *ctx, const pinion_dataset_source *source, pinion_dataset **out)
{
    if (!ctx)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_dataset *dataset = NULL;
    user_state *state = NULL;
    PINION_FAIL_IF(!source || !out || !source->read || !source->info.spec, PINION_EINVAL,
                   "a data set needs a name, a function that reads and a place for the result");
    PINION_TRY(check_info(ctx, &source->info));
    PINION_TRY(allocate(ctx, source->info.spec, &user_kind, &dataset));
    const char *spec = dataset->spec;
    dataset->info = source->info;
    dataset->info.spec = spec;
    PINION_TRY(pinion__dataset_set_names(ctx, dataset, source->info.class_names, source->info.classes));
    PINION_TRY(pinion__alloc(ctx, 1, sizeof *state, "a data set", &state));
    state->source = *source;
    pthread_mutex_init(&state->lock, NULL);
    dataset->state = state;
    *out = dataset;
    return PINION_OK;
fail:
    pinion_dataset_destroy(dataset);
    return status;
}
