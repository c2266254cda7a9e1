/* SPDX-License-Identifier: Apache-2.0
 *
 * What is fused and what is not, on the reference kernels, which can all of it: residual blocks, and graphs in which a
 * rule must not apply. A network is given as text, a line a layer, "NAME OP INPUT…"; so is the plan that is expected,
 * "LAYER WHAT PASS", of the layers that matter.
 */
#include "op/operands.h"
#include "plan/networks.h"

enum { LAYERS = 32 };

typedef struct graph {
    pinion_network *network;
    char names[LAYERS][16];
    int count;
} graph;

static pinion_layer find_layer(const graph *g, const char *name)
{
    for (int i = 0; i < g->count; i++)
        if (strcmp(g->names[i], name) == 0)
            return i;
    assert_string_equal(name, "-");
    return PINION_INPUT;
}

static void add_layer(graph *g, const char *name, const char *op, pinion_layer a, pinion_layer b)
{
    pinion_conv2d conv = {.k = CHANNELS, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_pool pool = {.r = 3, .s = 3, .stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1};
    pinion_linear linear = {.k = CHANNELS};
    pinion_network *n = g->network;
    int status = strcmp(op, "conv2d") == 0           ? pinion_network_add_conv2d(n, name, a, &conv, NULL)
                 : strcmp(op, "batchnorm") == 0      ? pinion_network_add_batchnorm(n, name, a, NULL, NULL)
                 : strcmp(op, "relu") == 0           ? pinion_network_add_relu(n, name, a, NULL)
                 : strcmp(op, "relu6") == 0          ? pinion_network_add_relu6(n, name, a, NULL)
                 : strcmp(op, "maxpool") == 0        ? pinion_network_add_maxpool(n, name, a, &pool, NULL)
                 : strcmp(op, "global_avgpool") == 0 ? pinion_network_add_global_avgpool(n, name, a, NULL)
                 : strcmp(op, "flatten") == 0        ? pinion_network_add_flatten(n, name, a, NULL)
                 : strcmp(op, "linear") == 0         ? pinion_network_add_linear(n, name, a, &linear, NULL)
                                                     : pinion_network_add_add(n, name, a, b, NULL);
    assert_int_equal(status, PINION_OK);
    snprintf(g->names[g->count++], sizeof g->names[0], "%s", name);
}

static pinion_network *make_graph(pinion_context *ctx, const char *text)
{
    graph g = {0};
    assert_int_equal(pinion_network_create(ctx, "graph", (pinion_shape){SIDE, SIDE, CHANNELS}, &g.network), PINION_OK);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        char name[16], op[16], a[16] = "-", b[16] = "-", copy[80];
        snprintf(copy, sizeof copy, "%.*s", (int)(strchr(line, '\n') - line), line);
        assert_true(sscanf(copy, "%15s %15s %15s %15s", name, op, a, b) >= 3);
        add_layer(&g, name, op, find_layer(&g, a), find_layer(&g, b));
    }
    return g.network;
}

/* `expected` stands in the list of the plan's tasks, as it is. */
static void expect_part(const char *text, const pinion_plan_options *options, const char *expected)
{
    pinion_context *ctx = make_context();
    pinion_network *network = make_graph(ctx, text);
    pinion__processor *ref = make_ref(ctx);
    pinion_plan *plan = NULL;
    if (pinion__plan_create(network, options, &ref, 1, &plan) < 0)
        fail_msg("%s", pinion_context_error(ctx));
    char list[8192] = "\n";
    size_t length = 1;
    pinion_task_info info;
    for (int t = 0; pinion_plan_get_task(plan, t, &info) == PINION_OK; t++)
        length += (size_t)snprintf(list + length, sizeof list - length, "%s %s %s\n", info.layer, info.op, info.pass);
    if (!strstr(list, expected))
        fail_msg("%s\ndoes not have%s", list, expected);
    pinion_plan_destroy(plan);
    pinion__processor_destroy(ref);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

static void expect_training(const char *text, const char *expected)
{
    pinion_plan_options options = training_options(2);
    expect_part(text, &options, expected);
}

static void expect_inference(const char *text, const char *expected)
{
    pinion_plan_options options = pinion_plan_options_default();
    expect_part(text, &options, expected);
}

#define BLOCK                                                                                                          \
    "conv0 conv2d -\n"                                                                                                 \
    "bn0 batchnorm conv0\n"                                                                                            \
    "relu0 relu bn0\n"                                                                                                 \
    "conv1 conv2d relu0\n"                                                                                             \
    "bn1 batchnorm conv1\n"                                                                                            \
    "relu1 relu bn1\n"                                                                                                 \
    "conv2 conv2d relu1\n"                                                                                             \
    "bn2 batchnorm conv2\n"
#define CLASSIFIER(from)                                                                                               \
    "pool global_avgpool " from "\n"                                                                                   \
    "fc linear pool\n"

/* The first backward pass behind the add leaves the masked gradient for the other branch. */
static void test_identity_block(void **state)
{
    (void)state;
    const char *block = BLOCK "add add bn2 relu0\n"
                              "relu2 relu add\n" CLASSIFIER("relu2");
    expect_training(block, "\nconv0 conv2d+stats forward\n"
                           "bn0 batchnorm+relu forward\n"
                           "conv1 conv2d+stats forward\n"
                           "bn1 batchnorm+relu forward\n"
                           "conv2 conv2d+stats forward\n"
                           "bn2 batchnorm+add+relu forward\n"
                           "pool global_avgpool forward\n");
    expect_training(block, "\npool global_avgpool backward_data\n"
                           "bn2 batchnorm+relu backward_weights\n"
                           "bn2 batchnorm backward_data\n"
                           "bn2 sgd update\n"
                           "bn2 sgd update\n"
                           "conv2 conv2d backward_data\n"
                           "conv2 conv2d+sgd backward_weights\n"
                           "bn1 batchnorm+relu backward_weights\n"
                           "bn1 batchnorm+relu backward_data\n"
                           "bn1 sgd update\n"
                           "bn1 sgd update\n"
                           "conv1 conv2d backward_data\n"
                           "conv1 conv2d+sgd backward_weights\n"
                           "bn0 batchnorm+relu backward_weights\n"
                           "bn0 batchnorm+relu backward_data\n");
    expect_inference(block, "\nconv0 conv2d+batchnorm+relu forward\n"
                            "conv1 conv2d+batchnorm+relu forward\n"
                            "conv2 conv2d+batchnorm+add+relu forward\n"
                            "pool global_avgpool forward\n");
}

/* Of two batch normalisations the later one takes the add. */
static void test_downsampling_block(void **state)
{
    (void)state;
    const char *block = BLOCK "conv3 conv2d relu0\n"
                              "bn3 batchnorm conv3\n"
                              "add add bn2 bn3\n"
                              "relu2 relu6 add\n" CLASSIFIER("relu2");
    expect_training(block, "\nbn2 batchnorm forward\n"
                           "conv3 conv2d+stats forward\n"
                           "bn3 batchnorm+add+relu6 forward\n");
    expect_training(block, "\npool global_avgpool backward_data\n"
                           "bn3 batchnorm+relu6 backward_weights\n"
                           "bn3 batchnorm backward_data\n"
                           "bn3 sgd update\n"
                           "bn3 sgd update\n"
                           "conv3 conv2d backward_data\n"
                           "conv3 conv2d+sgd backward_weights\n"
                           "bn2 batchnorm backward_weights\n"
                           "bn2 batchnorm backward_data\n");
    expect_inference(block, "\nconv2 conv2d+batchnorm forward\n"
                            "conv3 conv2d+batchnorm+add+relu6 forward\n");
}

/* Without an activation the gradient passes through the add as it is. */
static void test_linear_block(void **state)
{
    (void)state;
    const char *block = BLOCK "add add relu0 bn2\n" CLASSIFIER("add");
    expect_training(block, "\nbn2 batchnorm+add forward\n");
    expect_training(block, "\nbn2 batchnorm backward_weights\nbn2 batchnorm backward_data\n");
}

/* A producer in front of what it is added to moves behind it. */
static void test_late_addend(void **state)
{
    (void)state;
    expect_training(BLOCK "max maxpool relu0\n"
                          "add add bn2 max\n"
                          "relu2 relu add\n" CLASSIFIER("relu2"),
                    "\nconv2 conv2d+stats forward\n"
                    "max maxpool forward\n"
                    "bn2 batchnorm+add+relu forward\n");
    expect_training(BLOCK "max maxpool relu0\n"
                          "add add bn2 max\n"
                          "relu2 relu add\n" CLASSIFIER("relu2"),
                    "\npool global_avgpool backward_data\n"
                    "bn2 batchnorm+relu backward_weights\n"
                    "max maxpool backward_data\n"
                    "bn2 batchnorm backward_data\n");
}

static void test_without_batchnorm(void **state)
{
    (void)state;
    const char *text = "conv0 conv2d -\n"
                       "relu0 relu conv0\n"
                       "max maxpool relu0\n"
                       "add add max relu0\n"
                       "relu1 relu6 add\n" CLASSIFIER("relu1");
    expect_training(text, "\nconv0 conv2d+relu forward\n"
                          "max maxpool forward\n"
                          "add add+relu6 forward\n"
                          "pool global_avgpool forward\n");
    expect_training(text, "\nrelu1 relu6 backward_data\n");
    expect_inference(text, "\nconv0 conv2d+relu forward\n"
                           "max maxpool forward\n"
                           "add add+relu6 forward\n");
    /* Statistics are those of a convolution without activation. */
    expect_training("conv0 conv2d -\nrelu0 relu conv0\nbn0 batchnorm relu0\n" CLASSIFIER("bn0"),
                    "\nconv0 conv2d+relu forward\nbn0 batchnorm forward\n");
}

/* What is read twice must be there. */
static void test_shared_outputs(void **state)
{
    (void)state;
    expect_training(BLOCK "relu2 relu bn2\n"
                          "add add relu2 bn2\n" CLASSIFIER("add"),
                    "\nbn2 batchnorm forward\n"
                    "relu2 relu forward\n"
                    "add add forward\n");
    expect_training(BLOCK "add add bn2 bn2\n" CLASSIFIER("add"), "\nbn2 batchnorm forward\nadd add forward\n");
    expect_training(BLOCK "add add bn2 bn1\n" CLASSIFIER("add"), "\nbn1 batchnorm forward\n"
                                                                 "relu1 relu forward\n"
                                                                 "conv2 conv2d+stats forward\n"
                                                                 "bn2 batchnorm+add forward\n");
    expect_training("conv0 conv2d -\n"
                    "bn0 batchnorm conv0\n"
                    "bn1 batchnorm conv0\n"
                    "add add bn0 bn1\n"
                    "add1 add add conv0\n" CLASSIFIER("add1"),
                    "\nconv0 conv2d+stats forward\n"
                    "bn0 batchnorm forward\n"
                    "bn1 batchnorm+add forward\n"
                    "add1 add forward\n");
    expect_inference("conv0 conv2d -\n"
                     "bn0 batchnorm conv0\n"
                     "add add bn0 conv0\n" CLASSIFIER("add"),
                     "\nconv0 conv2d forward\n"
                     "bn0 batchnorm_stored+add forward\n");
}

/* Nobody else reads the gradient of what a relu was given where the rule for two masks applies. */
static void test_shared_gradients(void **state)
{
    (void)state;
    expect_training(BLOCK "relu2 relu bn2\n"
                          "add add relu2 bn2\n" CLASSIFIER("add"),
                    "\nrelu2 relu backward_data\n");
    /* The other input needs no gradient: the masked gradient of the sum is that of bn0 alone, but its own normalised
     * input does not tell where the mask is. */
    expect_training("bn0 batchnorm -\n"
                    "add add bn0 -\n"
                    "relu0 relu add\n" CLASSIFIER("relu0"),
                    "\nbn0 batchnorm+relu backward_weights\nbn0 sgd update\n");
}

/* The network's output is read by whoever asks for logits. */
static void test_output(void **state)
{
    (void)state;
    const char *text = "conv0 conv2d -\n"
                       "pool global_avgpool conv0\n"
                       "bn0 batchnorm pool\n";
    expect_training(text, "\nbn0 batchnorm forward\n softmax_cross_entropy forward\n");
    expect_inference("flat flatten -\nfc linear flat\nbn0 batchnorm fc\nrelu0 relu bn0\n",
                     "\nfc linear+batchnorm+relu forward\n");
}

static void test_frozen(void **state)
{
    (void)state;
    pinion_plan_options options = training_options(2);
    options.freeze = "bn2,conv1";
    const char *block = BLOCK "add add bn2 relu0\n"
                              "relu2 relu add\n" CLASSIFIER("relu2");
    expect_part(block, &options,
                "\nconv2 conv2d forward\n"
                "bn2 batchnorm_stored+add+relu forward\n");
    expect_part(block, &options,
                "\nrelu2 relu backward_data\n"
                "bn2 batchnorm_stored backward_data\n"
                "conv2 conv2d backward_data\n"
                "conv2 conv2d+sgd backward_weights\n"
                "bn1 batchnorm+relu backward_weights\n"
                "bn1 batchnorm+relu backward_data\n"
                "bn1 sgd update\n"
                "bn1 sgd update\n"
                "conv1 conv2d backward_data\n"
                "bn0 batchnorm+relu backward_weights\n");
}

/* Where an add stands between relu and batchnorm, the sign of the normalised input does not tell where the mask is: the
 * first backward pass reads the output and leaves the masked gradient, even where nobody else needs it. */
static void test_mask_over_add(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_network *network = make_graph(ctx, "bn0 batchnorm -\n"
                                              "add add bn0 -\n"
                                              "relu0 relu add\n" CLASSIFIER("relu0"));
    pinion__processor *ref = make_ref(ctx);
    pinion_plan_options options = training_options(2);
    pinion_plan *plan = NULL;
    assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &plan), PINION_OK);
    int seen = 0;
    for (size_t t = 0; t < plan->task_count; t++) {
        const pinion__task *task = &plan->tasks[t];
        if (task->op->id != PINION__OP_batchnorm || task->pass != PINION__BACKWARD_WEIGHTS)
            continue;
        assert_true(task->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_Y] >= 0);
        assert_true(task->operand[PINION__BATCHNORM_BACKWARD_WEIGHTS_DS] >= 0);
        seen++;
    }
    assert_int_equal(seen, 1);
    pinion_plan_destroy(plan);
    pinion__processor_destroy(ref);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

/* Which layers a task stands for. */
static void test_fused_layers(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_network *network = make_graph(ctx, BLOCK "add add bn2 relu0\n"
                                                    "relu2 relu add\n" CLASSIFIER("relu2"));
    pinion__processor *ref = make_ref(ctx);
    pinion_plan_options options = pinion_plan_options_default();
    pinion_plan *plan = NULL;
    assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &plan), PINION_OK);
    pinion_task_info info;
    int seen = 0;
    for (int t = 0; pinion_plan_get_task(plan, t, &info) == PINION_OK; t++) {
        if (strcmp(info.layer, "pool") == 0)
            assert_null(info.fused[0]);
        if (strcmp(info.layer, "conv2") != 0 || strcmp(info.op, "fold_batchnorm") == 0)
            continue;
        assert_string_equal(info.fused[0], "bn2");
        assert_string_equal(info.fused[1], "add");
        assert_string_equal(info.fused[2], "relu2");
        seen++;
    }
    assert_int_equal(seen, 1);
    pinion_plan_destroy(plan);
    pinion__processor_destroy(ref);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity_block),
        cmocka_unit_test(test_downsampling_block),
        cmocka_unit_test(test_linear_block),
        cmocka_unit_test(test_late_addend),
        cmocka_unit_test(test_without_batchnorm),
        cmocka_unit_test(test_shared_outputs),
        cmocka_unit_test(test_shared_gradients),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_fused_layers),
        cmocka_unit_test(test_mask_over_add),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
