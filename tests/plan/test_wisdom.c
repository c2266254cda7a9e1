/* SPDX-License-Identifier: Apache-2.0
 *
 * Choice by measured time: levels of patience, what is kept in a context, which candidate is best, and kernels that a
 * plan is given.
 */
#include "plan/bed.h"

static void test_levels(void **state)
{
    (void)state;
    bed b;
    assert_int_equal(setenv("PINION_WISDOM", "off", 1), 0);
    open_bed(&b);
    pinion_plan *plan = plan_with(&b, PINION_PATIENCE_ESTIMATE, 4, NULL);
    expect_unmeasured(plan);
    assert_null(b.ctx->wisdom);
    pinion_plan_destroy(plan);

    plan = plan_with(&b, PINION_PATIENCE_MEASURE, 4, NULL);
    expect_measured(plan, 2);
    pinion_plan_info info = pinion_plan_get_info(plan);
    assert_true(info.measured_tasks > 3 && info.measured_tasks <= info.tasks);
    assert_int_equal(info.measured_tasks, (int)plan->record_count);
    assert_true(info.measuring_ms > 0);
    assert_int_equal(b.infos, 1);
    assert_non_null(strstr(b.last, "measured "));
    /* Both convolutions are the same work. */
    assert_true(count_candidates(plan, find_task(plan, "conv1", "forward")) >= 2);
    assert_int_equal(plan->tasks[find_task(plan, "conv1", "forward")].record,
                     plan->tasks[find_task(plan, "conv2", "forward")].record);
    pinion_plan_destroy(plan);

    assert_int_equal(count_measured(&b, PINION_PATIENCE_MEASURE, 4), 0);
    assert_int_equal(b.infos, 1);
    plan = plan_with(&b, PINION_PATIENCE_ESTIMATE, 4, NULL); /* what is known is used */
    expect_measured(plan, 1);
    assert_int_equal(pinion_plan_get_info(plan).measured_tasks, 0);
    pinion_plan_destroy(plan);

    plan = plan_with(&b, PINION_PATIENCE_PATIENT, 4, NULL);
    expect_measured(plan, 5);
    assert_int_equal(pinion_plan_get_info(plan).measured_tasks, info.measured_tasks);
    pinion_plan_destroy(plan);
    assert_int_equal(count_measured(&b, PINION_PATIENCE_MEASURE, 4), 0);
    assert_int_equal(b.warnings, 0);
    close_bed(&b);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    bed b;
    pinion_candidate_info info;
    pinion_plan *plan = NULL;
    assert_int_equal(setenv("PINION_WISDOM", "off", 1), 0);
    open_bed(&b);
    pinion_plan_options options = training_options(4);
    options.unfused = 1;
    options.patience = (enum pinion_patience)3;
    assert_int_equal(pinion__plan_create(b.network, &options, &b.cpu, 1, &plan), PINION_EINVAL);
    plan = plan_with(&b, PINION_PATIENCE_ESTIMATE, 4, NULL);
    assert_int_equal(pinion_plan_get_candidate(NULL, 0, 0, &info), PINION_EINVAL);
    assert_int_equal(pinion_plan_get_candidate(plan, 0, 0, NULL), PINION_EINVAL);
    assert_int_equal(pinion_plan_get_candidate(plan, -1, 0, &info), PINION_EINVAL);
    assert_int_equal(pinion_plan_get_candidate(plan, 0, -1, &info), PINION_EINVAL);
    assert_int_equal(pinion_plan_get_candidate(plan, pinion_plan_get_info(plan).tasks, 0, &info), PINION_EINVAL);
    assert_int_equal(pinion_plan_get_candidate(plan, 0, count_candidates(plan, 0), &info), PINION_EINVAL);
    pinion_plan_destroy(plan);
    close_bed(&b);
}

/* Inference has prepared weights; they are prepared before a kernel is timed, and the key says so. */
static void test_inference(void **state)
{
    (void)state;
    bed b;
    assert_int_equal(setenv("PINION_WISDOM", "off", 1), 0);
    for (int level = PINION_PATIENCE_MEASURE; level <= PINION_PATIENCE_PATIENT; level++) {
        open_bed(&b);
        pinion_plan_options options = pinion_plan_options_default();
        options.batch = 4;
        options.patience = (enum pinion_patience)level;
        pinion_plan *plan = NULL;
        assert_int_equal(pinion__plan_create(b.network, &options, &b.cpu, 1, &plan), PINION_OK);
        assert_true(pinion_plan_get_info(plan).predicted_ms > 0);
        for (size_t t = 0; t < plan->task_count; t++) {
            const pinion__task *task = &plan->tasks[t];
            assert_int_equal(task->record == 0, (int)t < plan->prologue);
            if (task->prepared >= 0 && task->record)
                assert_non_null(strstr(plan->records[task->record - 1].key, " prepared "));
        }
        pinion_plan_destroy(plan);
        close_bed(&b);
    }
}

/* Invented times: the faster kernel runs, whatever its place; a small advantage of a later one is noise. */
static void test_choice(void **state)
{
    (void)state;
    static const struct {
        double first, second;
        int chosen;
    } cases[] = {{2, 1, 1}, {1, 2, 0}, {1, 0.99, 0}, {1, 1, 0}, {1, 0.9, 1}};
    bed b;
    use_file("invented.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pinion__machine machine;
        pinion__machine_describe(&machine);
        unlink(path);
        open_bed(&b);
        pinion__wisdom_table table = {.ctx = b.ctx};
        pinion_plan *plan = plan_with(&b, PINION_PATIENCE_ESTIMATE, 4, NULL);
        int task = find_task(plan, "conv2", "forward");
        const pinion__record *record = &plan->records[plan->tasks[task].record - 1];
        assert_true(record->count >= 2);
        for (int k = 0; k < record->count; k++) {
            pinion__wisdom_time time = {.ms = k == 0 ? cases[i].first : cases[i].second + (k > 1), .repetitions = 1};
            snprintf(time.kernel, sizeof time.kernel, "%s", plan->candidates[record->first + k].kernel->name);
            assert_int_equal(pinion__wisdom_put(&table, record->key, PINION_PATIENCE_MEASURE, &time), PINION_OK);
        }
        char *text = NULL;
        assert_int_equal(pinion__wisdom_print(&table, &machine, &text), PINION_OK);
        write_text(path, text, strlen(text));
        free(text);
        pinion__wisdom_table_fini(&table);
        pinion_plan_destroy(plan);
        close_bed(&b);

        open_bed(&b);
        plan = plan_with(&b, PINION_PATIENCE_ESTIMATE, 4, NULL);
        pinion_candidate_info info;
        assert_int_equal(pinion_plan_get_candidate(plan, task, cases[i].chosen, &info), PINION_OK);
        assert_true(info.chosen);
        assert_true(isnan(pinion_plan_get_info(plan).predicted_ms));
        pinion_plan_destroy(plan);
        close_bed(&b);
    }
}

/* The plan's own kernels with the one of a layer's forward pass replaced. */
static void replace_kernel(bed *b, const pinion_plan *plan, const char *from, const char *to, char *out, size_t bytes)
{
    char *kernels = NULL;
    assert_int_equal(pinion__plan_kernels(plan, &kernels), PINION_OK);
    const char *at = strstr(kernels, from);
    assert_non_null(at);
    snprintf(out, bytes, "%.*s%s%s", (int)(at - kernels), kernels, to, at + strlen(from));
    pinion__release(b->ctx, kernels);
}

static void test_given_kernels(void **state)
{
    (void)state;
    bed b;
    char from[128], to[128], lines[8192];
    pinion_candidate_info info;
    use_file("given.json");
    open_bed(&b);
    pinion_plan *plan = plan_with(&b, PINION_PATIENCE_ESTIMATE, 4, NULL), *given = NULL;
    int task = find_task(plan, "conv2", "forward");
    assert_int_equal(pinion_plan_get_candidate(plan, task, 0, &info), PINION_OK);
    snprintf(from, sizeof from, "conv2 conv2d forward %s\n", info.kernel);
    assert_int_equal(pinion_plan_get_candidate(plan, task, 1, &info), PINION_OK);
    snprintf(to, sizeof to, "conv2 conv2d forward %s\n", info.kernel);
    replace_kernel(&b, plan, from, to, lines, sizeof lines);

    /* Exactly these, at any level, and nothing is measured. */
    for (int level = PINION_PATIENCE_ESTIMATE; level <= PINION_PATIENCE_PATIENT; level++) {
        char *kernels = NULL;
        given = plan_with(&b, (enum pinion_patience)level, 4, lines);
        assert_int_equal(pinion_plan_get_info(given).measured_tasks, 0);
        assert_int_equal(pinion__plan_kernels(given, &kernels), PINION_OK);
        assert_string_equal(kernels, lines);
        pinion__release(b.ctx, kernels);
        pinion_plan_destroy(given);
    }

    /* Lines of other layers change nothing; known times neither. */
    assert_true(count_measured(&b, PINION_PATIENCE_MEASURE, 4) > 0);
    given = plan_with(&b, PINION_PATIENCE_ESTIMATE, 4, "other conv2d forward x\nconv2 conv2d sideways y\n");
    char *kernels = NULL, *first = NULL;
    assert_int_equal(pinion__plan_kernels(given, &kernels), PINION_OK);
    assert_int_equal(pinion__plan_kernels(plan, &first), PINION_OK);
    assert_string_equal(kernels, first);
    pinion__release(b.ctx, kernels);
    pinion__release(b.ctx, first);
    pinion_plan_destroy(given);

    static const char *const wrong[] = {"conv2 conv2d forward no_such_kernel\n", "conv2 conv2d forward sgd\n",
                                        "conv2 conv2d forward \n", "conv2 conv2d forward"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pinion_plan_options options = training_options(4);
        options.unfused = 1;
        const pinion__plan_tuning tuning = {.kernels = wrong[i]};
        int status = pinion__plan_create_tuned(b.network, &options, &tuning, &b.cpu, 1, &given);
        assert_int_equal(status, i == 3 ? PINION_OK : PINION_EUNSUPPORTED);
        if (i == 3)
            pinion_plan_destroy(given);
        else
            assert_non_null(strstr(pinion_context_error(b.ctx), "task 'conv2 conv2d forward'"));
    }
    pinion_plan_destroy(plan);
    close_bed(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels), cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_inference),
        cmocka_unit_test(test_choice), cmocka_unit_test(test_given_kernels),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
