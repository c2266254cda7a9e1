/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors, storages and tasks; the forward tasks. Everything is driven by the operand lists of the ops: a task's
 * operands are found by role and index, seen from its layer. A layer whose op is a view has no task: its output is its
 * input's storage under another shape. Nor has a concat, but for copies of what could not be made in place (concat.c).
 */
#include "plan/build.h"

static int tensor_bytes(pinion__builder *b, const pinion__tensor *shape, size_t *out)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    size_t bytes = (size_t)shape->element_bytes;
    const int factors[] = {shape->n, shape->h, shape->w, shape->c};
    bool fits = true;
    for (int i = 0; i < 4; i++)
        fits = fits && !__builtin_mul_overflow(bytes, (size_t)factors[i], &bytes);
    bool inside = shape->layer >= 0 && shape->layer < (int)b->network->layer_count;
    const char *name = inside ? b->network->layers[shape->layer].name : "input";
    PINION_FAIL_IF(!fits || bytes > SIZE_MAX / 4, PINION_ENOMEM,
                   "layer '%s': a tensor of %d x %dx%dx%d values is larger than this machine can address", name,
                   shape->n, shape->h, shape->w, shape->c);
    *out = bytes;
fail:
    return status;
}

int pinion__build_alias(pinion__builder *b, const pinion__tensor *tensor, int *out)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &plan->tensors, &plan->tensor_capacity, plan->tensor_count + 1, sizeof *plan->tensors,
                            "tensors of a plan"));
    pinion__tensor *added = &plan->tensors[plan->tensor_count];
    *added = *tensor;
    added->ld = tensor->ld ? tensor->ld : tensor->c;
    if (added->layer >= (int)b->network->layer_count)
        added->layer = -1;
    *out = (int)plan->tensor_count++;
fail:
    return status;
}

int pinion__build_tensor(pinion__builder *b, enum pinion__place place, size_t offset, const pinion__tensor *shape,
                         int *out)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    size_t bytes = 0;
    PINION_TRY(tensor_bytes(b, shape, &bytes));
    PINION_TRY(pinion__grow(ctx, &plan->storages, &plan->storage_capacity, plan->storage_count + 1,
                            sizeof *plan->storages, "storages of a plan"));
    pinion__tensor tensor = *shape;
    tensor.storage = (int)plan->storage_count;
    tensor.offset = 0;
    tensor.ld = tensor.c;
    PINION_TRY(pinion__build_alias(b, &tensor, out));
    plan->storages[plan->storage_count++] =
        (pinion__storage){.place = place, .bytes = bytes, .offset = offset, .first = -1, .last = -1};
fail:
    return status;
}

static int find_param(const pinion__builder *b, const pinion__emission *emission, int index)
{
    int param = emission->param >= 0 ? emission->param : pinion__build_layer(b, emission->layer)->params[index];
    return param < 0 ? -1 : b->params[param];
}

static int find_d_param(const pinion__builder *b, const pinion__emission *emission, int index)
{
    if (emission->param < 0)
        return b->layers[emission->layer].d_params[index];
    const pinion__param *param = &b->network->params[emission->param];
    return b->layers[param->layer].d_params[param->index];
}

static int find_source(const pinion__builder *b, const pinion__emission *emission, int index)
{
    return pinion__build_layer(b, emission->layer)->inputs[index];
}

/* The tensor of an operand, -1: absent. Moments and slots of clipping are filled in by updates.c. */
static int find_operand(const pinion__builder *b, const pinion__emission *emission, const pinion__operand *operand)
{
    int layer = emission->layer, source;
    switch ((enum pinion__role)operand->role) {
    case PINION__INPUT:
        source = find_source(b, emission, operand->index);
        return source == PINION_INPUT ? b->input : b->layers[source].output;
    case PINION__D_INPUT:
        return b->layers[find_source(b, emission, emission->input)].gradient;
    case PINION__OUTPUT:
        return b->layers[layer].output;
    case PINION__D_OUTPUT:
        return b->layers[layer].gradient;
    case PINION__PARAM:
        return find_param(b, emission, operand->index);
    case PINION__D_PARAM:
        return find_d_param(b, emission, operand->index);
    case PINION__STATE:
        return b->params[pinion__build_layer(b, layer)->states[operand->index]];
    case PINION__SAVED:
        return b->layers[layer].saved[operand->index];
    case PINION__LABELS:
        return b->labels;
    case PINION__TARGETS: /* of the first loss */
        return b->layers[b->network->layer_count].saved[0];
    case PINION__SCALE:
        return b->scale;
    default:
        return -1;
    }
}

int pinion__build_emit(pinion__builder *b, const pinion__emission *emission)
{
    const pinion__operands *operands = &emission->op->pass[emission->pass];
    int operand[PINION__MAX_OPERANDS];
    for (int i = 0; i < operands->count; i++)
        operand[i] = operands->at[i].access & PINION__FUSED ? -1 : find_operand(b, emission, &operands->at[i]);
    return pinion__build_task(b, emission, operand);
}

static double count_macs(const pinion__builder *b, const pinion__emission *emission)
{
    if (!emission->op->macs || emission->layer < 0 || emission->pass == PINION__UPDATE)
        return 0;
    const pinion__layer *layer = pinion__build_layer(b, emission->layer);
    int64_t macs = emission->op->macs(&layer->attributes, layer->input_shapes, &layer->output);
    return (double)macs * b->plan->samples;
}

int pinion__build_task(pinion__builder *b, const pinion__emission *emission, const int operand[PINION__MAX_OPERANDS])
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &plan->tasks, &plan->task_capacity, plan->task_count + 1, sizeof *plan->tasks,
                            "tasks of a plan"));
    pinion__task task = {
        .layer = emission->layer < (int)b->network->layer_count ? emission->layer : -1,
        .param = emission->param,
        .op = emission->op,
        .pass = emission->pass,
        .input = emission->input,
        .n1 = plan->samples,
        .accumulate = emission->accumulate,
        .update.op = PINION__OP_COUNT,
        .prepared = -1,
        .scratch = -1,
        .macs = count_macs(b, emission),
    };
    if (emission->attributes)
        task.attributes = *emission->attributes;
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        task.operand[i] = i < emission->op->pass[emission->pass].count ? operand[i] : -1;
    plan->tasks[plan->task_count++] = task;
fail:
    return status;
}

static int make_saved(pinion__builder *b, int index)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__layer_build *build = &b->layers[index];
    const pinion__layer *layer = pinion__build_layer(b, index);
    if (!build->needed || !build->op->saved)
        return PINION_OK;
    pinion__saved_spec specs[PINION__MAX_SAVED];
    int count = build->op->saved(&layer->attributes, layer->input_shapes, &layer->output, specs);
    for (int i = 0; i < count; i++) {
        const pinion__saved_spec *spec = &specs[i];
        pinion__tensor shape = {
            .role = PINION__SAVED, .layer = index, .index = i, .element_bytes = spec->element_bytes};
        shape.n = spec->per_sample ? b->plan->samples : 1;
        shape.h = spec->h, shape.w = spec->w, shape.c = spec->c;
        PINION_TRY(pinion__build_tensor(b, PINION__PLACE_ARENA, 0, &shape, &build->saved[i]));
    }
fail:
    return status;
}

static int forward_layer(pinion__builder *b, int index)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion__layer_build *build = &b->layers[index];
    const pinion__layer *layer = pinion__build_layer(b, index);
    PINION_TRY(pinion__build_output(b, index));
    if (build->op->flags & PINION__OP_VIEW)
        return PINION_OK;
    if (build->op->flags & PINION__OP_SIDE_BY_SIDE)
        return pinion__build_concat(b, index);
    PINION_TRY(make_saved(b, index));
    PINION_TRY(pinion__build_emit(
        b,
        &(pinion__emission){
            .op = build->op, .attributes = &layer->attributes, .pass = PINION__FORWARD, .layer = index, .param = -1}));
fail:
    return status;
}

/* What is read behind the last task: the output, and in inference that of each width. */
static void keep_outputs(pinion__builder *b)
{
    pinion_plan *plan = b->plan;
    plan->output = b->layers[b->output_layer].output;
    plan->storages[plan->tensors[plan->output].storage].kept = true;
    for (int i = 0; i < PINION_MAX_GROUPS; i++) {
        int tensor = i < plan->width ? b->layers[b->network->width_output[i]].output : -1;
        plan->width_output[i] = tensor;
        if (tensor >= 0 && plan->options.mode == PINION_INFER)
            plan->storages[plan->tensors[tensor].storage].kept = true;
    }
}

int pinion__build_forward(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    const int layers = (int)b->network->layer_count;
    pinion__build_embed(b);
    for (int i = 0; i <= b->output_layer; i++)
        if (b->layers[i].planned)
            PINION_TRY(forward_layer(b, i));
    keep_outputs(b);
    plan->loss = plan->gate = -1;
    for (int i = 0; i < b->loss_count; i++) {
        PINION_TRY(forward_layer(b, layers + i));
        plan->gate = i == 0 ? (int)plan->task_count - 1 : plan->gate;
    }
    if (b->loss_count)
        plan->loss = b->layers[layers].output;
fail:
    return status;
}
