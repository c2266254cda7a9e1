/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans within a limit on memory that compute activations once more: the same bits as without a limit, for graphs of
 * any kind; limits at their borders; how small the arena gets.
 */
#include "plan/build.h"
#include "run/machine.h"

enum { STEPS = 3 };

/* A plan with as little memory as recomputation alone makes it. */
static pinion_plan *make_smallest(const pinion_network *network, const pinion_plan_options *options,
                                  pinion__processor *const *processors, int count)
{
    pinion_plan_options least = *options;
    least.memory_limit = 1;
    pinion_plan *plan = NULL;
    if (pinion__plan_create_parts(network, &least, NULL, processors, count, 1, false, &plan) < 0)
        fail_msg("%s", pinion_context_error(network->ctx));
    return plan;
}

/* Losses and weights after a few steps under a limit; the network's weights are `weights` before and after. */
static void run_steps(const pinion_network *network, const pinion_plan_options *options,
                      pinion__processor *const *processors, int count, const void *weights, void *result, float *losses)
{
    pinion_plan *plan = NULL;
    pinion_runner *runner = NULL;
    pinion__plan_tuning tuning = {.micro_batches = 1};
    memcpy(network->block, weights, network->block_bytes);
    if (pinion__plan_create_tuned(network, options, &tuning, processors, count, &plan) < 0 ||
        pinion_runner_create(plan, &runner) < 0)
        fail_msg("%s", pinion_context_error(network->ctx));
    if (options->memory_limit) {
        assert_true(pinion_plan_get_info(plan).total_bytes <= options->memory_limit);
        assert_true(pinion_plan_get_info(plan).recomputed > 0);
    }
    pinion_shape shape = network->input;
    float *images = calloc((size_t)(options->batch * shape.h * shape.w * shape.c), sizeof *images);
    int32_t *labels = calloc((size_t)options->batch, sizeof *labels);
    assert_true(images && labels);
    for (uint64_t number = 0; number < STEPS; number++) {
        make_batch(network, number, options->batch, images, labels);
        pinion_runner_step_options step = {.learning_rate = 0.01f, .seed = 3, .number = number};
        step.clip_norm = options->clip ? 0.5f : 0.0f;
        if (pinion_runner_train(runner, images, labels, &step, &losses[number]) < 0)
            fail_msg("limit %zu: %s", options->memory_limit, pinion_context_error(network->ctx));
    }
    memcpy(result, network->block, network->block_bytes);
    memcpy(network->block, weights, network->block_bytes);
    free(images);
    free(labels);
    pinion_runner_destroy(runner);
    pinion_plan_destroy(plan);
}

/* Without a limit, and with limits from the smallest that works on; returns how many of them there were. */
static int compare_limits(const pinion_network *network, pinion_plan_options options,
                          pinion__processor *const *processors, int count, int limits)
{
    pinion_plan *plain = NULL, *smallest = make_smallest(network, &options, processors, count);
    assert_int_equal(pinion__plan_create(network, &options, processors, count, &plain), PINION_OK);
    size_t most = pinion_plan_get_info(plain).total_bytes, least = pinion_plan_get_info(smallest).total_bytes;
    assert_true(least <= most);
    pinion_plan_destroy(plain);
    pinion_plan_destroy(smallest);
    unsigned char *weights = malloc(network->block_bytes), *expected = malloc(network->block_bytes),
                  *found = malloc(network->block_bytes);
    float losses[2][STEPS];
    assert_true(weights && expected && found);
    memcpy(weights, network->block, network->block_bytes);
    run_steps(network, &options, processors, count, weights, expected, losses[0]);
    int done = 0;
    for (; done < limits && least < most; done++) {
        options.memory_limit = least + (most - least) / (size_t)limits * (size_t)done;
        run_steps(network, &options, processors, count, weights, found, losses[1]);
        assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
        assert_memory_equal(expected, found, network->block_bytes);
    }
    free(weights);
    free(expected);
    free(found);
    return done;
}

static void test_random_graphs(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__processors processors = {.count = 0};
    assert_int_equal(pinion__processors_choose(ctx, NULL, &processors), PINION_OK);
    int run = 0;
    for (uint64_t seed = 0; seed < seeds(60); seed++) {
        pinion_network *network = make_random_network(ctx, seed, 4 + (int)(seed % 27), false);
        pinion_plan_options options = training_options(BATCH);
        options.clip = seed % 3 == 0;
        options.optimizer = seed % 4 == 0 ? PINION_ADAMW : PINION_SGD;
        options.unfused = seed % 2 == 0;
        run += compare_limits(network, options, processors.at, processors.count, 3);
        pinion_network_destroy(network);
    }
    print_message("%d limits\n", run);
    assert_true(run > (int)seeds(120));
    pinion__processors_fini(&processors);
    pinion_context_destroy(ctx);
}

static void test_zoo(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__processors processors = {.count = 0};
    assert_int_equal(pinion__processors_choose(ctx, NULL, &processors), PINION_OK);
    for (int i = 0; pinion_network_zoo_name(i); i++) {
        pinion_network *network = NULL;
        pinion_network_options small = {.input = {32, 32, 3}, .classes = 10};
        assert_int_equal(pinion_network_open(ctx, pinion_network_zoo_name(i), &small, &network), PINION_OK);
        assert_int_equal(pinion_network_init_weights(network, 1), PINION_OK);
        pinion_plan_options options = training_options(2);
        assert_int_equal(compare_limits(network, options, processors.at, processors.count, 2), 2);
        pinion_network_destroy(network);
    }
    pinion__processors_fini(&processors);
    pinion_context_destroy(ctx);
}

/* A limit that is just the plan's total leaves it alone; one byte less changes it. */
static void test_borders(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__processor *ref = make_ref(ctx);
    for (uint64_t seed = 0; seed < 20; seed++) {
        pinion_network *network = make_random_network(ctx, seed, 24, false);
        pinion_plan_options options = training_options(6);
        pinion_plan *plain = NULL, *same = NULL, *less = NULL;
        assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &plain), PINION_OK);
        pinion_plan_info before = pinion_plan_get_info(plain);
        assert_int_equal(before.recomputed, 0);
        assert_int_equal(before.micro_batches, 1);
        options.memory_limit = before.total_bytes;
        assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &same), PINION_OK);
        pinion_plan_info info = pinion_plan_get_info(same);
        assert_int_equal(info.tasks, before.tasks);
        assert_int_equal(info.arena_bytes, before.arena_bytes);
        assert_int_equal(info.recomputed, 0);
        options.memory_limit--;
        assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &less), PINION_OK);
        info = pinion_plan_get_info(less);
        assert_true(info.total_bytes < before.total_bytes);
        assert_true(info.recomputed > 0 || info.micro_batches > 1);
        pinion_plan_destroy(plain);
        pinion_plan_destroy(same);
        pinion_plan_destroy(less);
        pinion_network_destroy(network);
    }
    pinion__processor_destroy(ref);
    pinion_context_destroy(ctx);
}

/* A refusal names a limit; it works, and a byte less is refused with the same sentence. */
static void test_smallest_limit(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__processor *ref = make_ref(ctx);
    for (uint64_t seed = 0; seed < seeds(30); seed++) {
        pinion_network *network = make_random_network(ctx, seed, 6 + (int)seed % 20, false);
        pinion_plan_options options = training_options(seed % 2 ? 6 : 7);
        options.mode = seed % 5 == 0 ? PINION_INFER : PINION_TRAIN;
        options.memory_limit = 1;
        pinion_plan *plan = NULL;
        assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &plan), PINION_ENOMEM);
        const char *at = strstr(pinion_context_error(ctx), "smallest limit that works is ");
        assert_non_null(at);
        size_t smallest = (size_t)strtoull(at + strlen("smallest limit that works is "), NULL, 10);
        options.memory_limit = smallest - 1;
        assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &plan), PINION_ENOMEM);
        at = strstr(pinion_context_error(ctx), "smallest limit that works is ");
        assert_non_null(at);
        assert_true(strtoull(at + strlen("smallest limit that works is "), NULL, 10) == smallest);
        options.memory_limit = smallest;
        assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &plan), PINION_OK);
        assert_int_equal(pinion_plan_get_info(plan).total_bytes, smallest);
        pinion_plan_destroy(plan);
        pinion_network_destroy(network);
    }
    pinion__processor_destroy(ref);
    pinion_context_destroy(ctx);
}

/* Half of what a step takes besides weights and momentum is enough for it, at little cost. */
static void test_half(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__processors processors = {.count = 0};
    assert_int_equal(pinion__processors_choose(ctx, NULL, &processors), PINION_OK);
    for (int i = 0; pinion_network_zoo_name(i); i++) {
        pinion_network *network = NULL;
        assert_int_equal(pinion_network_open(ctx, pinion_network_zoo_name(i), NULL, &network), PINION_OK);
        pinion_plan_options options = training_options(32);
        pinion__plan_tuning whole = {.micro_batches = 1};
        pinion_plan *plain = NULL, *half = NULL;
        assert_int_equal(pinion__plan_create(network, &options, processors.at, processors.count, &plain), PINION_OK);
        pinion_plan_info info = pinion_plan_get_info(plain);
        size_t rest = info.total_bytes - network->block_bytes - info.moments_bytes;
        options.memory_limit = info.total_bytes - rest / 2;
        if (pinion__plan_create_tuned(network, &options, &whole, processors.at, processors.count, &half) < 0) {
            print_message("%s\n", pinion_context_error(ctx));
            pinion_plan_destroy(plain);
            pinion_network_destroy(network);
            continue;
        }
        double again = 0;
        for (size_t t = 0; t < half->task_count; t++)
            again += half->tasks[t].recomputed ? half->tasks[t].macs : 0;
        print_message("%s: arena %.1f MiB instead of %.1f, %d tasks again, %.1f %% of the multiply-adds\n",
                      network->name, (double)half->arena_bytes / 1048576, (double)info.arena_bytes / 1048576,
                      half->recomputed, 100 * again / (double)info.macs);
        assert_true(again < 0.15 * (double)info.macs);
        assert_true(half->macs == plain->macs);
        assert_true((double)half->arena_bytes < 1.03 * (double)pinion__plan_live_bytes(half));
        pinion_plan_destroy(plain);
        pinion_plan_destroy(half);
        pinion_network_destroy(network);
    }
    pinion__processors_fini(&processors);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs),  cmocka_unit_test(test_zoo),  cmocka_unit_test(test_borders),
        cmocka_unit_test(test_smallest_limit), cmocka_unit_test(test_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
