/* SPDX-License-Identifier: Apache-2.0
 *
 * The tiny training of a dynamic network, and what of it lies in memory and files.
 */
#include "learn/grown.h"

#include <pinion/error.h>
#include <pinion/weights.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/groups.h"
#include "net/safetensors.h"

static int add_layers(pinion_network *network)
{
    const pinion_conv2d conv1 = {.k = 9, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    const pinion_conv2d conv2 = {.k = 8, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    const pinion_dropout dropout = {.rate = 0.2f};
    const pinion_pool pool = {.r = 2, .s = 2};
    const pinion_linear linear = {.k = TINY_CLASSES, .bias = 1};
    pinion_layer at = PINION_INPUT;
    int status = pinion_network_add_conv2d(network, "conv1", at, &conv1, &at);
    if (status == PINION_OK)
        status = pinion_network_add_batchnorm(network, "bn1", at, NULL, &at);
    if (status == PINION_OK)
        status = pinion_network_add_relu(network, "relu1", at, &at);
    if (status == PINION_OK)
        status = pinion_network_add_maxpool(network, "pool1", at, &pool, &at);
    if (status == PINION_OK)
        status = pinion_network_add_dropout(network, "drop1", at, &dropout, &at);
    if (status == PINION_OK)
        status = pinion_network_add_conv2d(network, "conv2", at, &conv2, &at);
    if (status == PINION_OK)
        status = pinion_network_add_batchnorm(network, "bn2", at, NULL, &at);
    if (status == PINION_OK)
        status = pinion_network_add_relu(network, "relu2", at, &at);
    if (status == PINION_OK)
        status = pinion_network_add_flatten(network, "flat", at, &at);
    if (status == PINION_OK)
        status = pinion_network_add_linear(network, "fc", at, &linear, &at);
    return status;
}

void grown_open(tiny *t, const pinion_context_options *options, uint64_t seed, int groups, enum pinion_connect connect)
{
    const pinion_shape shape = {TINY_SIDE, TINY_SIDE, 3};
    pinion_network *base = NULL;
    pinion_context_options one = pinion_context_options_default();
    one.threads = 1; /* hundreds of trainings, each step shorter than waking a thread */
    tiny_open(t, options ? options : &one, seed);
    pinion_network_destroy(t->network);
    assert_int_equal(pinion_network_create(t->ctx, "grown", shape, &base), PINION_OK);
    assert_int_equal(add_layers(base), PINION_OK);
    t->network = base;
    if (groups)
        assert_int_equal(pinion__network_cut_take(base, groups, connect, &t->network), PINION_OK);
    assert_int_equal(pinion_network_init_weights(t->network, seed), PINION_OK);
}

pinion_train_options grown_options(const char *out, int augment)
{
    static const pinion_train_stage stages[] = {
        {1, 1, 0, 0.02f}, {2, 1, 5, 0.04f}, {3, 2, 10, 0.03f}, {0, 1, 4, 0.01f}};
    pinion_train_options options = tiny_options(out);
    options.augment = augment;
    options.stage_count = GROWN_GROUPS + 1;
    memcpy(options.stages, stages, sizeof stages);
    return options;
}

pinion_train_options grown_stage(const pinion_train_options *all, int index)
{
    pinion_train_options options = *all;
    const pinion_train_stage *stage = &all->stages[index];
    options.stage_count = 0;
    options.stage = stage->group;
    options.joint = stage->group == 0;
    options.epochs = stage->epochs;
    options.steps = stage->steps;
    options.learning_rate = stage->learning_rate;
    return options;
}

float *grown_copy_group(const pinion_network *network, int group, size_t *bytes)
{
    size_t first = group > 1 ? pinion__network_param_count(network, group - 1) : 0;
    size_t end = pinion__network_param_count(network, group), used = 0;
    *bytes = 0;
    for (size_t i = first; i < end; i++)
        *bytes += network->params[i].bytes;
    unsigned char *copy = malloc(*bytes);
    assert_non_null(copy);
    for (size_t i = first; i < end; i++) {
        memcpy(copy + used, pinion__param_data(network, (int)i), network->params[i].bytes);
        used += network->params[i].bytes;
    }
    return (float *)(void *)copy;
}

void grown_assert_same_group(pinion_context *ctx, const char *a, const char *b, int group)
{
    pinion__st_file *files[2];
    int seen = 0;
    assert_int_equal(pinion__st_open(ctx, a, &files[0]), PINION_OK);
    assert_int_equal(pinion__st_open(ctx, b, &files[1]), PINION_OK);
    for (size_t i = 0; i < files[0]->tensor_count; i++) {
        const pinion__st_tensor *left = &files[0]->tensors[i];
        if (pinion__st_group(left->name) != group)
            continue;
        const pinion__st_tensor *right = pinion__st_find(files[1], left->name);
        if (!right || right->bytes != left->bytes || memcmp(left->data, right->data, (size_t)left->bytes) != 0)
            fail_msg("%s has not the tensor '%s' of %s", b, left->name, a);
        seen++;
    }
    assert_true(seen > 8);
    pinion__st_close(ctx, files[0]);
    pinion__st_close(ctx, files[1]);
}

int grown_width_of(pinion_context *ctx, const char *path)
{
    pinion_weights_file *file;
    assert_int_equal(pinion_weights_open(ctx, path, &file), PINION_OK);
    const pinion_weights_metadata *metadata = pinion_weights_get_metadata(file);
    int width = metadata->width, most = 0;
    assert_int_equal(metadata->groups, GROWN_GROUPS);
    assert_int_equal(metadata->whole_width, width);
    pinion_tensor_info tensor;
    for (int i = 0; pinion_weights_get_tensor(file, i, &tensor) == PINION_OK; i++) {
        int group = pinion__st_group(tensor.name);
        most = group > most ? group : most;
    }
    assert_int_equal(most, width);
    pinion_weights_close(file);
    return width;
}
