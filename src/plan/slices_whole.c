/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers of a batch that is cut whose backward_weights stays one task. A gradient for each slice is written, and read
 * again by an update of its own; where weights outweigh activations it costs less to bring the slices' activations and
 * gradients together once more. The pass is then that of the plan without slices: any processor may do it, and its
 * update is fused with it.
 */
#include "op/operands.h"
#include "plan/slices.h"

#include <stdlib.h>

typedef struct weight {
    int layer;
    double ratio; /* bytes of the gradient of the weights to those of what it is made from */
} weight;

static bool is_eligible(const pinion_plan *plan, const pinion__task *task)
{
    int x = pinion__tensor_of(task, PINION__INPUT, 0);
    return task->pass == PINION__BACKWARD_WEIGHTS && pinion__slicing_has_weights(task->op) && x >= 0 &&
           (!plan->joined || task->layer < plan->joined) &&
           plan->storages[plan->tensors[x].storage].place == PINION__PLACE_ARENA;
}

static weight weigh(const pinion_plan *plan, const pinion__task *task)
{
    const pinion__tensor *tensors = plan->tensors;
    double dw = (double)pinion__tensor_bytes(&tensors[pinion__tensor_of(task, PINION__D_PARAM, 0)]);
    double x = (double)pinion__tensor_bytes(&tensors[pinion__tensor_of(task, PINION__INPUT, 0)]);
    double dy = (double)pinion__tensor_bytes(&tensors[pinion__tensor_of(task, PINION__D_OUTPUT, 0)]);
    return (weight){task->layer, dw / (x + dy)};
}

/* The heaviest first. */
static int compare(const void *left, const void *right)
{
    const weight *a = left, *b = right;
    if (a->ratio != b->ratio)
        return a->ratio > b->ratio ? -1 : 1;
    return a->layer - b->layer;
}

int pinion__build_whole(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK, count = 0;
    weight *weights = NULL;
    PINION_TRY(pinion__build_joined(b));
    PINION_TRY(pinion__alloc(ctx, plan->task_count + 1, sizeof *weights, "a plan", &weights));
    for (size_t t = 0; t < plan->task_count; t++)
        if (is_eligible(plan, &plan->tasks[t]))
            weights[count++] = weigh(plan, &plan->tasks[t]);
    qsort(weights, (size_t)count, sizeof *weights, compare);
    if (plan->cut.whole == PINION__CUT_HEAVY)
        for (plan->cut.whole = 0; plan->cut.whole < count && weights[plan->cut.whole].ratio > 1;)
            plan->cut.whole++;
    plan->cut.whole = plan->cut.whole < count ? plan->cut.whole : count;
    for (int i = 0; i < plan->cut.whole; i++)
        b->layers[weights[i].layer].whole = true;
    for (int layer = plan->joined; plan->joined && layer < (int)b->network->layer_count; layer++)
        b->layers[layer].whole = true;
fail:
    pinion__release(ctx, weights);
    return status;
}

int pinion__slicing_gather(pinion__slicing *s, const pinion__task *of, int tensor)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    for (int i = 0; i < s->slices; i++) {
        int slice = s->turn[i];
        pinion__task copy = pinion__slicing_derive(of, PINION__OP_add, PINION__BACKWARD_DATA);
        pinion__tensor into = s->plan->tensors[tensor];
        size_t sample = pinion__tensor_sample_bytes(&into);
        copy.layer = into.layer;
        into.n = s->plan->cut.n[slice];
        into.offset += sample * (size_t)s->first[slice];
        PINION_TRY(pinion__slicing_piece(s, tensor, slice, &copy.operand[PINION__ADD_BACKWARD_DATA_DY]));
        PINION_TRY(pinion__build_alias(s->b, &into, &copy.operand[PINION__ADD_BACKWARD_DATA_DX]));
        PINION_TRY(pinion__slicing_append(s, &copy));
    }
fail:
    return status;
}

/* The first tensor that has these very bytes: views have those of their inputs. */
static int find_first(const pinion_plan *plan, int tensor)
{
    const pinion__tensor *of = &plan->tensors[tensor];
    for (int i = 0; i < tensor; i++) {
        const pinion__tensor *other = &plan->tensors[i];
        if (other->storage == of->storage && other->offset == of->offset &&
            pinion__tensor_bytes(other) == pinion__tensor_bytes(of))
            return i;
    }
    return tensor;
}

int pinion__slicing_gather_once(pinion__slicing *s, const pinion__task *of, int tensor)
{
    bool *gathered = &s->gathered[find_first(s->plan, tensor)];
    if (*gathered)
        return PINION_OK;
    *gathered = true;
    return pinion__slicing_gather(s, of, tensor);
}

int pinion__slicing_whole(pinion__slicing *s, const pinion__task *of)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__slicing_gather_once(s, of, pinion__tensor_of(of, PINION__INPUT, 0)));
    PINION_TRY(pinion__slicing_gather(s, of, pinion__tensor_of(of, PINION__D_OUTPUT, 0)));
    PINION_TRY(pinion__slicing_append(s, of));
fail:
    return status;
}
