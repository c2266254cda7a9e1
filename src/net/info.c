/* SPDX-License-Identifier: Apache-2.0
 *
 * What a network is made of, for reports. Sums saturate: no description makes them wrap.
 */
#include "net/groups.h"

static int64_t add_saturating(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static int64_t layer_macs(const pinion__layer *layer)
{
    return layer->op->macs ? layer->op->macs(&layer->attributes, layer->input_shapes, &layer->output) : 0;
}

/* Of groups 1 … width; of everything where the network is not cut. */
static pinion_width_info sum_groups(const pinion_network *network, int width)
{
    pinion_width_info sums = {0};
    size_t params = pinion__network_param_count(network, width);
    for (size_t i = 0; i < params; i++) {
        int64_t bytes = (int64_t)network->params[i].bytes;
        sums.weight_bytes += bytes;
        if (!network->params[i].state)
            sums.parameters += bytes / (int64_t)sizeof(float);
    }
    for (size_t i = 0; i < network->layer_count && network->layers[i].group <= width; i++)
        sums.macs = add_saturating(sums.macs, layer_macs(&network->layers[i]));
    return sums;
}

pinion_network_info pinion_network_get_info(const pinion_network *network)
{
    pinion_network_info info = {.name = network->name,
                                .input = network->input,
                                .output = network->input,
                                .layers = (int)network->layer_count,
                                .groups = network->groups,
                                .connect = network->connect,
                                .width = network->width};
    if (network->layer_count > 0)
        info.output = network->layers[network->layer_count - 1].output;
    pinion_width_info sums = sum_groups(network, network->groups);
    info.parameters = sums.parameters;
    info.weight_bytes = sums.weight_bytes;
    info.macs = sums.macs;
    return info;
}

int pinion_network_get_width(const pinion_network *network, int width, pinion_width_info *out)
{
    if (!network)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    PINION_FAIL_IF(!out, PINION_EINVAL, "a width's info needs a place");
    PINION_FAIL_IF(network->groups == 0, PINION_EINVAL, "network '%s' is not cut into groups: it has no widths",
                   network->name);
    PINION_FAIL_IF(width < 1 || width > network->groups, PINION_EINVAL,
                   "network '%s' has no width %d; expected 1 to %d", network->name, width, network->groups);
    *out = sum_groups(network, width);
fail:
    return status;
}

int pinion_network_get_layer(const pinion_network *network, pinion_layer layer, pinion_layer_info *out)
{
    if (!network)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    PINION_FAIL_IF(!out, PINION_EINVAL, "a layer's info needs a place");
    PINION_FAIL_IF(layer < 0 || (size_t)layer >= network->layer_count, PINION_EINVAL,
                   "network '%s' has %zu layers; there is no layer %d", network->name, network->layer_count, layer);
    const pinion__layer *from = &network->layers[layer];
    pinion_layer_info info = {.name = from->name,
                              .op = from->op->name,
                              .output = from->output,
                              .macs = layer_macs(from),
                              .input_count = from->op->inputs,
                              .group = from->group};
    for (int i = 0; i < from->op->inputs; i++)
        info.inputs[i] = from->inputs[i];
    for (int i = 0; i < PINION__MAX_PARAMS; i++)
        if (from->params[i] >= 0)
            info.parameters += (int64_t)(network->params[from->params[i]].bytes / sizeof(float));
    *out = info;
fail:
    return status;
}
