/* SPDX-License-Identifier: Apache-2.0
 *
 * Setting a runner's width: an inference at width j gives the bits of a plan that has only groups 1 … j, on whatever
 * processors, for parts of batches and in micro-batches; nothing else runs; changing the width costs nothing.
 */
#include "run/widths.h"

#include "base/clock.h"

static void expect_rows(const float *found, const float *expected, int count, const char *what, int width)
{
    if (memcmp(found, expected, sizeof(float) * (size_t)(count * ANSWERS)) != 0)
        fail_msg("%s: width %d of %d images has other bits", what, width, count);
}

/* Widths in an order in which each follows narrower and wider ones. */
static const int order[] = {4, 1, 3, 2, 4, 2, 1, 4, 3, 1};
enum { ORDERED = sizeof order / sizeof *order };

static void check_widths(bed *b, const answers *expected, int batch)
{
    static const char *const names[PLACES] = {"cpu", "two hosts", "mapped", "copied"};
    float found[MOST_BATCH * ANSWERS];
    for (int i = 0; i < ORDERED; i++) {
        const int count = 1 + i % batch;
        for (int k = 0; k < MOST_BATCH * ANSWERS; k++)
            found[k] = -77.0f;
        infer_at(b, order[i], count, found);
        assert_int_equal(pinion_runner_get_width(b->m.runner), order[i]);
        expect_rows(found, expected->at[order[i] - 1], count, names[b->where], order[i]);
        for (int k = count * ANSWERS; k < MOST_BATCH * ANSWERS; k++)
            assert_true(found[k] == -77.0f);
        memcpy(found, pinion__runner_logits(b->m.runner), sizeof(float) * ANSWERS);
        if (b->m.plan->micro_batches == 1)
            expect_rows(found, expected->at[order[i] - 1], 1, "the runner's logits", order[i]);
    }
}

static void test_bits(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int connect = PINION_TOWERS; connect <= PINION_NESTED; connect++) {
        for (int parts = 1; parts <= 3; parts++) {
            const answers expected = find_answers(ctx, (enum pinion_connect)connect, MOST_BATCH, parts);
            for (int where = 0; where < PLACES; where++) {
                bed b = make_bed(ctx, (enum pinion_connect)connect, (enum where)where, MOST_BATCH, parts);
                assert_int_equal(b.m.plan->micro_batches, parts);
                check_widths(&b, &expected, MOST_BATCH);
                end_bed(&b);
            }
        }
    }
    pinion_context_destroy(ctx);
}

/* The same where the batch lies in a slot that a device reads. */
static void test_slots(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int parts = 1; parts <= 2; parts++) {
        const answers expected = find_answers(ctx, PINION_NESTED, MOST_BATCH, parts);
        for (int where = 0; where < PLACES; where++) {
            bed b = make_bed(ctx, PINION_NESTED, (enum where)where, MOST_BATCH, parts);
            float found[MOST_BATCH * ANSWERS], *images;
            assert_int_equal(pinion_runner_input(b.m.runner, 0, &images, NULL), PINION_OK);
            for (int i = 0; i < ORDERED; i++) {
                const int count = MOST_BATCH - i % 3;
                memcpy(images, b.images, sizeof b.images);
                assert_int_equal(pinion_runner_set_width(b.m.runner, order[i]), PINION_OK);
                assert_int_equal(pinion_runner_infer(b.m.runner, images, count, found), PINION_OK);
                expect_rows(found, expected.at[order[i] - 1], count, "a slot", order[i]);
            }
            end_bed(&b);
        }
    }
    pinion_context_destroy(ctx);
}

/* No task of a later group runs, nor of the prologue's part of one. */
static void test_only_what_is_asked(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int where = 0; where < PLACES; where++) {
        bed b = make_bed(ctx, PINION_NESTED, (enum where)where, 2, 0);
        const pinion_plan *plan = b.m.plan;
        pinion__interval *times = calloc(plan->task_count, sizeof *times);
        float logits[2 * ANSWERS];
        assert_non_null(times);
        pinion__executor_time(b.m.runner->executor, times);
        for (int width = 1; width <= GROUPS; width++) {
            memset(times, 0, plan->task_count * sizeof *times);
            infer_at(&b, width, 2, logits);
            for (int t = 0; t < (int)plan->task_count; t++) {
                const int before = width > 1 ? plan->prologue_end[width - 2] : 0;
                const bool expected = t < plan->prologue ? t >= before && t < plan->prologue_end[width - 1]
                                                         : t < plan->width_end[width - 1];
                assert_int_equal(times[t].end != 0, expected);
            }
        }
        pinion__executor_time(b.m.runner->executor, NULL);
        free(times);
        end_bed(&b);
    }
    pinion_context_destroy(ctx);
}

/* When weights change, all groups that run are prepared again. */
static void test_preparation(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    bed b = make_bed(ctx, PINION_TOWERS, ON_CPU, 2, 0);
    float before[2 * ANSWERS], after[2 * ANSWERS];
    infer_at(&b, 4, 2, before);
    for (int p = 0; p < (int)b.m.network->param_count; p++)
        if (strcmp(b.m.network->params[p].name, "conv1.g2.weight") == 0)
            pinion__param_data(b.m.network, p)[0] += 1.0f;
    pinion__network_changed(b.m.network);
    infer_at(&b, 1, 2, after);
    infer_at(&b, 4, 2, after);
    assert_memory_not_equal(before, after, sizeof after);
    bed fresh = make_bed_of(make_cut(ctx, GROUPS, PINION_TOWERS), ON_CPU, &b.m.plan->options, 0);
    memcpy(fresh.m.network->block, b.m.network->block, b.m.network->block_bytes);
    pinion__network_changed(fresh.m.network);
    infer_at(&fresh, 4, 2, before);
    assert_memory_equal(before, after, sizeof after);
    end_bed(&fresh);
    end_bed(&b);
    pinion_context_destroy(ctx);
}

/* No allocation, and at most 50 microseconds, the median of many. */
static void test_switching(void **state)
{
    (void)state;
    enum { SWITCHES = 1001 };
    static double us[SWITCHES];
    pinion_context *ctx = make_context();
    bed b = make_bed(ctx, PINION_NESTED, ON_CPU, 1, 0);
    float logits[ANSWERS];
    infer_at(&b, GROUPS, 1, logits);
    size_t before = atomic_load(&ctx->allocations);
    for (int i = 0; i < SWITCHES; i++) {
        int64_t begin = pinion__now_ns();
        assert_int_equal(pinion_runner_set_width(b.m.runner, 1 + i % GROUPS), PINION_OK);
        us[i] = 1e-3 * (double)(pinion__now_ns() - begin);
        if (i % 10 == 0)
            assert_int_equal(pinion_runner_infer(b.m.runner, b.images, 1, logits), PINION_OK);
    }
    assert_int_equal(atomic_load(&ctx->allocations), before);
    assert_true(pinion__summarise(us, SWITCHES).median < 50.0);
    end_bed(&b);
    pinion_context_destroy(ctx);
}

static void expect_refused(const machine *m, int status, const char *sentence)
{
    assert_int_equal(status, PINION_EINVAL);
    if (!strstr(pinion_context_error(m->ctx), sentence))
        fail_msg("'%s' does not say '%s'", pinion_context_error(m->ctx), sentence);
}

static void test_refusals(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    float logits[ANSWERS];
    bed b = make_bed(ctx, PINION_TOWERS, ON_CPU, 1, 0);
    static const int wrong[] = {0, -1, GROUPS + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(&b.m, pinion_runner_set_width(b.m.runner, wrong[i]), "expected 1 to 4");
    expect_refused(&b.m, pinion_runner_release(b.m.runner, 0, NULL), "width is 0; expected 1 to 4");
    expect_refused(&b.m, pinion_runner_restore(b.m.runner, 5, NULL), "width is 5; expected 1 to 4");
    assert_int_equal(pinion_runner_get_width(b.m.runner), GROUPS);
    b.m.network->width = 2;
    expect_refused(&b.m, pinion_runner_set_width(b.m.runner, 3), "has weights of 2 of its 4 groups");
    expect_refused(&b.m, pinion_runner_infer(b.m.runner, b.images, 1, logits), "has weights of 2 of its 4 groups");
    assert_int_equal(pinion_runner_set_width(b.m.runner, 2), PINION_OK);
    assert_int_equal(pinion_runner_infer(b.m.runner, b.images, 1, logits), PINION_OK);
    end_bed(&b);

    const pinion_plan_options narrow = infer_options(1, 2);
    b = make_bed_of(make_cut(ctx, GROUPS, PINION_TOWERS), ON_CPU, &narrow, 0);
    assert_int_equal(pinion_runner_get_width(b.m.runner), 2);
    expect_refused(&b.m, pinion_runner_set_width(b.m.runner, 3), "expected 1 to 2");
    end_bed(&b);

    const pinion_plan_options any = infer_options(1, 0);
    b = make_bed_of(make_cut(ctx, 0, PINION_TOWERS), ON_CPU, &any, 0);
    assert_int_equal(pinion_runner_get_width(b.m.runner), 0);
    expect_refused(&b.m, pinion_runner_set_width(b.m.runner, 1), "is not cut into groups");
    expect_refused(&b.m, pinion_runner_release(b.m.runner, 1, NULL), "is not cut into groups");
    end_bed(&b);

    pinion_plan_options train = training_options(1);
    b = make_bed_of(make_cut(ctx, GROUPS, PINION_TOWERS), ON_CPU, &train, 0);
    expect_refused(&b.m, pinion_runner_set_width(b.m.runner, 1), "the plan is for training");
    end_bed(&b);
    assert_int_equal(pinion_runner_set_width(NULL, 1), PINION_EINVAL);
    assert_int_equal(pinion_runner_get_width(NULL), 0);
    pinion_context_destroy(ctx);
}

/* The logits of the groups before a stage come from the caller if, and only if, the plan says so. */
static void test_prior(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    float losses[2], logits[2 * ANSWERS];
    const int32_t labels[2] = {1, 3};
    bed inference = make_bed(ctx, PINION_TOWERS, ON_CPU, 2, 0);
    infer_at(&inference, 1, 2, logits);
    end_bed(&inference);
    for (int prior = 0; prior < 2; prior++) {
        pinion_plan_options options = training_options(2);
        options.stage = 2;
        options.prior = prior;
        bed b = make_bed_of(make_cut(ctx, GROUPS, PINION_TOWERS), ON_CPU, &options, 0);
        pinion_runner_step_options at = {.learning_rate = 0.01f, .prior = prior ? NULL : logits};
        expect_refused(&b.m, pinion_runner_train(b.m.runner, b.images, labels, &at, &losses[prior]),
                       prior ? "got none" : "made without prior");
        at.prior = prior ? logits : NULL;
        assert_int_equal(pinion_runner_train(b.m.runner, b.images, labels, &at, &losses[prior]), PINION_OK);
        end_bed(&b);
    }
    assert_true(fabsf(losses[0] - losses[1]) < 1e-5f * fabsf(losses[0]));
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),        cmocka_unit_test(test_slots),     cmocka_unit_test(test_only_what_is_asked),
        cmocka_unit_test(test_preparation), cmocka_unit_test(test_switching), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_prior),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
