/* SPDX-License-Identifier: Apache-2.0
 *
 * The backward tasks, from the loss down. A gradient that several layers contribute to is written by the first of them
 * and added to by the others, in this fixed order.
 *
 * Where a layer passes its gradient on unchanged (add, views), the gradient of its input shares the bytes of its own:
 * nothing is copied. Bytes may be shared as long as nobody writes them. So before a contribution is added to a gradient
 * whose bytes some other gradient also names and whose readers are not all emitted yet, it gets bytes of its own by a
 * copy (own_bytes). All tasks that read the bytes before stand earlier in the serial order, and edges keep them there.
 *
 * Over micro-batches the gradients of parameters add up: a backward_weights overwrites them in the first part and adds
 * to them in the others, and all updates follow the last part. Where backward_data reads those of its own part (batch
 * normalisation), each part writes its own, and a task adds them to the sum.
 */
#include "op/operands.h"
#include "plan/build.h"

static bool passes_on(const pinion__op *op)
{
    return (op->flags & (PINION__OP_VIEW | PINION__OP_SAME_GRADIENT)) != 0;
}

static pinion__tensor gradient_shape(const pinion__builder *b, int layer)
{
    const pinion_shape *shape = &b->network->layers[layer].output;
    return (pinion__tensor){.role = PINION__D_OUTPUT,
                            .layer = layer,
                            .n = b->plan->samples,
                            .h = shape->h,
                            .w = shape->w,
                            .c = shape->c,
                            .element_bytes = 4};
}

static int make_gradient(pinion__builder *b, int layer)
{
    pinion__tensor shape = gradient_shape(b, layer);
    return pinion__build_tensor(b, PINION__PLACE_ARENA, 0, &shape, &b->layers[layer].gradient);
}

/* A tensor of `layer`'s shape over the bytes of gradient `from`. */
static int alias_gradient(pinion__builder *b, int layer, int from, int *out)
{
    pinion__tensor shape = gradient_shape(b, layer);
    shape.storage = b->plan->tensors[from].storage;
    return pinion__build_alias(b, &shape, out);
}

/* Copies gradient `from` into the gradient of `layer`, or adds it: the backward pass of add. */
static int copy_gradient(pinion__builder *b, int layer, int from, bool accumulate)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    int operand[PINION__MAX_OPERANDS];
    const pinion__op *add = pinion__op_get(PINION__OP_add);
    const pinion__operands *operands = &add->pass[PINION__BACKWARD_DATA];
    int source;
    PINION_TRY(alias_gradient(b, layer, from, &source));
    for (int i = 0; i < operands->count; i++)
        operand[i] = operands->at[i].role == PINION__D_INPUT ? b->layers[layer].gradient : source;
    pinion__emission copy = {
        .op = add, .pass = PINION__BACKWARD_DATA, .layer = layer, .param = -1, .accumulate = accumulate};
    PINION_TRY(pinion__build_task(b, &copy, operand));
fail:
    return status;
}

static bool is_shared(const pinion__builder *b, int layer)
{
    int storage = b->plan->tensors[b->layers[layer].gradient].storage;
    for (int other = 0; other < (int)b->network->layer_count; other++) {
        const pinion__layer_build *build = &b->layers[other];
        if (other != layer && !build->finished && build->gradient >= 0 &&
            b->plan->tensors[build->gradient].storage == storage)
            return true;
    }
    return false;
}

/* Makes the gradient of `layer` safe to add to. */
static int own_bytes(pinion__builder *b, int layer)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    if (!is_shared(b, layer))
        return PINION_OK;
    int from = b->layers[layer].gradient;
    PINION_TRY(make_gradient(b, layer));
    PINION_TRY(copy_gradient(b, layer, from, false));
fail:
    return status;
}

static int pass_on(pinion__builder *b, int layer, int source)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__layer_build *target = &b->layers[source];
    int from = b->layers[layer].gradient;
    if (target->gradient >= 0) {
        PINION_TRY(own_bytes(b, source));
        PINION_TRY(copy_gradient(b, source, from, true));
    } else if (b->tuning.separate) {
        PINION_TRY(make_gradient(b, source));
        PINION_TRY(copy_gradient(b, source, from, false));
    } else {
        PINION_TRY(alias_gradient(b, source, from, &target->gradient));
    }
fail:
    return status;
}

static int contribute(pinion__builder *b, int index, int input)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    const pinion__layer *layer = pinion__build_layer(b, index);
    const pinion__op *op = b->layers[index].op;
    int source = layer->inputs[input];
    if (source == PINION_INPUT || !b->layers[source].needed)
        return PINION_OK;
    if (passes_on(op))
        return pass_on(b, index, source);
    bool accumulate = b->layers[source].gradient >= 0;
    if (accumulate)
        PINION_TRY(own_bytes(b, source));
    else
        PINION_TRY(make_gradient(b, source));
    PINION_TRY(pinion__build_emit(b, &(pinion__emission){.op = op,
                                                         .attributes = &layer->attributes,
                                                         .pass = PINION__BACKWARD_DATA,
                                                         .layer = index,
                                                         .param = -1,
                                                         .input = input,
                                                         .accumulate = accumulate}));
fail:
    return status;
}

static bool reads_parameter_gradients(const pinion__op *op)
{
    const pinion__operands *operands = &op->pass[PINION__BACKWARD_DATA];
    for (int i = 0; i < operands->count; i++)
        if (operands->at[i].role == PINION__D_PARAM)
            return true;
    return false;
}

static int make_d_param(pinion__builder *b, int index, int which, bool carried)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    int *out = &b->layers[index].d_params[which];
    const pinion__param_spec *spec = &b->network->params[b->network->layers[index].params[which]].spec;
    pinion__tensor shape = {.role = PINION__D_PARAM, .layer = index, .index = which, .element_bytes = 4};
    shape.n = spec->n, shape.h = spec->h, shape.w = spec->w, shape.c = spec->c;
    PINION_TRY(pinion__build_tensor(b, PINION__PLACE_ARENA, 0, &shape, out));
    pinion__storage *storage = &b->plan->storages[b->plan->tensors[*out].storage];
    storage->kept = b->plan->options.clip && (b->plan->micro_batches == 1 || carried);
    storage->carried = carried;
fail:
    return status;
}

static int backward_weights(pinion__builder *b, int index)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__layer_build *build = &b->layers[index];
    const pinion__layer *layer = pinion__build_layer(b, index);
    if (!build->trained)
        return PINION_OK;
    bool carried = b->plan->micro_batches > 1 && !reads_parameter_gradients(build->op);
    for (int i = 0; i < PINION__MAX_PARAMS; i++)
        if (layer->params[i] >= 0)
            PINION_TRY(make_d_param(b, index, i, carried));
    PINION_TRY(pinion__build_emit(b, &(pinion__emission){.op = build->op,
                                                         .attributes = &layer->attributes,
                                                         .pass = PINION__BACKWARD_WEIGHTS,
                                                         .layer = index,
                                                         .param = -1}));
    b->plan->tasks[b->plan->task_count - 1].adds_up = carried;
fail:
    return status;
}

/* Adds the gradients that a part has of its own to the sum over all parts, which the updates read. */
static int add_up(pinion__builder *b, int index)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    const pinion__op *add = pinion__op_get(PINION__OP_add);
    int *d_params = b->layers[index].d_params;
    for (int i = 0; i < PINION__MAX_PARAMS; i++) {
        int part = d_params[i], operand[PINION__MAX_OPERANDS];
        if (part < 0)
            continue;
        PINION_TRY(make_d_param(b, index, i, true));
        operand[PINION__ADD_BACKWARD_DATA_DY] = part;
        operand[PINION__ADD_BACKWARD_DATA_DX] = d_params[i];
        pinion__emission sum = {.op = add, .pass = PINION__BACKWARD_DATA, .layer = index, .param = -1};
        PINION_TRY(pinion__build_task(b, &sum, operand));
        b->plan->tasks[b->plan->task_count - 1].adds_up = true;
    }
fail:
    return status;
}

static int backward_layer(pinion__builder *b, int index)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__layer_build *build = &b->layers[index];
    bool weights_first = reads_parameter_gradients(build->op);
    if (weights_first)
        PINION_TRY(backward_weights(b, index));
    for (int input = 0; input < build->op->inputs; input++)
        PINION_TRY(contribute(b, index, input));
    if (!weights_first)
        PINION_TRY(backward_weights(b, index));
    build->finished = true;
    if (weights_first && b->plan->micro_batches > 1)
        PINION_TRY(add_up(b, index));
    if (build->trained && b->plan->micro_batches == 1)
        PINION_TRY(pinion__build_updates(b, index));
fail:
    return status;
}

int pinion__build_backward(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    for (int i = (int)b->network->layer_count; i >= 0; i--)
        if (b->layers[i].needed)
            PINION_TRY(backward_layer(b, i));
    for (int i = (int)b->network->layer_count - 1; i >= 0 && b->plan->micro_batches > 1; i--)
        if (b->layers[i].trained)
            PINION_TRY(pinion__build_updates(b, i));
    if (b->plan->options.clip)
        PINION_TRY(pinion__build_clipping(b));
fail:
    return status;
}
