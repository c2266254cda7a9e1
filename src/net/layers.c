/* SPDX-License-Identifier: Apache-2.0
 *
 * The public add functions: one an op, all of them pinion__network_add.
 */
#include "net/network.h"
#include "op/common.h"

/* Attributes that have no defaults must be there. */
static int add(pinion_network *network, const pinion__op *op, const char *name, pinion_layer input,
               const void *attributes, pinion_layer *out)
{
    if (!network)
        return PINION_EINVAL;
    int status = PINION_OK;
    pinion_context *ctx = network->ctx;
    bool required = false;
    for (int i = 0; i < op->field_count; i++)
        required |= op->fields[i].required;
    PINION_FAIL_IF(required && !attributes, PINION_EINVAL, "layer '%s' (%s): its attributes are missing",
                   name ? name : "", op->name);
    PINION_TRY(pinion__network_add(network, op, name, &input, attributes, out));
fail:
    return status;
}

int pinion_network_add_conv2d(pinion_network *network, const char *name, pinion_layer input,
                              const pinion_conv2d *attributes, pinion_layer *out)
{
    return add(network, &pinion__op_conv2d, name, input, attributes, out);
}

int pinion_network_add_depthwise_conv2d(pinion_network *network, const char *name, pinion_layer input,
                                        const pinion_depthwise_conv2d *attributes, pinion_layer *out)
{
    return add(network, &pinion__op_depthwise_conv2d, name, input, attributes, out);
}

int pinion_network_add_batchnorm(pinion_network *network, const char *name, pinion_layer input,
                                 const pinion_batchnorm *attributes, pinion_layer *out)
{
    return add(network, &pinion__op_batchnorm, name, input, attributes, out);
}

int pinion_network_add_relu(pinion_network *network, const char *name, pinion_layer input, pinion_layer *out)
{
    return add(network, &pinion__op_relu, name, input, NULL, out);
}

int pinion_network_add_relu6(pinion_network *network, const char *name, pinion_layer input, pinion_layer *out)
{
    return add(network, &pinion__op_relu6, name, input, NULL, out);
}

int pinion_network_add_maxpool(pinion_network *network, const char *name, pinion_layer input,
                               const pinion_pool *attributes, pinion_layer *out)
{
    return add(network, &pinion__op_maxpool, name, input, attributes, out);
}

int pinion_network_add_avgpool(pinion_network *network, const char *name, pinion_layer input,
                               const pinion_pool *attributes, pinion_layer *out)
{
    return add(network, &pinion__op_avgpool, name, input, attributes, out);
}

int pinion_network_add_global_avgpool(pinion_network *network, const char *name, pinion_layer input, pinion_layer *out)
{
    return add(network, &pinion__op_global_avgpool, name, input, NULL, out);
}

int pinion_network_add_linear(pinion_network *network, const char *name, pinion_layer input,
                              const pinion_linear *attributes, pinion_layer *out)
{
    return add(network, &pinion__op_linear, name, input, attributes, out);
}

int pinion_network_add_flatten(pinion_network *network, const char *name, pinion_layer input, pinion_layer *out)
{
    return add(network, &pinion__op_flatten, name, input, NULL, out);
}

int pinion_network_add_dropout(pinion_network *network, const char *name, pinion_layer input,
                               const pinion_dropout *attributes, pinion_layer *out)
{
    return add(network, &pinion__op_dropout, name, input, attributes, out);
}

int pinion_network_add_add(pinion_network *network, const char *name, pinion_layer a, pinion_layer b, pinion_layer *out)
{
    const pinion_layer inputs[2] = {a, b};
    if (!network)
        return PINION_EINVAL;
    return pinion__network_add(network, &pinion__op_add, name, inputs, NULL, out);
}

int pinion_network_add_concat(pinion_network *network, const char *name, pinion_layer a, pinion_layer b,
                              pinion_layer *out)
{
    const pinion_layer inputs[2] = {a, b};
    if (!network)
        return PINION_EINVAL;
    return pinion__network_add(network, &pinion__op_concat, name, inputs, NULL, out);
}
