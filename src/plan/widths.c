/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans of dynamic networks, whose layers belong to groups: which groups and layers are planned, and in which order
 * their tasks stand. Of any network those layers are planned that the output depends on; where the logits of the groups
 * before the stage are the caller's, nothing that only they depend on.
 */
#include "plan/build.h"

#include <string.h>

static int check_stage(const pinion_network *network, const pinion_plan_options *options)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(options->stage < 0 || options->stage > network->groups, PINION_EINVAL,
                   "stage %d: network '%s' has %d groups", options->stage, network->name, network->groups);
    PINION_FAIL_IF(options->stage && options->joint, PINION_EINVAL,
                   "stage %d: joint training has no stages; expected one of them", options->stage);
    PINION_FAIL_IF(options->stage && options->width && options->width != options->stage, PINION_EINVAL,
                   "stage %d of width %d; expected the same, or no width", options->stage, options->width);
fail:
    return status;
}

static int check_prior(const pinion_network *network, const pinion_plan_options *options)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(options->stage < 2, PINION_EINVAL, "prior logits in stage %d; expected stage 2 or a later one",
                   options->stage);
    PINION_FAIL_IF(network->connect != PINION_TOWERS, PINION_EINVAL,
                   "prior logits for network '%s', whose groups read features of those before; expected towers",
                   network->name);
fail:
    return status;
}

int pinion__plan_check_widths(const pinion_network *network, const pinion_plan_options *options)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    bool training = options->mode == PINION_TRAIN, staged = training && (options->stage || options->joint);
    PINION_FAIL_IF(!network->groups && (options->width || staged || (training && options->prior)), PINION_EINVAL,
                   "network '%s' is not cut into groups: it has no widths and no stages", network->name);
    PINION_FAIL_IF(options->width < 0 || options->width > network->groups, PINION_EINVAL,
                   "width is %d; expected 1 to %d, the groups of network '%s'", options->width, network->groups,
                   network->name);
    if (training)
        PINION_TRY(check_stage(network, options));
    if (training && options->prior)
        PINION_TRY(check_prior(network, options));
fail:
    return status;
}

/* Groups that are planned: in inference, unless it is said, those that have weights. */
static int find_width(const pinion_network *network, const pinion_plan_options *options)
{
    if (options->mode == PINION_TRAIN && options->stage)
        return options->stage;
    if (options->width)
        return options->width;
    return options->mode == PINION_INFER && network->width ? network->width : network->groups;
}

/* Inputs stand in front of the layers that read them. */
static void mark_planned(pinion__builder *b)
{
    b->layers[b->output_layer].planned = true;
    for (int i = b->output_layer; i >= 0; i--) {
        const pinion__layer *layer = &b->network->layers[i];
        for (int k = 0; k < layer->op->inputs && b->layers[i].planned; k++)
            if (layer->inputs[k] != PINION_INPUT && layer->inputs[k] != b->prior_layer)
                b->layers[layer->inputs[k]].planned = true;
    }
}

void pinion__build_widths(pinion__builder *b)
{
    pinion_plan *plan = b->plan;
    const pinion_network *network = b->network;
    const pinion_plan_options *options = &plan->options;
    bool staged = options->mode == PINION_TRAIN && options->stage;
    plan->width = network->groups ? find_width(network, options) : 0;
    b->output_layer = plan->width ? network->width_output[plan->width - 1] : (int)network->layer_count - 1;
    b->prior_layer = staged && options->prior ? network->width_output[options->stage - 2] : -1;
    plan->layer_count = b->output_layer + 1;
    for (int i = 0; staged && i < (int)network->layer_count; i++)
        plan->frozen[i] = plan->frozen[i] || network->layers[i].group < options->stage;
    mark_planned(b);
}

/* ---- order ---- */

int pinion__plan_sort_groups(pinion_plan *plan)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK, count = 0;
    pinion__task *tasks = NULL;
    int *place_of = NULL;
    if (!plan->width || plan->options.mode != PINION_INFER)
        return PINION_OK;
    PINION_TRY(pinion__alloc(ctx, plan->task_count + 1, sizeof *tasks, "tasks of a plan", &tasks));
    PINION_TRY(pinion__alloc(ctx, plan->task_count + 1, sizeof *place_of, "tasks of a plan", &place_of));
    for (int group = 0; group <= plan->width; group++)
        for (size_t t = 0; t < plan->task_count; t++)
            if (pinion__task_group(plan, &plan->tasks[t]) == group) {
                place_of[t] = count;
                tasks[count++] = plan->tasks[t];
            }
    for (size_t r = 0; r < plan->record_count; r++)
        plan->records[r].task = place_of[plan->records[r].task];
    memcpy(plan->tasks, tasks, plan->task_count * sizeof *tasks);
fail:
    pinion__release(ctx, tasks);
    pinion__release(ctx, place_of);
    return status;
}

void pinion__plan_find_ends(pinion_plan *plan)
{
    for (int i = 0; i < plan->width && plan->options.mode == PINION_INFER; i++) {
        int *prologue = &plan->prologue_end[i], *end = &plan->width_end[i];
        *prologue = i ? plan->prologue_end[i - 1] : 0;
        while (*prologue < plan->prologue && pinion__task_group(plan, &plan->tasks[*prologue]) <= i + 1)
            ++*prologue;
        *end = i ? plan->width_end[i - 1] : plan->prologue;
        while (*end < (int)plan->task_count && pinion__task_group(plan, &plan->tasks[*end]) <= i + 1)
            ++*end;
    }
}
