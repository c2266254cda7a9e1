/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference until a deadline, under a clock of the tests: it moves on when an answer is shown, so that they say how
 * long each group takes, or at each reading; and it jumps.
 */
#include "run/widths.h"

#include <float.h>

enum { LEARNING = 80 };
static const int64_t ms_ns = 1000000;

/* A clock, and the user of the answers. */
typedef struct watch {
    bed *b;
    int64_t now, tick;       /* per reading */
    double group_ms[GROUPS]; /* per answer */
    int jump_at;             /* a width: behind its answer the clock is set to ... */
    int64_t jump_to;         /* ... 0: the jump is none */
    int shown;               /* the width of the last answer */
    float last[MOST_BATCH * ANSWERS];
    int count;
} watch;

static int64_t read_watch(void *user)
{
    watch *w = user;
    w->now = (int64_t)((uint64_t)w->now + (uint64_t)w->tick);
    return w->now;
}

static void take_answer(void *user, int width, const float *logits)
{
    watch *w = user;
    assert_int_equal(width, w->shown + 1);
    w->shown = width;
    memcpy(w->last, logits, sizeof(float) * (size_t)(w->count * ANSWERS));
    w->now = (int64_t)((uint64_t)w->now + (uint64_t)(int64_t)(w->group_ms[width - 1] * (double)ms_ns));
    if (w->jump_to && width == w->jump_at)
        w->now = w->jump_to;
}

static watch make_watch(bed *b, double g1, double g2, double g3, double g4)
{
    return (watch){.b = b, .now = 5 * ms_ns, .group_ms = {g1, g2, g3, g4}};
}

/* An inference of w->count images; the answers' bits are checked where they are known. */
static pinion_anytime_result run(watch *w, double deadline_ms, float margin, const answers *expected)
{
    pinion_anytime_result result = {.width = -1};
    const pinion_anytime_options options = {
        .deadline_ms = deadline_ms, .margin = margin, .answer = take_answer, .user = w};
    float logits[MOST_BATCH * ANSWERS];
    const size_t bytes = sizeof(float) * (size_t)(w->count * ANSWERS);
    w->shown = 0;
    pinion__runner_set_clock(w->b->m.runner, read_watch, w);
    if (pinion_runner_infer_anytime(w->b->m.runner, w->b->images, w->count, &options, logits, &result) < 0)
        fail_msg("%s", pinion_context_error(w->b->m.ctx));
    assert_int_equal(result.late, deadline_ms > 0 && result.ms > deadline_ms);
    assert_true(result.width >= 1 && result.width <= GROUPS && isfinite(result.ms) && result.ms >= 0);
    if (w->b->m.plan->micro_batches == 1)
        assert_int_equal(w->shown, result.width);
    if (w->shown == result.width)
        assert_memory_equal(w->last, logits, bytes);
    if (expected)
        assert_memory_equal(logits, expected->at[result.width - 1], bytes);
    return result;
}

static void learn(watch *w)
{
    for (int i = 0; i < LEARNING; i++)
        assert_int_equal(run(w, 0, 0, NULL).width, pinion_runner_get_width(w->b->m.runner));
}

static void expect(watch *w, double deadline_ms, const answers *expected, int width, enum pinion_stop stopped)
{
    const pinion_anytime_result result = run(w, deadline_ms, 0, expected);
    if (result.width != width || result.stopped != stopped)
        fail_msg("deadline %g: width %d, stopped %d; expected width %d, stopped %d", deadline_ms, result.width,
                 (int)result.stopped, width, (int)stopped);
}

/* On all kinds of processors: the answer of each deadline, and its bits. */
static void test_deadlines(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int connect = PINION_TOWERS; connect <= PINION_NESTED; connect++) {
        const answers expected = find_answers(ctx, (enum pinion_connect)connect, MOST_BATCH, 1);
        for (int where = 0; where < PLACES; where++) {
            bed b = make_bed(ctx, (enum pinion_connect)connect, (enum where)where, MOST_BATCH, 1);
            watch w = make_watch(&b, 1, 1, 2, 4);
            w.count = MOST_BATCH - where; /* filled up, too */
            learn(&w);
            expect(&w, 0, &expected, 4, PINION_STOP_WIDTH);
            expect(&w, 8.01, &expected, 4, PINION_STOP_WIDTH);
            expect(&w, 7.9, &expected, 3, PINION_STOP_DEADLINE);
            expect(&w, 3.9, &expected, 2, PINION_STOP_DEADLINE);
            expect(&w, 1.9, &expected, 1, PINION_STOP_DEADLINE);
            assert_int_equal(run(&w, 0.5, 0, &expected).late, 1);
            assert_int_equal(run(&w, 3.9, 0, &expected).late, 0);
            assert_true(fabs(run(&w, 7.9, 0, &expected).ms - 4.0) < 1e-6);
            expect(&w, 1e300, &expected, 4, PINION_STOP_WIDTH);
            expect(&w, (double)INFINITY, &expected, 4, PINION_STOP_WIDTH);
            assert_int_equal(pinion_runner_set_width(b.m.runner, 2), PINION_OK);
            expect(&w, 7.9, &expected, 2, PINION_STOP_WIDTH);
            end_bed(&b);
        }
    }
    pinion_context_destroy(ctx);
}

/* Each reading of the clock is a millisecond: one at the beginning of each part, one behind each group, and one at the
 * end. */
static void test_micro_batches(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    const answers expected = find_answers(ctx, PINION_NESTED, MOST_BATCH, 3);
    for (int where = 0; where < PLACES; where++)
        for (int count = MOST_BATCH; count >= MOST_BATCH - 1; count--) {
            bed b = make_bed(ctx, PINION_NESTED, (enum where)where, MOST_BATCH, 3);
            watch w = make_watch(&b, 0, 0, 0, 0);
            w.tick = ms_ns;
            w.count = count;
            learn(&w);
            for (int width = 1; width <= GROUPS; width++) {
                const double all = 3.0 * (1.0 + width) + 1.0;
                expect(&w, all + 0.5, &expected, width, width < GROUPS ? PINION_STOP_DEADLINE : PINION_STOP_WIDTH);
                if (width == 1)
                    continue;
                expect(&w, all - 0.5, &expected, width - 1, PINION_STOP_DEADLINE);
                assert_true(run(&w, all - 0.5, 0, &expected).ms < all - 2.5); /* no part went further */
            }
            w.count = 1; /* the first part is the only one */
            expect(&w, 6.5, &expected, GROUPS, PINION_STOP_WIDTH);
            expect(&w, 5.5, &expected, GROUPS - 1, PINION_STOP_DEADLINE);
            w.count = count; /* in the end there is less time than there was */
            w.tick = 2 * ms_ns;
            expect(&w, 17, &expected, 1, PINION_STOP_DEADLINE);
            end_bed(&b);
        }
    pinion_context_destroy(ctx);
}

/* What is not known is compared with group 1; nothing runs that can hardly end in time. */
static void test_unknown_times(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    bed b = make_bed(ctx, PINION_TOWERS, ON_CPU, 1, 0);
    watch w = make_watch(&b, 1, 1, 1, 1);
    w.count = 1;
    expect(&w, 1.5, NULL, 1, PINION_STOP_DEADLINE);
    expect(&w, 100, NULL, 4, PINION_STOP_WIDTH);
    end_bed(&b);
    pinion_context_destroy(ctx);
}

/* The first run of what has just been prepared is no observation. */
static void test_first_runs(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    bed b = make_bed(ctx, PINION_TOWERS, ON_CPU, 1, 0);
    watch w = make_watch(&b, 1, 1, 1, 1);
    w.count = 1;
    const pinion__forecast *forecast = &b.m.runner->groups[2].forecast;
    for (int i = 0; i < 5; i++) {
        run(&w, 0, 0, NULL);
        assert_int_equal(forecast->count, i);
    }
    pinion__network_changed(b.m.network);
    run(&w, 0, 0, NULL);
    assert_int_equal(forecast->count, 4);
    run(&w, 0, 0, NULL);
    assert_int_equal(forecast->count, 5);
    assert_int_equal(pinion_runner_release(b.m.runner, 1, NULL), PINION_OK);
    assert_int_equal(pinion_runner_restore(b.m.runner, GROUPS, NULL), PINION_OK);
    assert_int_equal(pinion_runner_set_width(b.m.runner, GROUPS), PINION_OK);
    run(&w, 0, 0, NULL);
    assert_int_equal(forecast->count, 5);
    run(&w, 0, 0, NULL);
    assert_int_equal(forecast->count, 6);
    end_bed(&b);
    pinion_context_destroy(ctx);
}

static void test_jumps(void **state)
{
    (void)state;
    static const int64_t hour = 3600 * (int64_t)1000000000;
    const int64_t targets[] = {hour, -hour, INT64_MAX, INT64_MIN, 1};
    pinion_context *ctx = make_context();
    const answers expected = find_answers(ctx, PINION_TOWERS, 2, 1);
    for (int where = ON_CPU; where <= ON_COPIED; where += ON_COPIED)
        for (int to = 0; to < 5; to++)
            for (int at = 1; at <= GROUPS; at++) {
                bed b = make_bed(ctx, PINION_TOWERS, (enum where)where, 2, 0);
                watch w = make_watch(&b, 1, 1, 2, 4);
                w.count = 2;
                learn(&w);
                w.jump_at = at;
                w.jump_to = targets[to];
                const bool forwards = targets[to] > w.now;
                pinion_anytime_result result = run(&w, 8.5, 0, &expected);
                assert_int_equal(result.width, forwards ? at : GROUPS);
                assert_int_equal(result.late, forwards);
                w.jump_to = 0;
                w.now = 5 * ms_ns;
                expect(&w, 8.1, &expected, 4, PINION_STOP_WIDTH); /* one wild time changes no forecast */
                expect(&w, 7.9, &expected, 3, PINION_STOP_DEADLINE);
                end_bed(&b);
            }
    pinion_context_destroy(ctx);
}

/* A group that was slow is left out; after a while it is tried again: soon where it is fast now, seldom where not. */
static void test_slow_spell(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    bed b = make_bed(ctx, PINION_TOWERS, ON_CPU, 1, 0);
    watch w = make_watch(&b, 1, 1, 1, 1);
    w.count = 1;
    learn(&w);
    w.group_ms[3] = 3;
    for (int i = 0; i < PINION__FORECAST_WINDOW / 2; i++)
        run(&w, 0, 0, NULL);
    int late = 0, wide = 0;
    for (int i = 0; i < 1000; i++)
        late += run(&w, 4.5, 0, NULL).late;
    assert_true(late <= 10);
    w.group_ms[3] = 1;
    for (int i = 0; i < 1000; i++)
        wide += run(&w, 4.5, 0, NULL).width == 4;
    assert_true(wide >= 300);
    end_bed(&b);
    pinion_context_destroy(ctx);
}

static double margin_of(const float *logits)
{
    double best = -DBL_MAX, second = -DBL_MAX, sum = 0;
    for (int i = 0; i < ANSWERS; i++) {
        double value = (double)logits[i];
        second = value > best ? best : value > second ? value : second;
        best = value > best ? value : best;
    }
    for (int i = 0; i < ANSWERS; i++)
        sum += exp((double)logits[i] - best);
    return 1.0 / sum - exp(second - best) / sum;
}

/* The first width at which every image is sure. */
static int find_sure(const answers *of, int count, float margin)
{
    for (int width = 1; width < GROUPS; width++) {
        bool sure = true;
        for (int i = 0; i < count; i++)
            sure = sure && margin_of(of->at[width - 1] + (ptrdiff_t)i * ANSWERS) >= (double)margin;
        if (sure)
            return width;
    }
    return GROUPS;
}

static void test_margin(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int reached[GROUPS + 1] = {0};
    for (int parts = 1; parts <= 3; parts += 2) {
        const answers expected = find_answers(ctx, PINION_NESTED, MOST_BATCH, parts);
        for (int count = 1; count <= MOST_BATCH; count++) {
            bed b = make_bed(ctx, PINION_NESTED, ON_CPU, MOST_BATCH, parts);
            watch w = make_watch(&b, 1, 1, 1, 1);
            w.count = count;
            for (int i = 0; i < 2 * GROUPS * count; i++) { /* beside each margin there is */
                const double near = margin_of(expected.at[i / 2 % GROUPS] + (ptrdiff_t)(i / 2 / GROUPS) * ANSWERS);
                const float margin = (float)near * (i % 2 ? 1.001f : 0.999f);
                const pinion_anytime_result result = run(&w, 0, margin, &expected);
                const int sure = find_sure(&expected, count, margin);
                assert_int_equal(result.width, sure);
                assert_int_equal(result.stopped, sure < GROUPS ? PINION_STOP_MARGIN : PINION_STOP_WIDTH);
                reached[sure]++;
            }
            end_bed(&b);
        }
    }
    assert_true(reached[1] > 0 && reached[2] + reached[3] > 0 && reached[GROUPS] > 0);
    pinion_context_destroy(ctx);
}

static void expect_refused(const bed *b, const pinion_anytime_options *options, const char *sentence)
{
    float logits[ANSWERS];
    assert_int_equal(pinion_runner_infer_anytime(b->m.runner, b->images, 1, options, logits, NULL), PINION_EINVAL);
    if (!strstr(pinion_context_error(b->m.ctx), sentence))
        fail_msg("'%s' does not say '%s'", pinion_context_error(b->m.ctx), sentence);
}

static void test_refusals(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    float logits[ANSWERS];
    const pinion_anytime_options none = {0};
    bed b = make_bed(ctx, PINION_TOWERS, ON_CPU, 1, 0);
    expect_refused(&b, NULL, "expected options");
    expect_refused(&b, &(pinion_anytime_options){.deadline_ms = -1}, "the deadline is -1 ms");
    expect_refused(&b, &(pinion_anytime_options){.deadline_ms = (double)NAN}, "the deadline is");
    expect_refused(&b, &(pinion_anytime_options){.deadline_ms = -DBL_MIN}, "the deadline is");
    expect_refused(&b, &(pinion_anytime_options){.margin = -0.1f}, "the margin is");
    expect_refused(&b, &(pinion_anytime_options){.margin = 1.1f}, "the margin is");
    expect_refused(&b, &(pinion_anytime_options){.margin = NAN}, "the margin is");
    assert_int_equal(pinion_runner_infer_anytime(b.m.runner, b.images, 2, &none, logits, NULL), PINION_EINVAL);
    assert_int_equal(pinion_runner_infer_anytime(b.m.runner, NULL, 1, &none, logits, NULL), PINION_EINVAL);
    assert_int_equal(pinion_runner_infer_anytime(b.m.runner, b.images, 1, &none, NULL, NULL), PINION_EINVAL);
    assert_int_equal(pinion_runner_infer_anytime(NULL, b.images, 1, &none, logits, NULL), PINION_EINVAL);
    assert_int_equal(pinion_runner_infer_anytime(b.m.runner, b.images, 1, &none, logits, NULL), PINION_OK);
    end_bed(&b);
    const pinion_plan_options options = infer_options(1, 0);
    b = make_bed_of(make_cut(ctx, 0, PINION_TOWERS), ON_CPU, &options, 0);
    expect_refused(&b, &none, "is not cut into groups");
    end_bed(&b);
    pinion_context_destroy(ctx);
}

static void test_allocates_nothing(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int parts = 1; parts <= 2; parts++) {
        bed b = make_bed(ctx, PINION_NESTED, ON_CPU, MOST_BATCH, parts);
        watch w = make_watch(&b, 1, 1, 2, 4);
        w.count = MOST_BATCH;
        size_t before = atomic_load(&ctx->allocations);
        for (int i = 0; i < 20; i++)
            run(&w, i, 0.3f, NULL);
        assert_int_equal(atomic_load(&ctx->allocations), before);
        end_bed(&b);
    }
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_micro_batches),
        cmocka_unit_test(test_unknown_times),
        cmocka_unit_test(test_first_runs),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_slow_spell),
        cmocka_unit_test(test_margin),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
