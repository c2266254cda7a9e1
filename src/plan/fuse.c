/* SPDX-License-Identifier: Apache-2.0
 *
 * Fusion: neighbouring tasks become one that passes over memory once. It rewrites the list of tasks after it is built
 * and before kernels are chosen; without it (options.unfused) every pass of every layer is a task of its own, with the
 * same result. A rule applies where nobody but the fused tasks sees what vanishes between them, and where the kernels
 * can: the most preferred kernel of the task that stays must be able to do the fused work, so that fusion never costs a
 * better kernel. Rules, in this order:
 *
 * - fold (inference): a stored batch normalisation vanishes in the weights of the convolution before it (fold.c);
 * - epilogue: the forward pass of a convolution, linear layer or batch normalisation takes in the add behind it; these
 *   and add take in the relu or relu6 behind;
 * - mask: where a relu stands behind a batch normalisation, both backward passes of the latter take the gradient behind
 *   the relu and mask it themselves; where an add stands between them, the first pass to come masks it and leaves it
 *   for the others;
 * - update: backward_weights updates its weights and stores no gradient; it comes behind the layer's backward_data,
 *   which reads the old weights (not where a slice of the batch has a gradient of its own, which is not complete);
 * - statistics: a convolution leaves partial statistics of its output (op/stats.h) for the batch normalisation.
 */
#include "op/stats.h"
#include "plan/places.h"

#include <stdio.h>

typedef pinion__places places;

/* Notes that the task does the work of the layer that `of` belongs to. */
static void take_in(pinion__task *task, const pinion__task *of)
{
    task->fused[task->fused_count++] = of->layer;
}

static enum pinion__activation activation_at(const places *p, int place, enum pinion__pass pass)
{
    if (pinion__places_is(p, place, PINION__OP_relu, pass))
        return PINION__ACTIVATION_RELU;
    return pinion__places_is(p, place, PINION__OP_relu6, pass) ? PINION__ACTIVATION_RELU6 : PINION__ACTIVATION_NONE;
}

/* ---- forward ---- */

/* The forward task in front of `place` whose output is this very tensor, if nobody else reads it and no activation was
 * applied to it; -1: none. */
static int find_producer(const places *p, int tensor, int place)
{
    if (pinion__places_readers(p, tensor) != 1)
        return -1;
    int at = pinion__places_search(p, tensor, PINION__WRITE, place - 1, -1);
    if (at < 0)
        return -1;
    const pinion__task *task = pinion__places_task(p, at);
    bool plain = task->pass == PINION__FORWARD && task->activation == PINION__ACTIVATION_NONE;
    return plain && pinion__tensor_of(task, PINION__OUTPUT, 0) == tensor ? p->task_at[at] : -1;
}

/* Makes the output of the task at `place` that of the task that takes it in. */
static void take_output(pinion__task *fused, const pinion__task *of)
{
    fused->operand[pinion__operand_of(fused, PINION__OUTPUT, 0)] = pinion__tensor_of(of, PINION__OUTPUT, 0);
    take_in(fused, of);
}

static int fold(places *p, int place)
{
    pinion_context *ctx = p->ctx;
    int status = PINION_OK;
    if (!pinion__places_is(p, place, PINION__OP_batchnorm_stored, PINION__FORWARD))
        return PINION_OK;
    const pinion__task *batchnorm = pinion__places_task(p, place);
    int producer = find_producer(p, pinion__tensor_of(batchnorm, PINION__INPUT, 0), place);
    if (producer < 0 || !pinion__plan_can_fold(p->b, &p->plan->tasks[producer], batchnorm))
        return PINION_OK;
    pinion__task fused = p->plan->tasks[producer];
    PINION_TRY(pinion__plan_fold(p->b, &fused, batchnorm));
    take_output(&fused, batchnorm);
    pinion__places_drop(p, place);
    pinion__places_replace(p, producer, &fused);
fail:
    return status;
}

/* Lets the producer of input `input` of the add at `place` do its work. */
static bool take_add(places *p, int place, int input)
{
    const pinion__task *add = pinion__places_task(p, place);
    int producer = find_producer(p, add->operand[input], place), other = add->operand[1 - input];
    if (producer < 0)
        return false;
    pinion__task fused = p->plan->tasks[producer];
    int addend = pinion__operand_of(&fused, PINION__ADDEND, 0);
    if (addend < 0 || fused.operand[addend] >= 0)
        return false;
    fused.operand[addend] = other;
    take_output(&fused, add);
    if (!pinion__places_can_replace(p, producer, &fused))
        return false;
    bool later = pinion__places_search(p, other, PINION__WRITE, p->place_of[producer], place) >= 0;
    pinion__places_drop(p, place);
    pinion__places_replace(p, producer, &fused);
    if (later)
        pinion__places_move(p, producer, place);
    return true;
}

/* Of two producers the later takes the add: it finds the addend in place and need not move. */
static void fuse_add(places *p, int place)
{
    if (!pinion__places_is(p, place, PINION__OP_add, PINION__FORWARD))
        return;
    const pinion__task *add = pinion__places_task(p, place);
    int written[2];
    for (int i = 0; i < 2; i++)
        written[i] = pinion__places_search(p, add->operand[i], PINION__WRITE, place - 1, -1);
    int later = written[1] > written[0];
    if (!take_add(p, place, later))
        take_add(p, place, 1 - later);
}

static void fuse_activation(places *p, int place)
{
    enum pinion__activation activation = activation_at(p, place, PINION__FORWARD);
    if (activation == PINION__ACTIVATION_NONE)
        return;
    const pinion__task *relu = pinion__places_task(p, place);
    int producer = find_producer(p, pinion__tensor_of(relu, PINION__INPUT, 0), place);
    if (producer < 0)
        return;
    pinion__task fused = p->plan->tasks[producer];
    if (pinion__operand_of(&fused, PINION__ADDEND, 0) < 0 && fused.op->id != PINION__OP_add)
        return;
    fused.activation = activation;
    take_output(&fused, relu);
    if (!pinion__places_can_replace(p, producer, &fused))
        return;
    pinion__places_drop(p, place);
    pinion__places_replace(p, producer, &fused);
}

/* ---- backward ---- */

/* The next place whose batchnorm backward pass reads the gradient; -1: none. */
static int find_backward(const places *p, int gradient, int from, enum pinion__pass pass)
{
    int storage = p->plan->tensors[gradient].storage;
    for (int place = from; place < p->count; place++) {
        if (!pinion__places_is(p, place, PINION__OP_batchnorm, pass))
            continue;
        int dy = pinion__tensor_of(pinion__places_task(p, place), PINION__D_OUTPUT, 0);
        if (p->plan->tensors[dy].storage == storage)
            return place;
    }
    return -1;
}

/* The task of a batchnorm backward pass as it is when it takes the gradient behind the relu at `relu`. */
static pinion__task masking(const places *p, int place, int relu)
{
    pinion__task fused = *pinion__places_task(p, place);
    fused.activation = activation_at(p, relu, PINION__BACKWARD_DATA);
    fused.operand[pinion__operand_of(&fused, PINION__D_OUTPUT, 0)] =
        pinion__tensor_of(pinion__places_task(p, relu), PINION__D_OUTPUT, 0);
    take_in(&fused, pinion__places_task(p, relu));
    return fused;
}

/* The relu stands directly behind the batch normalisation, whose passes alone read its gradient: both mask, by the
 * normalised input. */
static bool mask_both(places *p, int place, int weights)
{
    const pinion__task *relu = pinion__places_task(p, place);
    int dx = pinion__tensor_of(relu, PINION__D_INPUT, 0), dy = pinion__tensor_of(relu, PINION__D_OUTPUT, 0);
    int data = find_backward(p, dx, place + 1, PINION__BACKWARD_DATA), end = (data > weights ? data : weights) + 1;
    bool direct = p->b->network->layers[relu->layer].inputs[0] == pinion__places_task(p, weights)->layer;
    if (!direct || pinion__places_readers(p, dx) != 1 + (data >= 0) ||
        pinion__places_search(p, dx, PINION__WRITE, place + 1, end) >= 0 ||
        pinion__places_search(p, dy, PINION__WRITE, place + 1, end) >= 0)
        return false;
    pinion__task first = masking(p, weights, place), second = first;
    if (!pinion__places_can_replace(p, p->task_at[weights], &first))
        return false;
    if (data >= 0) {
        second = masking(p, data, place);
        if (!pinion__places_can_replace(p, p->task_at[data], &second))
            return false;
        pinion__places_replace(p, p->task_at[data], &second);
    }
    pinion__places_replace(p, p->task_at[weights], &first);
    pinion__places_drop(p, place);
    return true;
}

/* The first pass masks by the stored output and leaves what the relu would have left. */
static void mask_first(places *p, int place, int weights)
{
    const pinion__task *relu = pinion__places_task(p, place);
    int dx = pinion__tensor_of(relu, PINION__D_INPUT, 0), t = p->task_at[weights];
    if (pinion__places_search(p, dx, PINION__WRITE, place + 1, weights) >= 0)
        return;
    pinion__task fused = masking(p, weights, place);
    fused.operand[pinion__operand_of(&fused, PINION__OUTPUT, 0)] = pinion__tensor_of(relu, PINION__OUTPUT, 0);
    fused.operand[pinion__operand_of(&fused, PINION__D_ADDEND, 0)] = dx;
    if (!pinion__places_can_replace(p, t, &fused))
        return;
    pinion__places_replace(p, t, &fused);
    pinion__places_drop(p, place);
    pinion__places_move(p, t, place);
}

static void fuse_mask(places *p, int place)
{
    if (activation_at(p, place, PINION__BACKWARD_DATA) == PINION__ACTIVATION_NONE)
        return;
    const pinion__task *relu = pinion__places_task(p, place);
    if (relu->accumulate)
        return;
    int dx = pinion__tensor_of(relu, PINION__D_INPUT, 0);
    int weights = find_backward(p, dx, place + 1, PINION__BACKWARD_WEIGHTS);
    if (weights >= 0 && !mask_both(p, place, weights))
        mask_first(p, place, weights);
}

static void fuse_update(places *p, int place)
{
    int t = p->task_at[place];
    if (t < 0 || !(p->plan->tasks[t].op->flags & PINION__OP_OPTIMIZER))
        return;
    const pinion__task *update = &p->plan->tasks[t];
    if (p->plan->cut.count && !p->b->layers[update->layer].whole)
        return;
    int w = pinion__tensor_of(update, PINION__PARAM, 0), dw = pinion__tensor_of(update, PINION__D_PARAM, 0);
    int at = pinion__places_search(p, dw, PINION__WRITE, place - 1, -1);
    if (at < 0 || pinion__places_readers(p, dw) != 1 || pinion__tensor_of(update, PINION__SCALE, 0) >= 0 ||
        (at + 1 < place && pinion__places_search(p, w, PINION__READ_WRITE, at + 1, place) >= 0))
        return;
    pinion__task fused = *pinion__places_task(p, at);
    if (fused.accumulate || fused.adds_up || pinion__operand_of(&fused, PINION__MOMENT, 0) < 0 ||
        pinion__tensor_of(&fused, PINION__D_PARAM, 0) != dw)
        return;
    fused.operand[pinion__operand_of(&fused, PINION__D_PARAM, 0)] = -1;
    fused.operand[pinion__operand_of(&fused, PINION__PARAM, 0)] = w;
    for (int i = 0; i < p->plan->moments_per_param; i++)
        fused.operand[pinion__operand_of(&fused, PINION__MOMENT, i)] = pinion__tensor_of(update, PINION__MOMENT, i);
    fused.update = (pinion__update){.op = update->op->id, .attributes = update->attributes};
    if (!pinion__places_can_replace(p, p->task_at[at], &fused))
        return;
    pinion__places_drop(p, place);
    pinion__places_replace(p, p->task_at[at], &fused);
}

/* ---- statistics ---- */

/* The operand by which a pass leaves statistics of its output; -1: it has none (or reads those of its input). */
static int left_stats(const pinion__task *task)
{
    int stats = pinion__operand_of(task, PINION__STATS, 0);
    return stats >= 0 && (task->op->pass[task->pass].at[stats].access & PINION__WRITE) ? stats : -1;
}

static int make_stats(places *p, int of, int *out)
{
    const pinion__tensor *x = &p->plan->tensors[of];
    pinion__tensor shape = {.role = PINION__STATS, .layer = x->layer, .h = 2, .w = 1, .c = x->c, .element_bytes = 4};
    shape.n = pinion__stats_blocks_of(x->n, x->h, x->w).count;
    return pinion__build_tensor(p->b, PINION__PLACE_ARENA, 0, &shape, out);
}

static int fuse_stats(places *p, int place)
{
    pinion_context *ctx = p->ctx;
    int status = PINION_OK;
    if (!pinion__places_is(p, place, PINION__OP_batchnorm, PINION__FORWARD))
        return PINION_OK;
    pinion__task reader = *pinion__places_task(p, place);
    int x = pinion__tensor_of(&reader, PINION__INPUT, 0);
    int at = pinion__places_search(p, x, PINION__WRITE, place - 1, -1);
    if (at < 0)
        return PINION_OK;
    pinion__task writer = *pinion__places_task(p, at);
    int stats = left_stats(&writer);
    if (stats < 0 || pinion__tensor_of(&writer, PINION__OUTPUT, 0) != x || writer.activation != PINION__ACTIVATION_NONE)
        return PINION_OK;
    bool made = writer.operand[stats] < 0;
    if (made)
        PINION_TRY(make_stats(p, x, &writer.operand[stats]));
    reader.operand[pinion__operand_of(&reader, PINION__STATS, 0)] = writer.operand[stats];
    if (pinion__places_can_replace(p, p->task_at[place], &reader) &&
        pinion__places_can_replace(p, p->task_at[at], &writer)) {
        pinion__places_replace(p, p->task_at[place], &reader);
        pinion__places_replace(p, p->task_at[at], &writer);
    } else if (made) {
        p->plan->tensor_count--;
        p->plan->storage_count--;
    }
fail:
    return status;
}

/* ---- all of it ---- */

/* "batchnorm+add+relu", "conv2d+sgd", "conv2d+stats": what a fused task does. */
static void name_task(const places *p, pinion__task *task)
{
    const char *parts[2 + PINION_MAX_FUSED] = {0};
    int count = 0;
    for (int i = 0; i < task->fused_count; i++)
        parts[count++] = p->b->network->layers[task->fused[i]].op->name;
    if (task->update.op != PINION__OP_COUNT)
        parts[count++] = pinion__op_get(task->update.op)->name;
    int stats = left_stats(task);
    if (stats >= 0 && task->operand[stats] >= 0)
        parts[count++] = "stats";
    size_t length = (size_t)snprintf(task->what, sizeof task->what, "%s", count ? task->op->name : "");
    for (int i = 0; i < count && length < sizeof task->what; i++)
        length += (size_t)snprintf(task->what + length, sizeof task->what - length, "+%s", parts[i]);
}

static int apply(places *p)
{
    pinion_context *ctx = p->ctx;
    int status = PINION_OK;
    for (int place = 0; place < p->count; place++)
        PINION_TRY(fold(p, place));
    for (int place = 0; place < p->count; place++) {
        fuse_add(p, place);
        fuse_activation(p, place);
    }
    for (int place = 0; place < p->count; place++)
        fuse_mask(p, place);
    for (int place = 0; place < p->count; place++)
        fuse_update(p, place);
    for (int place = 0; place < p->count; place++)
        PINION_TRY(fuse_stats(p, place));
    for (int t = 0; t < p->count; t++)
        name_task(p, &p->plan->tasks[t]);
fail:
    return status;
}

int pinion__build_fuse(pinion__builder *b)
{
    pinion_context *ctx = b->ctx;
    int status = PINION_OK;
    places p;
    PINION_TRY(pinion__places_init(&p, b));
    PINION_TRY(apply(&p));
    PINION_TRY(pinion__places_close(&p));
fail:
    pinion__places_fini(&p);
    return status;
}
