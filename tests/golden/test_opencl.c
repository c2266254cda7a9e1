/* SPDX-License-Identifier: Apache-2.0
 *
 * One step of whole networks against PyTorch's float64, within the bounds of a step on the CPU alone, on a core of the
 * host and an OpenCL device: tasks dealt out to both at random, one at a time and side by side, and with the batch cut
 * between them; each twice, with the same bits. Then on an OpenCL that forgives nothing, as a device that shares the
 * host's memory and as one that does not. Skipped where there is no device.
 */
#include "device/opencl.h"
#include "golden/golden.h"
#include "run/devices.h"
#include "support/checked_opencl.h"

typedef struct way {
    const char *name;
    turns by; /* what is not a slice's */
    bool serial;
    pinion__cut cut;
} way;

static const way mixed_serial = {"mixed, one task at a time", {1, 0.5f}, true, {0}};
static const way mixed = {"mixed", {2, 0.5f}, false, {0}};
static const way in_two = {"in slices of 5 and 3", {3, 0.3f}, false, {.count = 2, .n = {5, 3}, .processor = {0, 1}}};
static const way in_three = {
    "in slices of 3, 1 and 4", {4, 0.7f}, false, {.count = 3, .n = {3, 1, 4}, .processor = {1, 0, 1}}};

static pinion_plan *make_plan(golden *g, pinion_plan_options options, const way *of)
{
    turns by = of->by;
    const pinion__plan_tuning tuning = {.processor_of = take_turns, .user = &by, .cut = of->cut};
    pinion_plan *plan = NULL;
    if (pinion__plan_create_tuned(g->network, &options, &tuning, devices.list.at, 2, &plan) < 0)
        fail_msg("%s: %s", of->name, pinion_context_error(g->ctx));
    plan->serial = of->serial;
    return plan;
}

static pinion_runner *make_runner(const golden *g, const pinion_plan *plan)
{
    pinion_runner *runner = NULL;
    assert_non_null(plan->domain);
    if (pinion_runner_create(plan, &runner) < 0)
        fail_msg("%s", pinion_context_error(g->ctx));
    return runner;
}

static void check_logits(golden *g, const way *of)
{
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = g->batch;
    pinion_plan *plan = make_plan(g, options, of);
    pinion_runner *runner = make_runner(g, plan);
    golden_check_logits(g, runner);
    pinion_runner_destroy(runner);
    pinion_plan_destroy(plan);
}

/* A step from the golden weights. */
static float step_from(golden *g, const unsigned char *weights, const way *of)
{
    pinion_runner_destroy(g->runner);
    pinion_plan_destroy(g->plan);
    g->runner = NULL;
    memcpy(g->network->block, weights, g->network->block_bytes);
    g->plan = make_plan(g, golden_options(g), of);
    g->runner = make_runner(g, g->plan);
    return golden_step(g, 0);
}

static unsigned char *copy_weights(const golden *g)
{
    unsigned char *copy = malloc(g->network->block_bytes);
    assert_non_null(copy);
    assert_int_equal(pinion__network_settle(g->network), PINION_OK);
    memcpy(copy, g->network->block, g->network->block_bytes);
    return copy;
}

static void check_way(golden *g, const unsigned char *weights, const way *of, bool again)
{
    print_message(" %s, %s\n", g->network->name, of->name);
    const float loss = step_from(g, weights, of);
    golden_check_tensors(g);
    unsigned char *after = copy_weights(g);
    check_logits(g, of);
    golden_check_loss(g, loss);
    if (again) {
        assert_true(step_from(g, weights, of) == loss);
        assert_int_equal(pinion__network_settle(g->network), PINION_OK);
        assert_memory_equal(g->network->block, after, g->network->block_bytes);
    }
    free(after);
}

static void check_model(const char *model, const way *const *ways, int count, bool again)
{
    golden g;
    golden_open(&g, devices.ctx, model);
    golden_fill_weights(&g);
    unsigned char *weights = copy_weights(&g);
    for (int i = 0; i < count; i++)
        check_way(&g, weights, ways[i], again);
    free(weights);
    golden_close(&g);
}

static void test_device(void **state)
{
    (void)state;
    devices.ctx = make_context();
    assert_true(find_devices());
    check_model("resnet18-cifar", (const way *const[]){&mixed_serial, &mixed, &in_two}, 3, true);
    check_model("mobilenetv2-cifar", (const way *const[]){&mixed, &in_three}, 2, true);
    pinion__processors_fini(&devices.list);
    pinion_context_destroy(devices.ctx);
}

static void check_layer(bool discrete)
{
    pinion__opencl_api real, checked;
    devices.ctx = make_context();
    assert_int_equal(pinion__opencl_api_load(devices.ctx, &real), PINION_OK);
    checked_opencl_begin(&real, discrete, &checked);
    assert_int_equal(pinion__opencl_use(devices.ctx, &checked), PINION_OK);
    assert_true(find_devices());
    if (!discrete)
        check_model("resnet18-cifar", (const way *const[]){&in_two}, 1, false);
    check_model("mobilenetv2-cifar", (const way *const[]){discrete ? &in_two : &mixed, &in_three}, 2, false);
    if (checked_opencl_errors())
        fail_msg("%s", checked_opencl_sentence());
    pinion__processors_fini(&devices.list);
    pinion_context_destroy(devices.ctx);
    assert_int_equal(checked_opencl_end(), 0);
}

static void test_checked_shared(void **state)
{
    (void)state;
    check_layer(false);
}

static void test_checked_discrete(void **state)
{
    (void)state;
    check_layer(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_checked_shared),
        cmocka_unit_test(test_checked_discrete),
    };
    devices.ctx = make_context();
    const bool found = find_devices();
    if (!found)
        print_message("skipped: %s\n", pinion_context_error(devices.ctx));
    pinion__processors_fini(&devices.list);
    pinion_context_destroy(devices.ctx);
    if (!found)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
