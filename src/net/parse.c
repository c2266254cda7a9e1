/* SPDX-License-Identifier: Apache-2.0
 *
 * From a JSON description (docs/network-json.md) to a network: read all layers, order them, apply overrides, add them
 * one by one. The adding finds what does not fit and says so as a caller's mistake; from a description it is the
 * description's, unless it only fails with the overrides. Cutting into groups comes last (net/groups.h).
 */
#include "net/description.h"
#include "net/groups.h"
#include "net/text.h"
#include <stdio.h>
#include <string.h>

enum { MAX_TEXT = 1 << 24 };

static int load(pinion__description *d, const char *text, size_t length)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    json_error_t error = {0};
    PINION_FAIL_IF(length > MAX_TEXT, PINION_EFORMAT,
                   "%s: a network description of %zu bytes is too long; at most %d are possible", d->origin, length,
                   MAX_TEXT);
    d->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    PINION_FAIL_IF(!d->root && json_error_code(&error) == json_error_out_of_memory, PINION_ENOMEM,
                   "out of memory: for reading %s", d->origin);
    PINION_FAIL_IF(!d->root, PINION_EFORMAT, "%s: line %d, column %d: not JSON: %s", d->origin, error.line,
                   error.column, pinion__quote(error.text).text);
    PINION_FAIL_IF(!json_is_object(d->root), PINION_EFORMAT,
                   "%s: expected a JSON object with \"name\", \"input\" and \"layers\"", d->origin);
fail:
    return status;
}

static int read_input(pinion__description *d)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    const json_t *input = json_object_get(d->root, "input");
    int *const to[3] = {&d->input.h, &d->input.w, &d->input.c};
    bool valid = json_array_size(input) == 3;
    for (size_t i = 0; i < 3 && valid; i++) {
        const json_t *number = json_array_get(input, i);
        valid = json_is_integer(number) && json_integer_value(number) >= 1 && json_integer_value(number) <= INT32_MAX;
        *to[i] = valid ? (int)json_integer_value(number) : 0;
    }
    PINION_FAIL_IF(!valid, PINION_EFORMAT, "%s: \"input\": expected [rows, columns, channels], each at least 1",
                   d->origin);
fail:
    return status;
}

static int read_head(pinion__description *d)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    const char *key;
    json_t *value;
    json_object_foreach(d->root, key, value)
    {
        PINION_FAIL_IF(strcmp(key, "name") != 0 && strcmp(key, "input") != 0 && strcmp(key, "layers") != 0,
                       PINION_EFORMAT, "%s: unknown key %s; expected name, input, layers", d->origin,
                       pinion__quote(key).text);
    }
    d->name = json_string_value(json_object_get(d->root, "name"));
    PINION_FAIL_IF(!d->name || !pinion__name_valid(d->name, true), PINION_EFORMAT,
                   "%s: \"name\": expected 1 to %d letters, digits, spaces and _ . - / :", d->origin, PINION__MAX_NAME);
    PINION_TRY(read_input(d));
fail:
    return status;
}

static int read_layers(pinion__description *d)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    const json_t *layers = json_object_get(d->root, "layers");
    size_t count = json_array_size(layers);
    PINION_FAIL_IF(count < 1 || count > PINION__MAX_LAYERS, PINION_EFORMAT,
                   "%s: \"layers\": expected an array of 1 to %d layers", d->origin, PINION__MAX_LAYERS);
    PINION_TRY(pinion__alloc_zeroed(ctx, count, sizeof *d->entries, "layers", &d->entries));
    d->count = count;
    for (size_t i = 0; i < count; i++) {
        d->entries[i].json = json_array_get(layers, i);
        d->entries[i].visited = -1;
        PINION_TRY(pinion__entry_read(d, i, &d->entries[i]));
    }
fail:
    return status;
}

/* The attributes of a layer with the number of classes put in where it is the last linear one. */
static int override_classes(const pinion__description *d, int classes, pinion__attributes *attributes, size_t *which)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    size_t at = d->count;
    while (at > 0 && d->entries[d->order[at - 1]].op->id != PINION__OP_linear)
        at--;
    PINION_FAIL_IF(at == 0, PINION_EINVAL, "there is no linear layer whose outputs could become %d classes", classes);
    *which = at - 1;
    *attributes = d->entries[d->order[at - 1]].attributes;
    attributes->as.linear.k = classes;
fail:
    return status;
}

static int build(const pinion__description *d, const pinion_network_options *options, pinion_network **out)
{
    int status = PINION_OK;
    pinion_context *ctx = d->ctx;
    pinion_network *network = NULL;
    pinion__attributes classifier;
    size_t classifier_at = SIZE_MAX;
    pinion_shape input = {options->input.h ? options->input.h : d->input.h,
                          options->input.w ? options->input.w : d->input.w,
                          options->input.c ? options->input.c : d->input.c};
    if (options->classes)
        PINION_TRY(override_classes(d, options->classes, &classifier, &classifier_at));
    PINION_TRY(pinion_network_create(ctx, d->name, input, &network));
    for (size_t i = 0; i < d->count; i++) {
        pinion__entry *entry = &d->entries[d->order[i]];
        pinion_layer inputs[PINION__MAX_INPUTS] = {PINION_INPUT, PINION_INPUT};
        for (int j = 0; j < entry->op->inputs; j++)
            if (entry->inputs[j] != PINION_INPUT)
                inputs[j] = d->entries[entry->inputs[j]].layer;
        PINION_TRY(pinion__network_add(network, entry->op, entry->name, inputs,
                                       i == classifier_at ? &classifier : &entry->attributes, &entry->layer));
    }
    PINION_TRY(pinion__network_check_complete(network));
    *out = network;
    return PINION_OK;
fail:
    pinion_network_destroy(network);
    return status;
}

/* After build failed with EINVAL: whose mistake is it, the overrides' or the description's? Says it again with the
 * origin. */
static int blame(const pinion__description *d, bool overridden)
{
    const pinion_network_options none = {0};
    char sentence[PINION__SENTENCE_MAX];
    int code = PINION_EFORMAT;
    snprintf(sentence, sizeof sentence, "%s", pinion_context_error(d->ctx));
    if (overridden) {
        pinion_network *network = NULL;
        if (build(d, &none, &network) == PINION_OK)
            code = PINION_EINVAL;
        pinion_network_destroy(network);
    }
    return pinion__fail(d->ctx, __FILE__, __LINE__, code, "%s: %s", d->origin, sentence);
}

int pinion_network_parse(pinion_context *ctx, const char *json, size_t length, const char *origin,
                         const pinion_network_options *options, pinion_network **out)
{
    if (!ctx)
        return PINION_EINVAL;
    int status = PINION_OK;
    const pinion_network_options none = {0};
    pinion__description d = {.ctx = ctx, .origin = origin};
    pinion_network *network = NULL;
    PINION_FAIL_IF(!json || !origin || !out, PINION_EINVAL,
                   "a network description needs a text, an origin and a place for the result");
    if (!options)
        options = &none;
    bool overridden = options->classes || options->input.h || options->input.w || options->input.c;
    PINION_TRY(load(&d, json, length));
    PINION_TRY(read_head(&d));
    PINION_TRY(read_layers(&d));
    PINION_TRY(pinion__description_order(&d));
    status = build(&d, options, &network);
    if (status == PINION_EINVAL)
        status = blame(&d, overridden);
    PINION_TRY(status);
    PINION_TRY(pinion__network_regroup(&network, options));
    *out = network;
    network = NULL;
fail:
    pinion_network_destroy(network);
    pinion__release(ctx, d.order);
    pinion__release(ctx, d.entries);
    json_decref(d.root);
    return status;
}
