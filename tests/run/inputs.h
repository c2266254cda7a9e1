/* SPDX-License-Identifier: Apache-2.0
 *
 * Machines of all kinds for batches that lie in memory of the runner: tests/run/test_input*.c.
 */
#ifndef TESTS_RUN_INPUTS_H
#define TESTS_RUN_INPUTS_H

#include "plan/build.h"
#include "run/shared.h"

enum { SAMPLES = 8, MOST_ELEMENTS = SAMPLES * SAMPLE };

/* conv, bn, relu, pool, fc on images of 5 x 3 x 3: 180 bytes. */
static inline pinion_network *make_odd(pinion_context *ctx)
{
    pinion_network *network = NULL;
    pinion_layer at = PINION_INPUT;
    pinion_conv2d conv = {.k = CHANNELS, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_linear linear = {.k = CLASSES, .bias = 1};
    assert_int_equal(pinion_network_create(ctx, "odd", (pinion_shape){5, 3, 3}, &network), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(network, "conv1", at, &conv, &at), PINION_OK);
    assert_int_equal(pinion_network_add_batchnorm(network, "bn1", at, NULL, &at), PINION_OK);
    assert_int_equal(pinion_network_add_relu(network, "relu1", at, &at), PINION_OK);
    assert_int_equal(pinion_network_add_global_avgpool(network, "pool", at, &at), PINION_OK);
    assert_int_equal(pinion_network_add_linear(network, "fc", at, &linear, &at), PINION_OK);
    assert_int_equal(pinion_network_init_weights(network, 1), PINION_OK);
    return network;
}

/* What a machine is like. */
typedef struct kind {
    uint64_t seed;
    enum pinion_mode mode;
    bool odd, copies;
    int parts, slices;
} kind;

static inline kind draw_kind(uint64_t seed, enum pinion_mode mode)
{
    kind of = {.seed = seed, .mode = mode, .odd = seed % 2 != 0, .copies = seed / 2 % 2 != 0, .parts = 1};
    if (seed / 4 % 3 == 1)
        of.parts = 4;
    if (seed / 4 % 3 == 2)
        of.slices = 2 + (int)(seed % 3);
    return of;
}

static inline pinion_plan_options options_of(const kind *of)
{
    pinion_plan_options options = of->mode == PINION_TRAIN ? training_options(SAMPLES) : pinion_plan_options_default();
    options.batch = SAMPLES;
    options.clip = of->mode == PINION_TRAIN && of->seed % 5 == 0;
    return options;
}

/* A machine on a host processor and two of a domain; every fifth on those alone. */
static inline machine make_kind(pinion_context *ctx, const kind *of, pinion__domain *domain, deal *by,
                                int64_t max_delay_ns)
{
    machine m = {.ctx = ctx};
    const pinion_plan_options options = options_of(of);
    pinion__plan_tuning tuning = {.processor_of = deal_out, .user = by, .micro_batches = of->parts};
    *by = (deal){.seed = of->seed, .hosts = of->seed % 5 != 0, .devices = 2, .max_delay_ns = max_delay_ns};
    m.network = of->odd ? make_odd(ctx) : make_random_network(ctx, of->seed, 3 + (int)(of->seed % 10), false);
    add_processors(&m, domain, by);
    for (int i = 0; i < of->slices; i++) {
        tuning.cut.n[i] = i + 1 < of->slices ? 1 + (int)((of->seed + (uint64_t)i) % 2) : SAMPLES;
        tuning.cut.processor[i] = (i + (int)of->seed) % m.processor_count;
        for (int k = 0; k < i && i + 1 == of->slices; k++)
            tuning.cut.n[i] -= tuning.cut.n[k];
    }
    tuning.cut.count = of->slices;
    if (pinion__plan_create_tuned(m.network, &options, &tuning, m.processors, m.processor_count, &m.plan) < 0 ||
        pinion_runner_create(m.plan, &m.runner) < 0)
        fail_msg("seed %d: %s", (int)of->seed, pinion_context_error(ctx));
    return m;
}

static inline void get_slot(const machine *m, int slot, float **images, int32_t **labels)
{
    if (pinion_runner_input(m->runner, slot, images, labels) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
}

static inline float train_on(machine *m, const float *images, const int32_t *labels, uint64_t number)
{
    pinion_runner_step_options options = step_options(m, number);
    float loss = NAN;
    if (pinion_runner_train(m->runner, images, labels, &options, &loss) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
    return loss;
}

#endif
