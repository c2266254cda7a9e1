/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a model by its name in the zoo or from a file, and knowing a network of the zoo again.
 */
#include "net/zoo.h"
#include "base/file.h"
#include "net/network.h"
#include "net/text.h"
#include <string.h>

const char *pinion_network_zoo_name(int index)
{
    if (index < 0)
        return NULL;
    for (int i = 0; i < index; i++)
        if (!pinion__models[i].name)
            return NULL;
    return pinion__models[index].name;
}

static const pinion__model *find(const char *name)
{
    for (const pinion__model *model = pinion__models; model->name; model++)
        if (strcmp(model->name, name) == 0)
            return model;
    return NULL;
}

bool pinion__model_valid(const char *text)
{
    return *text == '{' || find(text);
}

static int fail_unknown(pinion_context *ctx, const char *name)
{
    int status = PINION_OK;
    pinion__text known = {.ctx = ctx};
    for (const pinion__model *model = pinion__models; model->name; model++)
        PINION_TRY(pinion__text_add(&known, "%s, ", model->name));
    PINION_FAIL_IF(true, PINION_EINVAL, "unknown model %s; expected %sor a file whose name ends in .json",
                   pinion__quote(name).text, known.bytes);
fail:
    pinion__release(ctx, known.bytes);
    return status;
}

static int open_file(pinion_context *ctx, const char *path, const pinion_network_options *options, pinion_network **out)
{
    int status = PINION_OK;
    pinion__file file = {0};
    PINION_TRY(pinion__file_open(ctx, path, &file));
    PINION_TRY(pinion_network_parse(ctx, file.bytes ? (const char *)file.data : "", file.bytes, path, options, out));
fail:
    pinion__file_close(&file);
    return status;
}

int pinion_network_open(pinion_context *ctx, const char *name, const pinion_network_options *options,
                        pinion_network **out)
{
    if (!ctx)
        return PINION_EINVAL;
    int status = PINION_OK;
    PINION_FAIL_IF(!name || !out, PINION_EINVAL, "a network needs a model and a place for the result");
    const pinion__model *model = find(name);
    if (model)
        PINION_TRY(pinion_network_parse(ctx, model->text, model->length, name, options, out));
    else if (strlen(name) > 5 && pinion__ends_with(name, ".json"))
        PINION_TRY(open_file(ctx, name, options, out));
    else
        PINION_TRY(fail_unknown(ctx, name));
fail:
    return status;
}

int pinion__network_zoo_model(const pinion_network *network, const char **out)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    if (network->base)
        network = network->base;
    const pinion__model *model = find(network->name);
    pinion_network *same = NULL;
    char *ours = NULL, *theirs = NULL;
    *out = NULL;
    if (!model || network->layer_count == 0)
        return PINION_OK;
    pinion_network_info info = pinion_network_get_info(network);
    pinion_network_options options = {.input = info.input, .classes = info.output.c};
    PINION_TRY(pinion__network_describe(network, &ours));
    status = pinion_network_parse(ctx, model->text, model->length, model->name, &options, &same);
    if (status == PINION_OK)
        PINION_TRY(pinion__network_describe(same, &theirs));
    else if (status != PINION_EINVAL) /* EINVAL: no network of the zoo has such an input */
        PINION_TRY(status);
    status = PINION_OK;
    if (theirs && strcmp(ours, theirs) == 0)
        *out = model->name;
fail:
    pinion__release(ctx, ours);
    pinion__release(ctx, theirs);
    pinion_network_destroy(same);
    return status;
}
