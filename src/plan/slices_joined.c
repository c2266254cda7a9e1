/* SPDX-License-Identifier: Apache-2.0
 *
 * A batch that is cut in the first layers only. Deep layers have many weights and few pixels: what is done once for a
 * layer, whatever the number of samples, outweighs what is done for a sample, and both processors would do it. From one
 * layer on, tasks are then those of the plan without slices. Activations that they read are brought together, gradients
 * that they leave for the layers before are read slice by slice where they lie.
 */
#include "op/operands.h"
#include "plan/slices.h"

bool pinion__slicing_has_weights(const pinion__op *op)
{
    return op->pass[PINION__BACKWARD_WEIGHTS].count > 0 && op->id != PINION__OP_batchnorm;
}

static double bytes_of(const pinion_plan *plan, const pinion__task *task, enum pinion__role role)
{
    int tensor = pinion__tensor_of(task, role, 0);
    return tensor < 0 ? 0 : (double)pinion__tensor_bytes(&plan->tensors[tensor]);
}

static bool is_weighted(const pinion__task *task)
{
    return task->pass == PINION__FORWARD && pinion__slicing_has_weights(task->op);
}

/* Bytes of weights of a layer and all behind it, to those of the activations that its passes read. */
static double ratio_from(const pinion_plan *plan, int layer)
{
    double weights = 0, activations = 0;
    for (size_t t = 0; t < plan->task_count; t++) {
        const pinion__task *task = &plan->tasks[t];
        if (!is_weighted(task) || task->layer < layer)
            continue;
        weights += bytes_of(plan, task, PINION__PARAM);
        activations += bytes_of(plan, task, PINION__INPUT) + bytes_of(plan, task, PINION__OUTPUT);
    }
    return weights / activations;
}

/* Where the batch is cut up to a layer: does each storage belong to one side, by those who write it? */
static int check_sides(pinion__builder *b, int layer, bool *one)
{
    pinion_context *ctx = b->ctx;
    const pinion_plan *plan = b->plan;
    int status = PINION_OK;
    unsigned char *sides = NULL;
    *one = true;
    PINION_TRY(pinion__alloc_zeroed(ctx, plan->storage_count + 1, sizeof *sides, "a plan", &sides));
    for (size_t t = 0; t < plan->task_count; t++) {
        const pinion__task *task = &plan->tasks[t];
        const pinion__operands *operands = &task->op->pass[task->pass];
        for (int i = 0; i < operands->count; i++) {
            if (task->operand[i] < 0 || !(operands->at[i].access & PINION__WRITE))
                continue;
            const int s = plan->tensors[task->operand[i]].storage;
            sides[s] |= task->layer >= 0 && task->layer < layer ? 1 : 2;
            *one = *one && (plan->storages[s].place != PINION__PLACE_ARENA || sides[s] != 3);
        }
    }
fail:
    pinion__release(ctx, sides);
    return status;
}

int pinion__build_joined(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK, before = 0, wanted = plan->cut.leading;
    bool one = false;
    plan->joined = 0;
    if (wanted == 0)
        return PINION_OK;
    for (size_t t = 0; t < plan->task_count && !plan->joined; t++) {
        const pinion__task *task = &plan->tasks[t];
        if (!is_weighted(task) || before++ == 0)
            continue;
        bool here = wanted > 0 ? before == wanted + 1 : ratio_from(plan, task->layer) >= -wanted;
        if (here)
            PINION_TRY(check_sides(b, task->layer, &one));
        plan->joined = here && one ? task->layer : 0;
    }
    PINION_FAIL_IF(!plan->joined, PINION_EUNSUPPORTED,
                   "network '%s': its batch cannot be cut in some first layers and whole behind them",
                   plan->network->name);
    plan->cut.leading = before - 1;
fail:
    return status;
}

/* What the first layers have made of slices. */
static bool is_in_pieces(const pinion__slicing *s, const pinion__task *task, int operand)
{
    int tensor = task->operand[operand];
    return tensor >= 0 && (task->op->pass[task->pass].at[operand].access & PINION__READ) &&
           pinion__slicing_divides(s, tensor) &&
           s->plan->storages[s->plan->tensors[tensor].storage].place == PINION__PLACE_ARENA &&
           !s->whole[s->plan->tensors[tensor].storage];
}

int pinion__slicing_join(pinion__slicing *s, const pinion__task *of)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    for (int i = 0; i < of->op->pass[of->pass].count; i++)
        if (is_in_pieces(s, of, i)) {
            PINION_FAIL_IF(s->plan->tensors[of->operand[i]].role != PINION__OUTPUT, PINION_EUNSUPPORTED,
                           "layer '%s': its %s reads more than activations of layers whose batch is cut",
                           pinion__task_layer_name(s->plan, of), pinion__pass_name(of->pass));
            PINION_TRY(pinion__slicing_gather_once(s, of, of->operand[i]));
        }
    PINION_TRY(pinion__slicing_append(s, of));
    if (of->op->id == PINION__OP_softmax_cross_entropy && of->pass == PINION__FORWARD)
        s->plan->gate = (int)s->count - 1;
fail:
    return status;
}

/* What is written behind the first layers stays whole. */
void pinion__slicing_mark_whole(pinion__slicing *s)
{
    for (size_t t = 0; t < s->plan->task_count; t++) {
        const pinion__task *task = &s->plan->tasks[t];
        for (int i = 0; i < task->op->pass[task->pass].count; i++)
            if (pinion__slicing_is_joined(s, task) && task->operand[i] >= 0 &&
                (task->op->pass[task->pass].at[i].access & PINION__WRITE))
                s->whole[s->plan->tensors[task->operand[i]].storage] = true;
    }
}
