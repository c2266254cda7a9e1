/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a network's weights with what is known about them. Metadata are strings; numbers and names in them are JSON.
 */
#include "net/text.h"
#include "net/weights.h"
#include <string.h>

enum { MAX_PAIRS = 7 };

typedef struct pair_list {
    pinion_context *ctx;
    pinion__st_pair *at;
    size_t count;
} pair_list;

/* Takes the value, also on failure. */
static int add_take(pair_list *list, const char *key, char *value)
{
    int status = PINION_OK;
    pinion_context *ctx = list->ctx;
    pinion__st_pair pair = {.value = value};
    PINION_TRY(pinion__copy_string(ctx, key, &pair.key));
    list->at[list->count++] = pair;
    return PINION_OK;
fail:
    pinion__release(ctx, value);
    return status;
}

static int add_copy(pair_list *list, const char *key, const char *value)
{
    char *copy;
    int status = pinion__copy_string(list->ctx, value, &copy);
    return status < 0 ? status : add_take(list, key, copy);
}

static int add_model(pair_list *list, const pinion_network *network, const char *given)
{
    int status = PINION_OK;
    pinion_context *ctx = list->ctx;
    const char *zoo = NULL;
    char *description;
    if (given)
        return add_copy(list, "pinion.model", given);
    PINION_TRY(pinion__network_zoo_model(network, &zoo));
    if (zoo)
        return add_copy(list, "pinion.model", zoo);
    PINION_TRY(pinion__network_describe(network, &description));
    return add_take(list, "pinion.model", description);
fail:
    return status;
}

static int add_classes(pair_list *list, const char *const *names, int count)
{
    int status = PINION_OK;
    pinion_context *ctx = list->ctx;
    pinion__text text = {.ctx = ctx};
    PINION_TRY(pinion__text_add(&text, "["));
    for (int i = 0; i < count; i++) {
        PINION_TRY(pinion__text_add(&text, i ? ", " : ""));
        PINION_TRY(pinion__text_add_json(&text, names[i]));
    }
    PINION_TRY(pinion__text_add(&text, "]"));
    return add_take(list, "pinion.classes", text.bytes);
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

static int add_floats(pair_list *list, const char *key, const float values[3])
{
    int status = PINION_OK;
    pinion_context *ctx = list->ctx;
    pinion__text text = {.ctx = ctx};
    for (int i = 0; i < 3; i++) {
        PINION_TRY(pinion__text_add(&text, i ? ", " : "["));
        PINION_TRY(pinion__text_add_float(&text, values[i]));
    }
    PINION_TRY(pinion__text_add(&text, "]"));
    return add_take(list, key, text.bytes);
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

static int add_formatted(pair_list *list, const char *key, const char *format, int a, int b, int c)
{
    int status = PINION_OK;
    pinion_context *ctx = list->ctx;
    pinion__text text = {.ctx = ctx};
    PINION_TRY(pinion__text_add(&text, format, a, b, c));
    return add_take(list, key, text.bytes);
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

int pinion__weights_pairs(const pinion_network *network, const pinion_weights_metadata *metadata,
                          pinion__st_pair **pairs, size_t *count)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    const pinion_weights_metadata none = {0};
    const pinion_weights_metadata *m = metadata ? metadata : &none;
    pinion_network_info info = pinion_network_get_info(network);
    pinion_shape input = m->input.h ? m->input : info.input;
    pair_list list = {.ctx = ctx};
    PINION_TRY(pinion__alloc_zeroed(ctx, MAX_PAIRS, sizeof *list.at, "metadata", &list.at));
    PINION_TRY(add_copy(&list, "format", "pt"));
    PINION_TRY(add_model(&list, network, m->model));
    PINION_TRY(add_formatted(&list, "pinion.input", "%dx%dx%d", input.h, input.w, input.c));
    PINION_TRY(add_formatted(&list, "pinion.class_count", "%d", m->class_count ? m->class_count : info.output.c, 0, 0));
    if (m->class_names)
        PINION_TRY(add_classes(&list, m->class_names, m->class_count));
    if (m->std[0] > 0) {
        PINION_TRY(add_floats(&list, "pinion.mean", m->mean));
        PINION_TRY(add_floats(&list, "pinion.std", m->std));
    }
    *pairs = list.at;
    *count = list.count;
    return PINION_OK;
fail:
    pinion__pairs_release(ctx, list.at, list.count);
    return status;
}

static int fill(void *user, size_t tensor, uint64_t offset, void *buffer, size_t bytes)
{
    const pinion_network *network = user;
    pinion__param_to_file(&network->params[tensor], pinion__param_data(network, (int)tensor), offset / sizeof(float),
                          bytes / sizeof(float), buffer);
    return PINION_OK;
}

int pinion_weights_save(const pinion_network *network, const char *path, const pinion_weights_metadata *metadata)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    pinion__st_tensor *tensors = NULL;
    pinion__st_pair *pairs = NULL;
    size_t pair_count = 0;
    PINION_FAIL_IF(!network->block, PINION_EINVAL, "network '%s' has no weights yet: initialise or load them",
                   network->name);
    PINION_TRY(pinion__weights_pairs(network, metadata, &pairs, &pair_count));
    PINION_TRY(pinion__alloc_zeroed(ctx, network->param_count, sizeof *tensors, "tensors", &tensors));
    for (size_t i = 0; i < network->param_count; i++) {
        tensors[i].name = network->params[i].name;
        tensors[i].dtype = PINION__F32;
        pinion__param_file_shape(&network->params[i], tensors[i].shape, &tensors[i].rank);
    }
    PINION_TRY(pinion__st_save(ctx, path, tensors, network->param_count, pairs, pair_count, fill, (void *)network));
fail:
    pinion__release(ctx, tensors);
    pinion__pairs_release(ctx, pairs, pair_count);
    return status;
}
