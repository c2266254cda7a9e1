/* SPDX-License-Identifier: Apache-2.0
 *
 * Which cut of a batch is chosen for given times, with and without processors that slow each other; plans whose batch
 * must not be cut; and the timeline of tasks that run at once.
 */
#include "plan/pair_bed.h"

#include "plan/timeline.h"

/* Arithmetic takes a millisecond for the whole batch, a part of it for a slice; all else hardly any time. */
static void note_times(const pair_bed *b, const pinion_plan *plan)
{
    for (size_t r = 0; r < plan->record_count; r++) {
        const pinion__record *record = &plan->records[r];
        const pinion__task *task = &plan->tasks[record->task];
        const double part = task->slice ? (double)(task->n1 - task->n0) / PAIR_BATCH : 1;
        const bool heavy = pinion__work_class_of(plan, task) != PINION__WORK_BYTES;
        for (int i = 0; i < record->count; i++)
            note(b, record->key, plan->candidates[record->first + i].kernel->name, part * (heavy ? 1 : 0.001));
    }
}

static void note_cut(const pair_bed *b, int first)
{
    const pinion__plan_tuning tuning = {
        .cut = {.count = 2, .n = {first, PAIR_BATCH - first}, .processor = {0, 1}, .whole = PINION__CUT_HEAVY}};
    pinion_plan *plan = plan_pair(b, "concurrent", PINION_PATIENCE_ESTIMATE, &tuning);
    note_times(b, plan);
    pinion_plan_destroy(plan);
}

static pair_bed open_with_times(void)
{
    pair_bed b = open_pair();
    pinion_plan *plan = plan_pair(&b, "serial", PINION_PATIENCE_ESTIMATE, NULL);
    note_times(&b, plan);
    pinion_plan_destroy(plan);
    for (int first = 1; first < PAIR_BATCH; first++)
        note_cut(&b, first);
    return b;
}

static void slow_down(const pair_bed *b, int processor, double factor)
{
    static const char *const classes[] = {"forward", "backward_data", "backward_weights", "bytes"};
    for (int c = 0; c < PINION__WORK_CLASSES; c++) {
        note(b, co_run_key(b, classes[c], processor), "alone", 1);
        note(b, co_run_key(b, classes[c], processor), "beside", factor);
    }
}

static void expect_cut(const pinion_plan *plan, int first, int second)
{
    assert_int_equal(plan->cut.count, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(plan->cut.n[i], plan->cut.processor[i] == 0 ? first : second);
}

static void test_shares(void **state)
{
    (void)state;
    static const char *const ways[] = {"concurrent", "auto", NULL};
    pair_bed b = open_with_times();
    for (int way = 0; way < 3; way++) {
        pinion_plan *plan = plan_pair(&b, ways[way], PINION_PATIENCE_ESTIMATE, NULL);
        expect_cut(plan, 2, 2);
        assert_true(plan->predicted_ms < plan->comparison.uncut_ms);
        pinion_plan_destroy(plan);
    }
    slow_down(&b, 1, 3);
    pinion_plan *plan = plan_pair(&b, "concurrent", PINION_PATIENCE_ESTIMATE, NULL);
    expect_cut(plan, 3, 1);
    pinion_plan_destroy(plan);
    close_pair(&b);
}

static void test_unsliced(void **state)
{
    (void)state;
    pair_bed b = open_with_times();
    pinion_plan *cut = plan_pair(&b, "concurrent", PINION_PATIENCE_ESTIMATE, NULL);
    pinion_plan *plan = plan_pair(&b, "unsliced", PINION_PATIENCE_ESTIMATE, NULL);
    int on[PAIR] = {0};
    assert_int_equal(plan->cut.count, 0);
    assert_false(plan->serial);
    assert_true(plan->predicted_ms > cut->predicted_ms && plan->predicted_ms < plan->comparison.serial_ms);
    assert_true(fabs(plan->comparison.uncut_ms - cut->comparison.uncut_ms) < 1e-9);
    assert_true(fabs(plan->comparison.uncut_ms - plan->comparison.concurrent_ms) < 1e-9);
    for (int t = 0; t < (int)plan->task_count; t++) {
        assert_int_equal(plan->tasks[t].slice, 0);
        on[plan->tasks[t].processor]++;
    }
    assert_true(on[0] > 0 && on[1] > 0);
    pinion_plan_destroy(plan);
    pinion_plan_destroy(cut);
    close_pair(&b);
}

/* ---- the timeline ---- */

static int compare(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* Does a task of another processor run then? */
static bool is_beside(const pinion_plan *plan, int t, double when)
{
    const double *start = plan->timeline, *end = start + plan->task_count;
    for (int other = 0; other < (int)plan->task_count; other++)
        if (plan->tasks[other].processor != plan->tasks[t].processor && start[other] < when && when < end[other])
            return true;
    return false;
}

/* What task t gets done from its start to its end, in ms of a processor that is alone. */
static double done_by(const pinion_plan *plan, int t, const double *moments)
{
    const double *start = plan->timeline, *end = start + plan->task_count;
    const int p = plan->tasks[t].processor;
    const double factor = plan->slowdown[pinion__work_class_of(plan, &plan->tasks[t])][p][1 - p];
    double done = 0;
    for (size_t i = 0; i + 1 < 2 * plan->task_count; i++) {
        const double from = fmax(moments[i], start[t]), to = fmin(moments[i + 1], end[t]);
        if (to > from)
            done += (to - from) / (is_beside(plan, t, (from + to) / 2) ? fmax(factor, 1) : 1);
    }
    return done;
}

/* Tasks do what they have to, as fast as what runs beside them allows, and the search predicted the same. */
static void expect_timeline(const pinion_plan *plan, bool slowed)
{
    const size_t count = plan->task_count;
    double *moments = malloc(2 * count * sizeof *moments), last = 0;
    int longer = 0;
    assert_non_null(moments);
    memcpy(moments, plan->timeline, 2 * count * sizeof *moments);
    qsort(moments, 2 * count, sizeof *moments, compare);
    for (int t = 0; t < (int)count; t++) {
        pinion_task_info info;
        const double *end = plan->timeline + count;
        assert_int_equal(pinion_plan_get_task(plan, t, &info), PINION_OK);
        assert_true(fabs(info.ms - pinion__timeline_ms(plan, &plan->tasks[t])) < 1e-9);
        assert_true(fabs(done_by(plan, t, moments) - info.ms) < 1e-9);
        for (int i = 0; i < plan->tasks[t].after_count; i++)
            assert_true(info.start_ms >= end[plan->tasks[t].after[i]] - 1e-9);
        longer += info.end_ms - info.start_ms > info.ms + 1e-9;
        last = fmax(last, info.end_ms);
    }
    assert_int_equal(longer > 0, slowed);
    assert_true(fabs(plan->predicted_ms - last) < 1e-9);
    assert_true(plan->predicted_ms >= plan->comparison.bound_ms - 1e-9);
    free(moments);
}

static void test_timeline(void **state)
{
    (void)state;
    pair_bed b = open_with_times();
    const pinion__plan_tuning separate = {.separate = true};
    double ms[3];
    for (int slowed = 0; slowed < 3; slowed++) {
        if (slowed)
            slow_down(&b, slowed - 1, 1.1 + 0.2 * slowed);
        pinion_plan *plan = plan_pair(&b, "unsliced", PINION_PATIENCE_ESTIMATE, &separate);
        assert_false(plan->serial);
        expect_timeline(plan, slowed > 0);
        assert_true(fabs(plan->predicted_ms - plan->comparison.concurrent_ms) < 1e-6);
        ms[slowed] = plan->predicted_ms;
        pinion_plan_destroy(plan);
        plan = plan_pair(&b, "concurrent", PINION_PATIENCE_ESTIMATE, NULL);
        expect_timeline(plan, slowed > 0);
        pinion_plan_destroy(plan);
    }
    assert_true(ms[0] < ms[1] && ms[1] < ms[2]);
    close_pair(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_unsliced),
        cmocka_unit_test(test_timeline),
    };
    return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
