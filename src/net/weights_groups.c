/* SPDX-License-Identifier: Apache-2.0
 *
 * What makes a network dynamic, in a file's metadata: "pinion.groups", "pinion.connect", "pinion.width" (groups that
 * are in the file) and, where it is known, "pinion.top1_per_width", a JSON array. The first three go together.
 */
#include "net/text.h"
#include "net/weights.h"
#include <jansson.h>
#include <math.h>
#include <string.h>

static const char *const connections[] = {[PINION_TOWERS] = "towers", [PINION_NESTED] = "nested"};

static int add_number(pinion__pairs *pairs, const char *key, int value)
{
    const char text[2] = {(char)('0' + value), '\0'};
    return pinion__pairs_add(pairs, key, text);
}

static int add_accuracies(pinion__pairs *pairs, const double *top1, int count)
{
    int status = PINION_OK;
    pinion_context *ctx = pairs->ctx;
    pinion__text text = {.ctx = ctx};
    for (int j = 0; j < count; j++) {
        PINION_FAIL_IF(!(top1[j] >= 0 && top1[j] <= 100), PINION_EINVAL,
                       "metadata of weights: the accuracy of width %d is %g; expected 0 to 100", j + 1, top1[j]);
        PINION_TRY(pinion__text_add(&text, j ? ", " : "["));
        PINION_TRY(pinion__text_add_float(&text, (float)top1[j]));
    }
    PINION_TRY(pinion__text_add(&text, "]"));
    return pinion__pairs_add_take(pairs, "pinion.top1_per_width", text.bytes);
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

int pinion__groups_pairs(const pinion_network *network, const pinion_weights_metadata *metadata, pinion__pairs *pairs)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    int width = network->width, known = metadata->known_widths < width ? metadata->known_widths : width;
    PINION_TRY(add_number(pairs, "pinion.groups", network->groups));
    PINION_TRY(pinion__pairs_add(pairs, "pinion.connect", connections[network->connect]));
    PINION_TRY(add_number(pairs, "pinion.width", width));
    if (known > 0)
        PINION_TRY(add_accuracies(pairs, metadata->top1_per_width, known));
fail:
    return status;
}

static int read_number(pinion_context *ctx, const pinion__st_file *file, const char *key, int most, int *out)
{
    int status = PINION_OK;
    const char *text = pinion__st_get(file, key);
    PINION_FAIL_IF(!text || text[0] < '1' || text[0] > '0' + most || text[1], PINION_EFORMAT,
                   "%s: metadata '%s' is %s; expected 1 to %d", file->path, key,
                   text ? pinion__quote(text).text : "missing", most);
    *out = text[0] - '0';
fail:
    return status;
}

static int read_connect(pinion_context *ctx, const pinion__st_file *file, enum pinion_connect *out)
{
    int status = PINION_OK;
    const char *text = pinion__st_get(file, "pinion.connect");
    bool nested = text && strcmp(text, connections[PINION_NESTED]) == 0;
    PINION_FAIL_IF(!nested && (!text || strcmp(text, connections[PINION_TOWERS]) != 0), PINION_EFORMAT,
                   "%s: metadata 'pinion.connect' is %s; expected towers or nested", file->path,
                   text ? pinion__quote(text).text : "missing");
    *out = nested ? PINION_NESTED : PINION_TOWERS;
fail:
    return status;
}

static int read_accuracies(pinion_context *ctx, const pinion__st_file *file, pinion_weights_metadata *out)
{
    int status = PINION_OK;
    const char *text = pinion__st_get(file, "pinion.top1_per_width");
    json_error_t error = {0};
    if (!text)
        return PINION_OK;
    json_t *json = json_loads(text, 0, &error);
    enum json_error_code code = json ? json_error_unknown : json_error_code(&error);
    PINION_FAIL_IF(!json && (code == json_error_out_of_memory || code == json_error_unknown), PINION_ENOMEM,
                   "out of memory: for metadata 'pinion.top1_per_width' of %s", file->path);
    size_t count = json_array_size(json);
    bool valid = count >= 1 && count <= (size_t)out->width;
    for (size_t j = 0; j < count && valid; j++) {
        const json_t *value = json_array_get(json, j);
        out->top1_per_width[j] = json_number_value(value);
        valid = json_is_number(value) && out->top1_per_width[j] >= 0 && out->top1_per_width[j] <= 100;
    }
    PINION_FAIL_IF(!valid, PINION_EFORMAT,
                   "%s: metadata 'pinion.top1_per_width' is %s; expected an array of at most %d numbers, 0 to 100",
                   file->path, pinion__quote(text).text, out->width);
    out->known_widths = (int)count;
fail:
    json_decref(json);
    return status;
}

int pinion__groups_read(pinion_context *ctx, const pinion__st_file *file, pinion_weights_metadata *out)
{
    int status = PINION_OK;
    if (!pinion__st_get(file, "pinion.groups"))
        return PINION_OK;
    PINION_TRY(read_number(ctx, file, "pinion.groups", PINION_MAX_GROUPS, &out->groups));
    PINION_TRY(read_connect(ctx, file, &out->connect));
    PINION_TRY(read_number(ctx, file, "pinion.width", out->groups, &out->width));
    PINION_TRY(read_accuracies(ctx, file, out));
    bool damaged = file->whole_groups < file->groups && file->whole_groups < out->width;
    out->whole_width = damaged ? file->whole_groups : out->width;
fail:
    return status;
}
