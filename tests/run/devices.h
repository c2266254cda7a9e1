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

/* What the reference kernels make of a network in a few steps. */
typedef struct answer {
    maker *make;
    uint64_t seed;
    pinion_plan_options options;
    pinion_network *before;
    machine ref;
    float losses[STEPS];
} answer;

static inline answer find_answer(maker *make, uint64_t seed, const pinion_plan_options *options)
{
    answer a = {.make = make, .seed = seed, .options = *options};
    a.before = make(seed);
    a.ref = make_on_ref(make(seed), options);
    run_steps(&a.ref, a.losses);
    return a;
}

static inline void end_answer(answer *a)
{
    end(&a->ref);
    pinion_network_destroy(a->before);
}

/* The same steps by turns on the devices, twice: the same bits, as near to the answer as the limit says. */
static inline void check_turns(const answer *a, turns by, double limit)
{
    machine first = make_on_devices(a->make(a->seed), &a->options, &by, true);
    machine second = make_on_devices(a->make(a->seed), &a->options, &by, false);
    float found[STEPS], again[STEPS];
    run_steps(&first, found);
    run_steps(&second, again);
    assert_memory_equal(found, again, sizeof found);
    expect_same_results(&first, &second);
    double apart = distance(first.network, a->ref.network, a->before);
    if (!(apart < limit && fabsf(found[0] - a->losses[0]) < 1e-4f * fabsf(a->losses[0])))
        fail_msg("seed %d, share %g: weights %.3g apart, losses %.9g and %.9g", (int)a->seed, (double)by.share, apart,
                 (double)found[0], (double)a->losses[0]);
    size_t given = first.plan->input_bytes;
    assert_true((size_t)pinion_runner_get_info(first.runner).copied_bytes <= given * (size_t)first.plan->micro_batches);
    end(&first);
    end(&second);
}

static inline void check_training(maker *make, uint64_t seed, pinion_plan_options options, turns by, double limit)
{
    answer a = find_answer(make, seed, &options);
    check_turns(&a, by, limit);
    end_answer(&a);
}

#endif
