/* SPDX-License-Identifier: Apache-2.0
 *
 * Machines on one core of the host and an OpenCL device, and how near they come to the reference kernels.
 */
#ifndef TESTS_RUN_DEVICES_H
#define TESTS_RUN_DEVICES_H

#include "plan/build.h"
#include "run/shared.h"

enum { STEPS = 2 };

typedef struct pack {
    pinion_context *ctx;
    pinion__processors list;
} pack;

static pack devices;

/* In the context of `devices`. */
static inline bool find_devices(void)
{
    return pinion__processors_choose(devices.ctx, "cpu/1,opencl:0/1", &devices.list) == PINION_OK ||
           pinion__processors_choose(devices.ctx, "cpu/1,opencl:0", &devices.list) == PINION_OK;
}

/* Each task on the device with a probability. */
typedef struct turns {
    uint64_t seed;
    float share;
} turns;

static inline int take_turns(void *user, int index)
{
    const turns *by = user;
    return pinion__random_uniform(by->seed, DRAWS_NETWORK, 2, (uint64_t)index) < by->share ? 1 : 0;
}

static inline machine make_on_devices(pinion_network *network, const pinion_plan_options *options, turns *by,
                                      bool serial)
{
    machine m = {.ctx = devices.ctx, .network = network};
    pinion__plan_tuning tuning = {.processor_of = take_turns, .user = by};
    if (pinion__plan_create_tuned(network, options, &tuning, devices.list.at, 2, &m.plan) < 0)
        fail_msg("%s", pinion_context_error(m.ctx));
    m.plan->serial = serial;
    if (pinion_runner_create(m.plan, &m.runner) < 0)
        fail_msg("%s", pinion_context_error(m.ctx));
    return m;
}

static inline machine make_on_ref(pinion_network *network, const pinion_plan_options *options)
{
    machine m = {.ctx = devices.ctx, .network = network, .processors = {make_ref(devices.ctx)}, .processor_count = 1};
    if (pinion__plan_create(network, options, m.processors, 1, &m.plan) < 0 ||
        pinion_runner_create(m.plan, &m.runner) < 0)
        fail_msg("%s", pinion_context_error(m.ctx));
    return m;
}

/* A few steps of a batch that is a function of the step. */
static inline void run_steps(machine *m, float *losses)
{
    int batch = m->plan->options.batch;
    pinion_shape shape = m->network->input;
    float *images = malloc(sizeof *images * (size_t)(batch * shape.h * shape.w * shape.c));
    int32_t *labels = malloc(sizeof *labels * (size_t)batch);
    assert_true(images && labels);
    for (uint64_t number = 0; number < STEPS; number++) {
        make_batch(m->network, number, batch, images, labels);
        pinion_runner_step_options options = step_options(m, number);
        if (pinion_runner_train(m->runner, images, labels, &options, &losses[number]) < 0)
            fail_msg("%s", pinion_context_error(m->ctx));
    }
    settle(m);
    free(images);
    free(labels);
}

/* How far the weights are from those of another network, which both had the same before, in parts of how far they went.
 */
static inline double distance(const pinion_network *a, const pinion_network *b, const pinion_network *before)
{
    double apart = 0, way = 1e-30;
    for (int p = 0; p < (int)a->param_count; p++) {
        const float *x = pinion__param_data(a, p), *y = pinion__param_data(b, p), *from = pinion__param_data(before, p);
        for (size_t i = 0; i < a->params[p].bytes / sizeof(float); i++) {
            apart += pow((double)x[i] - (double)y[i], 2);
            way += pow((double)y[i] - (double)from[i], 2);
        }
    }
    return sqrt(apart / way);
}

typedef pinion_network *maker(uint64_t seed);

static inline pinion_network *make_graph(uint64_t seed)
{
    return make_random_network(devices.ctx, seed, 3 + (int)(seed % 12), true);
}

static inline pinion_network *make_resnet(uint64_t seed)
{
    pinion_network *network = NULL;
    assert_int_equal(pinion_network_open(devices.ctx, "resnet18-cifar", NULL, &network), PINION_OK);
    assert_int_equal(pinion_network_init_weights(network, seed), PINION_OK);
    return network;
}

static inline void check_training(maker *make, uint64_t seed, pinion_plan_options options, turns by, double limit)
{
    pinion_network *before = make(seed);
    machine ref = make_on_ref(make(seed), &options);
    machine first = make_on_devices(make(seed), &options, &by, true);
    machine second = make_on_devices(make(seed), &options, &by, false);
    float expected[STEPS], found[STEPS], again[STEPS];
    run_steps(&ref, expected);
    run_steps(&first, found);
    run_steps(&second, again);
    assert_memory_equal(found, again, sizeof found);
    expect_same_results(&first, &second);
    double apart = distance(first.network, ref.network, before);
    if (!(apart < limit && fabsf(found[0] - expected[0]) < 1e-4f * fabsf(expected[0])))
        fail_msg("seed %d, share %g: weights %.3g apart, losses %.9g and %.9g", (int)seed, (double)by.share, apart,
                 (double)found[0], (double)expected[0]);
    size_t given = first.plan->input_bytes;
    assert_true((size_t)pinion_runner_get_info(first.runner).copied_bytes <= given * (size_t)first.plan->micro_batches);
    end(&ref);
    end(&first);
    end(&second);
    pinion_network_destroy(before);
}

#endif
