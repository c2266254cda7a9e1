/* SPDX-License-Identifier: Apache-2.0
 *
 * A review of a schedule: does it obey the rules of placement.h, with hand-overs as the ledger makes them?
 */
#ifndef TESTS_PLAN_PLACEMENT_REVIEW_H
#define TESTS_PLAN_PLACEMENT_REVIEW_H

#include "plan/placement_ledger.h"

typedef struct span {
    double begin, end;
    int task; /* -1: none */
    int processor;
} span;

/* A schedule with its tasks numbered by their starts. */
typedef struct review {
    bed *b;
    const bed *of;
    const pinion__schedule *schedule;
    int rank[MAX_TASKS], processor[MAX_TASKS]; /* by task of `of`; by rank */
    double start[MAX_TASKS], end[MAX_TASKS], hand_over[MAX_TASKS];
    span spans[2 * MAX_TASKS];
    int span_count;
    double home_ms;
} review;

static inline int compare_uses(const void *a, const void *b)
{
    const pinion__placement_use *left = a, *right = b;
    return (left->task > right->task) - (left->task < right->task);
}

/* The problem with its tasks in the order of the schedule. */
static inline review *begin_review(const bed *b, const pinion__schedule *schedule)
{
    review *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->b = malloc(sizeof *r->b);
    assert_non_null(r->b);
    memcpy(r->b, b, sizeof *b);
    r->of = b;
    r->schedule = schedule;
    const int tasks = b->problem.task_count, processors = b->problem.processor_count;
    memset(r->rank, -1, sizeof r->rank);
    for (int i = 0; i < tasks; i++) {
        int task = schedule->order[i];
        assert_true(task >= 0 && task < tasks && r->rank[task] < 0);
        r->rank[task] = i;
        r->processor[i] = schedule->placement.processor[task];
        r->start[i] = schedule->start_ms[task];
        r->end[i] = schedule->end_ms[task];
        r->b->times[i] = b->times[task];
        r->b->work_class[i] = b->work_class[task];
        for (int p = 0; p < processors; p++)
            r->b->ms[i * processors + p] = b->ms[task * processors + p];
    }
    r->b->problem.times = b->problem.times ? r->b->times : NULL;
    for (int s = 0; s < b->problem.storage_count; s++) {
        pinion__placement_use *uses = &r->b->uses[b->storages[s].first_use];
        for (int i = 0; i < b->storages[s].use_count; i++)
            uses[i].task = r->rank[uses[i].task];
        qsort(uses, (size_t)b->storages[s].use_count, sizeof *uses, compare_uses);
    }
    return r;
}

static inline bool clearly_less(double a, double b)
{
    return a < b - 1e-9 * (1 + b);
}

static inline bool not_before(double late, double early)
{
    return late >= early - 1e-9 * (1 + fabs(early));
}

static inline void check_order(const review *r)
{
    const bed *b = r->of;
    const pinion__schedule *schedule = r->schedule;
    const double *start = schedule->start_ms, *end = schedule->end_ms;
    for (int i = 1; i < b->problem.task_count; i++)
        assert_true(r->start[i] >= r->start[i - 1]);
    for (int s = 0; s < b->problem.storage_count; s++)
        for (int i = 0; i < b->storages[s].use_count; i++)
            for (int k = 0; k < i; k++) {
                const pinion__placement_use *early = &b->uses[b->storages[s].first_use + k],
                                            *late = &b->uses[b->storages[s].first_use + i];
                if (!early->writes && !late->writes)
                    continue;
                assert_true(not_before(start[late->task], end[early->task]));
                assert_true(r->rank[early->task] < r->rank[late->task]);
            }
    for (int i = 0; i < b->problem.edge_count; i++)
        assert_true(not_before(start[b->edges[i][1]], end[b->edges[i][0]]));
    for (int t = 0; t < b->problem.task_count && b->problem.times; t++)
        for (int u = 0; u < t; u++)
            assert_true(b->times[u] == b->times[t] || not_before(start[t], end[u]));
}

/* A hand-over before task `now`: nobody is using the storage on a side that loses it. */
static inline void check_taken(const review *r, int storage, int now, hands from, hands to)
{
    const pinion__placement_storage *of = &r->b->storages[storage];
    for (int i = 0; i < of->use_count; i++) {
        int user = r->b->uses[of->first_use + i].task;
        bool device = r->b->device[r->processor[user]];
        bool loses = device ? from.device && !to.device : from.host && !to.host;
        if (user < now && loses)
            assert_true(not_before(r->start[now], r->end[user]));
    }
}

static inline void walk_storage(review *r, int storage)
{
    const bed *b = r->b;
    const pinion__placement_storage *of = &b->storages[storage];
    const bool wanted = ledger_wanted(b, storage);
    const bool away = !of->host_home && clearly_less(ledger_storage(b, storage, r->processor, true),
                                                     ledger_storage(b, storage, r->processor, false));
    const hands home = {.host = !away, .device = away};
    hands now = home;
    int mover = -1; /* the task whose hand-over of it was the last */
    for (int i = 0; i < of->use_count; i++) {
        const pinion__placement_use *use = &b->uses[of->first_use + i];
        const int t = use->task;
        hands next = hands_after(now, b->device[r->processor[t]], use->writes, b->costs.copies);
        if (mover >= 0)
            assert_true(
                not_before(r->start[t], r->schedule->start_ms[r->schedule->order[mover]] + r->hand_over[mover]) ||
                mover == t);
        if (next.host != now.host || next.device != now.device) {
            check_taken(r, storage, t, now, next);
            mover = t;
        }
        now = next;
        if (i + 1 < of->use_count && ledger_times(b, use[1].task) == ledger_times(b, t))
            continue;
        r->home_ms += ledger_move(b, storage, now, home, wanted);
        now = home;
        mover = -1;
    }
}

static inline void count_hand_overs(review *r)
{
    const bed *b = r->b;
    for (int s = 0; s < b->problem.storage_count; s++) {
        const pinion__placement_storage *of = &b->storages[s];
        const bool away = !of->host_home && clearly_less(ledger_storage(b, s, r->processor, true),
                                                         ledger_storage(b, s, r->processor, false));
        const hands home = {.host = !away, .device = away};
        hands now = home;
        for (int i = 0; i < of->use_count; i++) {
            const pinion__placement_use *use = &b->uses[of->first_use + i];
            hands next = hands_after(now, b->device[r->processor[use->task]], use->writes, b->costs.copies);
            r->hand_over[use->task] += ledger_move(b, s, now, next, use->reads);
            bool last = i + 1 == of->use_count || ledger_times(b, use[1].task) != ledger_times(b, use->task);
            now = last ? home : next;
        }
    }
}

static inline double most_slowdown(const bed *b, int t, int p)
{
    const int work_class = b->problem.work_class ? b->work_class[t] : 0;
    const double *row = &b->slowdown[(work_class * b->problem.processor_count + p) * b->problem.processor_count];
    double factor = 1;
    for (int q = 0; q < p && b->problem.slowdown; q++)
        factor *= row[q];
    for (int q = p + 1; q < b->problem.processor_count && b->problem.slowdown; q++)
        factor *= row[q];
    return factor;
}

static inline void check_lengths(review *r)
{
    const bed *b = r->b;
    for (int t = 0; t < b->problem.task_count; t++) {
        const int p = r->processor[t];
        double ms = b->ms[t * b->problem.processor_count + p], length = r->end[t] - r->start[t];
        assert_true(isfinite(ms));
        assert_true(not_before(length, ms + r->hand_over[t]));
        assert_true(not_before(ms * most_slowdown(b, t, p) + r->hand_over[t], length));
    }
}

/* Hand-overs are made by the task's processor, or the first of the domain. */
static inline void lay_out_spans(review *r)
{
    const bed *b = r->b;
    int domain = -1;
    for (int p = b->problem.processor_count - 1; p >= 0; p--)
        domain = b->device[p] ? p : domain;
    for (int t = 0; t < b->problem.task_count; t++) {
        const int p = r->processor[t];
        r->spans[r->span_count++] = (span){r->start[t], r->end[t], t, p};
        if (!b->device[p] && r->hand_over[t] > 0)
            r->spans[r->span_count++] = (span){r->start[t], r->start[t] + r->hand_over[t], t, domain};
    }
}

static inline void check_processors(const review *r)
{
    const bed *b = r->b;
    for (int i = 0; i < r->span_count; i++)
        for (int k = 0; k < i; k++) {
            const span *x = &r->spans[i], *y = &r->spans[k];
            if (x->task == y->task || (x->processor != y->processor && !(b->rivals[x->processor] >> y->processor & 1)))
                continue;
            assert_true(not_before(x->begin, y->end) || not_before(y->begin, x->end));
        }
}

/* The step is as long as its tasks, and at most longer by what goes home. */
static inline void check_ms(const review *r)
{
    const bed *b = r->b;
    double sum = 0, begin = 0;
    for (int t = 0; t < b->problem.task_count;) {
        double end = begin;
        int first = t;
        for (; t < b->problem.task_count && ledger_times(b, t) == ledger_times(b, first); t++)
            end = fmax(end, r->end[t]);
        double next = t < b->problem.task_count ? r->start[t] : end;
        sum += fmax(end, next) * ledger_times(b, first) - begin * ledger_times(b, first);
        begin = fmax(end, next);
    }
    double longest = 1;
    for (int t = 0; t < b->problem.task_count; t++)
        if (ledger_times(b, t) > longest)
            longest = ledger_times(b, t);
    assert_true(not_before(sum + longest * r->home_ms, r->schedule->placement.ms));
    if (r->home_ms <= 0)
        expect_near(r->schedule->placement.ms, sum);
    else if (!b->problem.times)
        assert_true(not_before(r->schedule->placement.ms, sum));
}

static inline void check_schedule(const bed *b, const pinion__schedule *schedule)
{
    review *r = begin_review(b, schedule);
    check_order(r);
    count_hand_overs(r);
    for (int s = 0; s < b->problem.storage_count; s++)
        walk_storage(r, s);
    check_lengths(r);
    lay_out_spans(r);
    check_processors(r);
    check_ms(r);
    free(r->b);
    free(r);
}

#endif
