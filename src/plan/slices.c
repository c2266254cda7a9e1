/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting the batch (plan->cut): every task becomes one for each slice, on tensors of the slice's own and on the
 * slice's processor, so that processors work on the same layer at the same time and no activation passes between them.
 * It rewrites the list of tasks behind fusion, so slices are fused as the whole is, but for updates.
 *
 * What belongs to the whole batch is put together in the order of slices, never of arrival:
 *
 * - batch normalisation: slices leave partial statistics (op/stats.h), `batchnorm_statistics` makes constants of them
 *   all and moves the running statistics, `normalise` follows for each slice; backward, the slices' gradients of gamma
 *   and beta are added before backward_data, which counts the pixels of the whole batch, reads them;
 * - gradients of weights: updates read those of all slices. With clipping their sum is stored, as its square is wanted.
 *   Of some layers the pass is not cut (slices_whole.c), and of the last ones none is (slices_joined.c);
 * - logits and losses: copied into tensors of the whole batch, in front of the gate.
 *
 * Slices of processors with a domain stand in front of those of the host, whatever their numbers are: what both read
 * passes to the device as a whole first and is shared then (plan/holders.h), so neither waits for the other.
 */
#include "plan/slices.h"
#include "op/operands.h"

static const pinion__operands *operands_of(const pinion__task *task)
{
    return &task->op->pass[task->pass];
}

static bool writes_gradient(const pinion__operand *operand)
{
    return operand->role == PINION__D_PARAM && (operand->access & PINION__WRITE);
}

static int slice_operand(pinion__slicing *s, const pinion__task *task, int operand, int slice, int *out)
{
    const pinion__operand *of = &operands_of(task)->at[operand];
    int tensor = task->operand[operand];
    bool divided = tensor >= 0 && (pinion__slicing_divides(s, tensor) || writes_gradient(of));
    if (!divided)
        return PINION_OK;
    if (of->role == PINION__STATS && s->tensor_of[tensor * s->slices + slice] < 0)
        return pinion__slicing_stats(s, tensor, pinion__tensor_of(task, PINION__OUTPUT, 0), slice, out);
    return pinion__slicing_piece(s, tensor, slice, out);
}

static int slice_task(pinion__slicing *s, const pinion__task *of, int slice)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    pinion__task task = *of;
    pinion__slicing_assign(s, &task, slice);
    for (int i = 0; i < operands_of(of)->count; i++)
        PINION_TRY(slice_operand(s, of, i, slice, &task.operand[i]));
    PINION_TRY(pinion__slicing_append(s, &task));
fail:
    return status;
}

int pinion__slicing_slice(pinion__slicing *s, const pinion__task *of)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    for (int i = 0; i < s->slices; i++)
        PINION_TRY(slice_task(s, of, s->turn[i]));
fail:
    return status;
}

/* ---- gradients of parameters ---- */

/* Sums of pieces of `tensor`, whole = ((first + second) + third) + fourth, as many elements as `bytes` hold. */
int pinion__slicing_add(pinion__slicing *s, const pinion__task *of, const int pieces[], int whole)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    for (int slice = 1; slice < s->slices; slice++) {
        pinion__task add = pinion__slicing_derive(of, PINION__OP_add, PINION__FORWARD);
        add.operand[PINION__ADD_FORWARD_A] = slice == 1 ? pieces[0] : whole;
        add.operand[PINION__ADD_FORWARD_B] = pieces[slice];
        add.operand[PINION__ADD_FORWARD_Y] = whole;
        PINION_TRY(pinion__slicing_append(s, &add));
    }
fail:
    return status;
}

static int add_gradient(pinion__slicing *s, const pinion__task *of, int tensor)
{
    return pinion__slicing_add(s, of, &s->tensor_of[tensor * s->slices], tensor);
}

static int slice_gradients(pinion__slicing *s, const pinion__task *of)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__slicing_slice(s, of));
    for (int i = 0; s->plan->options.clip && i < operands_of(of)->count; i++)
        if (of->operand[i] >= 0 && writes_gradient(&operands_of(of)->at[i]))
            PINION_TRY(add_gradient(s, of, of->operand[i]));
fail:
    return status;
}

/* Does the gradient of the whole batch stand in this tensor? */
static bool is_summed(const pinion__slicing *s, int tensor)
{
    const pinion__tensor *of = &s->plan->tensors[tensor];
    const pinion__layer_build *layer = &s->b->layers[of->layer];
    return s->plan->options.clip || layer->op->id == PINION__OP_batchnorm || layer->whole;
}

/* An update reads the gradients of all slices where nobody has added them. */
static int whole_task(pinion__slicing *s, const pinion__task *of)
{
    pinion__task task = *of;
    int at = pinion__operand_of(of, PINION__D_PARAM, 0);
    if ((of->op->flags & PINION__OP_OPTIMIZER) && !is_summed(s, of->operand[at]))
        for (int slice = 0; slice < s->slices; slice++)
            task.operand[pinion__operand_of(of, PINION__D_PARAM, slice)] =
                s->tensor_of[of->operand[at] * s->slices + slice];
    return pinion__slicing_append(s, &task);
}

/* ---- what the host reads ---- */

static int slice_loss(pinion__slicing *s, const pinion__task *of)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    PINION_TRY(pinion__slicing_gather(s, of, s->plan->output));
    PINION_TRY(pinion__slicing_slice(s, of));
    PINION_TRY(pinion__slicing_gather(s, of, s->plan->loss));
    s->plan->gate = (int)s->count - 1;
fail:
    return status;
}

/* ---- all of it ---- */

static int slice_any(pinion__slicing *s, const pinion__task *of)
{
    if (of->pass == PINION__UPDATE)
        return whole_task(s, of);
    if (pinion__slicing_is_joined(s, of))
        return pinion__slicing_join(s, of);
    if (of->op->id == PINION__OP_batchnorm && of->pass == PINION__FORWARD)
        return pinion__slicing_batchnorm(s, of);
    if (of->op->id == PINION__OP_batchnorm && of->pass == PINION__BACKWARD_WEIGHTS)
        return pinion__slicing_batchnorm_gradients(s, of);
    if (of->pass == PINION__BACKWARD_WEIGHTS)
        return s->b->layers[of->layer].whole ? pinion__slicing_whole(s, of) : slice_gradients(s, of);
    if (of->op->id == PINION__OP_softmax_cross_entropy && of->pass == PINION__FORWARD)
        return slice_loss(s, of);
    return pinion__slicing_slice(s, of);
}

/* In inference: the output; of a dynamic network that of each width behind the group's last task. */
static int gather_output(pinion__slicing *s, int t)
{
    const pinion_plan *plan = s->plan;
    const pinion__task *of = &plan->tasks[t];
    const bool last = t + 1 == (int)plan->task_count;
    const int group = pinion__task_group(plan, of), next = last ? -1 : pinion__task_group(plan, of + 1);
    if (plan->options.mode != PINION_INFER || group == next || (plan->width == 0 && !last))
        return PINION_OK;
    const int output = plan->width ? plan->width_output[group - 1] : plan->output;
    return s->whole[plan->tensors[output].storage] ? PINION_OK : pinion__slicing_gather_once(s, of, output);
}

static void take_turns(pinion__slicing *s)
{
    const pinion__cut *cut = &s->plan->cut;
    int count = 0;
    for (int slice = 1; slice < s->slices; slice++)
        s->first[slice] = s->first[slice - 1] + cut->n[slice - 1];
    for (int host = 0; host < 2; host++)
        for (int slice = 0; slice < s->slices; slice++)
            if ((s->plan->processors[cut->processor[slice]]->domain == NULL) == (host != 0))
                s->turn[count++] = slice;
}

static int check(const pinion__slicing *s)
{
    pinion_context *ctx = s->ctx;
    const pinion__cut *cut = &s->plan->cut;
    int status = PINION_OK, samples = 0;
    PINION_FAIL_IF(s->slices < 2 || s->slices > PINION__MAX_SLICES, PINION_EINVAL,
                   "a batch in %d slices; expected 2 to %d", s->slices, PINION__MAX_SLICES);
    for (int slice = 0; slice < s->slices; slice++) {
        PINION_FAIL_IF(cut->n[slice] < 1 || cut->processor[slice] < 0 ||
                           cut->processor[slice] >= s->plan->processor_count,
                       PINION_EINVAL,
                       "slice %d of a batch has %d samples for processor %d; expected 1 or more, and one "
                       "of %d processors",
                       slice, cut->n[slice], cut->processor[slice], s->plan->processor_count);
        samples += cut->n[slice];
    }
    PINION_FAIL_IF(samples != s->plan->samples, PINION_EINVAL, "slices of a batch have %d samples; expected %d",
                   samples, s->plan->samples);
fail:
    return status;
}

static int init(pinion__slicing *s)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    const size_t tensors = s->plan->tensor_count * (size_t)s->slices;
    const size_t storages = s->plan->storage_count * (size_t)s->slices;
    PINION_TRY(check(s));
    take_turns(s);
    PINION_TRY(pinion__alloc(ctx, tensors, sizeof *s->tensor_of, "a plan", &s->tensor_of));
    PINION_TRY(pinion__alloc(ctx, storages, sizeof *s->storage_of, "a plan", &s->storage_of));
    PINION_TRY(pinion__alloc_zeroed(ctx, s->plan->tensor_count, sizeof *s->gathered, "a plan", &s->gathered));
    PINION_TRY(pinion__alloc_zeroed(ctx, s->plan->storage_count, sizeof *s->whole, "a plan", &s->whole));
    pinion__slicing_mark_whole(s);
    for (size_t i = 0; i < tensors; i++)
        s->tensor_of[i] = -1;
    for (size_t i = 0; i < storages; i++)
        s->storage_of[i] = -1;
fail:
    return status;
}

int pinion__build_slices(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    pinion_plan *plan = b->plan;
    int status = PINION_OK;
    pinion__slicing s = {.ctx = ctx, .b = b, .plan = plan, .slices = plan->cut.count};
    PINION_TRY(init(&s));
    for (size_t t = 0; t < plan->task_count; t++) {
        PINION_TRY(slice_any(&s, &plan->tasks[t]));
        PINION_TRY(gather_output(&s, (int)t));
    }
    pinion__release(ctx, plan->tasks);
    plan->tasks = s.tasks;
    plan->task_count = s.count;
    plan->task_capacity = s.capacity;
    s.tasks = NULL;
fail:
    pinion__release(ctx, s.tasks);
    pinion__release(ctx, s.tensor_of);
    pinion__release(ctx, s.storage_of);
    pinion__release(ctx, s.gathered);
    pinion__release(ctx, s.whole);
    return status;
}
