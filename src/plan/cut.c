/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking for the best cut of a batch (plan/cut.h). The first one divides the samples in proportion to the speeds of
 * the processors at the whole step while all of them are busy. Its plan is made, with slices' tasks timed at their
 * size; what each processor is busy with its slice gives better speeds, and so the next cut, until a cut comes again or
 * no plan gets faster. Which backward_weights are left whole is tried with the best of them: heavy ones so far, then
 * none, then all.
 */
#include "plan/cut.h"

#include "plan/build.h"
#include "plan/candidates.h"
#include "plan/co_run.h"

#include <math.h>
#include <string.h>

enum { TRIES = 4, VARIANTS = 2 };

/* All layers, or those before the weights of the others are so many times their activations. */
static const int leading[] = {0, -2, -8};

/* Processors that work at the same time, with the samples that each does in a ms. */
typedef struct team {
    int count;
    int processor[PINION__MAX_SLICES];
    double speed[PINION__MAX_SLICES];
} team;

typedef struct search {
    pinion_context *ctx;
    const pinion_network *network;
    const pinion_plan_options *options;
    pinion__processor *const *processors;
    int processor_count;
    pinion__cut tried[TRIES];
    int tries;
} search;

static bool is_wanted(const pinion_plan_options *options, const pinion__plan_tuning *tuning, const pinion_plan *plan)
{
    const char *place = options->place ? options->place : "auto";
    bool given = tuning && (tuning->cut.count || tuning->kernels || tuning->processor_of || tuning->micro_batches > 1);
    return !given && (strcmp(place, "auto") == 0 || strcmp(place, "concurrent") == 0) && plan->micro_batches == 1 &&
           !plan->lean && isfinite(plan->predicted_ms);
}

static bool is_rival(const search *s, const team *of, int processor)
{
    for (int i = 0; i < of->count; i++)
        if (pinion__processors_share_cores(s->processors[of->processor[i]], s->processors[processor]))
            return true;
    return false;
}

/* What a task of `ms` takes while the other members are busy. */
static double beside(const pinion_plan *plan, const pinion__task *task, double ms, const team *of, int member)
{
    const int work_class = (int)pinion__work_class_of(plan, task);
    for (int other = 0; other < of->count; other++)
        if (other != member)
            ms *= fmax(1, plan->slowdown[work_class][of->processor[member]][of->processor[other]]);
    return ms;
}

/* By how much the others slow a member's step. */
static double slow_down(const pinion_plan *plan, const team *of, int member)
{
    double alone = 0, busy = 0;
    for (int t = plan->prologue; t < (int)plan->task_count; t++) {
        const double ms = pinion__candidates_best_ms(plan, &plan->tasks[t], of->processor[member]);
        if (!isfinite(ms))
            continue;
        alone += ms;
        busy += beside(plan, &plan->tasks[t], ms, of, member);
    }
    return alone > 0 ? busy / alone : 1;
}

/* The fastest processors that may run at once. */
static team find_team(const search *s, const pinion_plan *plan)
{
    const double *single = plan->comparison.single_ms;
    team found = {0};
    while (found.count < PINION__MAX_SLICES) {
        int best = -1;
        for (int p = 0; p < s->processor_count; p++) {
            bool in = false;
            for (int i = 0; i < found.count; i++)
                in = in || found.processor[i] == p;
            if (!in && isfinite(single[p]) && !is_rival(s, &found, p) && (best < 0 || single[p] < single[best]))
                best = p;
        }
        if (best < 0)
            break;
        found.processor[found.count] = best;
        found.speed[found.count++] = plan->samples / single[best];
    }
    for (int member = 0; member < found.count; member++)
        found.speed[member] /= slow_down(plan, &found, member);
    return found;
}

/* Gives each sample to the member that is done with it first; those that get none take no part. */
static pinion__cut divide(const team *of, int samples)
{
    pinion__cut cut = {.whole = PINION__CUT_HEAVY};
    int n[PINION__MAX_SLICES] = {0};
    for (int i = 0; i < samples; i++) {
        int next = 0;
        for (int member = 1; member < of->count; member++)
            if ((n[member] + 1) / of->speed[member] < (n[next] + 1) / of->speed[next])
                next = member;
        n[next]++;
    }
    for (int member = 0; member < of->count; member++) {
        if (n[member] == 0)
            continue;
        cut.n[cut.count] = n[member];
        cut.processor[cut.count++] = of->processor[member];
    }
    return cut;
}

static bool was_tried(const search *s, const pinion__cut *cut)
{
    for (int i = 0; i < s->tries; i++)
        if (memcmp(&s->tried[i], cut, sizeof *cut) == 0)
            return true;
    return false;
}

/* Speeds as the slices' tasks of a plan tell. */
static void learn(const pinion_plan *plan, team *of)
{
    for (int slice = 0; slice < plan->cut.count; slice++)
        for (int member = 0; member < of->count; member++) {
            double ms = 0;
            if (of->processor[member] != plan->cut.processor[slice])
                continue;
            for (size_t t = 0; t < plan->task_count; t++)
                if (plan->tasks[t].slice == slice + 1)
                    ms += beside(plan, &plan->tasks[t], pinion__candidates_ms(plan, &plan->tasks[t]), of, member);
            of->speed[member] = ms > 0 ? plan->cut.n[slice] / ms : of->speed[member];
        }
}

/* What was found for the whole batch stays known. */
static void take_over(pinion_plan *cut, const pinion_plan *whole)
{
    pinion__comparison compared = whole->comparison;
    compared.concurrent_ms = cut->predicted_ms;
    cut->comparison = compared;
    cut->measured_tasks += whole->measured_tasks;
    cut->measuring_ms += whole->measuring_ms;
}

/* Keeps the faster one of two plans in *best. */
static void keep(pinion_plan **best, pinion_plan *plan)
{
    bool faster = plan->predicted_ms < (*best)->predicted_ms;
    pinion_plan *other = faster ? *best : plan;
    take_over(plan, *best);
    if (faster)
        *best = plan;
    else
        (*best)->measuring_ms = plan->measuring_ms, (*best)->measured_tasks = plan->measured_tasks;
    pinion_plan_destroy(other);
}

/* A plan with that cut, NULL where it is not possible. */
static int make(const search *s, const pinion__cut *cut, pinion_plan **out)
{
    const pinion__plan_tuning tuning = {.cut = *cut};
    *out = NULL;
    int status = pinion__plan_create_within(s->network, s->options, &tuning, s->processors, s->processor_count, out);
    return status == PINION_EUNSUPPORTED || status == PINION_ENOMEM ? PINION_OK : status;
}

/* Cuts by what is known of the speeds, each of which teaches more. */
static int divide_better(search *s, int layers, pinion_plan **plan)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    team of = find_team(s, *plan);
    s->tries = 0;
    while (s->tries < TRIES) {
        pinion_plan *made;
        pinion__cut cut = divide(&of, (*plan)->samples);
        cut.leading = layers;
        if (cut.count < 2 || was_tried(s, &cut))
            break;
        s->tried[s->tries++] = cut;
        PINION_TRY(make(s, &cut, &made));
        if (!made)
            break;
        learn(made, &of);
        keep(plan, made);
    }
fail:
    return status;
}

/* The same cut with other tasks left whole. */
static int leave_whole(const search *s, pinion_plan **plan)
{
    pinion_context *ctx = s->ctx;
    int status = PINION_OK;
    const pinion__cut best = (*plan)->cut;
    const int whole[VARIANTS] = {0, (int)s->network->layer_count};
    for (int i = 0; i < VARIANTS; i++) {
        pinion_plan *made;
        pinion__cut cut = best;
        cut.whole = whole[i];
        PINION_TRY(make(s, &cut, &made));
        if (made)
            keep(plan, made);
    }
fail:
    return status;
}

int pinion__cut_improve(const pinion_network *network, const pinion_plan_options *options,
                        const pinion__plan_tuning *tuning, pinion__processor *const *processors, int processor_count,
                        pinion_plan **plan)
{
    pinion_context *ctx = network->ctx;
    int status = PINION_OK;
    search s = {.ctx = ctx,
                .network = network,
                .options = options,
                .processors = processors,
                .processor_count = processor_count};
    if (!is_wanted(options, tuning, *plan))
        return PINION_OK;
    for (size_t i = 0; i < sizeof leading / sizeof *leading; i++)
        PINION_TRY(divide_better(&s, leading[i], plan));
    if ((*plan)->cut.count)
        PINION_TRY(leave_whole(&s, plan));
fail:
    return status;
}
