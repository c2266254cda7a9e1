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
 * The gradients of a concat's inputs are slices of channels of its own, in the same way. Where only some of its
 * channels want a gradient, because what the others come from is frozen, a convolution or linear layer behind it
 * computes no more than those.
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

static bool same_shape(const pinion__tensor *a, const pinion__tensor *b)
{
    return a->h == b->h && a->w == b->w && a->c == b->c;
}

/* A tensor of `layer`'s shape over the bytes of gradient `from`, which is dense or has that shape. */
static int alias_gradient(pinion__builder *b, int layer, int from, int *out)
{
    const pinion__tensor *bytes = &b->plan->tensors[from];
    pinion__tensor shape = gradient_shape(b, layer);
    shape.storage = bytes->storage;
    shape.offset = bytes->offset;
    shape.ld = same_shape(&shape, bytes) ? bytes->ld : 0;
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

/* Have two tensors bytes in common? Slices of the same pixels have not where their channels differ. */
static bool overlap(const pinion__tensor *a, const pinion__tensor *b)
{
    const size_t a_end = a->offset + (size_t)a->c * sizeof(float), b_end = b->offset + (size_t)b->c * sizeof(float);
    return a->storage == b->storage && (a->ld != b->ld || (a->offset < b_end && b->offset < a_end));
}

static bool is_shared(const pinion__builder *b, int layer)
{
    const pinion__tensor *gradient = &b->plan->tensors[b->layers[layer].gradient];
    for (int other = 0; other <= b->output_layer; other++) {
        const pinion__layer_build *build = &b->layers[other];
        if (other != layer && !build->finished && build->gradient >= 0 &&
            overlap(gradient, &b->plan->tensors[build->gradient]))
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

/* A slice of channels cannot be seen under another shape: *from becomes a dense copy of it. */
static int make_dense(pinion__builder *b, int layer, int *from)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__tensor shape = b->plan->tensors[*from];
    int operand[PINION__MAX_OPERANDS], copy;
    PINION_TRY(pinion__build_tensor(b, PINION__PLACE_ARENA, 0, &shape, &copy));
    operand[PINION__ADD_BACKWARD_DATA_DY] = *from;
    operand[PINION__ADD_BACKWARD_DATA_DX] = copy;
    pinion__emission emission = {
        .op = pinion__op_get(PINION__OP_add), .pass = PINION__BACKWARD_DATA, .layer = layer, .param = -1};
    PINION_TRY(pinion__build_task(b, &emission, operand));
    *from = copy;
fail:
    return status;
}

/* The gradient of `source` is, or gets added, the bytes of tensor `from`. */
static int pass_on(pinion__builder *b, int from, int source)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__layer_build *target = &b->layers[source];
    const pinion__tensor shape = gradient_shape(b, source), *bytes = &b->plan->tensors[from];
    if (bytes->ld != bytes->c && !same_shape(&shape, bytes))
        PINION_TRY(make_dense(b, source, &from));
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

/* Can every processor of the plan run a task that has no kernel yet? */
static bool can_run(const pinion_plan *plan, pinion__task task)
{
    for (task.processor = 0; task.processor < plan->processor_count; task.processor++) {
        const pinion__processor *on = plan->processors[task.processor];
        pinion__args args = pinion__plan_task_args(plan, &task);
        int cursor = 0;
        if (!pinion__kernel_next(task.op->id, task.pass, on->kernel_kind, on->isa, &args, &cursor))
            return false;
    }
    return true;
}

/* The weights for the input channels of a slice. */
static int slice_weights(pinion__builder *b, int weights, int channel, int channels, int *out)
{
    pinion__tensor slice = b->plan->tensors[weights];
    slice.offset += (size_t)channel * sizeof(float);
    slice.c = channels;
    return pinion__build_alias(b, &slice, out);
}

/* The gradient of `part` alone, whose output is the channels from `channel` on of the concat that layer `index` reads.
 * *made: false where some processor has no kernel for that. */
static int contribute_part(pinion__builder *b, int index, int part, int channel, bool *made)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    const pinion__layer *layer = &b->network->layers[index];
    const int before = b->layers[part].gradient, channels = b->network->layers[part].output.c;
    const size_t tasks = plan->task_count, tensors = plan->tensor_count, storages = plan->storage_count;
    int operand[PINION__MAX_OPERANDS];
    if (before >= 0)
        PINION_TRY(own_bytes(b, part));
    else
        PINION_TRY(make_gradient(b, part));
    PINION_TRY(
        slice_weights(b, b->params[layer->params[0]], channel, channels, &operand[PINION__CONV_BACKWARD_DATA_W]));
    operand[PINION__CONV_BACKWARD_DATA_DY] = b->layers[index].gradient;
    operand[PINION__CONV_BACKWARD_DATA_DX] = b->layers[part].gradient;
    pinion__emission emission = {.op = b->layers[index].op,
                                 .attributes = &layer->attributes,
                                 .pass = PINION__BACKWARD_DATA,
                                 .layer = index,
                                 .param = -1,
                                 .accumulate = before >= 0};
    PINION_TRY(pinion__build_task(b, &emission, operand));
    pinion__task *task = &plan->tasks[plan->task_count - 1];
    task->macs *= (double)channels / layer->input_shapes[0].c;
    *made = can_run(plan, *task);
    if (!*made) {
        plan->task_count = tasks, plan->tensor_count = tensors, plan->storage_count = storages;
        b->layers[part].gradient = before;
    }
fail:
    return status;
}

/* Passes the gradient of a concat to one of its inputs; nobody may have wanted it. */
static int divide_gradient(pinion__builder *b, int index, int input)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK, slice;
    if (b->layers[index].gradient < 0)
        return PINION_OK;
    PINION_TRY(pinion__build_concat_slice(b, index, input, b->layers[index].gradient, &slice));
    PINION_TRY(pass_on(b, slice, b->network->layers[index].inputs[input]));
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
        return pass_on(b, b->layers[index].gradient, source);
    if (op->flags & PINION__OP_SIDE_BY_SIDE)
        return divide_gradient(b, index, input);
    int channel, part = pinion__concat_part(b, source, &channel);
    bool product = op->id == PINION__OP_conv2d || op->id == PINION__OP_linear, made = false;
    if (product && part != source)
        PINION_TRY(contribute_part(b, index, part, channel, &made));
    if (made)
        return PINION_OK;
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
    for (int i = b->loss_count - 1; i >= 0; i--)
        PINION_TRY(backward_layer(b, (int)b->network->layer_count + i));
    for (int i = b->output_layer; i >= 0; i--)
        if (b->layers[i].needed && b->layers[i].planned)
            PINION_TRY(backward_layer(b, i));
    for (int i = b->output_layer; i >= 0 && b->plan->micro_batches > 1; i--)
        if (b->layers[i].trained)
            PINION_TRY(pinion__build_updates(b, i));
    if (b->plan->options.clip)
        PINION_TRY(pinion__build_clipping(b));
fail:
    return status;
}
