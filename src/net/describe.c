/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a network's description: a layer a line, every attribute, in one fixed form, so that equal networks have equal
 * texts. Names need no quoting (pinion__name_valid).
 */
#include "net/network.h"
#include "net/text.h"
#include <string.h>

static const char *input_name(const pinion_network *network, int input)
{
    return input == PINION_INPUT ? "input" : network->layers[input].name;
}

static int describe_field(pinion__text *text, const pinion__layer *layer, const pinion__attr_field *field)
{
    int status = PINION_OK;
    pinion_context *ctx = text->ctx;
    const char *attributes = (const char *)&layer->attributes;
    int first = 0, second = 0;
    float real = 0;
    memcpy(&first, attributes + field->offset, sizeof first);
    PINION_TRY(pinion__text_add(text, ", \"%s\": ", field->key));
    switch (field->type) {
    case PINION__ATTR_INT:
        PINION_TRY(pinion__text_add(text, "%d", first));
        break;
    case PINION__ATTR_BOOL:
        PINION_TRY(pinion__text_add(text, "%s", first ? "true" : "false"));
        break;
    case PINION__ATTR_PAIR:
        memcpy(&second, attributes + field->offset2, sizeof second);
        if (first == second)
            PINION_TRY(pinion__text_add(text, "%d", first));
        else
            PINION_TRY(pinion__text_add(text, "[%d, %d]", first, second));
        break;
    case PINION__ATTR_FLOAT:
        memcpy(&real, attributes + field->offset, sizeof real);
        PINION_TRY(pinion__text_add_float(text, real));
        break;
    }
fail:
    return status;
}

static int describe_layer(pinion__text *text, const pinion_network *network, const pinion__layer *layer)
{
    int status = PINION_OK;
    pinion_context *ctx = text->ctx;
    PINION_TRY(pinion__text_add(text, "    {\"name\": \"%s\", \"op\": \"%s\", ", layer->name, layer->op->name));
    if (layer->op->inputs == 1)
        PINION_TRY(pinion__text_add(text, "\"input\": \"%s\"", input_name(network, layer->inputs[0])));
    else
        PINION_TRY(pinion__text_add(text, "\"inputs\": [\"%s\", \"%s\"]", input_name(network, layer->inputs[0]),
                                    input_name(network, layer->inputs[1])));
    for (int i = 0; i < layer->op->field_count; i++)
        PINION_TRY(describe_field(text, layer, &layer->op->fields[i]));
    PINION_TRY(pinion__text_add(text, "}"));
fail:
    return status;
}

int pinion__network_describe(const pinion_network *network, char **out)
{
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    pinion__text text = {.ctx = ctx};
    if (network->base)
        return pinion__network_describe(network->base, out);
    PINION_TRY(pinion__text_add(&text, "{\n  \"name\": \"%s\",\n  \"input\": [%d, %d, %d],\n  \"layers\": [\n",
                                network->name, network->input.h, network->input.w, network->input.c));
    for (size_t i = 0; i < network->layer_count; i++) {
        PINION_TRY(describe_layer(&text, network, &network->layers[i]));
        PINION_TRY(pinion__text_add(&text, i + 1 < network->layer_count ? ",\n" : "\n"));
    }
    PINION_TRY(pinion__text_add(&text, "  ]\n}\n"));
    *out = text.bytes;
    return PINION_OK;
fail:
    pinion__release(ctx, text.bytes);
    return status;
}
