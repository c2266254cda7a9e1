/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a loss that is not finite comes from. The forward tasks stand first in the plan's serial order and can be run
 * again from the first on: what one of them overwrites of the arena has been made anew by those before it. The running
 * statistics, which they move, are put back before and after. What a device holds is handed to the host and back to be
 * looked at.
 */
#include "plan/build.h"
#include "run/state.h"

#include <math.h>

static bool all_finite(const void *values, size_t count)
{
    const float *at = values;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(at[i]))
            return false;
    return true;
}

static bool tensor_finite(pinion_runner *runner, int tensor)
{
    const pinion_plan *plan = runner->plan;
    int hold = runner->device ? runner->hold_of[plan->tensors[tensor].storage] : -1;
    bool away = hold >= 0 && *runner->holds[hold].held == PINION__HELD_BY_DEVICE;
    if (away && pinion__runner_pass(runner, hold, PINION__HELD_BY_HOST, true) < 0)
        return true;
    bool finite =
        all_finite(pinion__runner_tensor(runner, tensor), pinion__tensor_bytes(&plan->tensors[tensor]) / sizeof(float));
    if (away)
        (void)pinion__runner_pass(runner, hold, PINION__HELD_BY_DEVICE, true);
    return finite;
}

/* Are the operands of a task finite that have this role (as seen from the op)? */
static bool operands_finite(pinion_runner *runner, const pinion__task *task, enum pinion__role role)
{
    const pinion__operands *operands = &task->op->pass[task->pass];
    for (int i = 0; i < operands->count; i++)
        if (operands->at[i].role == role && task->operand[i] >= 0 && !tensor_finite(runner, task->operand[i]))
            return false;
    return true;
}

static bool images_finite(const pinion_runner *runner)
{
    pinion_shape shape = runner->plan->network->input;
    size_t count = (size_t)runner->plan->samples * (size_t)shape.h * (size_t)shape.w * (size_t)shape.c;
    return all_finite(runner->images, count);
}

/* A task once more, and what it hands over. */
static void repeat_task(pinion_runner *runner, int t)
{
    const pinion__task_hand_over *hand_over = &runner->plan->tasks[t].hand_over;
    int status = pinion__executor_run_task(runner->executor, t);
    if (hand_over->present)
        *runner->holds[runner->hold_of[hand_over->storage]].held = hand_over->to;
    if (status < 0)
        (void)pinion__runner_failed(runner, status);
}

/* The first place with a non-finite value, and the task it belongs to (-1: none). */
static const char *find_place(pinion_runner *runner, int *at)
{
    const pinion_plan *plan = runner->plan;
    *at = -1;
    if (!images_finite(runner))
        return "the images";
    for (int t = 0; t <= plan->gate && !runner->failure; t++) {
        const pinion__task *task = &plan->tasks[t];
        *at = t;
        if (task->hand_over.present) {
            repeat_task(runner, t);
            continue;
        }
        if (!operands_finite(runner, task, PINION__PARAM))
            return "the weights";
        if (!operands_finite(runner, task, PINION__STATE))
            return "the running statistics";
        repeat_task(runner, t);
        if (!operands_finite(runner, task, PINION__OUTPUT))
            return "the output";
    }
    *at = -1;
    return "the loss";
}

int pinion__runner_diagnose(pinion_runner *runner)
{
    const pinion_plan *plan = runner->plan;
    pinion_context *ctx = runner->ctx;
    unsigned long long step = runner->step.number + 1;
    int at, status = PINION_OK;
    pinion__runner_note_hand_overs(runner, 0, plan->gate + 1);
    PINION_TRY(pinion__runner_go_home(runner));
    PINION_TRY(pinion__runner_restore_states(runner));
    const char *place = find_place(runner, &at);
    PINION_TRY(runner->failure);
    PINION_TRY(pinion__runner_go_home(runner));
    PINION_TRY(pinion__runner_restore_states(runner));
    const pinion__task *task = at < 0 || plan->tasks[at].layer < 0 ? NULL : &plan->tasks[at];
    if (!task)
        return pinion__fail(ctx, __FILE__, __LINE__, PINION_ENONFINITE,
                            "step %llu: the loss is not finite; the first non-finite value is in %s", step,
                            at < 0 ? place : "the loss");
    return pinion__fail(ctx, __FILE__, __LINE__, PINION_ENONFINITE,
                        "step %llu: the loss is not finite; the first non-finite value is in %s of layer '%s'%s%s%s",
                        step, place, pinion__task_layer_name(plan, task), task->fused_count ? " (" : "",
                        task->fused_count ? pinion__task_what(task) : "", task->fused_count ? ")" : "");
fail:
    return status;
}
