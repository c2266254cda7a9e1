/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of random networks: shared bytes against separate ones, gradients against differences of the loss, several
 * processors against one, freezing, clipping, steps that allocate nothing, steps that fail and say where.
 */
#include "plan/networks.h"
#include "run/runner.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 3, SAMPLE = SIDE * SIDE * CHANNELS, MAX_DELAY_NS = 30000 };

/* A network with a plan and a runner on processors of its own. */
typedef struct machine {
    pinion_context *ctx;
    pinion_network *network;
    pinion__processor *processors[4];
    int processor_count;
    pinion_plan *plan;
    pinion_runner *runner;
    float images[BATCH * SAMPLE];
    int32_t labels[BATCH];
} machine;

static void start(machine *m, const pinion_plan_options *options, const pinion__plan_tuning *tuning)
{
    if (pinion__plan_create_tuned(m->network, options, tuning, m->processors, m->processor_count, &m->plan) < 0 ||
        pinion_runner_create(m->plan, &m->runner) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
    make_batch(m->network, 1, BATCH, m->images, m->labels);
}

static machine make_machine(pinion_context *ctx, uint64_t seed, int depth, const pinion_plan_options *options,
                            const pinion__plan_tuning *tuning)
{
    machine m = {.ctx = ctx, .network = make_random_network(ctx, seed, depth, false), .processor_count = 1};
    m.processors[0] = make_ref(ctx);
    start(&m, options, tuning);
    return m;
}

static void end(machine *m)
{
    pinion_runner_destroy(m->runner);
    pinion_plan_destroy(m->plan);
    for (int i = 0; i < m->processor_count; i++)
        pinion__processor_destroy(m->processors[i]);
    pinion_network_destroy(m->network);
}

static pinion_runner_step_options step_options(const machine *m, uint64_t number)
{
    pinion_runner_step_options options = {.learning_rate = 0.01f, .seed = 3, .number = number};
    options.clip_norm = m->plan->options.clip ? 0.5f : 0.0f;
    return options;
}

static float step(machine *m, uint64_t number)
{
    pinion_runner_step_options options = step_options(m, number);
    float loss = NAN;
    if (pinion_runner_train(m->runner, m->images, m->labels, &options, &loss) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
    return loss;
}

static void expect_same_weights(const machine *a, const machine *b)
{
    assert_int_equal(a->network->block_bytes, b->network->block_bytes);
    assert_memory_equal(a->network->block, b->network->block, a->network->block_bytes);
}

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

typedef struct assignment {
    uint64_t seed;
    int processors;
} assignment;

static int assign(void *user, int index)
{
    const assignment *by = user;
    return (int)(pinion__random_uniform(by->seed, DRAWS_NETWORK, 1, (uint64_t)index) * (float)by->processors);
}

/* Tasks dealt out at random to two to four processors that delay each at random: the bits of one processor. */
static void test_random_delays(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < 300; seed++) {
        int depth = 3 + (int)(seed % 12);
        pinion_plan_options options = training_options(BATCH);
        options.clip = seed % 4 == 0;
        machine one = {.ctx = ctx, .network = make_random_network(ctx, seed, depth, false), .processor_count = 1};
        machine many = {.ctx = ctx, .network = make_random_network(ctx, seed, depth, false)};
        assignment by = {.seed = seed, .processors = 2 + (int)(seed % 3)};
        assert_int_equal(pinion__processor_create_simulated(ctx, "alone", 0, 0, &one.processors[0]), PINION_OK);
        for (; many.processor_count < by.processors; many.processor_count++)
            assert_int_equal(pinion__processor_create_simulated(ctx, "simulated",
                                                                seed * 7 + (uint64_t)many.processor_count, MAX_DELAY_NS,
                                                                &many.processors[many.processor_count]),
                             PINION_OK);
        start(&one, &options, NULL);
        start(&many, &options, &(pinion__plan_tuning){.processor_of = assign, .user = &by});
        for (uint64_t number = 0; number < 2; number++)
            assert_true(step(&one, number) == step(&many, number));
        expect_same_weights(&one, &many);
        end(&one);
        end(&many);
    }
    pinion_context_destroy(ctx);
}

/* Simulated processors that say when two that share cores run at once. */
static atomic_int running, most_running;
static void (*run_simulated)(pinion__processor *, void (*)(const void *), const void *);

static void run_counted(pinion__processor *processor, void (*body)(const void *args), const void *args)
{
    int now = atomic_fetch_add(&running, 1) + 1;
    if (now > atomic_load(&most_running))
        atomic_store(&most_running, now);
    run_simulated(processor, body, args);
    atomic_fetch_sub(&running, 1);
}

static int run_on_three(pinion_context *ctx, bool share_cores)
{
    machine m = {.ctx = ctx, .network = make_random_network(ctx, 5, 20, false)};
    pinion__processor_class counted;
    assignment by = {.seed = 1, .processors = 3};
    for (; m.processor_count < 3; m.processor_count++) {
        pinion__processor **at = &m.processors[m.processor_count];
        assert_int_equal(pinion__processor_create_simulated(ctx, "counted", 1, 300000, at), PINION_OK);
        (*at)->core_mask[1] = share_cores ? 1 : UINT64_C(1) << m.processor_count;
        counted = *(*at)->class_;
        run_simulated = counted.run;
        counted.run = run_counted;
        (*at)->class_ = &counted;
    }
    pinion_plan_options options = training_options(BATCH);
    start(&m, &options, &(pinion__plan_tuning){.processor_of = assign, .user = &by});
    atomic_store(&most_running, 0);
    for (uint64_t number = 0; number < 5; number++)
        step(&m, number);
    end(&m);
    return atomic_load(&most_running);
}

static void test_processors_that_share_cores(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    assert_int_equal(run_on_three(ctx, true), 1);
    assert_true(run_on_three(ctx, false) > 1);
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

/* conv1, bn1, relu, conv2, pool, fc. */
static pinion_network *make_chain(pinion_context *ctx)
{
    pinion_network *network = NULL;
    pinion_layer at = PINION_INPUT;
    pinion_shape input = {SIDE, SIDE, CHANNELS};
    pinion_conv2d conv = {.k = CHANNELS, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_linear linear = {.k = CLASSES, .bias = 1};
    assert_int_equal(pinion_network_create(ctx, "chain", input, &network), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(network, "conv1", at, &conv, &at), PINION_OK);
    assert_int_equal(pinion_network_add_batchnorm(network, "bn1", at, NULL, &at), PINION_OK);
    assert_int_equal(pinion_network_add_relu(network, "relu1", at, &at), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(network, "conv2", at, &conv, &at), PINION_OK);
    assert_int_equal(pinion_network_add_global_avgpool(network, "pool", at, &at), PINION_OK);
    assert_int_equal(pinion_network_add_linear(network, "fc", at, &linear, &at), PINION_OK);
    assert_int_equal(pinion_network_init_weights(network, 1), PINION_OK);
    return network;
}

static machine make_chain_machine(pinion_context *ctx, const pinion_plan_options *options, int processors)
{
    machine m = {.ctx = ctx, .network = make_chain(ctx)};
    static assignment by = {.seed = 2};
    by.processors = processors;
    for (; m.processor_count < processors; m.processor_count++)
        m.processors[m.processor_count] = make_ref(ctx);
    start(&m, options, &(pinion__plan_tuning){.processor_of = assign, .user = &by});
    return m;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_equals_separate),
        cmocka_unit_test(test_gradients_against_differences),
        cmocka_unit_test(test_random_delays),
        cmocka_unit_test(test_processors_that_share_cores),
        cmocka_unit_test(test_step_allocates_nothing),
        cmocka_unit_test(test_diagnosis),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_part_of_a_batch),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_out_of_memory_says_how_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
