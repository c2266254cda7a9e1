/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans within a limit on memory. Whatever the limit is, the same plans are looked at in the same order: the batch in
 * one part, in two, in the next divisor of it; and of each the plain plan, then those with more and more activations
 * recomputed (recompute.c). The first that fits is taken. So a limit that works for one plan is found again by it, and
 * the smallest limit that works, which a refusal names, is the smallest total among them all.
 */
#include "plan/build.h"
#include "plan/candidates.h"
#include "plan/measure.h"

enum { WORTH = 10 }; /* without need, recomputation must save one in so many of all bytes */

static size_t padded_batch_bytes(const pinion_plan *plan)
{
    const pinion_shape *shape = &plan->network->input;
    return sizeof(float) * (size_t)plan->samples * (size_t)shape->h * (size_t)shape->w * (size_t)shape->c;
}

static size_t state_bytes(const pinion_network *network)
{
    size_t bytes = 0;
    for (size_t p = 0; p < network->param_count; p++)
        bytes += network->params[p].state ? network->params[p].bytes : 0;
    return bytes;
}

size_t pinion__plan_fixed_bytes(const pinion_plan *plan)
{
    bool training = plan->options.mode == PINION_TRAIN;
    return plan->moments_bytes + plan->prepared_bytes + plan->input_bytes +
           (training ? state_bytes(plan->network) : padded_batch_bytes(plan));
}

size_t pinion__plan_total_bytes(const pinion_plan *plan)
{
    return plan->network->block_bytes + pinion__plan_fixed_bytes(plan) + plan->arena_bytes;
}

/* Updates stand behind everything that the parts do. */
static int count_part_tasks(const pinion_plan *plan)
{
    int t = 0;
    while (t < (int)plan->task_count && (plan->micro_batches == 1 || plan->tasks[t].pass != PINION__UPDATE))
        t++;
    return t;
}

/* Recomputed tasks that are other work than what they repeat (normalise) are not among those that selection timed. */
static int time_recomputed(pinion_plan *plan, const pinion__plan_tuning *tuning)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    bool added;
    PINION_TRY(pinion__candidates_add(plan, &added));
    if (added)
        PINION_TRY(pinion__measure(plan, tuning->kernels ? PINION_PATIENCE_ESTIMATE : plan->options.patience));
fail:
    return status;
}

/* Computes activations once more as far as the limit, or the share of time for it, asks for. Where the batch is cut
 * only the limit does: what a slice computes once more all the others wait for. */
static int recompute(pinion_plan *plan, const pinion__plan_tuning *tuning)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    size_t limit = plan->options.memory_limit;
    PINION_TRY(pinion__plan_layout(plan, false));
    size_t total = pinion__plan_total_bytes(plan), fixed = total - plan->arena_bytes, worth = total / WORTH;
    if (limit && total > limit)
        PINION_TRY(pinion__plan_recompute(plan, limit > fixed ? limit - fixed : 0));
    else if (plan->options.recompute_share > 0 && plan->arena_bytes > worth && !plan->cut.count)
        PINION_TRY(
            pinion__plan_recompute_cheaply(plan, (double)plan->options.recompute_share, plan->arena_bytes - worth));
    PINION_TRY(time_recomputed(plan, tuning));
fail:
    return status;
}

int pinion__plan_fit(pinion_plan *plan, const pinion__plan_tuning *tuning)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    plan->part_end = count_part_tasks(plan);
    if (plan->options.mode == PINION_TRAIN && !tuning->separate)
        PINION_TRY(recompute(plan, tuning));
    plan->part_end = count_part_tasks(plan);
    PINION_TRY(pinion__plan_hand_over(plan));
    PINION_TRY(pinion__plan_layout(plan, tuning->separate));
fail:
    return status;
}

/* What is looked for, and what was found on the way. */
typedef struct request {
    pinion_context *ctx;
    const pinion_network *network;
    const pinion_plan_options *options;
    const pinion__plan_tuning *tuning;
    pinion__processor *const *processors;
    int processor_count;
    size_t smallest; /* total of a plan so far */
    int parts;       /* that it has */
} request;

static int refuse(const request *r)
{
    const pinion_plan_options *options = r->options;
    const char *work = options->mode == PINION_TRAIN ? "training" : "running";
    return pinion__fail(r->ctx, __FILE__, __LINE__, PINION_ENOMEM,
                        "memory limit: %s '%s' at batch %d does not fit in %zu bytes; the smallest limit that works is "
                        "%zu bytes (%.1f MiB), in %d micro-batch%s of %d",
                        work, r->network->name, options->batch, options->memory_limit, r->smallest,
                        (double)r->smallest / 1048576, r->parts, r->parts == 1 ? "" : "es", options->batch / r->parts);
}

static int try_parts(request *r, const pinion_plan_options *options, int parts, bool lean, pinion_plan **out)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    pinion_plan *plan;
    PINION_TRY(pinion__plan_create_parts(r->network, options, r->tuning, r->processors, r->processor_count, parts, lean,
                                         &plan));
    size_t total = pinion__plan_total_bytes(plan);
    if (!options->memory_limit || total <= options->memory_limit) {
        *out = plan;
        return PINION_OK;
    }
    pinion_plan_destroy(plan);
    r->parts = total < r->smallest ? parts : r->parts;
    r->smallest = total < r->smallest ? total : r->smallest;
fail:
    return status;
}

/* *out stays NULL where nothing fits. */
static int try_all(request *r, const pinion_plan_options *options, pinion_plan **out)
{
    pinion_context *ctx = r->ctx;
    int status = PINION_OK;
    int given = !r->tuning ? 0 : r->tuning->cut.count ? 1 : r->tuning->micro_batches;
    given = options->mode == PINION_TRAIN && options->prior ? 1 : given;
    int variants = options->mode == PINION_INFER && options->memory_limit ? 2 : 1;
    for (int lean = 0; lean < variants; lean++)
        for (int parts = 1; parts <= options->batch && !*out; parts++)
            if (options->batch % parts == 0 && (!given || parts == given))
                PINION_TRY(try_parts(r, options, parts, lean != 0, out));
fail:
    return status;
}

int pinion__plan_create_within(const pinion_network *network, const pinion_plan_options *options,
                               const pinion__plan_tuning *tuning, pinion__processor *const *processors,
                               int processor_count, pinion_plan **out)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    request r = {ctx, network, options, tuning, processors, processor_count, SIZE_MAX, 1};
    pinion_plan *quick = NULL, *plan = NULL;
    if (!options->memory_limit || options->patience == PINION_PATIENCE_ESTIMATE) {
        PINION_TRY(try_all(&r, options, &plan));
    } else {
        pinion_plan_options estimate = *options;
        estimate.patience = PINION_PATIENCE_ESTIMATE;
        PINION_TRY(try_all(&r, &estimate, &quick));
        if (quick)
            PINION_TRY(try_parts(&r, options, quick->micro_batches, quick->lean, &plan));
        if (plan)
            pinion_plan_destroy(quick);
        else
            plan = quick;
        quick = NULL;
    }
    if (!plan)
        PINION_TRY(refuse(&r));
    *out = plan;
    return PINION_OK;
fail:
    pinion_plan_destroy(quick);
    return status;
}
