/* SPDX-License-Identifier: Apache-2.0
 *
 * Copying a file's tensors into a network. Two passes: the first finds everything that could be wrong (names, types,
 * shapes, values) and takes the memory, the second writes and cannot fail. So a network keeps its weights whenever
 * loading fails.
 */
#include "net/convert.h"
#include "net/shared.h"
#include "net/text.h"
#include "net/weights.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct loading {
    pinion_network *network;
    const pinion__st_file *file;
    int classifier;                   /* the linear layer that may differ in its outputs; -1: none */
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
    PINION_FAIL_IF(!same && !(param->layer == load->classifier && differs_in_outputs), PINION_EFORMAT,
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

static int last_linear(const pinion_network *network)
{
    int at = (int)network->layer_count - 1;
    while (at >= 0 && network->layers[at].op->id != PINION__OP_linear)
        at--;
    return at;
}

/* A classifier that differs in its weights differs in its bias: it keeps both. */
static void keep_classifier(loading *load)
{
    bool differs = false;
    for (size_t i = 0; i < load->network->param_count; i++)
        differs |= load->network->params[i].layer == load->classifier && !load->source[i];
    for (size_t i = 0; i < load->network->param_count && differs; i++)
        if (load->network->params[i].layer == load->classifier)
            load->source[i] = NULL;
}

static int check(pinion_context *ctx, loading *load)
{
    int status = PINION_OK;
    size_t largest = 0;
    for (size_t i = 0; i < load->network->param_count; i++) {
        PINION_TRY(check_param(ctx, load, i));
        if (load->network->params[i].bytes > largest)
            largest = load->network->params[i].bytes;
    }
    PINION_TRY(check_unknown(ctx, load));
    keep_classifier(load);
    PINION_TRY(pinion__alloc(ctx, largest, 1, "a tensor that is being loaded", &load->values));
fail:
    return status;
}

int pinion__weights_load(pinion_network *network, const pinion__st_file *file, bool replace_classifier)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    loading load = {.network = network, .file = file, .classifier = replace_classifier ? last_linear(network) : -1};
    PINION_TRY(pinion__network_allocate(network));
    PINION_TRY(pinion__network_settle(network));
    PINION_TRY(pinion__alloc_zeroed(ctx, network->param_count, sizeof *load.source, "marks of weights", &load.source));
    PINION_TRY(pinion__alloc_zeroed(ctx, file->tensor_count, sizeof *load.used, "marks of tensors", &load.used));
    PINION_TRY(check(ctx, &load));
    for (size_t i = 0; i < network->param_count; i++) {
        if (!load.source[i])
            continue;
        pinion__tensor_floats(load.source[i], 0, network->params[i].bytes / sizeof(float), load.values);
        pinion__param_from_file(&network->params[i], load.values, pinion__param_data(network, (int)i));
    }
    pinion__network_changed(network);
fail:
    pinion__release(ctx, load.source);
    pinion__release(ctx, load.used);
    pinion__release(ctx, load.values);
    return status;
}
