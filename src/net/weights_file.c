/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights files as the public API shows them: an open container, and its metadata understood. Metadata that is there
 * but makes no sense is an error; metadata that is not there is unknown.
 */
#include "net/text.h"
#include "net/weights.h"
#include "net/zoo.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pinion_weights_file {
    pinion_context *ctx;
    pinion__st_file *owned; /* NULL: only metadata of a borrowed container */
    const pinion__st_file *file;
    pinion_weights_metadata metadata;
    char *model, **class_names;
    int named; /* class names so far */
};

enum { MAX_CLASSES = 1 << 20 };

static int read_input(pinion_weights_file *file)
{
    int status = PINION_OK;
    pinion_context *ctx = file->ctx;
    const char *text = pinion__st_get(file->file, "pinion.input");
    PINION_FAIL_IF(text && !pinion__shape_read(text, &file->metadata.input), PINION_EFORMAT,
                   "%s: metadata 'pinion.input' is %s; expected HxWxC", file->file->path, pinion__quote(text).text);
fail:
    return status;
}

/* jansson gives every failure a code but for some of those to allocate. *out: the parsed text, or NULL where it is no
 * JSON; the caller releases it. */
static int parse_json(pinion_weights_file *file, const char *key, const char *text, json_t **out)
{
    int status = PINION_OK;
    pinion_context *ctx = file->ctx;
    json_error_t error = {0};
    *out = json_loads(text, 0, &error);
    enum json_error_code code = *out ? json_error_unknown : json_error_code(&error);
    PINION_FAIL_IF(!*out && (code == json_error_out_of_memory || code == json_error_unknown), PINION_ENOMEM,
                   "out of memory: for metadata '%s' of %s", key, file->file->path);
fail:
    return status;
}

/* A number a channel, at most three; `file` tells how many where it knows the input. More than there are channels are
 * passed over. */
static int read_floats(pinion_weights_file *file, const char *key, bool positive, float out[3])
{
    int status = PINION_OK;
    pinion_context *ctx = file->ctx;
    json_t *json = NULL;
    const char *text = pinion__st_get(file->file, key);
    if (!text)
        return PINION_OK;
    PINION_TRY(parse_json(file, key, text, &json));
    size_t count = json_array_size(json), channels = (size_t)file->metadata.input.c;
    size_t used = channels == 0 ? count : channels < 3 ? channels : 3;
    bool valid = count >= 1 && count <= 3 && used <= count;
    for (size_t i = 0; i < used && valid; i++) {
        const json_t *value = json_array_get(json, i);
        out[i] = (float)json_number_value(value);
        valid = json_is_number(value) && isfinite(out[i]) && (!positive || out[i] > 0);
    }
    PINION_FAIL_IF(!valid, PINION_EFORMAT,
                   "%s: metadata '%s' is %s; expected an array of 1 to 3 %snumbers, one a channel", file->file->path,
                   key, pinion__quote(text).text, positive ? "positive " : "");
fail:
    json_decref(json);
    return status;
}

static int read_class_names(pinion_weights_file *file)
{
    int status = PINION_OK;
    pinion_context *ctx = file->ctx;
    json_t *json = NULL;
    const char *text = pinion__st_get(file->file, "pinion.classes");
    if (!text)
        return PINION_OK;
    PINION_TRY(parse_json(file, "pinion.classes", text, &json));
    size_t count = json_array_size(json);
    bool valid = count >= 1 && count <= MAX_CLASSES;
    if (valid)
        PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *file->class_names, "class names", &file->class_names));
    for (size_t i = 0; i < count && valid; i++) {
        const char *name = json_string_value(json_array_get(json, i));
        valid = name != NULL;
        if (valid) {
            PINION_TRY(pinion__copy_string(ctx, name, &file->class_names[i]));
            file->named++;
        }
    }
    PINION_FAIL_IF(!valid, PINION_EFORMAT, "%s: metadata 'pinion.classes' is %s; expected an array of names",
                   file->file->path, pinion__quote(text).text);
    file->metadata.class_count = (int)count;
    file->metadata.class_names = (const char *const *)file->class_names;
fail:
    json_decref(json);
    return status;
}

static int read_class_count(pinion_weights_file *file)
{
    int status = PINION_OK;
    pinion_context *ctx = file->ctx;
    const char *text = pinion__st_get(file->file, "pinion.class_count");
    if (!text)
        return PINION_OK;
    int count = 0;
    for (const char *at = text; *at; at++)
        count = *at >= '0' && *at <= '9' && count <= MAX_CLASSES ? count * 10 + (*at - '0') : INT32_MAX;
    PINION_FAIL_IF(
        count < 1 || count > MAX_CLASSES || (file->metadata.class_count && file->metadata.class_count != count),
        PINION_EFORMAT,
        "%s: metadata 'pinion.class_count' is %s; expected 1 to %d, and as many as there are names of classes",
        file->file->path, pinion__quote(text).text, MAX_CLASSES);
    file->metadata.class_count = count;
fail:
    return status;
}

static int read_all(pinion_weights_file *file)
{
    int status = PINION_OK;
    pinion_context *ctx = file->ctx;
    const char *model = pinion__st_get(file->file, "pinion.model");
    PINION_FAIL_IF(model && !pinion__model_valid(model), PINION_EFORMAT,
                   "%s: metadata 'pinion.model' is %s; expected a name of the zoo or a JSON description",
                   file->file->path, pinion__quote(model).text);
    if (model)
        PINION_TRY(pinion__copy_string(ctx, model, &file->model));
    file->metadata.model = file->model;
    PINION_TRY(pinion__groups_read(ctx, file->file, &file->metadata));
    PINION_TRY(read_input(file));
    PINION_TRY(read_class_names(file));
    PINION_TRY(read_class_count(file));
    PINION_TRY(read_floats(file, "pinion.mean", false, file->metadata.mean));
    PINION_TRY(read_floats(file, "pinion.std", true, file->metadata.std));
fail:
    return status;
}

int pinion__weights_metadata(pinion_context *ctx, const pinion__st_file *container, pinion_weights_file **out)
{
    int status = PINION_OK;
    pinion_weights_file *file = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *file, "a weights file", &file));
    file->ctx = ctx;
    file->file = container;
    PINION_TRY(read_all(file));
    *out = file;
    return PINION_OK;
fail:
    pinion_weights_close(file);
    return status;
}

int pinion_weights_open(pinion_context *ctx, const char *path, pinion_weights_file **out)
{
    if (!ctx)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion__st_file *container = NULL;
    pinion_weights_file *file = NULL;
    PINION_FAIL_IF(!path || !out, PINION_EINVAL, "weights need a path and a place for the result");
    PINION_TRY(pinion__st_open(ctx, path, &container));
    PINION_TRY(pinion__weights_metadata(ctx, container, &file));
    file->owned = container;
    *out = file;
    return PINION_OK;
fail:
    pinion__st_close(ctx, container);
    return status;
}

void pinion_weights_close(pinion_weights_file *file)
{
    if (!file)
        return;
    for (int i = 0; i < file->named; i++)
        pinion__release(file->ctx, file->class_names[i]);
    pinion__release(file->ctx, file->class_names);
    pinion__release(file->ctx, file->model);
    pinion__st_close(file->ctx, file->owned);
    pinion__release(file->ctx, file);
}

const pinion_weights_metadata *pinion_weights_get_metadata(const pinion_weights_file *file)
{
    return &file->metadata;
}

int pinion_weights_get_tensor(const pinion_weights_file *file, int index, pinion_tensor_info *out)
{
    if (!file)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_context *ctx = file->ctx;
    PINION_FAIL_IF(!out, PINION_EINVAL, "a tensor's info needs a place");
    PINION_FAIL_IF(index < 0 || (size_t)index >= file->file->tensor_count, PINION_EINVAL,
                   "%s has %zu tensors; there is no tensor number %d", file->file->path, file->file->tensor_count,
                   index);
    const pinion__st_tensor *tensor = &file->file->tensors[index];
    *out = (pinion_tensor_info){
        .name = tensor->name, .dtype = pinion__dtype_name(tensor->dtype), .rank = tensor->rank, .bytes = tensor->bytes};
    memcpy(out->shape, tensor->shape, sizeof out->shape);
fail:
    return status;
}

int pinion_weights_load(pinion_network *network, const pinion_weights_file *file,
                        const pinion_weights_load_options *options)
{
    if (!network)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    PINION_FAIL_IF(!file, PINION_EINVAL, "the weights to load into network '%s' are missing", network->name);
    PINION_TRY(pinion__weights_load(network, file->file, options && options->replace_classifier));
fail:
    return status;
}
