/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of networks: shared bytes against separate ones, gradients against differences of the loss, freezing, clipping,
 * parts of a batch, steps that allocate nothing.
 */
#include "run/machine.h"

/* Some layers of a random network by pattern, so that gradients also end in the middle. */
static const char *random_freeze(uint64_t seed)
{
    static const char *const patterns[] = {NULL, NULL, "fc", "block0.*"};
    return patterns[seed % 4];
}

/* A pattern of random_freeze may match no layer with parameters, or all of them: then there is no such plan. */
static bool can_freeze(pinion_context *ctx, uint64_t seed, int depth, const pinion_plan_options *options)
{
    pinion_network *network = make_random_network(ctx, seed, depth, false);
    pinion__processor *ref = make_ref(ctx);
    pinion_plan *plan = NULL;
    bool can = pinion__plan_create(network, options, &ref, 1, &plan) == PINION_OK;
    pinion_plan_destroy(plan);
    pinion__processor_destroy(ref);
    pinion_network_destroy(network);
    return can;
}

/* Sharing and reuse of bytes changes no bit. */
static void test_shared_equals_separate(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int run = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        int depth = 3 + (int)(seed % 26);
        pinion_plan_options options = training_options(BATCH);
        options.clip = seed % 2 == 0;
        options.optimizer = seed % 3 == 0 ? PINION_ADAMW : PINION_SGD;
        options.freeze = random_freeze(seed);
        if (!can_freeze(ctx, seed, depth, &options))
            continue;
        pinion__plan_tuning separate = {.separate = true};
        machine a = make_machine(ctx, seed, depth, &options, NULL);
        machine b = make_machine(ctx, seed, depth, &options, &separate);
        assert_true(a.plan->arena_bytes < b.plan->arena_bytes);
        assert_true(a.plan->task_count <= b.plan->task_count);
        for (uint64_t number = 0; number < 2; number++)
            assert_true(step(&a, number) == step(&b, number));
        expect_same_weights(&a, &b);
        for (int p = 0; p < (int)a.network->param_count; p++) {
            const float *left = pinion__runner_gradient(a.runner, p), *right = pinion__runner_gradient(b.runner, p);
            assert_int_equal(!left, !right);
            if (left)
                assert_memory_equal(left, right, a.network->params[p].bytes);
        }
        end(&a);
        end(&b);
        run++;
    }
    assert_true(run > 120);
    pinion_context_destroy(ctx);
}

static double loss_at(machine *m, const float *start, const float *direction, double by)
{
    float *weights = (float *)(void *)m->network->block;
    size_t count = m->network->block_bytes / sizeof(float);
    for (size_t i = 0; i < count; i++)
        weights[i] = start[i] + (float)by * direction[i];
    pinion_runner_step_options options = {.clip_norm = 1e30f};
    float loss = NAN;
    assert_int_equal(pinion_runner_train(m->runner, m->images, m->labels, &options, &loss), PINION_OK);
    memcpy(weights, start, count * sizeof(float));
    return (double)loss;
}

/* Of networks without kinks: the loss changes along a direction of all weights as the gradients say. */
static void test_gradients_against_differences(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < 40; seed++) {
        machine m = {.ctx = ctx, .network = make_random_network(ctx, seed, 3 + (int)(seed % 8), true)};
        m.processors[m.processor_count++] = make_ref(ctx);
        pinion_plan_options options = training_options(BATCH);
        options.clip = 1;
        start(&m, &options, NULL);
        size_t count = m.network->block_bytes / sizeof(float);
        float *start_weights = malloc(m.network->block_bytes), *direction = calloc(count, sizeof(float));
        memcpy(start_weights, m.network->block, m.network->block_bytes);
        loss_at(&m, start_weights, direction, 0.0);
        double slope = 0, scale = 0;
        for (int p = 0; p < (int)m.network->param_count; p++) {
            const pinion__param *param = &m.network->params[p];
            const float *gradient = pinion__runner_gradient(m.runner, p);
            float *along = direction + param->offset / sizeof(float);
            if (!gradient)
                continue;
            pinion__random_normal(seed, DRAWS_DATA, 2 + (uint32_t)p, param->bytes / sizeof(float), along);
            for (size_t i = 0; i < param->bytes / sizeof(float); i++) {
                slope += (double)gradient[i] * (double)along[i];
                scale += fabs((double)gradient[i] * (double)along[i]);
            }
        }
        double by = 1e-3;
        double measured =
            (loss_at(&m, start_weights, direction, by) - loss_at(&m, start_weights, direction, -by)) / (2 * by);
        if (fabs(measured - slope) > 5e-3 * scale + 1e-3)
            fail_msg("seed %d: the loss changes by %g, the gradients say %g", (int)seed, measured, slope);
        free(start_weights);
        free(direction);
        end(&m);
    }
    pinion_context_destroy(ctx);
}

static void test_step_allocates_nothing(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_plan_options options = training_options(BATCH);
    options.clip = 1;
    machine m = make_machine(ctx, 11, 25, &options, NULL);
    size_t before = atomic_load(&ctx->allocations);
    for (uint64_t number = 0; number < 3; number++)
        step(&m, number);
    assert_int_equal(atomic_load(&ctx->allocations), before);
    end(&m);

    pinion_plan_options infer = pinion_plan_options_default();
    infer.batch = BATCH;
    m = make_machine(ctx, 11, 25, &infer, NULL);
    float logits[BATCH * CLASSES];
    before = atomic_load(&ctx->allocations);
    for (int count = 1; count <= BATCH; count++)
        assert_int_equal(pinion_runner_infer(m.runner, m.images, count, logits), PINION_OK);
    assert_int_equal(atomic_load(&ctx->allocations), before);
    end(&m);
    pinion_context_destroy(ctx);
}

static void test_freeze(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_plan_options options = training_options(BATCH);
    options.freeze = "conv1,bn1";
    machine m = make_chain_machine(ctx, &options, 1);
    unsigned char *before = malloc(m.network->block_bytes);
    memcpy(before, m.network->block, m.network->block_bytes);
    for (uint64_t number = 0; number < 3; number++)
        step(&m, number);
    for (int p = 0; p < (int)m.network->param_count; p++) {
        const pinion__param *param = &m.network->params[p];
        bool frozen = m.plan->frozen[param->layer];
        bool same = memcmp(before + param->offset, pinion__param_data(m.network, p), param->bytes) == 0;
        assert_int_equal(frozen, strncmp(param->name, "conv1", 5) == 0 || strncmp(param->name, "bn1", 3) == 0);
        assert_int_equal(same, frozen);
        assert_int_equal(pinion__runner_moment(m.runner, p, 0) == NULL, frozen);
    }
    for (size_t t = (size_t)m.plan->gate + 1; t < m.plan->task_count; t++)
        assert_true(m.plan->tasks[t].layer < 0 || m.plan->tasks[t].layer >= 3); /* nothing below conv2 */
    free(before);
    end(&m);
    pinion_context_destroy(ctx);
}

/* Without momentum, decay and with learning rate 1 the weights move by the clipped gradient. */
static void test_clipping(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_plan_options options = training_options(BATCH);
    options.clip = 1;
    options.momentum = options.weight_decay = 0.0f;
    machine m = make_chain_machine(ctx, &options, 1);
    float *before = malloc(m.network->block_bytes);
    for (int i = 0; i < 2; i++) {
        memcpy(before, m.network->block, m.network->block_bytes);
        pinion_runner_step_options at = {.learning_rate = 1.0f, .clip_norm = i ? 1e6f : 0.01f};
        float loss;
        assert_int_equal(pinion_runner_train(m.runner, m.images, m.labels, &at, &loss), PINION_OK);
        double moved = 0, norm = 0;
        for (int p = 0; p < (int)m.network->param_count; p++) {
            const pinion__param *param = &m.network->params[p];
            const float *gradient = pinion__runner_gradient(m.runner, p);
            for (size_t k = 0; gradient && k < param->bytes / sizeof(float); k++) {
                double by =
                    (double)before[param->offset / sizeof(float) + k] - (double)pinion__param_data(m.network, p)[k];
                moved += by * by;
                norm += (double)gradient[k] * (double)gradient[k];
            }
        }
        assert_true(sqrt(norm) > 0.02);
        assert_true(fabs(sqrt(moved) - (i ? sqrt(norm) : 0.01)) < 1e-4 * (i ? sqrt(norm) : 1.0));
    }
    free(before);
    end(&m);
    pinion_context_destroy(ctx);
}

static void test_part_of_a_batch(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = BATCH;
    machine m = make_machine(ctx, 21, 20, &options, NULL);
    float whole[BATCH * CLASSES], part[BATCH * CLASSES];
    assert_int_equal(pinion_runner_infer(m.runner, m.images, BATCH, whole), PINION_OK);
    for (int count = 1; count < BATCH; count++) {
        for (int i = 0; i < BATCH * CLASSES; i++)
            part[i] = -77.0f;
        assert_int_equal(pinion_runner_infer(m.runner, m.images, count, part), PINION_OK);
        assert_memory_equal(part, whole, sizeof(float) * (size_t)(count * CLASSES));
        for (int i = count * CLASSES; i < BATCH * CLASSES; i++)
            assert_true(part[i] == -77.0f);
        memcpy(part, pinion__runner_logits(m.runner), sizeof part);
        float images[BATCH * SAMPLE] = {0};
        memcpy(images, m.images, sizeof(float) * (size_t)(count * SAMPLE));
        float zeros[BATCH * CLASSES];
        assert_int_equal(pinion_runner_infer(m.runner, images, BATCH, zeros), PINION_OK);
        assert_memory_equal(part, zeros, sizeof part);
    }
    assert_int_equal(pinion_runner_infer(m.runner, m.images, 0, part), PINION_EINVAL);
    assert_int_equal(pinion_runner_infer(m.runner, m.images, BATCH + 1, part), PINION_EINVAL);
    pinion_runner_step_options at = step_options(&m, 0);
    float loss;
    assert_int_equal(pinion_runner_train(m.runner, m.images, m.labels, &at, &loss), PINION_EINVAL);
    end(&m);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_equals_separate),
        cmocka_unit_test(test_gradients_against_differences),
        cmocka_unit_test(test_step_allocates_nothing),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_part_of_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
