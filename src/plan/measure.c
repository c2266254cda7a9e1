/* SPDX-License-Identifier: Apache-2.0
 *
 * What is timed, in which order, and for how long (plan/measure.h); contest.c does the timing. Records that leave a
 * choice, of a kernel or of a processor, come first, the heaviest before others, so that the time there is goes where
 * it decides something; the records of a task's work on all processors stand together.
 */
#include "plan/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "plan/co_run.h"
#include "plan/contest.h"
#include "plan/hand_over_costs.h"
#include "plan/wisdom.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What a level of patience means; the time is for each processor. */
typedef struct level {
    double limit_ms;
    pinion__effort effort;
} level;

static const level levels[] = {
    [PINION_PATIENCE_MEASURE] = {20e3, {true, 0, 2, 5, 6, 1.5}},
    [PINION_PATIENCE_PATIENT] = {120e3, {false, 0, 5, 15, 600, 1.5}},
};

typedef struct survey {
    pinion_plan *plan;
    pinion__wisdom *wisdom;
    enum pinion_patience patience;
    int64_t begin_ns;
    double limit_ms;
    int left_out; /* records that were not timed */
} survey;

static double elapsed_ms(const survey *s)
{
    return (double)(pinion__now_ns() - s->begin_ns) * 1e-6;
}

static int64_t end_ns(const survey *s)
{
    return s->begin_ns + (int64_t)(s->limit_ms * 1e6);
}

/* A record that waits to be measured. */
typedef struct waiting {
    int record;
    bool choice;
    double macs;
    size_t bytes;
} waiting;

static int compare(const void *left, const void *right)
{
    const waiting *a = left, *b = right;
    if (a->choice != b->choice)
        return a->choice ? -1 : 1;
    if (a->macs != b->macs)
        return a->macs > b->macs ? -1 : 1;
    return a->record - b->record;
}

/* The records whose times are not known well enough, in the order in which they are measured. */
static size_t list_waiting(const survey *s, waiting *list)
{
    const pinion_plan *plan = s->plan;
    size_t count = 0;
    for (int r = 0; r < (int)plan->record_count; r++) {
        const pinion__record *record = &plan->records[r];
        if (record->level >= s->patience || record->count == 0)
            continue;
        list[count++] = (waiting){.record = r,
                                  .choice = record->count > 1 || plan->processor_count > 1,
                                  .macs = plan->tasks[record->task].macs,
                                  .bytes = pinion__bench_bytes(plan, record)};
    }
    qsort(list, count, sizeof *list, compare);
    return count;
}

/* Half of the memory there is; what a domain holds beside it counts too. */
static size_t block_limit(const survey *s)
{
    const uint64_t most = s->plan->ctx->system_memory ? pinion__memory_available_bytes() / 4 : UINT64_MAX;
    return most < SIZE_MAX ? (size_t)most : SIZE_MAX;
}

/* The largest of all records that fit. */
static size_t block_bytes(const survey *s, const waiting *list, size_t count)
{
    const size_t most = block_limit(s);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        if (list[i].bytes <= most && list[i].bytes > bytes)
            bytes = list[i].bytes;
    return bytes;
}

static void report(const survey *s, int tasks, int pairs)
{
    char rest[96] = "", beside[64] = "";
    if (s->left_out > 0)
        snprintf(rest, sizeof rest, "; %d are not measured: %s", s->left_out,
                 elapsed_ms(s) < s->limit_ms ? "too little memory" : "it would take too long");
    if (pairs > 0)
        snprintf(beside, sizeof beside, ", %d beside others,", pairs);
    pinion__log(s->plan->ctx, PINION_LOG_INFO, "measured %d task%s%s in %.1f s%s", tasks, tasks == 1 ? "" : "s", beside,
                elapsed_ms(s) * 1e-3, rest);
}

/* A record of the same key, on a processor that is alike, may have been measured since this one was looked up. */
static int measure_record(survey *s, pinion__bench *bench, pinion__record *record)
{
    pinion_plan *plan = s->plan;
    pinion__effort effort = levels[s->patience].effort;
    if (!plan->anew)
        pinion__wisdom_look_up(s->wisdom, plan, record);
    if (record->level >= s->patience || atomic_load(&plan->processors[record->processor]->failure))
        return PINION_OK;
    effort.until_ns = end_ns(s);
    int status = pinion__contest_run(bench, record, &effort);
    if (atomic_load(&plan->processors[record->processor]->failure)) {
        pinion__log(plan->ctx, PINION_LOG_WARNING, "%s: it is left out", pinion_context_error(plan->ctx));
        return PINION_OK;
    }
    if (status < 0)
        return status;
    plan->measured_tasks++;
    return pinion__wisdom_keep(s->wisdom, plan, record, s->patience);
}

static void tell(const survey *s, size_t done, size_t count)
{
    const pinion_plan_options *options = &s->plan->options;
    if (options->measuring)
        options->measuring(options->measuring_user, (int)done, (int)count);
}

/* Processors that may run at once; returns how many pairs. Where that fails, tasks count as undisturbed. */
static int measure_pairs(const survey *s)
{
    int measured = 0;
    if (pinion__co_run_measure(s->plan, s->wisdom, block_limit(s), end_ns(s), &measured) < 0)
        pinion__log(s->plan->ctx, PINION_LOG_WARNING, "%s: pairs of processors are not measured",
                    pinion_context_error(s->plan->ctx));
    return measured;
}

static int measure_all(survey *s, waiting *list)
{
    pinion_context *ctx = s->plan->ctx;
    int status = PINION_OK;
    size_t count = list_waiting(s, list), bytes = block_bytes(s, list, count);
    pinion__bench bench = {.plan = s->plan};
    if (count == 0)
        return PINION_OK;
    if (pinion__bench_init(&bench, s->plan, bytes) < 0) {
        pinion__log(ctx, PINION_LOG_WARNING, "%s: nothing is measured", pinion_context_error(ctx));
        goto fail;
    }
    for (size_t i = 0; i < count; i++) {
        tell(s, i, count);
        if (list[i].bytes <= bytes && elapsed_ms(s) < s->limit_ms)
            PINION_TRY(measure_record(s, &bench, &s->plan->records[list[i].record]));
        else
            s->left_out++;
    }
    tell(s, count, count);
fail:
    pinion__bench_fini(&bench);
    return status;
}

static int measure(survey *s, waiting *list)
{
    pinion_context *ctx = s->plan->ctx;
    int status = PINION_OK;
    bool hand_overs = false;
    s->begin_ns = pinion__now_ns();
    s->limit_ms = levels[s->patience].limit_ms * s->plan->processor_count;
    PINION_TRY(pinion__hand_over_costs_measure(s->plan, s->wisdom, s->patience, &hand_overs));
    int before = s->plan->measured_tasks;
    PINION_TRY(measure_all(s, list));
    const int tasks = s->plan->measured_tasks - before, pairs = measure_pairs(s);
    s->plan->measuring_ms += elapsed_ms(s);
    if (tasks || pairs || s->left_out)
        report(s, tasks, pairs);
    if (hand_overs || pairs || tasks)
        pinion__wisdom_save(s->wisdom);
fail:
    return status;
}

int pinion__measure(pinion_plan *plan, enum pinion_patience patience)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    waiting *list = NULL;
    survey s = {.plan = plan, .patience = patience};
    PINION_TRY(pinion__wisdom_open(ctx, patience > PINION_PATIENCE_ESTIMATE, &s.wisdom));
    for (size_t r = 0; s.wisdom && !plan->anew && r < plan->record_count; r++)
        pinion__wisdom_look_up(s.wisdom, plan, &plan->records[r]);
    pinion__hand_over_costs_look_up(plan, s.wisdom);
    pinion__co_run_look_up(plan, s.wisdom);
    if (patience > PINION_PATIENCE_ESTIMATE) {
        PINION_TRY(pinion__alloc(ctx, plan->record_count + 1, sizeof *list, "tasks that are timed", &list));
        PINION_TRY(measure(&s, list));
    }
fail:
    pinion__release(ctx, list);
    return status;
}
