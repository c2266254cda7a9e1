/* SPDX-License-Identifier: Apache-2.0
 *
 * A runner's memory: one arena, the optimiser's moments, a copy of the running statistics; and the steps. Nothing is
 * allocated after create.
 */
#include "base/memory.h"
#include "run/state.h"

#include <math.h>
#include <string.h>

enum { ALIGNMENT = 64 };

static size_t count_state_bytes(const pinion_network *network)
{
    size_t bytes = 0;
    for (size_t p = 0; p < network->param_count; p++)
        bytes += network->params[p].state ? network->params[p].bytes : 0;
    return bytes;
}

static size_t count_part_bytes(const pinion_plan *plan)
{
    pinion_shape shape = plan->network->input;
    return sizeof(float) * (size_t)plan->samples * (size_t)shape.h * (size_t)shape.w * (size_t)shape.c;
}

static size_t align(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* All in the arena of another, or nothing. */
static void borrow(pinion_runner *runner, const pinion_runner *lender)
{
    const pinion_plan *plan = runner->plan;
    size_t prepared = align(plan->arena_bytes), padded = prepared + align(plan->prepared_bytes);
    runner->borrowed = lender && padded + count_part_bytes(plan) <= lender->plan->arena_bytes;
    if (!runner->borrowed)
        return;
    runner->arena = lender->arena;
    runner->prepared = lender->arena + prepared;
    runner->padded = (float *)(void *)(lender->arena + padded);
}

static int allocate(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    bool training = plan->options.mode == PINION_TRAIN;
    if (!runner->borrowed)
        PINION_TRY(pinion__alloc_aligned(ctx, plan->arena_bytes + 1, ALIGNMENT, "the arena", &runner->arena));
    if (training) {
        runner->state_bytes = count_state_bytes(plan->network);
        PINION_TRY(
            pinion__alloc_aligned(ctx, plan->moments_bytes + 1, ALIGNMENT, "the optimiser's state", &runner->moments));
        memset(runner->moments, 0, plan->moments_bytes);
        PINION_TRY(pinion__alloc(ctx, runner->state_bytes + 1, 1, "running statistics", &runner->states));
    } else if (!runner->borrowed) {
        PINION_TRY(
            pinion__alloc_aligned(ctx, plan->prepared_bytes + 1, ALIGNMENT, "prepared weights", &runner->prepared));
        PINION_TRY(pinion__alloc_aligned(ctx, count_part_bytes(plan), ALIGNMENT, "a batch of images", &runner->padded));
    }
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->task_count + 1, sizeof *runner->args, "a runner", &runner->args));
fail:
    return status;
}

static size_t count_bytes(const pinion_plan *plan)
{
    return plan->arena_bytes + pinion__plan_fixed_bytes(plan) + plan->task_count * sizeof(pinion__args);
}

static double mebibytes(size_t bytes)
{
    return (double)bytes / 1048576.0;
}

static int say_out_of_memory(const pinion_plan *plan)
{
    return pinion__fail(
        plan->ctx, __FILE__, __LINE__, PINION_ENOMEM,
        "out of memory: %s '%s' at batch %d needs %.1f MiB (%.1f MiB for activations and gradients, %.1f MiB for the "
        "optimiser's state)",
        plan->options.mode == PINION_TRAIN ? "training" : "running", plan->network->name, plan->options.batch,
        mebibytes(count_bytes(plan)), mebibytes(plan->arena_bytes), mebibytes(plan->moments_bytes));
}

int pinion_runner_create(const pinion_plan *plan, pinion_runner **out)
{
    return pinion__runner_create_in(plan, NULL, out);
}

int pinion__runner_create_in(const pinion_plan *plan, const pinion_runner *lender, pinion_runner **out)
{
    if (!plan)
        return PINION_EINVAL;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion_runner *runner = NULL;
    PINION_FAIL_IF(!out, PINION_EINVAL, "pinion_runner_create: expected somewhere to put the runner");
    /* A system that gives out more than it has ends the process when the memory is used: so it is asked before. */
    if (ctx->system_memory && count_bytes(plan) > pinion__memory_available_bytes())
        return say_out_of_memory(plan);
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *runner, "a runner", &runner));
    runner->ctx = ctx;
    runner->plan = plan;
    borrow(runner, lender);
    PINION_TRY(allocate(runner));
    PINION_TRY(pinion__runner_bind(runner));
    PINION_TRY(pinion__executor_create(plan, runner->args, &runner->executor));
    *out = runner;
    return PINION_OK;
fail:
    pinion_runner_destroy(runner);
    return status == PINION_ENOMEM ? say_out_of_memory(plan) : status;
}

void pinion_runner_destroy(pinion_runner *runner)
{
    if (!runner)
        return;
    pinion_context *ctx = runner->ctx;
    pinion__executor_destroy(runner->executor);
    pinion__release(ctx, runner->patches);
    pinion__release(ctx, runner->args);
    pinion__release(ctx, runner->states);
    pinion__release(ctx, runner->moments);
    if (!runner->borrowed) {
        pinion__release(ctx, runner->padded);
        pinion__release(ctx, runner->prepared);
        pinion__release(ctx, runner->arena);
    }
    pinion__release(ctx, runner);
}

const pinion_plan *pinion__runner_plan(const pinion_runner *runner)
{
    return runner->plan;
}

float *pinion__runner_moment(const pinion_runner *runner, int param, int which)
{
    const pinion_plan *plan = runner->plan;
    int first = plan->param_moments[param];
    if (first < 0 || which < 0 || which >= plan->moments_per_param)
        return NULL;
    size_t stride = (plan->network->params[param].bytes + ALIGNMENT - 1) / ALIGNMENT;
    return (float *)(void *)(runner->moments + ALIGNMENT * ((size_t)first + (size_t)which * stride));
}

const float *pinion__runner_logits(const pinion_runner *runner)
{
    return pinion__runner_tensor(runner, runner->plan->output);
}

const float *pinion__runner_gradient(const pinion_runner *runner, int param)
{
    const pinion_plan *plan = runner->plan;
    const pinion__param *of = &plan->network->params[param];
    if (of->state)
        return NULL;
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const pinion__tensor *tensor = &plan->tensors[i];
        if (tensor->role == PINION__D_PARAM && tensor->layer == of->layer && tensor->index == of->index &&
            (plan->storages[tensor->storage].kept || plan->storages[tensor->storage].carried))
            return pinion__runner_tensor(runner, (int)i);
    }
    return NULL;
}

static void move_states(pinion_runner *runner, bool save)
{
    const pinion_network *network = runner->plan->network;
    unsigned char *copy = runner->states;
    for (size_t p = 0; p < network->param_count; p++) {
        const pinion__param *param = &network->params[p];
        if (!param->state)
            continue;
        unsigned char *live = network->block + param->offset;
        memcpy(save ? copy : live, save ? live : copy, param->bytes);
        copy += param->bytes;
    }
}

void pinion__runner_save_states(pinion_runner *runner)
{
    move_states(runner, true);
}

void pinion__runner_restore_states(pinion_runner *runner)
{
    move_states(runner, false);
}

/* Adds up the losses in the order of the batch; called once in a micro-batch, by the thread that ran the loss. */
static bool is_finite_loss(void *user)
{
    pinion_runner *runner = user;
    const float *losses = pinion__runner_tensor(runner, runner->plan->loss);
    for (int i = 0; i < runner->plan->samples; i++)
        runner->loss += (double)losses[i];
    return isfinite((float)(runner->loss / runner->plan->options.batch));
}

static bool is_always_open(void *user)
{
    (void)user;
    return true;
}

static int check_labels(const pinion_runner *runner, const int32_t *labels)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    int classes = runner->plan->tensors[runner->plan->output].c;
    for (int i = 0; i < runner->plan->options.batch; i++)
        PINION_FAIL_IF(labels[i] < 0 || labels[i] >= classes, PINION_EINVAL,
                       "label %d of the batch is %d; expected 0 to %d", i, (int)labels[i], classes - 1);
fail:
    return status;
}

static int check_step(const pinion_runner *runner, const pinion_runner_step_options *options)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    bool clip = runner->plan->options.clip != 0;
    PINION_FAIL_IF(!isfinite(options->learning_rate), PINION_EINVAL, "the learning rate is %g",
                   (double)options->learning_rate);
    PINION_FAIL_IF(clip && !(options->clip_norm > 0.0f), PINION_EINVAL,
                   "clip_norm is %g; a plan that clips expects more than 0", (double)options->clip_norm);
    PINION_FAIL_IF(!clip && options->clip_norm != 0.0f, PINION_EINVAL,
                   "clip_norm is %g, but the plan was made without clip", (double)options->clip_norm);
fail:
    return status;
}

int pinion_runner_train(pinion_runner *runner, const float *images, const int32_t *labels,
                        const pinion_runner_step_options *options, float *loss)
{
    if (!runner)
        return PINION_EINVAL;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(!images || !labels || !options || !loss, PINION_EINVAL,
                   "pinion_runner_train: expected images, labels, options and somewhere to put the loss");
    PINION_FAIL_IF(runner->plan->options.mode != PINION_TRAIN, PINION_EINVAL,
                   "pinion_runner_train: the plan is for inference");
    PINION_TRY(check_step(runner, options));
    PINION_TRY(check_labels(runner, labels));
    runner->step = (pinion__step){.seed = options->seed,
                                  .number = options->number,
                                  .learning_rate = options->learning_rate,
                                  .clip_norm = options->clip_norm,
                                  .loss_batch = runner->plan->options.batch};
    runner->loss = 0;
    pinion__runner_save_states(runner);
    const pinion_plan *plan = runner->plan;
    for (int part = 0; part < plan->micro_batches; part++) {
        pinion__runner_set_batch(runner, images, labels, part);
        if (!pinion__executor_run(runner->executor, 0, plan->part_end, is_finite_loss, runner))
            return pinion__runner_diagnose(runner);
    }
    pinion__executor_run(runner->executor, plan->part_end, (int)plan->task_count, is_always_open, NULL);
    pinion__network_changed(plan->network);
    *loss = (float)(runner->loss / plan->options.batch);
fail:
    return status;
}

/* `count` images of one micro-batch. */
static void infer_part(pinion_runner *runner, const float *images, int count, float *logits)
{
    const pinion_plan *plan = runner->plan;
    if (count < plan->samples) {
        size_t bytes = count_part_bytes(plan), given = bytes / (size_t)plan->samples * (size_t)count;
        memcpy(runner->padded, images, given);
        memset((unsigned char *)runner->padded + given, 0, bytes - given);
        images = runner->padded;
    }
    pinion__runner_set_batch(runner, images, NULL, 0);
    bool prepared = runner->is_prepared && runner->prepared_version == plan->network->version;
    pinion__executor_run(runner->executor, prepared ? plan->prologue : 0, (int)plan->task_count, is_always_open, NULL);
    runner->is_prepared = true;
    runner->prepared_version = plan->network->version;
    const pinion__tensor *output = &plan->tensors[plan->output];
    memcpy(logits, pinion__runner_logits(runner), pinion__tensor_bytes(output) / (size_t)plan->samples * (size_t)count);
}

int pinion_runner_infer(pinion_runner *runner, const float *images, int count, float *logits)
{
    if (!runner)
        return PINION_EINVAL;
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    PINION_FAIL_IF(!images || !logits, PINION_EINVAL,
                   "pinion_runner_infer: expected images and somewhere to put the logits");
    PINION_FAIL_IF(plan->options.mode != PINION_INFER, PINION_EINVAL, "pinion_runner_infer: the plan is for training");
    PINION_FAIL_IF(count < 1 || count > plan->options.batch, PINION_EINVAL,
                   "pinion_runner_infer: %d images; the plan's batch is %d", count, plan->options.batch);
    const size_t classes = (size_t)plan->tensors[plan->output].c;
    const size_t elements = count_part_bytes(plan) / sizeof(float) / (size_t)plan->samples;
    for (int done = 0; done < count; done += plan->samples) {
        int left = count - done < plan->samples ? count - done : plan->samples;
        infer_part(runner, images + (size_t)done * elements, left, logits + (size_t)done * classes);
    }
fail:
    return status;
}
