/* SPDX-License-Identifier: Apache-2.0
 *
 * A network with a plan and a runner, for tests of runners.
 */
#ifndef TESTS_RUN_MACHINE_H
#define TESTS_RUN_MACHINE_H

#include "plan/networks.h"
#include "run/runner.h"
#include "support/quick.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 3, SAMPLE = SIDE * SIDE * CHANNELS };

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

static inline void start(machine *m, const pinion_plan_options *options, const pinion__plan_tuning *tuning)
{
    if (pinion__plan_create_tuned(m->network, options, tuning, m->processors, m->processor_count, &m->plan) < 0 ||
        pinion_runner_create(m->plan, &m->runner) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
    make_batch(m->network, 1, BATCH, m->images, m->labels);
}

static inline machine make_machine(pinion_context *ctx, uint64_t seed, int depth, const pinion_plan_options *options,
                                   const pinion__plan_tuning *tuning)
{
    machine m = {.ctx = ctx, .network = make_random_network(ctx, seed, depth, false), .processor_count = 1};
    m.processors[0] = make_ref(ctx);
    start(&m, options, tuning);
    return m;
}

static inline void end(machine *m)
{
    pinion_runner_destroy(m->runner);
    pinion_plan_destroy(m->plan);
    for (int i = 0; i < m->processor_count; i++)
        pinion__processor_destroy(m->processors[i]);
    pinion_network_destroy(m->network);
}

static inline pinion_runner_step_options step_options(const machine *m, uint64_t number)
{
    pinion_runner_step_options options = {.learning_rate = 0.01f, .seed = 3, .number = number};
    options.clip_norm = m->plan->options.clip ? 0.5f : 0.0f;
    return options;
}

static inline float step(machine *m, uint64_t number)
{
    pinion_runner_step_options options = step_options(m, number);
    float loss = NAN;
    if (pinion_runner_train(m->runner, m->images, m->labels, &options, &loss) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
    return loss;
}

static inline void expect_same_weights(const machine *a, const machine *b)
{
    assert_int_equal(a->network->block_bytes, b->network->block_bytes);
    assert_memory_equal(a->network->block, b->network->block, a->network->block_bytes);
}

typedef struct assignment {
    uint64_t seed;
    int processors;
} assignment;

static inline int assign(void *user, int index)
{
    const assignment *by = user;
    return (int)(pinion__random_uniform(by->seed, DRAWS_NETWORK, 1, (uint64_t)index) * (float)by->processors);
}

/* conv1, bn1, relu, conv2, pool, fc. */
static inline pinion_network *make_chain(pinion_context *ctx)
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

static inline machine make_chain_machine(pinion_context *ctx, const pinion_plan_options *options, int processors)
{
    machine m = {.ctx = ctx, .network = make_chain(ctx)};
    static assignment by = {.seed = 2};
    by.processors = processors;
    for (; m.processor_count < processors; m.processor_count++)
        m.processors[m.processor_count] = make_ref(ctx);
    start(&m, options, &(pinion__plan_tuning){.processor_of = assign, .user = &by});
    return m;
}

#endif
