/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans: the task lists of a small network as text, bad options, and every allocation failing in turn.
 */
#include "plan/networks.h"

#include <pinion/device.h>
#include <stdlib.h>

/* conv1-bn1-relu1, conv2 on it, both into an add; pooled, flattened, classified; dropout before it. */
static pinion_network *make_small(pinion_context *ctx)
{
    pinion_network *network = NULL;
    pinion_layer bn, relu, conv, sum, pool, drop, flat;
    pinion_shape input = {8, 8, 3};
    pinion_conv2d attributes = {.k = 4, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_dropout dropout = {.rate = 0.5f};
    pinion_linear linear = {.k = 5, .bias = 1};
    assert_int_equal(pinion_network_create(ctx, "small", input, &network), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(network, "conv1", PINION_INPUT, &attributes, &conv), PINION_OK);
    assert_int_equal(pinion_network_add_batchnorm(network, "bn1", conv, NULL, &bn), PINION_OK);
    assert_int_equal(pinion_network_add_relu(network, "relu1", bn, &relu), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(network, "conv2", relu, &attributes, &conv), PINION_OK);
    assert_int_equal(pinion_network_add_add(network, "add", conv, relu, &sum), PINION_OK);
    assert_int_equal(pinion_network_add_global_avgpool(network, "pool", sum, &pool), PINION_OK);
    assert_int_equal(pinion_network_add_dropout(network, "drop", pool, &dropout, &drop), PINION_OK);
    assert_int_equal(pinion_network_add_flatten(network, "flat", drop, &flat), PINION_OK);
    assert_int_equal(pinion_network_add_linear(network, "fc", flat, &linear, NULL), PINION_OK);
    return network;
}

static void list_tasks(const pinion_plan *plan, char *text, size_t bytes)
{
    size_t length = 0;
    pinion_task_info info;
    for (int t = 0; t < pinion_plan_get_info(plan).tasks; t++) {
        assert_int_equal(pinion_plan_get_task(plan, t, &info), PINION_OK);
        length += (size_t)snprintf(text + length, bytes - length, "%s %s %s%s\n", info.layer, info.op, info.pass,
                                   plan->tasks[t].accumulate ? " +" : "");
        assert_true(length < bytes);
    }
    assert_int_equal(pinion_plan_get_task(plan, (int)plan->task_count, &info), PINION_EINVAL);
}

static void expect_tasks(const pinion_plan_options *options, const char *expected)
{
    char text[4096];
    pinion_context *ctx = make_context();
    pinion_network *network = make_small(ctx);
    pinion__processor *ref = make_ref(ctx);
    pinion_plan *plan = NULL;
    assert_int_equal(pinion__plan_create(network, options, &ref, 1, &plan), PINION_OK);
    list_tasks(plan, text, sizeof text);
    assert_string_equal(text, expected);
    pinion_plan_destroy(plan);
    pinion__processor_destroy(ref);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

#define SMALL_FORWARD                                                                                                  \
    "conv1 conv2d forward\n"                                                                                           \
    "bn1 batchnorm forward\n"                                                                                          \
    "relu1 relu forward\n"                                                                                             \
    "conv2 conv2d forward\n"                                                                                           \
    "add add forward\n"                                                                                                \
    "pool global_avgpool forward\n"                                                                                    \
    "drop dropout forward\n"                                                                                           \
    "fc linear forward\n"                                                                                              \
    " softmax_cross_entropy forward\n"                                                                                 \
    " softmax_cross_entropy backward_data\n"

/* relu1 gets a copy of the gradient that it shares with conv2: conv2 reads it while it adds to relu1's. */
static void test_training_tasks(void **state)
{
    (void)state;
    pinion_plan_options options = training_options(2);
    options.unfused = 1;
    expect_tasks(&options, SMALL_FORWARD "fc linear backward_data\n"
                                         "fc linear backward_weights\n"
                                         "fc sgd update\n"
                                         "fc sgd update\n"
                                         "drop dropout backward_data\n"
                                         "pool global_avgpool backward_data\n"
                                         "relu1 add backward_data\n"
                                         "conv2 conv2d backward_data +\n"
                                         "conv2 conv2d backward_weights\n"
                                         "conv2 sgd update\n"
                                         "relu1 relu backward_data\n"
                                         "bn1 batchnorm backward_weights\n"
                                         "bn1 batchnorm backward_data\n"
                                         "bn1 sgd update\n"
                                         "bn1 sgd update\n"
                                         "conv1 conv2d backward_weights\n"
                                         "conv1 sgd update\n");
}

static void test_clipping_tasks(void **state)
{
    (void)state;
    pinion_plan_options options = training_options(2);
    options.clip = 1;
    options.optimizer = PINION_ADAMW;
    options.freeze = "conv*,bn1";
    options.unfused = 1;
    expect_tasks(&options, "conv1 conv2d forward\n"
                           "bn1 batchnorm_stored forward\n"
                           "relu1 relu forward\n"
                           "conv2 conv2d forward\n"
                           "add add forward\n"
                           "pool global_avgpool forward\n"
                           "drop dropout forward\n"
                           "fc linear forward\n"
                           " softmax_cross_entropy forward\n"
                           " softmax_cross_entropy backward_data\n"
                           "fc linear backward_weights\n"
                           "fc grad_square update\n"
                           "fc grad_square update\n"
                           " clip_scale update\n"
                           "fc adamw update\n"
                           "fc adamw update\n");
}

static void test_frozen_middle_tasks(void **state)
{
    (void)state;
    pinion_plan_options options = training_options(2);
    options.freeze = "bn1,conv2,fc";
    options.unfused = 1;
    expect_tasks(&options, "conv1 conv2d forward\n"
                           "bn1 batchnorm_stored forward\n"
                           "relu1 relu forward\n"
                           "conv2 conv2d forward\n"
                           "add add forward\n"
                           "pool global_avgpool forward\n"
                           "drop dropout forward\n"
                           "fc linear forward\n"
                           " softmax_cross_entropy forward\n"
                           " softmax_cross_entropy backward_data\n"
                           "fc linear backward_data\n"
                           "drop dropout backward_data\n"
                           "pool global_avgpool backward_data\n"
                           "relu1 add backward_data\n"
                           "conv2 conv2d backward_data +\n"
                           "relu1 relu backward_data\n"
                           "bn1 batchnorm_stored backward_data\n"
                           "conv1 conv2d backward_weights\n"
                           "conv1 sgd update\n");
}

static void test_inference_tasks(void **state)
{
    (void)state;
    pinion_plan_options options = pinion_plan_options_default();
    options.unfused = 1;
    expect_tasks(&options, "conv1 conv2d forward\n"
                           "bn1 batchnorm_stored forward\n"
                           "relu1 relu forward\n"
                           "conv2 conv2d forward\n"
                           "add add forward\n"
                           "pool global_avgpool forward\n"
                           "fc linear forward\n");
}

static void test_fused_tasks(void **state)
{
    (void)state;
    pinion_plan_options options = training_options(2);
    expect_tasks(&options, "conv1 conv2d+stats forward\n"
                           "bn1 batchnorm+relu forward\n"
                           "conv2 conv2d+add forward\n"
                           "pool global_avgpool forward\n"
                           "drop dropout forward\n"
                           "fc linear forward\n"
                           " softmax_cross_entropy forward\n"
                           " softmax_cross_entropy backward_data\n"
                           "fc linear backward_data\n"
                           "fc linear+sgd backward_weights\n"
                           "fc sgd update\n"
                           "drop dropout backward_data\n"
                           "pool global_avgpool backward_data\n"
                           "relu1 add backward_data\n"
                           "conv2 conv2d backward_data +\n"
                           "conv2 conv2d+sgd backward_weights\n"
                           "bn1 batchnorm+relu backward_weights\n"
                           "bn1 batchnorm+relu backward_data\n"
                           "bn1 sgd update\n"
                           "bn1 sgd update\n"
                           "conv1 conv2d+sgd backward_weights\n");
    /* Gradients that are kept are not fused into updates; a frozen batch normalisation has no backward_weights. */
    options.clip = 1;
    options.optimizer = PINION_ADAMW;
    options.freeze = "bn1,conv2";
    expect_tasks(&options, "conv1 conv2d forward\n"
                           "bn1 batchnorm_stored+relu forward\n"
                           "conv2 conv2d+add forward\n"
                           "pool global_avgpool forward\n"
                           "drop dropout forward\n"
                           "fc linear forward\n"
                           " softmax_cross_entropy forward\n"
                           " softmax_cross_entropy backward_data\n"
                           "fc linear backward_data\n"
                           "fc linear backward_weights\n"
                           "fc grad_square update\n"
                           "fc grad_square update\n"
                           "drop dropout backward_data\n"
                           "pool global_avgpool backward_data\n"
                           "relu1 add backward_data\n"
                           "conv2 conv2d backward_data +\n"
                           "relu1 relu backward_data\n"
                           "bn1 batchnorm_stored backward_data\n"
                           "conv1 conv2d backward_weights\n"
                           "conv1 grad_square update\n"
                           " clip_scale update\n"
                           "fc adamw update\n"
                           "fc adamw update\n"
                           "conv1 adamw update\n");
    options = pinion_plan_options_default();
    expect_tasks(&options, "conv1 fold_batchnorm prepare\n"
                           "conv1 conv2d+batchnorm+relu forward\n"
                           "conv2 conv2d+add forward\n"
                           "pool global_avgpool forward\n"
                           "fc linear forward\n");
}

static void expect_refusal(const pinion_network *network, const pinion_plan_options *options, int code,
                           const char *part)
{
    pinion__processor *ref = make_ref(network->ctx);
    pinion_plan *plan = (pinion_plan *)(uintptr_t)8;
    assert_int_equal(pinion__plan_create(network, options, &ref, 1, &plan), code);
    assert_ptr_equal(plan, (void *)(uintptr_t)8);
    if (!strstr(pinion_context_error(network->ctx), part))
        fail_msg("'%s' does not say '%s'", pinion_context_error(network->ctx), part);
    pinion__processor_destroy(ref);
}

static void test_refusals(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_network *network = make_small(ctx), *empty = NULL, *image = NULL;
    pinion_plan_options options = training_options(0);
    expect_refusal(network, &options, PINION_EINVAL, "batch is 0; expected 1 to 65536");
    options.batch = -3;
    expect_refusal(network, &options, PINION_EINVAL, "batch is -3");
    options.batch = 65537;
    expect_refusal(network, &options, PINION_EINVAL, "batch is 65537");
    options = training_options(1);
    options.freeze = "nothing";
    expect_refusal(network, &options, PINION_EINVAL, "nothing");
    options.freeze = "*";
    expect_refusal(network, &options, PINION_EINVAL, "every layer with parameters is frozen");
    options = training_options(1);
    options.momentum = 1.0f;
    expect_refusal(network, &options, PINION_EINVAL, "momentum is 1");
    options = training_options(1);
    options.label_smoothing = -0.5f;
    expect_refusal(network, &options, PINION_EINVAL, "label smoothing is -0.5");
    options = training_options(1);
    options.distillation_weight = -0.5f;
    expect_refusal(network, &options, PINION_EINVAL, "distillation weight is -0.5");
    options = training_options(1);
    pinion_shape shape = {8, 8, 3};
    pinion_conv2d attributes = {.k = 4, .r = 3, .s = 3};
    assert_int_equal(pinion_network_create(ctx, "empty", shape, &empty), PINION_OK);
    expect_refusal(empty, &options, PINION_EINVAL, "network 'empty' has no layers");
    assert_int_equal(pinion_network_create(ctx, "image", shape, &image), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(image, "conv", PINION_INPUT, &attributes, NULL), PINION_OK);
    static const char expected[] = "network 'image': its last layer 'conv' (conv2d) gives 6x6x4; expected 1x1xclasses";
    expect_refusal(image, &options, PINION_EINVAL, expected);
    options = pinion_plan_options_default();
    expect_refusal(image, &options, PINION_EINVAL, expected);
    pinion_network_destroy(image);
    pinion_network_destroy(empty);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

typedef struct failing {
    int until; /* allocations that succeed before one fails; negative: all */
} failing;

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    failing *at = user;
    if (at->until == 0)
        return NULL;
    at->until -= at->until > 0;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    failing at = {.until = -1};
    pinion_context_options options = pinion_context_options_default();
    options.alloc = allocate, options.release = release, options.alloc_user = &at;
    pinion_context *ctx = NULL;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    pinion_network *network = make_small(ctx);
    assert_int_equal(pinion__network_allocate(network), PINION_OK);
    pinion__processor *ref = make_ref(ctx);
    pinion_plan_options train = training_options(2);
    train.freeze = "conv1";
    train.clip = 1;
    pinion_plan *first = NULL; /* the context keeps what it knows of kernels' times from here on */
    assert_int_equal(pinion__plan_create(network, &train, &ref, 1, &first), PINION_OK);
    pinion_plan_destroy(first);
    size_t live = atomic_load(&ctx->live_bytes);
    int failures = 0, status = PINION_ENOMEM;
    for (; status != PINION_OK; failures++) {
        pinion_plan *plan = NULL;
        at.until = failures;
        status = pinion__plan_create(network, &train, &ref, 1, &plan);
        at.until = -1;
        assert_true(status == PINION_OK || status == PINION_ENOMEM);
        pinion_plan_destroy(plan);
        assert_int_equal(atomic_load(&ctx->live_bytes), live);
    }
    assert_true(failures > 20);
    pinion__processor_destroy(ref);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

static void test_public_plan(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_processor_info infos[4];
    int count = 0;
    assert_int_equal(pinion_processors_list(ctx, infos, 4, &count), PINION_OK);
    assert_true(count >= 1);
    assert_string_equal(infos[0].name, "cpu");
    assert_true(infos[0].cores >= 1);
    assert_string_equal(infos[0].isa, pinion_context_isa(ctx));
    assert_int_equal(infos[0].shares_cores_with & 1, 0);
    assert_int_equal(pinion_processors_list(ctx, NULL, 0, &count), PINION_OK);
    assert_int_equal(pinion_processors_list(ctx, NULL, 1, &count), PINION_EINVAL);

    pinion_network *network = make_small(ctx);
    pinion_plan_options options = training_options(4);
    options.unfused = 1;
    pinion_plan *plan = NULL;
    assert_int_equal(pinion_plan_create(network, &options, &plan), PINION_OK);
    pinion_plan_info info = pinion_plan_get_info(plan);
    assert_int_equal(info.tasks, 27);
    /* Three passes of everything but the first layer's backward_data. */
    int64_t conv1 = 64 * 9 * 3 * 4, conv2 = 64 * 9 * 4 * 4, fc = 4 * 5;
    assert_int_equal(info.macs, 4 * (2 * conv1 + 3 * conv2 + 3 * fc));
    pinion_task_info task;
    assert_int_equal(pinion_plan_get_task(NULL, 0, &task), PINION_EINVAL);
    assert_int_equal(pinion_plan_get_task(plan, 0, NULL), PINION_EINVAL);
    assert_int_equal(pinion_plan_get_info(NULL).tasks, 0);
    assert_int_equal(pinion_plan_create(NULL, &options, &plan), PINION_EINVAL);
    assert_int_equal(pinion_plan_create(network, NULL, &plan), PINION_EINVAL);
    assert_int_equal(pinion_plan_create(network, &options, NULL), PINION_EINVAL);
    assert_true(info.moments_bytes >= 4 * (size_t)pinion_network_get_info(network).parameters);
    pinion_plan_destroy(plan);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_tasks),      cmocka_unit_test(test_clipping_tasks),
        cmocka_unit_test(test_frozen_middle_tasks), cmocka_unit_test(test_inference_tasks),
        cmocka_unit_test(test_fused_tasks),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_failing_allocations), cmocka_unit_test(test_public_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
