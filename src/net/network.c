/* SPDX-License-Identifier: Apache-2.0
 *
 * A network's life: created empty, grown layer by layer, its weights laid out once, destroyed. A failed add leaves
 * everything as it was: all that can fail comes before the counts move.
 */
#include "base/pages.h"
#include "net/residence.h"
#include "net/shared.h"
#include "op/common.h"
#include <stdio.h>
#include <string.h>

bool pinion__name_valid(const char *name, bool space)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/: ";
    size_t length = strlen(name), permitted = strspn(name, letters);
    return length > 0 && length <= PINION__MAX_NAME && permitted == length && (space || !strchr(name, ' '));
}

int pinion_network_create(pinion_context *ctx, const char *name, pinion_shape input, pinion_network **out)
{
    if (!ctx)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_network *network = NULL;
    PINION_FAIL_IF(!out, PINION_EINVAL, "a network needs a place for the result");
    PINION_FAIL_IF(
        !name || !pinion__name_valid(name, true), PINION_EINVAL,
        "the network's name is not valid: expected 1 to %d letters, digits, spaces and _ . - / :", PINION__MAX_NAME);
    PINION_FAIL_IF(input.h < 1 || input.w < 1 || input.c < 1 || input.h > PINION__MAX_EXTENT ||
                       input.w > PINION__MAX_EXTENT || input.c > PINION__MAX_CHANNELS ||
                       (int64_t)input.h * input.w > INT32_MAX / input.c,
                   PINION_EINVAL,
                   "network '%s': its input is %dx%dx%d; expected rows and columns of 1 to %d, channels of 1 to %d, at "
                   "most %d elements",
                   name, input.h, input.w, input.c, PINION__MAX_EXTENT, PINION__MAX_CHANNELS, INT32_MAX);
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *network, "a network", &network));
    network->ctx = ctx;
    network->input = input;
    PINION_TRY(pinion__copy_string(ctx, name, &network->name));
    *out = network;
    return PINION_OK;
fail:
    pinion_network_destroy(network);
    return status;
}

void pinion_network_destroy(pinion_network *network)
{
    if (!network)
        return;
    pinion_context *ctx = network->ctx;
    for (size_t i = 0; i < network->layer_count; i++)
        pinion__release(ctx, network->layers[i].name);
    for (size_t i = 0; i < network->param_count; i++)
        pinion__release(ctx, network->params[i].name);
    pinion__release(ctx, network->layers);
    pinion__release(ctx, network->params);
    pinion__network_free_shared(network);
    pinion__network_reside_take(network, NULL);
    pinion_network_destroy(network->base);
    pinion__release(ctx, network->block);
    pinion__release(ctx, network->name);
    pinion__release(ctx, network);
}

static int check_name(const pinion_network *network, const char *name)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    PINION_FAIL_IF(!name || !pinion__name_valid(name, false), PINION_EINVAL,
                   "a layer's name is not valid: expected 1 to %d letters, digits and _ . - / :", PINION__MAX_NAME);
    PINION_FAIL_IF(strcmp(name, "input") == 0 || strncmp(name, "pinion.", 7) == 0, PINION_EINVAL,
                   "layer '%s': this name is reserved", name);
    for (size_t i = 0; i < network->layer_count; i++)
        PINION_FAIL_IF(strcmp(network->layers[i].name, name) == 0, PINION_EINVAL,
                       "layer '%s': there is a layer of that name already", name);
fail:
    return status;
}

/* Do the op's outputs mix input channels? Then its bias belongs to new channels, and an order of the old ones ends
 * here. */
static bool mixes_channels(const pinion__param_spec *specs, int count)
{
    return count > 0 && (specs[0].layout == PINION__LAYOUT_KRSC || specs[0].layout == PINION__LAYOUT_KC);
}

static int link_inputs(const pinion_network *network, const pinion_layer *inputs, pinion__layer *layer)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    for (int i = 0; i < layer->op->inputs; i++) {
        int input = inputs[i];
        PINION_FAIL_IF(input < PINION_INPUT || input >= (int)network->layer_count, PINION_EINVAL,
                       "layer '%s' (%s): its input is layer %d; there are %zu layers so far", layer->name,
                       layer->op->name, input, network->layer_count);
        layer->inputs[i] = input;
        layer->input_shapes[i] = input == PINION_INPUT ? network->input : network->layers[input].output;
    }
fail:
    return status;
}

/* Names the parameters or states of a layer in free slots of network->params; those named are counted in *named also on
 * failure. */
static int name_params(pinion_network *network, const pinion__layer *layer, const pinion__param_spec *specs, int count,
                       bool state, size_t *named)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    for (int i = 0; i < count; i++) {
        pinion__param *param = &network->params[network->param_count + *named];
        *param = (pinion__param){.layer = (int)network->layer_count, .index = i, .state = state, .spec = specs[i]};
        uint64_t elements = (uint64_t)specs[i].n * (uint64_t)specs[i].h * (uint64_t)specs[i].w * (uint64_t)specs[i].c;
        PINION_FAIL_IF(elements > SIZE_MAX / 2 / sizeof(float), PINION_ENOMEM,
                       "out of memory: layer '%s' (%s): its weights exceed the address space", layer->name,
                       layer->op->name);
        param->bytes = (size_t)elements * sizeof(float);
        size_t bytes = strlen(layer->name) + 1 + strlen(specs[i].suffix) + 1;
        PINION_TRY(pinion__alloc(ctx, bytes, 1, "a weight's name", &param->name));
        snprintf(param->name, bytes, "%s.%s", layer->name, specs[i].suffix);
        (*named)++;
    }
fail:
    return status;
}

/* The order of channels that flatten and concat leave, in the layer's output and parameters. */
static int track_channels(const pinion_network *network, pinion__layer *layer, const pinion__param_spec *specs,
                          int count, pinion__param *params, size_t named)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    pinion_shape before = layer->input_shapes[0];
    pinion__channels order[PINION__MAX_INPUTS] = {{0}};
    for (int i = 0; i < layer->op->inputs; i++)
        if (layer->inputs[i] != PINION_INPUT)
            order[i] = network->layers[layer->inputs[i]].channels;
    bool mixes = mixes_channels(specs, count);
    for (size_t i = 0; i < named; i++)
        if (!(mixes && params[i].spec.layout == PINION__LAYOUT_VECTOR))
            params[i].channels = order[0];
    if (layer->op->id == PINION__OP_flatten && before.h * before.w > 1)
        layer->channels = pinion__channels_flattened(before);
    else if (layer->op->flags & PINION__OP_SIDE_BY_SIDE)
        PINION_FAIL_IF(
            !pinion__channels_concat(&order[0], before.c, &order[1], layer->input_shapes[1].c, &layer->channels),
            PINION_EINVAL, "layer '%s' (%s): more than %d flattened parts; put the concat before the flatten",
            layer->name, layer->op->name, PINION__MAX_PIECES);
    else if (!mixes)
        layer->channels = order[0];
fail:
    return status;
}

int pinion__network_add(pinion_network *network, const pinion__op *op, const char *name, const pinion_layer *inputs,
                        const void *attributes, pinion_layer *out)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    pinion__layer layer = {.op = op, .params = {-1, -1}, .states = {-1, -1}};
    size_t named = 0;
    PINION_TRY(check_name(network, name));
    layer.name = (char *)name; /* until it is copied */
    PINION_FAIL_IF(network->block, PINION_EINVAL, "layer '%s' (%s): the network's weights are laid out; it cannot grow",
                   name, op->name);
    PINION_FAIL_IF(network->layer_count == PINION__MAX_LAYERS, PINION_EINVAL,
                   "layer '%s' (%s): a network has at most %d layers", name, op->name, PINION__MAX_LAYERS);
    PINION_TRY(link_inputs(network, inputs, &layer));
    if (attributes)
        memcpy(&layer.attributes, attributes, op->attributes_bytes);
    PINION_TRY(op->infer(ctx, name, &layer.attributes, layer.input_shapes, &layer.output));

    pinion__param_spec params[PINION__MAX_PARAMS], states[PINION__MAX_STATES];
    int param_count = op->params ? op->params(&layer.attributes, layer.input_shapes, &layer.output, params) : 0;
    int state_count = op->states ? op->states(&layer.attributes, layer.input_shapes, &layer.output, states) : 0;
    PINION_TRY(pinion__grow(ctx, &network->layers, &network->layer_capacity, network->layer_count + 1, sizeof layer,
                            "layers"));
    PINION_TRY(pinion__grow(ctx, &network->params, &network->param_capacity,
                            network->param_count + PINION__MAX_PARAMS + PINION__MAX_STATES, sizeof(pinion__param),
                            "weights' names"));
    PINION_TRY(name_params(network, &layer, params, param_count, false, &named));
    PINION_TRY(name_params(network, &layer, states, state_count, true, &named));
    PINION_TRY(track_channels(network, &layer, params, param_count, network->params + network->param_count, named));
    PINION_TRY(pinion__copy_string(ctx, name, &layer.name));

    for (int i = 0; i < param_count; i++)
        layer.params[i] = (int)network->param_count++;
    for (int i = 0; i < state_count; i++)
        layer.states[i] = (int)network->param_count++;
    network->layers[network->layer_count] = layer;
    if (out)
        *out = (pinion_layer)network->layer_count;
    network->layer_count++;
    return PINION_OK;
fail:
    for (size_t i = 0; i < named; i++)
        pinion__release(ctx, network->params[network->param_count + i].name);
    return status;
}

int pinion__network_check_complete(const pinion_network *network)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    bool *read = NULL;
    PINION_FAIL_IF(network->layer_count == 0, PINION_EINVAL, "network '%s' has no layers", network->name);
    PINION_TRY(pinion__alloc_zeroed(ctx, network->layer_count, sizeof *read, "marks of layers", &read));
    for (size_t i = 0; i < network->layer_count; i++)
        for (int j = 0; j < network->layers[i].op->inputs; j++)
            if (network->layers[i].inputs[j] != PINION_INPUT)
                read[network->layers[i].inputs[j]] = true;
    for (size_t i = 0; i + 1 < network->layer_count; i++)
        PINION_FAIL_IF(!read[i], PINION_EINVAL,
                       "layer '%s' (%s): no layer reads it, and it is not the network's output, which is '%s'",
                       network->layers[i].name, network->layers[i].op->name,
                       network->layers[network->layer_count - 1].name);
fail:
    pinion__release(ctx, read);
    return status;
}

/* Gives the weights of a group (0: of a network that is not cut) their places from `offset` on: parameters, then
 * states. */
static int lay_out(pinion_network *network, int group, size_t *offset)
{
    enum { ALIGNMENT = PINION__SHARED_ALIGNMENT };
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    for (int state = 0; state < 2; state++)
        for (size_t i = 0; i < network->param_count; i++) {
            pinion__param *param = &network->params[i];
            if (param->state != state || network->layers[param->layer].group != group)
                continue;
            PINION_FAIL_IF(param->bytes > SIZE_MAX - *offset - PINION__PAGE, PINION_ENOMEM,
                           "out of memory: the weights of network '%s' exceed the address space", network->name);
            param->offset = *offset;
            *offset += (param->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
fail:
    return status;
}

size_t pinion__network_alignment(const pinion_network *network)
{
    return network->groups ? PINION__PAGE : PINION__SHARED_ALIGNMENT;
}

int pinion__network_allocate(pinion_network *network)
{
    enum { PAGE = PINION__PAGE };
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    size_t total = 0, alignment = pinion__network_alignment(network);
    if (network->block)
        return PINION_OK;
    PINION_TRY(pinion__network_check_complete(network));
    if (network->groups == 0)
        PINION_TRY(lay_out(network, 0, &total));
    for (int group = 1; group <= network->groups; group++) {
        PINION_TRY(lay_out(network, group, &total));
        total = (total + PAGE - 1) / PAGE * PAGE;
        network->group_offset[group] = total;
    }
    size_t bytes = total > 0 ? total : alignment;
    PINION_TRY(pinion__alloc_aligned(ctx, bytes, alignment, "the network's weights", &network->block));
    memset(network->block, 0, bytes);
    network->block_bytes = bytes;
fail:
    return status;
}
