/* SPDX-License-Identifier: Apache-2.0
 *
 * The update tasks: one a parameter, behind the backward tasks of its layer, which read the old weights. With clipping
 * every layer only adds up the squares of its gradients; the factor and all updates follow at the end.
 */
#include "op/operands.h"
#include "plan/build.h"

enum { MOMENT_ALIGNMENT = PINION__SHARED_ALIGNMENT };

static const pinion__op *optimizer(const pinion__builder *b)
{
    return pinion__op_get(b->plan->options.optimizer == PINION_ADAMW ? PINION__OP_adamw : PINION__OP_sgd);
}

static pinion__attributes update_attributes(const pinion__builder *b, const pinion__param *param)
{
    const pinion_plan_options *options = &b->plan->options;
    float decay = param->spec.decay ? options->weight_decay : 0.0f;
    pinion__attributes attributes = {0};
    if (options->optimizer == PINION_ADAMW)
        attributes.as.adamw =
            (pinion__adamw){.beta1 = options->momentum, .beta2 = 0.999f, .epsilon = 1e-8f, .weight_decay = decay};
    else
        attributes.as.sgd =
            (pinion__sgd){.momentum = options->momentum, .weight_decay = decay, .nesterov = options->momentum > 0.0f};
    return attributes;
}

static int make_moment(pinion__builder *b, int param, int index, int *out)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    const pinion__param *of = &b->network->params[param];
    pinion__tensor shape = {.role = PINION__MOMENT, .layer = of->layer, .index = index, .element_bytes = 4};
    shape.n = of->spec.n, shape.h = of->spec.h, shape.w = of->spec.w, shape.c = of->spec.c;
    if (index == 0)
        plan->param_moments[param] = (int)(plan->moments_bytes / MOMENT_ALIGNMENT);
    PINION_TRY(pinion__build_tensor(b, PINION__PLACE_MOMENTS, plan->moments_bytes, &shape, out));
    plan->moments_bytes += (of->bytes + MOMENT_ALIGNMENT - 1) / MOMENT_ALIGNMENT * MOMENT_ALIGNMENT;
fail:
    return status;
}

static int update_param(pinion__builder *b, int layer, int param)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__attributes attributes = update_attributes(b, &b->network->params[param]);
    pinion__emission emission = {
        .op = optimizer(b), .attributes = &attributes, .pass = PINION__UPDATE, .layer = layer, .param = param};
    PINION_TRY(pinion__build_emit(b, &emission));
    pinion__task *task = &b->plan->tasks[b->plan->task_count - 1];
    const pinion__operands *operands = &task->op->pass[PINION__UPDATE];
    for (int i = 0; i < operands->count; i++)
        if (operands->at[i].role == PINION__MOMENT)
            PINION_TRY(make_moment(b, param, operands->at[i].index, &task->operand[i]));
fail:
    return status;
}

static int update_layer(pinion__builder *b, int layer)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    for (int i = 0; i < PINION__MAX_PARAMS; i++)
        if (b->network->layers[layer].params[i] >= 0)
            PINION_TRY(update_param(b, layer, b->network->layers[layer].params[i]));
fail:
    return status;
}

static int count_trained(const pinion__builder *b)
{
    int count = 0;
    for (size_t p = 0; p < b->network->param_count; p++)
        count += !b->network->params[p].state && b->layers[b->network->params[p].layer].trained;
    return count;
}

/* The squares of all gradients: one tensor of doubles, made when the first of them is needed. */
static int make_slots(pinion__builder *b)
{
    if (b->squares >= 0)
        return PINION_OK;
    pinion__tensor shape = {.role = PINION__SQUARES, .layer = -1, .n = 1, .h = 1, .w = 1, .element_bytes = 8};
    shape.c = count_trained(b);
    return pinion__build_tensor(b, PINION__PLACE_ARENA, 0, &shape, &b->squares);
}

static int square_param(pinion__builder *b, int layer, int param)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    PINION_TRY(make_slots(b));
    pinion__tensor slot = b->plan->tensors[b->squares];
    slot.c = 1, slot.ld = 1;
    slot.offset = 8 * (size_t)b->slots_used++;
    int operand[PINION__MAX_OPERANDS], tensor;
    PINION_TRY(pinion__build_alias(b, &slot, &tensor));
    pinion__emission emission = {
        .op = pinion__op_get(PINION__OP_grad_square), .pass = PINION__UPDATE, .layer = layer, .param = param};
    operand[PINION__GRAD_SQUARE_UPDATE_DW] = b->layers[layer].d_params[b->network->params[param].index];
    operand[PINION__GRAD_SQUARE_UPDATE_SLOT] = tensor;
    PINION_TRY(pinion__build_task(b, &emission, operand));
fail:
    return status;
}

int pinion__build_updates(pinion__builder *b, int layer)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    if (!b->plan->options.clip)
        return update_layer(b, layer);
    for (int i = 0; i < PINION__MAX_PARAMS; i++)
        if (b->network->layers[layer].params[i] >= 0)
            PINION_TRY(square_param(b, layer, b->network->layers[layer].params[i]));
fail:
    return status;
}

int pinion__build_clipping(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__tensor shape = {.role = PINION__SCALE, .layer = -1, .n = 1, .h = 1, .w = 1, .c = 1, .element_bytes = 4};
    PINION_TRY(pinion__build_tensor(b, PINION__PLACE_ARENA, 0, &shape, &b->scale));
    int operand[PINION__MAX_OPERANDS];
    operand[PINION__CLIP_SCALE_UPDATE_SLOTS] = b->squares;
    operand[PINION__CLIP_SCALE_UPDATE_SCALE] = b->scale;
    pinion__emission emission = {
        .op = pinion__op_get(PINION__OP_clip_scale), .pass = PINION__UPDATE, .layer = -1, .param = -1};
    PINION_TRY(pinion__build_task(b, &emission, operand));
    for (int layer = b->output_layer; layer >= 0; layer--)
        if (b->layers[layer].trained)
            PINION_TRY(update_layer(b, layer));
fail:
    return status;
}
