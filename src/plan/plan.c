/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a plan, stage by stage.
 */
#include "plan/build.h"
#include "plan/candidates.h"
#include "plan/cut.h"
#include "plan/lines.h"
#include "plan/place.h"
#include "plan/plan_file.h"
#include "plan/timeline.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_BATCH = 65536, MAX_PROCESSORS = 16 };

pinion_plan_options pinion_plan_options_default(void)
{
    return (pinion_plan_options){.mode = PINION_INFER,
                                 .batch = 1,
                                 .optimizer = PINION_SGD,
                                 .momentum = 0.9f,
                                 .weight_decay = 5e-4f,
                                 .distillation_weight = 0.3f};
}

const char *pinion__task_layer_name(const pinion_plan *plan, const pinion__task *task)
{
    return task->layer < 0 ? "" : plan->network->layers[task->layer].name;
}

const char *pinion__task_what(const pinion__task *task)
{
    return task->what[0] ? task->what : task->op->name;
}

static int check_training(pinion_context *ctx, const pinion_plan_options *options)
{
    int status = PINION_OK;
    PINION_FAIL_IF(options->optimizer != PINION_SGD && options->optimizer != PINION_ADAMW, PINION_EINVAL,
                   "optimizer %d is unknown; expected PINION_SGD or PINION_ADAMW", (int)options->optimizer);
    PINION_FAIL_IF(!(options->momentum >= 0.0f && options->momentum < 1.0f), PINION_EINVAL,
                   "momentum is %g; expected 0 to less than 1", (double)options->momentum);
    PINION_FAIL_IF(!(options->weight_decay >= 0.0f && isfinite(options->weight_decay)), PINION_EINVAL,
                   "weight decay is %g; expected 0 or more", (double)options->weight_decay);
    PINION_FAIL_IF(!(options->recompute_share >= 0.0f && isfinite(options->recompute_share)), PINION_EINVAL,
                   "recompute share is %g; expected 0 or more", (double)options->recompute_share);
    PINION_FAIL_IF(!(options->label_smoothing >= 0.0f && options->label_smoothing < 1.0f), PINION_EINVAL,
                   "label smoothing is %g; expected 0 to less than 1", (double)options->label_smoothing);
    PINION_FAIL_IF(!(options->distillation_weight >= 0.0f && isfinite(options->distillation_weight)), PINION_EINVAL,
                   "distillation weight is %g; expected 0 or more", (double)options->distillation_weight);
fail:
    return status;
}

static int check(pinion_context *ctx, const pinion_network *network, const pinion_plan_options *options,
                 int processor_count)
{
    int status = PINION_OK;
    PINION_FAIL_IF(network->layer_count == 0, PINION_EINVAL, "network '%s' has no layers", network->name);
    const pinion__layer *last = &network->layers[network->layer_count - 1];
    PINION_FAIL_IF(last->output.h != 1 || last->output.w != 1, PINION_EINVAL,
                   "network '%s': its last layer '%s' (%s) gives %dx%dx%d; expected 1x1xclasses", network->name,
                   last->name, last->op->name, last->output.h, last->output.w, last->output.c);
    PINION_FAIL_IF(options->mode != PINION_INFER && options->mode != PINION_TRAIN, PINION_EINVAL,
                   "mode %d is unknown; expected PINION_INFER or PINION_TRAIN", (int)options->mode);
    PINION_FAIL_IF(options->batch < 1 || options->batch > MAX_BATCH, PINION_EINVAL, "batch is %d; expected 1 to %d",
                   options->batch, MAX_BATCH);
    PINION_FAIL_IF((int)options->patience < PINION_PATIENCE_ESTIMATE || options->patience > PINION_PATIENCE_PATIENT,
                   PINION_EINVAL, "patience %d is unknown; expected a value of enum pinion_patience",
                   (int)options->patience);
    PINION_FAIL_IF(processor_count < 1 || processor_count > MAX_PROCESSORS, PINION_EINVAL,
                   "a plan for %d processors; expected 1 to %d", processor_count, MAX_PROCESSORS);
    if (options->mode == PINION_TRAIN)
        PINION_TRY(check_training(ctx, options));
    PINION_TRY(pinion__plan_check_widths(network, options));
fail:
    return status;
}

/* Which layers are trained and need gradients. */
static int mark_layers(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    bool training = b->plan->options.mode == PINION_TRAIN;
    for (int i = 0; i < b->plan->layer_count; i++) {
        pinion__layer_build *build = &b->layers[i];
        const pinion__layer *layer = &b->network->layers[i];
        bool stored = (!training || b->plan->frozen[i]) && layer->op->stored != PINION__OP_COUNT;
        build->op = stored ? pinion__op_get(layer->op->stored) : layer->op;
        build->trained = training && build->planned && !b->plan->frozen[i] && layer->params[0] >= 0;
        build->needed = build->trained;
        for (int input = 0; input < layer->op->inputs; input++)
            if (layer->inputs[input] != PINION_INPUT && b->layers[layer->inputs[input]].needed)
                build->needed = true;
    }
    PINION_FAIL_IF(training && !b->layers[b->output_layer].needed, PINION_EINVAL,
                   "network '%s': there is nothing to train: %s", b->network->name,
                   b->plan->freeze ? "every layer with parameters is frozen" : "no layer has parameters");
fail:
    return status;
}

static void add_loss(pinion__builder *b, enum pinion__op_id op, int logits)
{
    pinion__layer_build *build = &b->layers[b->network->layer_count + (size_t)b->loss_count];
    pinion__layer *loss = &b->losses[b->loss_count++];
    *loss = (pinion__layer){.op = pinion__op_get(op),
                            .inputs = {logits, PINION_INPUT},
                            .input_shapes = {b->network->layers[logits].output},
                            .output = {1, 1, 1},
                            .params = {-1, -1},
                            .states = {-1, -1}};
    build->op = loss->op;
    build->planned = build->needed = true;
}

/* Narrower widths learn from the probabilities that the first loss has saved. */
static void add_losses(pinion__builder *b)
{
    const pinion_plan *plan = b->plan;
    if (plan->options.mode != PINION_TRAIN)
        return;
    add_loss(b, PINION__OP_softmax_cross_entropy, b->output_layer);
    b->losses[0].attributes.as.loss.label_smoothing = plan->options.label_smoothing;
    for (int i = 0; plan->options.joint && i + 1 < plan->width; i++) {
        add_loss(b, PINION__OP_distillation, b->network->width_output[i]);
        b->losses[b->loss_count - 1].attributes.as.distillation.weight = plan->options.distillation_weight;
    }
}

static int make_persistent(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    const pinion_network *network = b->network;
    pinion__tensor input = {.role = PINION__INPUT, .layer = -1, .n = b->plan->samples, .element_bytes = 4};
    input.h = network->input.h, input.w = network->input.w, input.c = network->input.c;
    PINION_TRY(pinion__build_tensor(b, PINION__PLACE_BATCH, 0, &input, &b->input));
    pinion__tensor labels = {.role = PINION__LABELS, .layer = -1, .h = 1, .w = 1, .c = 1, .element_bytes = 4};
    labels.n = b->plan->samples;
    PINION_TRY(pinion__build_tensor(b, PINION__PLACE_LABELS, 0, &labels, &b->labels));
    if (b->prior_layer >= 0) {
        pinion__tensor prior = {.role = PINION__OUTPUT, .layer = b->prior_layer, .h = 1, .w = 1, .element_bytes = 4};
        prior.n = b->plan->samples, prior.c = network->layers[b->prior_layer].output.c;
        PINION_TRY(pinion__build_tensor(b, PINION__PLACE_PRIOR, 0, &prior, &b->layers[b->prior_layer].output));
    }
    for (size_t p = 0; p < network->param_count; p++) {
        const pinion__param *param = &network->params[p];
        pinion__tensor shape = {.layer = param->layer, .index = param->index, .element_bytes = 4};
        shape.role = param->state ? PINION__STATE : PINION__PARAM;
        shape.n = param->spec.n, shape.h = param->spec.h, shape.w = param->spec.w, shape.c = param->spec.c;
        PINION_TRY(pinion__build_tensor(b, PINION__PLACE_WEIGHTS, param->offset, &shape, &b->params[p]));
    }
fail:
    return status;
}

static int init_builder(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    pinion_plan *plan = b->plan;
    size_t layers = b->network->layer_count, params = b->network->param_count;
    b->squares = b->scale = -1;
    PINION_TRY(pinion__alloc_zeroed(ctx, layers + PINION_MAX_GROUPS, sizeof *b->layers, "a plan", &b->layers));
    for (size_t i = 0; i < layers + PINION_MAX_GROUPS; i++) {
        pinion__layer_build *build = &b->layers[i];
        build->output = build->gradient = build->within = -1;
        for (int k = 0; k < PINION__MAX_SAVED; k++)
            build->saved[k] = -1;
        for (int k = 0; k < PINION__MAX_PARAMS; k++)
            build->d_params[k] = -1;
    }
    PINION_TRY(pinion__alloc(ctx, params + 1, sizeof *b->params, "a plan", &b->params));
    PINION_TRY(pinion__alloc(ctx, params + 1, sizeof *plan->param_moments, "a plan", &plan->param_moments));
    for (size_t p = 0; p < params; p++)
        plan->param_moments[p] = -1;
    PINION_TRY(pinion__alloc_zeroed(ctx, layers, sizeof *plan->frozen, "a plan", &plan->frozen));
    if (plan->freeze)
        PINION_TRY(pinion__network_match(b->network, plan->freeze, plan->frozen));
    pinion__build_widths(b);
    add_losses(b);
    PINION_TRY(mark_layers(b));
fail:
    return status;
}

static int predict(pinion_plan *plan)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    size_t count = plan->task_count;
    PINION_TRY(pinion__alloc(ctx, 2 * count, sizeof *plan->timeline, "a plan", &plan->timeline));
    PINION_TRY(pinion__timeline(plan, plan->timeline, plan->timeline + count, &plan->predicted_ms));
fail:
    return status;
}

static int build(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    PINION_TRY(init_builder(b));
    PINION_TRY(make_persistent(b));
    PINION_TRY(pinion__build_forward(b));
    if (b->plan->options.mode == PINION_TRAIN)
        PINION_TRY(pinion__build_backward(b));
    if (b->plan->cut.count)
        PINION_TRY(pinion__build_whole(b));
    if (!b->plan->options.unfused)
        PINION_TRY(pinion__build_fuse(b));
    if (b->plan->cut.count)
        PINION_TRY(pinion__build_slices(b));
    if (!b->plan->options.unfused && !b->tuning.separate)
        PINION_TRY(pinion__build_in_place(b->plan));
    PINION_TRY(pinion__plan_select(b->plan, &b->tuning));
    PINION_TRY(pinion__plan_sort_groups(b->plan));
    PINION_TRY(pinion__plan_prologue(b));
    PINION_TRY(pinion__plan_fit(b->plan, &b->tuning));
    PINION_TRY(pinion__plan_order(b->plan));
    pinion__plan_find_ends(b->plan);
    PINION_TRY(predict(b->plan));
fail:
    pinion__release(ctx, b->layers);
    pinion__release(ctx, b->params);
    pinion__release(ctx, b->prologue);
    return status;
}

static int copy_options(pinion_plan *plan, const pinion_plan_options *options)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    plan->options = *options;
    plan->options.freeze = plan->options.processors = plan->options.place = NULL;
    if (options->processors)
        PINION_TRY(pinion__copy_string(ctx, options->processors, &plan->list));
    if (options->place)
        PINION_TRY(pinion__copy_string(ctx, options->place, &plan->place));
    plan->options.processors = plan->list;
    plan->options.place = plan->place;
    if (options->mode == PINION_TRAIN && options->freeze && options->freeze[0]) {
        PINION_TRY(pinion__copy_string(ctx, options->freeze, &plan->freeze));
        plan->options.freeze = plan->freeze;
    }
    if (options->mode == PINION_TRAIN)
        plan->moments_per_param = options->optimizer == PINION_ADAMW ? 2 : 1;
fail:
    return status;
}

int pinion__plan_create_parts(const pinion_network *network, const pinion_plan_options *options,
                              const pinion__plan_tuning *tuning, pinion__processor *const *processors,
                              int processor_count, int micro_batches, bool lean, pinion_plan **out)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    pinion_plan *plan = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *plan, "a plan", &plan));
    plan->ctx = ctx;
    plan->network = network;
    plan->micro_batches = micro_batches;
    plan->lean = lean;
    plan->samples = options->batch / micro_batches;
    plan->processor_count = processor_count;
    memcpy(plan->processors, processors, (size_t)processor_count * sizeof *processors);
    PINION_TRY(copy_options(plan, options));
    pinion__builder b = {.ctx = ctx, .plan = plan, .network = network};
    if (tuning)
        b.tuning = *tuning;
    plan->cut = b.tuning.cut;
    plan->anew = b.tuning.anew;
    PINION_TRY(build(&b));
    for (size_t t = 0; t < plan->task_count; t++)
        plan->macs += plan->tasks[t].recomputed ? 0 : (int64_t)plan->tasks[t].macs * micro_batches;
    *out = plan;
    return PINION_OK;
fail:
    pinion_plan_destroy(plan);
    return status;
}

/* Where lines are given, they say how the batch is cut. */
static int cut_as_lines(pinion_context *ctx, const pinion_plan_options *options, pinion__processor *const *processors,
                        int processor_count, pinion__plan_tuning *tuning)
{
    int status = PINION_OK;
    if (!tuning->kernels || tuning->cut.count)
        return PINION_OK;
    PINION_TRY(pinion__lines_cut(ctx, tuning->kernels, options->batch, processors, processor_count, &tuning->cut));
    PINION_FAIL_IF(tuning->cut.count && tuning->micro_batches > 1, PINION_EUNSUPPORTED,
                   "%d micro-batches of a batch that is cut into slices; expected one", tuning->micro_batches);
fail:
    return status;
}

/* A plan file that cannot be followed is a bad one; the context's last sentence says why. */
static int fail_file(pinion_context *ctx, const char *path)
{
    char cause[PINION__SENTENCE_MAX];
    snprintf(cause, sizeof cause, "%s", pinion_context_error(ctx));
    return pinion__fail(ctx, __FILE__, __LINE__, PINION_EFORMAT, "%.400s: does not fit: %.500s", path, cause);
}

int pinion__plan_create_tuned(const pinion_network *network, const pinion_plan_options *options,
                              const pinion__plan_tuning *tuning, pinion__processor *const *processors,
                              int processor_count, pinion_plan **out)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    char *lines = NULL;
    pinion__plan_tuning filed = tuning ? *tuning : (pinion__plan_tuning){0};
    PINION_TRY(check(ctx, network, options, processor_count));
    if (!filed.kernels && !pinion__place_is_way(options->place, processors, processor_count)) {
        PINION_TRY(pinion__plan_file_read(network, options, &lines, &filed.micro_batches));
        filed.kernels = lines;
    }
    PINION_TRY(cut_as_lines(ctx, options, processors, processor_count, &filed));
    /* A plan names places in the weights block, so they are fixed from now on; a network that had no weights gets
     * zeros. */
    PINION_TRY(pinion__network_allocate((pinion_network *)network));
    pinion_plan *plan;
    PINION_TRY(pinion__plan_create_within(network, options, &filed, processors, processor_count, &plan));
    status = pinion__cut_improve(network, options, &filed, processors, processor_count, &plan);
    if (status < 0)
        pinion_plan_destroy(plan);
    else
        *out = plan;
fail:
    if (status == PINION_EUNSUPPORTED && lines)
        status = fail_file(ctx, options->place);
    pinion__release(ctx, lines);
    return status;
}

int pinion__plan_create(const pinion_network *network, const pinion_plan_options *options,
                        pinion__processor *const *processors, int processor_count, pinion_plan **out)
{
    return pinion__plan_create_tuned(network, options, NULL, processors, processor_count, out);
}

int pinion_plan_create(const pinion_network *network, const pinion_plan_options *options, pinion_plan **out)
{
    if (!network)
        return PINION_EINVAL;
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    pinion__processors found = {.count = 0};
    PINION_FAIL_IF(!options || !out, PINION_EINVAL,
                   "pinion_plan_create: expected options and somewhere to put the plan");
    PINION_TRY(pinion__processors_choose(ctx, options->processors, &found));
    pinion_plan *plan = NULL;
    PINION_TRY(pinion__plan_create(network, options, found.at, found.count, &plan));
    assert(plan);
    plan->owned = found;
    *out = plan;
    return PINION_OK;
fail:
    pinion__processors_fini(&found);
    return status;
}

void pinion_plan_destroy(pinion_plan *plan)
{
    if (!plan)
        return;
    pinion_context *ctx = plan->ctx;
    for (size_t t = 0; t < plan->task_count; t++)
        pinion__release(ctx, plan->tasks[t].after);
    pinion__candidates_clear(plan);
    pinion__release(ctx, plan->tasks);
    pinion__release(ctx, plan->tensors);
    pinion__release(ctx, plan->storages);
    pinion__release(ctx, plan->frozen);
    pinion__release(ctx, plan->param_moments);
    pinion__release(ctx, plan->freeze);
    pinion__release(ctx, plan->list);
    pinion__release(ctx, plan->place);
    pinion__release(ctx, plan->timeline);
    pinion__processors_fini(&plan->owned);
    pinion__release(ctx, plan);
}
