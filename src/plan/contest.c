/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing candidates (plan/contest.h).
 */
#include "plan/contest.h"

#include "base/clock.h"

#include <math.h>

enum { MAX_SAMPLES = 15 };

/* A candidate that is being timed. */
typedef struct contest {
    pinion__candidate *candidate;
    pinion__trial trial;
    double samples[MAX_SAMPLES];
    int count;
    bool given_up;
} contest;

typedef struct match {
    pinion__bench *bench;
    const pinion__effort *effort;
    contest *contests;
    int count;
} match;

static double best_sample(const contest *at)
{
    double best = (double)INFINITY;
    for (int i = 0; i < at->count; i++)
        best = at->samples[i] < best ? at->samples[i] : best;
    return best;
}

static double best_of(const contest *contests, int count)
{
    double best = (double)INFINITY;
    for (int i = 0; i < count; i++)
        best = fmin(best, best_sample(&contests[i]));
    return best;
}

static int enter(const match *m, contest *at)
{
    return pinion__trial_enter(&at->trial, m->bench, at->candidate->kernel);
}

static bool is_over(const match *m)
{
    return pinion__now_ns() >= m->effort->until_ns;
}

/* A few runs. The first is not counted, but tells the hopeless, where it takes long enough to mean anything. */
static void time_one(const pinion__effort *how, contest *at, double best)
{
    double first = pinion__trial_run(&at->trial, 1), spent = 0;
    if (first > 2 * best + 0.2) {
        double second = pinion__trial_run(&at->trial, 1); /* the first may have been disturbed */
        at->samples[at->count++] = first < second ? first : second;
        if (at->samples[0] > 2 * best)
            return;
    }
    while (at->count < how->max_runs && (at->count < how->min_runs || spent < how->enough_ms)) {
        double ms = pinion__trial_run(&at->trial, 1);
        at->samples[at->count++] = ms;
        spent += ms;
        if (ms > how->hopeless * best)
            break;
    }
}

static void time_in_turn(match *m)
{
    for (int i = 0; i < m->count && !is_over(m); i++) {
        contest *at = &m->contests[i];
        if (enter(m, at) == PINION_OK)
            time_one(m->effort, at, best_of(m->contests, i));
        pinion__trial_leave(&at->trial);
        if (isfinite(best_sample(at)))
            at->candidate->ms = best_sample(at);
    }
}

/* One round through all that are not hopeless; round -1 warms up. Returns what it took. */
static double time_round(match *m, int round)
{
    double spent = 0;
    for (int i = 0; i < m->count; i++) {
        contest *at = &m->contests[i];
        if (at->given_up)
            continue;
        /* In the block the scratch and prepared weights of another were there. */
        bool again = round < 0 || (m->count > 1 && !at->trial.processor->domain);
        at->given_up = again && enter(m, at) < 0;
        if (at->given_up)
            continue;
        double ms = pinion__trial_run(&at->trial, 1);
        if (round >= 0)
            at->samples[at->count++] = ms;
        spent += ms;
    }
    return spent;
}

/* Round by round, so that what disturbs the machine disturbs all alike. */
static void time_alternately(match *m)
{
    const pinion__effort *how = m->effort;
    double spent = 0;
    for (int round = -1; round < how->max_runs && round < MAX_SAMPLES && !is_over(m); round++) {
        spent += time_round(m, round);
        if (round + 1 < how->min_runs)
            continue;
        for (int i = 0; i < m->count; i++)
            m->contests[i].given_up = best_sample(&m->contests[i]) > how->hopeless * best_of(m->contests, m->count);
        if (spent > how->enough_ms)
            break;
    }
    for (int i = 0; i < m->count; i++) {
        contest *at = &m->contests[i];
        pinion__trial_leave(&at->trial);
        double median = at->count > 0 ? pinion__summarise(at->samples, (size_t)at->count).median : (double)INFINITY;
        if (isfinite(median))
            at->candidate->ms = median;
    }
}

/* An array of contests for the record's candidates. */
static int make_contests(match *m, const pinion__record *record)
{
    pinion_plan *plan = m->bench->plan;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    m->count = record->count < PINION__CONTEST_CANDIDATES ? record->count : PINION__CONTEST_CANDIDATES;
    PINION_TRY(
        pinion__alloc_zeroed(ctx, (size_t)m->count + 1, sizeof *m->contests, "tasks that are timed", &m->contests));
    for (int i = 0; i < m->count; i++)
        m->contests[i].candidate = &plan->candidates[record->first + i];
fail:
    return status;
}

int pinion__contest_run(pinion__bench *bench, const pinion__record *record, const pinion__effort *effort)
{
    pinion_context *ctx = bench->plan->ctx;
    int status = PINION_OK;
    pinion__processor *processor = bench->plan->processors[record->processor];
    match m = {.bench = bench, .effort = effort};
    PINION_TRY(make_contests(&m, record));
    PINION_TRY(pinion__bench_put(bench, record));
    pinion__workers_keep_awake(processor->workers, true);
    (effort->in_turn ? time_in_turn : time_alternately)(&m);
    pinion__workers_keep_awake(processor->workers, false);
    for (int i = 0; i < m.count; i++)
        m.contests[i].candidate->repetitions = isfinite(m.contests[i].candidate->ms) ? m.contests[i].count : 0;
    status = atomic_load(&processor->failure);
fail:
    pinion__release(ctx, m.contests);
    return status;
}
