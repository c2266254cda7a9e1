/* SPDX-License-Identifier: Apache-2.0
 *
 * Concurrent placements: every schedule is checked against the rules of placement.h with hand-overs as the ledger makes
 * them, between the bound and the serial optimum; and against all schedules of problems of few tasks.
 */
#include "plan/placement_bed.h"

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

static int compare_uses(const void *a, const void *b)
{
    const pinion__placement_use *left = a, *right = b;
    return (left->task > right->task) - (left->task < right->task);
}

/* The problem with its tasks in the order of the schedule. */
static review *begin_review(const bed *b, const pinion__schedule *schedule)
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

static bool clearly_less(double a, double b)
{
    return a < b - 1e-9 * (1 + b);
}

static bool not_before(double late, double early)
{
    return late >= early - 1e-9 * (1 + fabs(early));
}

static void check_order(const review *r)
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
static void check_taken(const review *r, int storage, int now, hands from, hands to)
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

static void walk_storage(review *r, int storage)
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

static void count_hand_overs(review *r)
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

static double most_slowdown(const bed *b, int p)
{
    const double *row = &b->slowdown[p * b->problem.processor_count];
    double factor = 1;
    for (int q = 0; q < p && b->problem.slowdown; q++)
        factor *= row[q];
    for (int q = p + 1; q < b->problem.processor_count && b->problem.slowdown; q++)
        factor *= row[q];
    return factor;
}

static void check_lengths(review *r)
{
    const bed *b = r->b;
    for (int t = 0; t < b->problem.task_count; t++) {
        const int p = r->processor[t];
        double ms = b->ms[t * b->problem.processor_count + p], length = r->end[t] - r->start[t];
        assert_true(isfinite(ms));
        assert_true(not_before(length, ms + r->hand_over[t]));
        assert_true(not_before(ms * most_slowdown(b, p) + r->hand_over[t], length));
    }
}

/* Hand-overs are made by the task's processor, or the first of the domain. */
static void lay_out_spans(review *r)
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

static void check_processors(const review *r)
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
static void check_ms(const review *r)
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

static void check_schedule(const bed *b, const pinion__schedule *schedule)
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

/* Rivals, edges and slowing each other down for a problem that has none. */
static void draw_concurrency(bed *b)
{
    const int processors = b->problem.processor_count, tasks = b->problem.task_count;
    for (int p = 0; p < processors; p++)
        for (int q = 0; q < p; q++)
            if (bed_draw(b, 4) == 0) {
                b->rivals[p] |= UINT32_C(1) << q;
                b->rivals[q] |= UINT32_C(1) << p;
            }
    b->problem.edge_count = tasks > 1 ? (int)bed_draw(b, 4) : 0;
    for (int i = 0; i < b->problem.edge_count; i++) {
        b->edges[i][0] = (int)bed_draw(b, (uint32_t)tasks - 1);
        b->edges[i][1] = b->edges[i][0] + 1 + (int)bed_draw(b, (uint32_t)(tasks - 1 - b->edges[i][0]));
    }
    for (int i = 0; i < processors * processors; i++)
        b->slowdown[i] = bed_uniform(b, 1, 1.5);
    b->problem.slowdown = bed_draw(b, 2) ? b->slowdown : NULL;
}

static void schedules_obey_all_rules(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    int gains = 0, parallel = 0;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        bed *b = bed_draw_problem(ctx, seed, 1 + (int)(seed % 4), 6);
        draw_concurrency(b);
        pinion__placement serial;
        pinion__schedule schedule;
        int status = pinion__place_serial(&b->problem, &serial);
        assert_true(status == PINION_OK || status == PINION_EUNSUPPORTED);
        assert_int_equal(pinion__place_concurrent(&b->problem, &schedule), PINION_OK);
        check_schedule(b, &schedule);
        assert_true(not_before(schedule.placement.ms, pinion__placement_bound(&b->problem, false)));
        assert_true(pinion__placement_cut_bound(&b->problem) <= pinion__placement_bound(&b->problem, false) + 1e-9);
        if (status == PINION_OK) {
            assert_true(not_before(serial.ms, schedule.placement.ms));
            gains += schedule.placement.ms < 0.99 * serial.ms;
        }
        for (int i = 1; i < b->problem.task_count; i++)
            parallel += schedule.start_ms[schedule.order[i]] < schedule.end_ms[schedule.order[i - 1]] - 1e-9;
        pinion__placement_fini(ctx, &serial);
        pinion__schedule_fini(ctx, &schedule);
        free(b);
    }
    print_message("%d of 120 are faster than serial, %d tasks start beside another\n", gains, parallel);
    assert_true(gains > 30 && parallel > 200);
    close_context(ctx);
}

static void same_problem_same_schedule(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bed *b = bed_draw_problem(ctx, seed, 3, 6);
        pinion__schedule one, two;
        assert_int_equal(pinion__place_concurrent(&b->problem, &one), PINION_OK);
        assert_int_equal(pinion__place_concurrent(&b->problem, &two), PINION_OK);
        size_t tasks = (size_t)b->problem.task_count;
        assert_memory_equal(one.placement.processor, two.placement.processor, tasks * sizeof(int));
        assert_memory_equal(one.order, two.order, tasks * sizeof(int));
        assert_memory_equal(one.start_ms, two.start_ms, tasks * sizeof(double));
        pinion__schedule_fini(ctx, &one);
        pinion__schedule_fini(ctx, &two);
        free(b);
    }
    close_context(ctx);
}

/* Three tasks that know nothing of each other, one for each processor, which all begin at 0; tasks 0 and 2 slow each
 * other by 1.5, the other pairs by 1.2. */
static void running_beside_others_slows(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    bed *b = bed_create(ctx, 1, 3);
    static const double work[3] = {1, 4, 8};
    for (int t = 0; t < 3; t++) {
        int storage = bed_storage(b, 8);
        (void)bed_task(b, "task", -1);
        bed_write(b, storage);
        for (int p = 0; p < 3; p++) {
            b->ms[t * 3 + p] = p == t ? work[t] : HUGE_VAL;
            b->slowdown[t * 3 + p] = p == t ? 1 : (p + t) % 2 ? 1.2 : 1.5;
        }
    }
    bed_finish(b);
    bed_board(b, false);
    b->problem.slowdown = b->slowdown;
    pinion__schedule schedule;
    assert_int_equal(pinion__place_concurrent(&b->problem, &schedule), PINION_OK);
    for (int t = 0; t < 3; t++)
        expect_near(schedule.start_ms[t], 0);
    const double first = 1 * 1.2 * 1.5;                     /* beside 1 and 2 */
    const double second = first + (4 - first / 1.44) * 1.2; /* beside 0 and 2, then 2 */
    const double third = second + 8 - first / 1.8 - (second - first) / 1.2;
    expect_near(schedule.end_ms[0], first);
    expect_near(schedule.end_ms[1], second);
    expect_near(schedule.end_ms[2], third);
    expect_near(schedule.placement.ms, third);
    pinion__schedule_fini(ctx, &schedule);
    free(b);
    close_context(ctx);
}

/* Where it costs more than it gives, one task at a time is what comes out. */
static void serial_stands_where_nothing_is_gained(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    int same = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        bed *b = bed_draw_problem(ctx, seed, 2, 5);
        b->problem.slowdown = b->slowdown;
        for (int i = 0; i < 4; i++)
            b->slowdown[i] = 4;
        pinion__placement serial;
        pinion__schedule schedule;
        assert_int_equal(pinion__place_serial(&b->problem, &serial), PINION_OK);
        assert_int_equal(pinion__place_concurrent(&b->problem, &schedule), PINION_OK);
        check_schedule(b, &schedule);
        assert_true(not_before(serial.ms, schedule.placement.ms));
        same += fabs(serial.ms - schedule.placement.ms) < 1e-6;
        pinion__placement_fini(ctx, &serial);
        pinion__schedule_fini(ctx, &schedule);
        free(b);
    }
    assert_true(same > 10);
    close_context(ctx);
}

/* Ten tasks of 2 ms on two processors: 10 ms; 20 if they share cores; with a third, a rival of both, no less than 10.
 */
static void rivals_are_one_in_the_bound(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    bed *b = bed_create(ctx, 1, 3);
    for (int t = 0; t < 10; t++) {
        int storage = bed_storage(b, 8);
        (void)bed_task(b, "task", -1);
        bed_write(b, storage);
        b->ms[t * 3] = b->ms[t * 3 + 1] = b->ms[t * 3 + 2] = 2;
    }
    bed_finish(b);
    bed_board(b, false);
    b->rivals[2] = 3, b->rivals[0] = b->rivals[1] = 4;
    double two = pinion__placement_bound(&b->problem, false);
    assert_true(two <= 10 + 1e-9 && two > 9.9);
    b->rivals[0] = 6, b->rivals[1] = 5;
    expect_near(pinion__placement_bound(&b->problem, false), 20);
    expect_near(pinion__placement_cut_bound(&b->problem), 20);
    expect_near(pinion__placement_bound(&b->problem, true), 20);
    free(b);
    close_context(ctx);
}

/* ---- All schedules of small problems without hand-overs, in which no processor waits while it has a task ---- */

typedef struct trial {
    const bed *b;
    int processor[8];
    bool before[8][8];
    double end[8], free_at[MAX_PROCESSORS], least;
    bool done[8];
} trial;

/* When a task can start; INFINITY: not before others are placed. */
static double find_start(const trial *at, int t)
{
    double begin = at->free_at[at->processor[t]];
    if (at->done[t])
        return HUGE_VAL;
    for (int u = 0; u < at->b->problem.task_count; u++)
        if (at->before[u][t])
            begin = at->done[u] ? fmax(begin, at->end[u]) : HUGE_VAL;
    return begin;
}

static void try_orders(trial *at, int count, double so_far)
{
    const bed *b = at->b;
    if (count == b->problem.task_count)
        at->least = fmin(at->least, so_far);
    if (count == b->problem.task_count || so_far >= at->least)
        return;
    double first = HUGE_VAL;
    for (int t = 0; t < b->problem.task_count; t++)
        first = fmin(first, find_start(at, t));
    for (int t = 0; t < b->problem.task_count; t++) {
        if (find_start(at, t) > first)
            continue;
        const int p = at->processor[t];
        const double was = at->free_at[p];
        at->done[t] = true;
        at->end[t] = at->free_at[p] = first + b->ms[t * b->problem.processor_count + p];
        try_orders(at, count + 1, fmax(so_far, at->end[t]));
        at->done[t] = false;
        at->free_at[p] = was;
    }
}

static void try_all(trial *at, int t)
{
    if (t == at->b->problem.task_count) {
        try_orders(at, 0, 0);
        return;
    }
    for (at->processor[t] = 0; at->processor[t] < at->b->problem.processor_count; at->processor[t]++)
        try_all(at, t + 1);
}

static double fastest_of_all(const bed *b)
{
    trial at = {.b = b, .least = HUGE_VAL};
    for (int s = 0; s < b->problem.storage_count; s++)
        for (int i = 0; i < b->storages[s].use_count; i++)
            for (int k = 0; k < i; k++) {
                const pinion__placement_use *uses = &b->uses[b->storages[s].first_use];
                if (uses[i].writes || uses[k].writes)
                    at.before[uses[k].task][uses[i].task] = true;
            }
    try_all(&at, 0);
    return at.least;
}

static void small_problems_come_close_to_the_optimum(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    int count = 0, best = 0;
    double worst = 1;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        bed *b = bed_create(ctx, seed, 2 + (int)(seed % 2));
        draw_tangle(b, 7 - (int)(seed % 2), 3);
        draw_board(b, true);
        b->problem.times = NULL;
        bed_costs(b, false, 0, 0);
        memset(b->device, 0, sizeof b->device);
        pinion__schedule schedule;
        assert_int_equal(pinion__place_concurrent(&b->problem, &schedule), PINION_OK);
        double least = fastest_of_all(b);
        assert_true(not_before(schedule.placement.ms, least));
        assert_true(not_before(least, pinion__placement_bound(&b->problem, false)));
        count++;
        best += schedule.placement.ms <= least * (1 + 1e-9);
        worst = fmax(worst, schedule.placement.ms / least);
        pinion__schedule_fini(ctx, &schedule);
        free(b);
    }
    print_message("%d of %d are the optimum, the worst takes %.3f of it\n", best, count, worst);
    assert_true(best > 9 * count / 10 && worst < 1.25);
    close_context(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_obey_all_rules),    cmocka_unit_test(same_problem_same_schedule),
        cmocka_unit_test(running_beside_others_slows), cmocka_unit_test(serial_stands_where_nothing_is_gained),
        cmocka_unit_test(rivals_are_one_in_the_bound), cmocka_unit_test(small_problems_come_close_to_the_optimum),
    };
    return cmocka_run_group_tests_name("placement_concurrent", tests, NULL, NULL);
}
