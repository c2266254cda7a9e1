/* SPDX-License-Identifier: Apache-2.0
 *
 * A runner's life and its training steps. Nothing is allocated after create.
 */
#include "base/memory.h"
#include "run/state.h"

#include <math.h>
#include <string.h>

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
    runner->answer = plan->output;
    pinion__runner_make_widths(runner);
    pinion__runner_plan_times(runner);
    PINION_TRY(pinion__runner_allocate(runner, lender));
    PINION_TRY(pinion__runner_make_holds(runner));
    PINION_TRY(pinion__runner_make_inputs(runner));
    if (plan->options.mode == PINION_TRAIN)
        PINION_TRY(pinion__runner_make_states(runner));
    PINION_TRY(pinion__runner_bind(runner));
    PINION_TRY(pinion__executor_create(plan, runner->args, runner->hand_overs, &runner->executor));
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
    (void)pinion__tracing_close(runner->trace);
    pinion__runner_free(runner);
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
    if (first < 0 || which < 0 || which >= plan->moments_per_param || pinion__runner_settle(runner) < 0)
        return NULL;
    const size_t unit = PINION__SHARED_ALIGNMENT, stride = (plan->network->params[param].bytes + unit - 1) / unit;
    return (float *)(void *)(runner->moments.host + unit * ((size_t)first + (size_t)which * stride));
}

const float *pinion__runner_logits(const pinion_runner *runner)
{
    return pinion__runner_settle(runner) < 0 ? NULL : pinion__runner_tensor(runner, runner->answer);
}

const float *pinion__runner_gradient(const pinion_runner *runner, int param)
{
    const pinion_plan *plan = runner->plan;
    const pinion__param *of = &plan->network->params[param];
    if (of->state || pinion__runner_settle(runner) < 0)
        return NULL;
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const pinion__tensor *tensor = &plan->tensors[i];
        if (tensor->role == PINION__D_PARAM && tensor->layer == of->layer && tensor->index == of->index &&
            (plan->storages[tensor->storage].kept || plan->storages[tensor->storage].carried))
            return pinion__runner_tensor(runner, (int)i);
    }
    return NULL;
}

/* Adds up the losses in the order of the batch; called once in a micro-batch, when the host holds them. */
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
    PINION_FAIL_IF(runner->plan->options.prior && !options->prior, PINION_EINVAL,
                   "the plan expects the logits of the groups before the one that is trained, got none");
    PINION_FAIL_IF(!runner->plan->options.prior && options->prior, PINION_EINVAL,
                   "the logits of other groups are given, but the plan was made without prior");
fail:
    return status;
}

int pinion_runner_set_trace(pinion_runner *runner, const char *path)
{
    if (!runner)
        return PINION_EINVAL;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    pinion__tracing *old = runner->trace;
    runner->trace = NULL;
    pinion__executor_time(runner->executor, NULL);
    PINION_TRY(pinion__tracing_close(old));
    if (!path)
        return PINION_OK;
    PINION_TRY(pinion__tracing_open(runner->plan, path, &runner->trace));
    pinion__executor_time(runner->executor, pinion__tracing_times(runner->trace));
fail:
    return status;
}

pinion_runner_info pinion_runner_get_info(const pinion_runner *runner)
{
    pinion_runner_info info = {0};
    if (runner)
        info.copied_bytes = runner->copied_bytes;
    return info;
}

static int check_alive(const pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(runner->failure, runner->failure,
                   "a device of this runner has failed before; make a plan without it, and a runner of that");
fail:
    return status;
}

int pinion__runner_begin(pinion_runner *runner)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    PINION_TRY(check_alive(runner));
    runner->copied_bytes = 0;
    runner->copied_before = plan->domain ? atomic_load(&plan->domain->copied_bytes) : 0;
    PINION_TRY(pinion__runner_move_in(runner));
    PINION_TRY(pinion__runner_go_home(runner));
    if (runner->block != plan->network->block)
        PINION_TRY(pinion__runner_bind(runner));
fail:
    return status;
}

void pinion__runner_finish(pinion_runner *runner)
{
    const pinion_plan *plan = runner->plan;
    if (plan->domain)
        runner->copied_bytes += (int64_t)(atomic_load(&plan->domain->copied_bytes) - runner->copied_before);
}

int pinion__runner_run(pinion_runner *runner, int first, int end, bool (*gate)(void *user), bool *passed)
{
    int status = pinion__executor_run(runner->executor, first, end, gate, runner, passed);
    if (status == PINION_OK && runner->trace)
        pinion__tracing_add(runner->trace, first, end, runner->step.number);
    return status < 0 ? pinion__runner_failed(runner, status) : status;
}

static int train(pinion_runner *runner, const float *images, const int32_t *labels, float *loss)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    bool passed;
    const size_t elements = pinion__runner_part_bytes(plan) / sizeof(float);
    runner->loss = 0;
    PINION_TRY(pinion__runner_begin(runner));
    PINION_TRY(pinion__runner_choose_input(runner, images));
    PINION_TRY(pinion__runner_save_states(runner));
    for (int part = 0; part < plan->micro_batches; part++) {
        pinion__runner_set_batch(runner, images + (size_t)part * elements, labels + part * plan->samples, part);
        PINION_TRY(pinion__runner_run(runner, 0, plan->part_end, is_finite_loss, &passed));
        if (!passed)
            return pinion__runner_diagnose(runner);
    }
    PINION_TRY(pinion__runner_run(runner, plan->part_end, (int)plan->task_count, is_always_open, &passed));
    pinion__network_changed(plan->network);
    pinion__runner_finish(runner);
    *loss = (float)(runner->loss / plan->options.batch);
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
    runner->prior = options->prior;
    PINION_TRY(train(runner, images, labels, loss));
fail:
    return status;
}
