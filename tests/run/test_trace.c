/* SPDX-License-Identifier: Apache-2.0
 *
 * The trace of a runner: valid JSON, an event for each task of each step on the row of its processor, none that overlap
 * on a row, and none before those that it follows.
 */
#include "run/shared.h"

#include <jansson.h>
#include <unistd.h>

enum { STEPS = 2 };

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

static double number(const json_t *event, const char *key)
{
    const json_t *value = json_object_get(event, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* Events of the rows must not overlap: they come in the order in which they end. */
static void check_rows(const json_t *events, const machine *m)
{
    double ends[4] = {0};
    int counts[4] = {0}, hand_overs = 0, names = 0;
    size_t i;
    const json_t *event;
    json_array_foreach(events, i, event)
    {
        if (strcmp(json_string_value(json_object_get(event, "ph")), "X") != 0) {
            names++;
            continue;
        }
        int row = (int)number(event, "tid");
        assert_in_range(row, 0, m->processor_count - 1);
        assert_true(number(event, "ts") >= ends[row] - 0.002 && number(event, "dur") >= 0);
        ends[row] = number(event, "ts") + number(event, "dur");
        counts[row]++;
        hand_overs += strcmp(json_string_value(json_object_get(event, "cat")), "hand_over") == 0;
    }
    assert_int_equal(names, m->processor_count + 1);
    int expected[4] = {0};
    for (size_t t = 0; t < m->plan->task_count; t++)
        expected[m->plan->tasks[t].processor] += STEPS;
    assert_memory_equal(counts, expected, sizeof counts);
    assert_int_equal(hand_overs, STEPS * count_hand_overs(m->plan));
}

static void check_trace(pinion_context *ctx, bool serial)
{
    char path[] = "trace-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    pinion__domain *domain = NULL;
    deal by = {.seed = 3, .hosts = 2, .devices = 1, .max_delay_ns = 20000};
    assert_int_equal(pinion__domain_create_simulated(ctx, false, &domain), PINION_OK);
    machine m = {.ctx = ctx, .network = make_chain(ctx)};
    add_processors(&m, domain, &by);
    pinion_plan_options options = training_options(BATCH);
    start(&m, &options, &(pinion__plan_tuning){.processor_of = deal_out, .user = &by});
    if (serial)
        make_serial(&m);
    assert_int_equal(pinion_runner_set_trace(m.runner, path), PINION_OK);
    for (uint64_t at = 0; at < STEPS; at++)
        step(&m, at);
    assert_int_equal(pinion_runner_set_trace(m.runner, NULL), PINION_OK);
    step(&m, STEPS);
    json_t *root = load(path);
    check_rows(json_object_get(root, "traceEvents"), &m);
    json_decref(root);
    end(&m);
    pinion__domain_destroy_simulated(domain);
    unlink(path);
}

static void test_events(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    check_trace(ctx, false);
    check_trace(ctx, true);
    pinion_context_destroy(ctx);
}

static void test_failures(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_plan_options options = training_options(BATCH);
    machine m = make_machine(ctx, 1, 4, &options, NULL);
    assert_int_equal(pinion_runner_set_trace(m.runner, "/nowhere/trace.json"), PINION_EIO);
    assert_non_null(strstr(pinion_context_error(ctx), "/nowhere/trace.json"));
    step(&m, 0);
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(pinion_runner_set_trace(m.runner, "/dev/full"), PINION_OK);
        step(&m, 1);
        assert_int_equal(pinion_runner_set_trace(m.runner, NULL), PINION_EIO);
        step(&m, 2);
    }
    end(&m);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_events), cmocka_unit_test(test_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
