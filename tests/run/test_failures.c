/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps and runners that fail: what is refused, a loss that is not finite and where it comes from, every allocation
 * failing in turn, memory that does not suffice.
 */
#include "base/memory.h"
#include "run/machine.h"

static float *find_values(machine *m, const char *name)
{
    for (int p = 0; p < (int)m->network->param_count; p++)
        if (strcmp(m->network->params[p].name, name) == 0)
            return pinion__param_data(m->network, p);
    fail_msg("no parameter %s", name);
    return NULL;
}

/* Sets the first value of the parameter `name`. */
static void poison(machine *m, const char *name, float value)
{
    find_values(m, name)[0] = value;
}

static void expect_not_finite(machine *m, uint64_t number, const char *sentence)
{
    unsigned char *before = malloc(m->network->block_bytes);
    memcpy(before, m->network->block, m->network->block_bytes);
    pinion_runner_step_options options = step_options(m, number);
    float loss = 7.0f;
    assert_int_equal(pinion_runner_train(m->runner, m->images, m->labels, &options, &loss), PINION_ENONFINITE);
    assert_true(loss == 7.0f);
    assert_string_equal(pinion_context_error(m->ctx), sentence);
    assert_memory_equal(before, m->network->block, m->network->block_bytes);
    free(before);
}

static void check_diagnosis(pinion_context *ctx, int processors)
{
    pinion_plan_options options = training_options(BATCH);
    machine m = make_chain_machine(ctx, &options, processors);
    step(&m, 0);
    poison(&m, "conv2.weight", NAN);
    poison(&m, "conv1.weight", 1e25f); /* bn1's running variance overflows in the failed step */
    expect_not_finite(&m, 16,
                      "step 17: the loss is not finite; the first non-finite value is in the weights of layer 'conv2'");
    poison(&m, "conv1.weight", 0.0f);
    poison(&m, "conv2.weight", 3e38f);
    poison(&m, "bn1.bias", 3e38f);
    expect_not_finite(&m, 1,
                      "step 2: the loss is not finite; the first non-finite value is in the output of layer 'conv2'");
    poison(&m, "bn1.bias", 0.0f);
    poison(&m, "bn1.weight", 3e38f);
    expect_not_finite(&m, 1,
                      "step 2: the loss is not finite; the first non-finite value is in the output of layer 'bn1' "
                      "(batchnorm+relu)");
    poison(&m, "bn1.weight", 1.0f);
    poison(&m, "conv2.weight", 0.0f);
    m.images[5] = INFINITY;
    expect_not_finite(&m, 1, "step 2: the loss is not finite; the first non-finite value is in the images");
    m.images[5] = 0.0f;
    poison(&m, "fc.bias", -3e38f);
    find_values(&m, "fc.bias")[1] = 3e38f;
    m.labels[2] = 0;
    expect_not_finite(&m, 1, "step 2: the loss is not finite; the first non-finite value is in the loss");
    poison(&m, "fc.bias", 0.0f);
    find_values(&m, "fc.bias")[1] = 0.0f;
    step(&m, 1);
    end(&m);
}

static void test_diagnosis(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    check_diagnosis(ctx, 1);
    check_diagnosis(ctx, 3);
    pinion_context_destroy(ctx);
}

static void test_refusals(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_plan_options options = training_options(BATCH);
    machine m = make_chain_machine(ctx, &options, 1);
    pinion_runner_step_options at = step_options(&m, 0);
    float loss, logits[BATCH * CLASSES];
    m.labels[1] = CLASSES;
    assert_int_equal(pinion_runner_train(m.runner, m.images, m.labels, &at, &loss), PINION_EINVAL);
    assert_string_equal(pinion_context_error(ctx), "label 1 of the batch is 3; expected 0 to 2");
    m.labels[1] = -1;
    assert_int_equal(pinion_runner_train(m.runner, m.images, m.labels, &at, &loss), PINION_EINVAL);
    m.labels[1] = 0;
    at.learning_rate = NAN;
    assert_int_equal(pinion_runner_train(m.runner, m.images, m.labels, &at, &loss), PINION_EINVAL);
    at = step_options(&m, 0);
    at.clip_norm = 1.0f;
    assert_int_equal(pinion_runner_train(m.runner, m.images, m.labels, &at, &loss), PINION_EINVAL);
    assert_int_equal(pinion_runner_train(m.runner, NULL, m.labels, &at, &loss), PINION_EINVAL);
    assert_int_equal(pinion_runner_infer(m.runner, m.images, 1, logits), PINION_EINVAL);
    end(&m);
    pinion_context_destroy(ctx);
}

typedef struct failing {
    int until;    /* allocations that succeed before one fails; negative: all */
    size_t limit; /* larger ones fail */
} failing;

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    failing *at = user;
    if (at->until == 0 || bytes > at->limit)
        return NULL;
    at->until -= at->until > 0;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

static pinion_context *make_failing_context(failing *at)
{
    pinion_context_options options = pinion_context_options_default();
    options.alloc = allocate, options.release = release, options.alloc_user = at;
    pinion_context *ctx = NULL;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    return ctx;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    failing at = {.until = -1, .limit = SIZE_MAX};
    pinion_context *ctx = make_failing_context(&at);
    pinion_plan_options options = training_options(BATCH);
    machine m = make_chain_machine(ctx, &options, 3);
    pinion_runner_destroy(m.runner);
    m.runner = NULL;
    size_t live = atomic_load(&ctx->live_bytes);
    int failures = 0, status = PINION_ENOMEM;
    for (; status != PINION_OK; failures++) {
        at.until = failures;
        status = pinion_runner_create(m.plan, &m.runner);
        at.until = -1;
        assert_true(status == PINION_OK || status == PINION_ENOMEM);
        pinion_runner_destroy(m.runner);
        m.runner = NULL;
        assert_int_equal(atomic_load(&ctx->live_bytes), live);
    }
    assert_true(failures > 8);
    end(&m);
    pinion_context_destroy(ctx);
}

static void test_out_of_memory_says_how_much(void **state)
{
    (void)state;
    failing at = {.until = -1, .limit = 64 << 20};
    pinion_context *ctx = make_failing_context(&at);
    machine m = {.ctx = ctx, .network = make_chain(ctx), .processor_count = 1};
    m.processors[0] = make_ref(ctx);
    pinion_plan_options options = training_options(65536);
    assert_int_equal(pinion__plan_create(m.network, &options, m.processors, 1, &m.plan), PINION_OK);
    assert_int_equal(pinion_runner_create(m.plan, &m.runner), PINION_ENOMEM);
    char expected[64];
    snprintf(expected, sizeof expected, "needs %.1f MiB (%.1f MiB for", (double)m.plan->arena_bytes / 1048576 + 0.0,
             (double)m.plan->arena_bytes / 1048576);
    const char *said = pinion_context_error(ctx);
    if (!strstr(said, "out of memory: training 'chain' at batch 65536 needs ") || !strstr(said, expected))
        fail_msg("'%s' does not say '%s'", said, expected);
    end(&m);
    pinion_context_destroy(ctx);
}

/* More than the machine has to give is refused before it is asked for: the system might give it out, and end the
 * process when it is used. */
static void test_more_than_the_machine_has(void **state)
{
    (void)state;
    uint64_t available = pinion__memory_available_bytes();
    pinion_context *ctx = make_context();
    machine m = {.ctx = ctx, .processor_count = 1};
    pinion_layer at = PINION_INPUT;
    pinion_conv2d conv = {.k = 512, .r = 1, .s = 1};
    assert_int_equal(pinion_network_create(ctx, "wide", (pinion_shape){64, 64, 1}, &m.network), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(m.network, "conv", at, &conv, &at), PINION_OK);
    assert_int_equal(pinion_network_add_global_avgpool(m.network, "pool", at, &at), PINION_OK);
    m.processors[0] = make_ref(ctx);
    pinion_plan_options options = pinion_plan_options_default();
    const uint64_t sample_bytes = UINT64_C(4) * 64 * 64 * 512;
    uint64_t batch = available / sample_bytes + available / sample_bytes / 16 + 1;
    if (batch > 65536 || available > SIZE_MAX / 4 * 3) {
        skip(); /* unknown, or more than a plan can ask for, or than a 32-bit process could address */
        return;
    }
    options.batch = (int)batch;
    assert_int_equal(pinion__plan_create(m.network, &options, m.processors, 1, &m.plan), PINION_OK);
    assert_true(m.plan->arena_bytes > available);
    size_t allocations = atomic_load(&ctx->allocations);
    assert_int_equal(pinion_runner_create(m.plan, &m.runner), PINION_ENOMEM);
    assert_int_equal(atomic_load(&ctx->allocations), allocations);
    assert_non_null(strstr(pinion_context_error(ctx), "out of memory: running 'wide' at batch "));
    assert_null(m.runner);
    end(&m);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diagnosis),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_out_of_memory_says_how_much),
        cmocka_unit_test(test_more_than_the_machine_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
