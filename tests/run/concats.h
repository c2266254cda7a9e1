/* SPDX-License-Identifier: Apache-2.0
 *
 * Random networks with many concats: of what other concats hold already, of views, of the input, of themselves.
 */
#ifndef TESTS_RUN_CONCATS_H
#define TESTS_RUN_CONCATS_H

#include "run/shared.h"

static inline pinion_shape shape_of(const pinion_network *network, pinion_layer layer)
{
    return layer == PINION_INPUT ? network->input : network->layers[layer].output;
}

/* A layer whose output is of the same rows and columns as its input's. */
static inline pinion_layer add_one(pinion_network *network, draws *from, const char *name, pinion_layer a)
{
    pinion_layer out = -2;
    pinion_conv2d conv = {.k = 1 + draw(from, 5), .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .bias = draw(from, 2)};
    pinion_conv2d depthwise = {.r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_pool pool = {.r = 3, .s = 3, .stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1};
    pinion_dropout dropout = {.rate = 0.25f};
    int status = PINION_OK;
    switch (draw(from, 10)) {
    case 0:
        status = pinion_network_add_batchnorm(network, name, a, NULL, &out);
        break;
    case 1:
        status = pinion_network_add_depthwise_conv2d(network, name, a, &depthwise, &out);
        break;
    case 2:
        status = pinion_network_add_avgpool(network, name, a, &pool, &out);
        break;
    case 3:
        status = pinion_network_add_relu(network, name, a, &out);
        break;
    case 4:
        status = pinion_network_add_maxpool(network, name, a, &pool, &out);
        break;
    case 5:
        status = pinion_network_add_dropout(network, name, a, &dropout, &out);
        break;
    default:
        status = pinion_network_add_conv2d(network, name, a, &conv, &out);
        break;
    }
    assert_int_equal(status, PINION_OK);
    return out;
}

/* The sum of two layers of the same shape, else their concat; nobody has more than MOST channels. */
static inline pinion_layer add_two(pinion_network *network, draws *from, const char *name, pinion_layer a,
                                   pinion_layer b)
{
    enum { MOST = 24 };
    pinion_layer out = -2;
    const int channels = shape_of(network, a).c + shape_of(network, b).c;
    if (shape_of(network, a).c == shape_of(network, b).c && draw(from, 2))
        assert_int_equal(pinion_network_add_add(network, name, a, b, &out), PINION_OK);
    else if (channels > MOST)
        out = add_one(network, from, name, a);
    else
        assert_int_equal(pinion_network_add_concat(network, name, a, b, &out), PINION_OK);
    return out;
}

/* A function of the seed: random layers, two flattened ones side by side, the classifier. */
static inline pinion_network *make_concats(pinion_context *ctx, uint64_t seed)
{
    draws from = {.seed = seed + 70000};
    pinion_network *network = NULL;
    const int depth = 4 + (int)(seed % 12);
    pinion_layer flat[2] = {-2, -2}, out = -2;
    char name[64];
    assert_int_equal(pinion_network_create(ctx, "concats", (pinion_shape){SIDE, SIDE, CHANNELS}, &network), PINION_OK);
    for (int i = 0; i < depth; i++) {
        pinion_layer a = draw(&from, 3) ? i - 1 : draw(&from, i + 1) - 1, b = draw(&from, i + 1) - 1;
        snprintf(name, sizeof name, "block%d.layer%d", i / 3, i);
        out = draw(&from, 2) ? add_two(network, &from, name, a, b) : add_one(network, &from, name, a);
        assert_int_equal(out, i);
    }
    for (pinion_layer layer = 0; layer < depth - 1; layer++) {
        snprintf(name, sizeof name, "merge%d", layer);
        if (!is_read(network, layer))
            assert_int_equal(pinion_network_add_concat(network, name, layer, out, &out), PINION_OK);
    }
    assert_int_equal(pinion_network_add_flatten(network, "flat0", out, &flat[0]), PINION_OK);
    assert_int_equal(pinion_network_add_flatten(network, "flat1", draw(&from, depth), &flat[1]), PINION_OK);
    assert_int_equal(pinion_network_add_concat(network, "sides", flat[0], flat[1], &out), PINION_OK);
    if (draw(&from, 2))
        assert_int_equal(pinion_network_add_concat(network, "again", out, flat[draw(&from, 2)], &out), PINION_OK);
    pinion_linear linear = {.k = CLASSES, .bias = 1};
    assert_int_equal(pinion_network_add_linear(network, "fc", out, &linear, NULL), PINION_OK);
    if (pinion_network_init_weights(network, seed) < 0)
        fail_msg("%s", pinion_context_error(ctx));
    return network;
}

#endif
