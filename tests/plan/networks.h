/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks for tests of plans and runners: a random graph with many shared inputs and views, and operands
 * for a step of it.
 */
#ifndef TESTS_PLAN_NETWORKS_H
#define TESTS_PLAN_NETWORKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

enum { CLASSES = 3, SIDE = 4, CHANNELS = 4, DRAWS_NETWORK = PINION__RANDOM_TEST + 50, DRAWS_DATA };

static inline pinion_context *make_context(void)
{
    pinion_context *ctx = NULL;
    pinion_context_options options = pinion_context_options_default();
    options.threads = 2;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    return ctx;
}

/* Draws that are a function of (seed, how many were drawn before). */
typedef struct draws {
    uint64_t seed, count;
} draws;

static inline int draw(draws *from, int below)
{
    return (int)(pinion__random_uniform(from->seed, DRAWS_NETWORK, 0, from->count++) * (float)below);
}

/* One random layer of shape SIDE x SIDE x CHANNELS on layers of that shape (or the input). */
static inline pinion_layer add_random_layer(pinion_network *network, draws *from, int count, bool smooth)
{
    char name[64];
    snprintf(name, sizeof name, "block%d.layer%d", count / 3, count);
    pinion_layer a = draw(from, 3) ? count - 1 : draw(from, count + 1) - 1, b = draw(from, count + 1) - 1, out = -2;
    pinion_conv2d conv = {.k = CHANNELS, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .bias = draw(from, 2)};
    pinion_conv2d depthwise = {.r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_pool pool = {.r = 3, .s = 3, .stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1};
    pinion_dropout dropout = {.rate = 0.25f};
    int status = PINION_OK;
    switch (draw(from, smooth ? 6 : 10)) {
    case 0:
        status = pinion_network_add_conv2d(network, name, a, &conv, &out);
        break;
    case 1:
        status = pinion_network_add_batchnorm(network, name, a, NULL, &out);
        break;
    case 2:
        status = pinion_network_add_depthwise_conv2d(network, name, a, &depthwise, &out);
        break;
    case 3:
        status = pinion_network_add_avgpool(network, name, a, &pool, &out);
        break;
    case 6:
        status = pinion_network_add_relu(network, name, a, &out);
        break;
    case 7:
        status = pinion_network_add_relu6(network, name, a, &out);
        break;
    case 8:
        status = pinion_network_add_maxpool(network, name, a, &pool, &out);
        break;
    case 9:
        status = pinion_network_add_dropout(network, name, a, &dropout, &out);
        break;
    default:
        status = pinion_network_add_add(network, name, a, draw(from, 4) ? b : a, &out);
        break;
    }
    assert_int_equal(status, PINION_OK);
    return out;
}

/* Does a layer read `layer`? */
static inline bool is_read(const pinion_network *network, pinion_layer layer)
{
    for (size_t i = 0; i < network->layer_count; i++)
        for (int k = 0; k < network->layers[i].op->inputs; k++)
            if (network->layers[i].inputs[k] == layer)
                return true;
    return false;
}

/* A function of the seed: `depth` random layers, the sum of those that nobody reads, two views, their sum, and the
 * classifier. Weights are initialised. */
static inline pinion_network *make_random_network(pinion_context *ctx, uint64_t seed, int depth, bool smooth)
{
    draws from = {.seed = seed};
    pinion_network *network = NULL;
    pinion_shape input = {SIDE, SIDE, CHANNELS};
    assert_int_equal(pinion_network_create(ctx, "random", input, &network), PINION_OK);
    for (int count = 0; count < depth; count++)
        assert_int_equal(add_random_layer(network, &from, count, smooth), count);
    pinion_layer last = depth - 1, flat[2] = {-2, -2}, sum = -2;
    for (pinion_layer layer = 0; layer < depth - 1; layer++) {
        char name[64];
        snprintf(name, sizeof name, "merge%d", layer);
        if (!is_read(network, layer))
            assert_int_equal(pinion_network_add_add(network, name, layer, last, &last), PINION_OK);
    }
    assert_int_equal(pinion_network_add_flatten(network, "flat0", last, &flat[0]), PINION_OK);
    assert_int_equal(pinion_network_add_flatten(network, "flat1", draw(&from, depth), &flat[1]), PINION_OK);
    assert_int_equal(pinion_network_add_add(network, "sum", flat[0], flat[1], &sum), PINION_OK);
    if (draw(&from, 2))
        assert_int_equal(pinion_network_add_add(network, "twice", sum, flat[draw(&from, 2)], &sum), PINION_OK);
    pinion_linear linear = {.k = CLASSES, .bias = 1};
    assert_int_equal(pinion_network_add_linear(network, "fc", sum, &linear, NULL), PINION_OK);
    if (pinion_network_init_weights(network, seed) < 0)
        fail_msg("%s", pinion_context_error(ctx));
    return network;
}

/* Normal random images and random labels. */
static inline void make_batch(const pinion_network *network, uint64_t seed, int batch, float *images, int32_t *labels)
{
    pinion_shape shape = network->input;
    pinion__random_normal(seed, DRAWS_DATA, 0, (size_t)(batch * shape.h * shape.w * shape.c), images);
    int classes = network->layers[network->layer_count - 1].output.c;
    for (int i = 0; i < batch; i++)
        labels[i] = (int32_t)(pinion__random_uniform(seed, DRAWS_DATA, 1, (uint64_t)i) * (float)classes);
}

static inline pinion_plan_options training_options(int batch)
{
    pinion_plan_options options = pinion_plan_options_default();
    options.mode = PINION_TRAIN;
    options.batch = batch;
    return options;
}

static inline pinion__processor *make_ref(pinion_context *ctx)
{
    pinion__processor *processor = NULL;
    assert_int_equal(pinion__processor_create_ref(ctx, &processor), PINION_OK);
    return processor;
}

#endif
