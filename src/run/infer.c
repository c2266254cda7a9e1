/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference. Tasks stand group by group, behind a prologue that does so too: it folds and prepares weights, and each
 * group's part of it runs again only when weights have changed or their memory was given back. An inference at width j
 * is the tasks up to the end of group j, so it is the beginning of one at any larger width: the same kernels on the
 * same operands.
 */
#include "run/state.h"

#include <string.h>

static bool is_always_open(void *user)
{
    (void)user;
    return true;
}

static int tasks_end(const pinion_plan *plan, int group)
{
    if (group < 0)
        return plan->prologue;
    return plan->width ? plan->width_end[group] : (int)plan->task_count;
}

static int prologue_end(const pinion_plan *plan, int group)
{
    if (group < 0)
        return 0;
    return plan->width ? plan->prologue_end[group] : plan->prologue;
}

size_t pinion__infer_row(const pinion_plan *plan)
{
    return (size_t)plan->tensors[plan->output].c;
}

int pinion__infer_check(const pinion_runner *runner, const char *call, const float *images, int count,
                        const float *logits)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    PINION_FAIL_IF(!images || !logits, PINION_EINVAL, "%s: expected images and somewhere to put the logits", call);
    PINION_FAIL_IF(plan->options.mode != PINION_INFER, PINION_EINVAL, "%s: the plan is for training", call);
    PINION_FAIL_IF(count < 1 || count > plan->options.batch, PINION_EINVAL, "%s: %d images; the plan's batch is %d",
                   call, count, plan->options.batch);
fail:
    return status;
}

pinion__part pinion__infer_part(const pinion_runner *runner, const float *images, int index, int count)
{
    const pinion_plan *plan = runner->plan;
    const int left = count - index * plan->samples;
    const size_t elements = pinion__runner_part_bytes(plan) / sizeof(float);
    return (pinion__part){.images = images + (size_t)index * elements,
                          .index = index,
                          .count = left < plan->samples ? left : plan->samples,
                          .slot = pinion__runner_is_slot(runner, images)};
}

/* A whole micro-batch that begins with the part's images; zeros follow them. */
static const float *pad(pinion_runner *runner, const pinion__part *part)
{
    size_t bytes = pinion__runner_part_bytes(runner->plan);
    size_t given = bytes / (size_t)runner->plan->samples * (size_t)part->count;
    float *own = runner->input->images;
    unsigned char *padded = part->slot ? (unsigned char *)(own + (part->images - own)) : runner->padded.host;
    if (!part->slot)
        memcpy(padded, part->images, given);
    memset(padded + given, 0, bytes - given);
    return (const float *)(const void *)padded;
}

void pinion__infer_begin_part(pinion_runner *runner, const pinion__part *part)
{
    const bool whole = part->count == runner->plan->samples;
    pinion__runner_set_batch(runner, whole ? part->images : pad(runner, part), NULL, part->index);
}

static int run(pinion_runner *runner, int first, int end)
{
    bool passed;
    int status = first < end ? pinion__runner_run(runner, first, end, is_always_open, &passed) : PINION_OK;
    if (status == PINION_OK)
        pinion__runner_note_hand_overs(runner, first, end);
    return status;
}

static bool is_prepared(const pinion_runner *runner, int group)
{
    const pinion__group *of = &runner->groups[group];
    return of->is_prepared && of->version == runner->plan->network->version;
}

int pinion__infer_prepare(pinion_runner *runner, int width)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    for (int group = 0; group < width; group++) {
        pinion__group *of = &runner->groups[group];
        if (is_prepared(runner, group))
            continue;
        PINION_TRY(run(runner, prologue_end(plan, group - 1), prologue_end(plan, group)));
        of->is_prepared = true;
        of->is_warm = false;
        of->version = plan->network->version;
    }
fail:
    return status;
}

int pinion__infer_groups(pinion_runner *runner, int first, int end)
{
    return run(runner, tasks_end(runner->plan, first - 1), tasks_end(runner->plan, end - 1));
}

int pinion__infer_answer(pinion_runner *runner, int width, const pinion__part *part, float *logits)
{
    pinion_context *ctx = runner->ctx;
    const pinion_plan *plan = runner->plan;
    int status = PINION_OK;
    runner->answer = plan->width ? plan->width_output[width - 1] : plan->output;
    const pinion__tensor *output = &plan->tensors[runner->answer];
    const int hold = runner->device ? runner->hold_of[output->storage] : -1;
    const bool away = hold >= 0 && *runner->holds[hold].held == PINION__HELD_BY_DEVICE;
    if (away)
        PINION_TRY(pinion__runner_pass(runner, hold, PINION__HELD_BY_HOST, true));
    memcpy(logits, pinion__runner_tensor(runner, runner->answer),
           pinion__tensor_bytes(output) / (size_t)plan->samples * (size_t)part->count);
    if (away)
        PINION_TRY(pinion__runner_pass(runner, hold, PINION__HELD_BY_DEVICE, true));
fail:
    return status;
}

int pinion__infer_end_part(pinion_runner *runner)
{
    return runner->plan->width ? pinion__runner_go_home(runner) : PINION_OK;
}

int pinion_runner_infer(pinion_runner *runner, const float *images, int count, float *logits)
{
    if (!runner)
        return PINION_EINVAL;
    pinion_context *ctx = runner->ctx;
    int status = PINION_OK, width;
    PINION_TRY(pinion__infer_check(runner, "pinion_runner_infer", images, count, logits));
    PINION_TRY(pinion__runner_take_width(runner, &width));
    PINION_TRY(pinion__runner_begin(runner));
    PINION_TRY(pinion__runner_choose_input(runner, images));
    PINION_TRY(pinion__infer_prepare(runner, width));
    const size_t row = pinion__infer_row(runner->plan);
    for (int i = 0; i * runner->plan->samples < count; i++) {
        const pinion__part part = pinion__infer_part(runner, images, i, count);
        pinion__infer_begin_part(runner, &part);
        PINION_TRY(pinion__infer_groups(runner, 0, width));
        PINION_TRY(pinion__infer_answer(runner, width, &part, logits + row * (size_t)(i * runner->plan->samples)));
        PINION_TRY(pinion__infer_end_part(runner));
    }
    pinion__runner_finish(runner);
fail:
    return status;
}
