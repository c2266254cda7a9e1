/* SPDX-License-Identifier: Apache-2.0
 *
 * The number of threads changes no bit: a step of the zoo's networks and of random ones with one, two and five workers.
 * Nor do two runners of one plan disturb each other.
 */
#include "plan/networks.h"
#include "run/runner.h"

#include <stdlib.h>

enum { BATCH = 4, STEPS = 2 };

typedef struct result {
    unsigned char *weights;
    size_t bytes;
    float loss[STEPS];
} result;

static result train(pinion_context *ctx, pinion_network *network, int threads)
{
    result out = {.bytes = network->block_bytes, .weights = malloc(network->block_bytes)};
    pinion__processor *cpu = NULL;
    pinion_plan *plan = NULL;
    pinion_runner *runner = NULL;
    assert_int_equal(pinion__processor_create_cpu(ctx, threads, &cpu), PINION_OK);
    pinion_plan_options options = training_options(BATCH);
    options.clip = 1;
    if (pinion__plan_create(network, &options, &cpu, 1, &plan) < 0 || pinion_runner_create(plan, &runner) < 0)
        fail_msg("%s", pinion_context_error(ctx));
    pinion_shape shape = network->input;
    float *images = malloc(sizeof(float) * (size_t)(BATCH * shape.h * shape.w * shape.c));
    int32_t labels[BATCH];
    for (int step = 0; step < STEPS; step++) {
        make_batch(network, (uint64_t)step, BATCH, images, labels);
        pinion_runner_step_options at = {.learning_rate = 0.05f, .clip_norm = 1.0f, .number = (uint64_t)step};
        if (pinion_runner_train(runner, images, labels, &at, &out.loss[step]) < 0)
            fail_msg("%s", pinion_context_error(ctx));
    }
    memcpy(out.weights, network->block, out.bytes);
    free(images);
    pinion_runner_destroy(runner);
    pinion_plan_destroy(plan);
    pinion__processor_destroy(cpu);
    return out;
}

static pinion_network *open_zoo(pinion_context *ctx, const char *model)
{
    pinion_network *network = NULL;
    assert_int_equal(pinion_network_open(ctx, model, NULL, &network), PINION_OK);
    assert_int_equal(pinion_network_init_weights(network, 1), PINION_OK);
    return network;
}

/* model NULL: the random network of the seed. */
static void check_network(const char *model, uint64_t seed)
{
    static const int threads[] = {1, 2, 5};
    result first = {0};
    pinion_context *ctx = make_context();
    for (int i = 0; i < 3; i++) {
        pinion_network *network = model ? open_zoo(ctx, model) : make_random_network(ctx, seed, 20, false);
        result now = train(ctx, network, threads[i]);
        if (i == 0) {
            first = now;
        } else {
            assert_memory_equal(first.loss, now.loss, sizeof now.loss);
            assert_memory_equal(first.weights, now.weights, now.bytes);
            free(now.weights);
        }
        pinion_network_destroy(network);
    }
    free(first.weights);
    pinion_context_destroy(ctx);
}

static void test_resnet18(void **state)
{
    (void)state;
    check_network("resnet18-cifar", 0);
}

static void test_mobilenetv2(void **state)
{
    (void)state;
    check_network("mobilenetv2-cifar", 0);
}

static void test_random_networks(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++)
        check_network(NULL, seed);
}

typedef struct user {
    pinion_runner *runner;
    float *images;
    float logits[BATCH * CLASSES];
} user;

static void *infer_often(void *argument)
{
    user *of = argument;
    for (int i = 0; i < 50; i++)
        if (pinion_runner_infer(of->runner, of->images, BATCH, of->logits) < 0)
            return argument;
    return NULL;
}

/* Two runners of one plan, used at once, give the bits that they give one after the other. */
static void test_two_runners(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_network *network = make_random_network(ctx, 4, 12, false);
    pinion__processor *cpu = NULL;
    pinion_plan *plan = NULL;
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = BATCH;
    assert_int_equal(pinion__processor_create_cpu(ctx, 2, &cpu), PINION_OK);
    assert_int_equal(pinion__plan_create(network, &options, &cpu, 1, &plan), PINION_OK);
    user users[2];
    float expected[2][BATCH * CLASSES];
    for (int i = 0; i < 2; i++) {
        int32_t labels[BATCH];
        users[i].images = malloc(sizeof(float) * BATCH * SIDE * SIDE * CHANNELS);
        make_batch(network, (uint64_t)i, BATCH, users[i].images, labels);
        assert_int_equal(pinion_runner_create(plan, &users[i].runner), PINION_OK);
        assert_int_equal(pinion_runner_infer(users[i].runner, users[i].images, BATCH, expected[i]), PINION_OK);
    }
    for (int round = 0; round < 10; round++) {
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, infer_often, &users[i]), 0);
        for (int i = 0; i < 2; i++) {
            void *failed = NULL;
            pthread_join(threads[i], &failed);
            assert_null(failed);
            assert_memory_equal(users[i].logits, expected[i], sizeof expected[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        pinion_runner_destroy(users[i].runner);
        free(users[i].images);
    }
    pinion_plan_destroy(plan);
    pinion__processor_destroy(cpu);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_runners),
        cmocka_unit_test(test_random_networks),
        cmocka_unit_test(test_resnet18),
        cmocka_unit_test(test_mobilenetv2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
