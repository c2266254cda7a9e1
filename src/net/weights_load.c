/* SPDX-License-Identifier: Apache-2.0
 *
 * Copying a file's tensors into a network. Two passes: the first finds everything that could be wrong (names, types,
 * shapes, values) and takes the memory, the second writes and cannot fail. So a network keeps its weights whenever
 * loading fails. Into a dynamic network the groups that the file has, and that are whole, are loaded.
 */
#include "net/convert.h"
#include "net/groups.h"
#include "net/residence.h"
#include "net/shared.h"
#include "net/text.h"
#include "net/weights.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct loading {
    pinion_network *network;
    const pinion__st_file *file;
    bool replace;                     /* the last linear layer, or that of each group, may differ in its outputs */
    int width;                        /* so many groups are in the file */
    size_t named, count;              /* parameters that are in the file; and that are loaded: those that are whole */
    const pinion__st_tensor **source; /* per parameter; NULL: keeps its values */
    bool *used;                       /* per tensor of the file */
    float *values;                    /* room for the largest parameter */
} loading;

typedef struct shape_text {
    char text[8 * 22 + 4];
} shape_text;

static shape_text show_shape(const int64_t *shape, int rank)
{
    shape_text shown = {"["};
    size_t at = 1;
    for (int i = 0; i < rank; i++)
        at += (size_t)snprintf(shown.text + at, sizeof shown.text - at, "%s%lld", i ? ", " : "", (long long)shape[i]);
    snprintf(shown.text + at, sizeof shown.text - at, "]");
    return shown;
}

static int check_values(pinion_context *ctx, const loading *load, const pinion__st_tensor *tensor)
{
    enum { PIECE = 1024 };
    int status = PINION_OK;
    float values[PIECE];
    uint64_t count = tensor->bytes / pinion__dtype_bytes(tensor->dtype);
    for (uint64_t first = 0; first < count; first += PIECE) {
        size_t piece = count - first < PIECE ? (size_t)(count - first) : PIECE;
        pinion__tensor_floats(tensor, first, piece, values);
        for (size_t i = 0; i < piece; i++)
            PINION_FAIL_IF(!isfinite(values[i]), PINION_EFORMAT,
                           "%s: tensor '%s': value number %llu is %g, not a finite number", load->file->path,
                           tensor->name, (unsigned long long)(first + i + 1), (double)values[i]);
    }
fail:
    return status;
}

/* Is it the last linear layer, of its group where there are groups, and may that differ? */
static bool is_classifier(const loading *load, int layer)
{
    const pinion_network *network = load->network;
    if (!load->replace || network->layers[layer].op->id != PINION__OP_linear)
        return false;
    int group = network->layers[layer].group;
    for (size_t at = (size_t)layer + 1; at < network->layer_count && network->layers[at].group == group; at++)
        if (network->layers[at].op->id == PINION__OP_linear)
            return false;
    return true;
}

/* Finds and checks the tensor of one parameter. */
static int check_param(pinion_context *ctx, loading *load, size_t index)
{
    int status = PINION_OK;
    const pinion__param *param = &load->network->params[index];
    const pinion__st_tensor *tensor = pinion__st_find(load->file, param->name);
    int64_t shape[8];
    int rank;
    PINION_FAIL_IF(!tensor, PINION_EFORMAT, "%s: tensor '%s' of network '%s' is missing", load->file->path, param->name,
                   load->network->name);
    load->used[tensor - load->file->tensors] = true;
    PINION_FAIL_IF(!pinion__dtype_floating(tensor->dtype), PINION_EFORMAT,
                   "%s: tensor '%s' is of type %s; expected F32, F64, F16 or BF16", load->file->path, param->name,
                   pinion__dtype_name(tensor->dtype));
    pinion__param_file_shape(param, shape, &rank);
    bool same_rank = tensor->rank == rank;
    bool same = same_rank && memcmp(tensor->shape, shape, (size_t)rank * sizeof *shape) == 0;
    bool differs_in_outputs =
        same_rank && memcmp(tensor->shape + 1, shape + 1, (size_t)(rank - 1) * sizeof *shape) == 0;
    PINION_FAIL_IF(!same && !(differs_in_outputs && is_classifier(load, param->layer)), PINION_EFORMAT,
                   "%s: tensor '%s' has the shape %s; network '%s' expects %s", load->file->path, param->name,
                   show_shape(tensor->shape, tensor->rank).text, load->network->name, show_shape(shape, rank).text);
    PINION_TRY(check_values(ctx, load, tensor));
    if (same)
        load->source[index] = tensor;
fail:
    return status;
}

static int check_unknown(pinion_context *ctx, const loading *load)
{
    int status = PINION_OK;
    for (size_t i = 0; i < load->file->tensor_count; i++) {
        const char *name = load->file->tensors[i].name;
        if (load->used[i] || pinion__ends_with(name, ".num_batches_tracked") || strncmp(name, "pinion.", 7) == 0)
            continue;
        PINION_FAIL_IF(true, PINION_EFORMAT, "%s: network '%s' has no weights of the name %s", load->file->path,
                       load->network->name, pinion__quote(name).text);
    }
fail:
    return status;
}

/* A classifier that differs in its weights differs in its bias, and each of its parts does: it keeps all of them. */
static void keep_classifier(loading *load)
{
    bool differs = false;
    for (size_t i = 0; i < load->count; i++)
        differs |= !load->source[i];
    for (size_t i = 0; i < load->count && differs; i++)
        if (is_classifier(load, load->network->params[i].layer))
            load->source[i] = NULL;
}

/* Which groups are there? The metadata say it; where there are none, the tensors' names do. */
static int find_groups(pinion_context *ctx, loading *load)
{
    static const char *const ways[] = {[PINION_TOWERS] = "towers", [PINION_NESTED] = "nested"};
    int status = PINION_OK;
    const pinion_network *network = load->network;
    pinion_weights_metadata has = {0};
    PINION_TRY(pinion__groups_read(ctx, load->file, &has));
    PINION_FAIL_IF(has.groups && !network->groups, PINION_EFORMAT,
                   "%s: it is of a network that is cut into %d groups (%s); network '%s' is not cut", load->file->path,
                   has.groups, ways[has.connect], network->name);
    PINION_FAIL_IF(has.groups && (has.groups != network->groups || has.connect != network->connect), PINION_EFORMAT,
                   "%s: it is of a network that is cut into %d groups (%s); network '%s' is cut into %d (%s)",
                   load->file->path, has.groups, ways[has.connect], network->name, network->groups,
                   ways[network->connect]);
    load->width = has.width;
    for (size_t i = network->param_count; i > 0 && !load->width; i--)
        if (pinion__st_find(load->file, network->params[i - 1].name))
            load->width = network->layers[network->params[i - 1].layer].group;
    if (!load->width)
        load->width = network->groups;
    load->named = pinion__network_param_count(network, load->width);
    load->count = pinion__network_param_count(network, has.groups ? has.whole_width : load->width);
fail:
    return status;
}

static int check(pinion_context *ctx, loading *load)
{
    int status = PINION_OK;
    size_t largest = 0;
    for (size_t i = 0; i < load->count; i++) {
        PINION_TRY(check_param(ctx, load, i));
        if (load->network->params[i].bytes > largest)
            largest = load->network->params[i].bytes;
    }
    for (size_t i = load->count; i < load->named; i++) {
        const pinion__st_tensor *damaged = pinion__st_find(load->file, load->network->params[i].name);
        if (damaged)
            load->used[damaged - load->file->tensors] = true;
    }
    PINION_TRY(check_unknown(ctx, load));
    keep_classifier(load);
    PINION_TRY(pinion__alloc(ctx, largest, 1, "a tensor that is being loaded", &load->values));
fail:
    return status;
}

static void take(loading *load)
{
    pinion_network *network = load->network;
    for (size_t i = 0; i < load->count; i++) {
        if (!load->source[i])
            continue;
        pinion__tensor_floats(load->source[i], 0, network->params[i].bytes / sizeof(float), load->values);
        pinion__param_from_file(&network->params[i], load->values, pinion__param_data(network, (int)i));
    }
    if (network->groups)
        network->width = network->layers[network->params[load->count - 1].layer].group;
    pinion__network_changed(network);
}

int pinion__weights_load(pinion_network *network, const pinion__st_file *file, bool replace_classifier)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    loading load = {.network = network, .file = file, .replace = replace_classifier};
    pinion__residence *residence = NULL;
    PINION_TRY(pinion__network_allocate(network));
    PINION_TRY(pinion__network_settle(network));
    PINION_TRY(find_groups(ctx, &load));
    PINION_TRY(pinion__alloc_zeroed(ctx, network->param_count, sizeof *load.source, "marks of weights", &load.source));
    PINION_TRY(pinion__alloc_zeroed(ctx, file->tensor_count, sizeof *load.used, "marks of tensors", &load.used));
    PINION_TRY(check(ctx, &load));
    bool complete = true;
    for (size_t i = 0; i < load.count; i++)
        complete = complete && load.source[i];
    if (complete)
        PINION_TRY(pinion__residence_create(network, file, load.count, &residence));
    take(&load);
    pinion__network_reside_take(network, residence);
fail:
    pinion__release(ctx, load.source);
    pinion__release(ctx, load.used);
    pinion__release(ctx, load.values);
    return status;
}
