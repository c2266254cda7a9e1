/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks built through the API: shapes, what is refused and in which words, patterns, initial weights, where weights
 * lie.
 */
#include "support.h"
#include <math.h>

static pinion_network *create(pinion_context *ctx, int h, int w, int c)
{
    pinion_network *network = NULL;
    assert_done(ctx, pinion_network_create(ctx, "mine", (pinion_shape){h, w, c}, &network));
    return network;
}

static pinion_shape output(const pinion_network *network)
{
    return pinion_network_get_info(network).output;
}

#define assert_shape(network, rows, columns, channels)                                                                 \
    do {                                                                                                               \
        pinion_shape shape_ = output(network);                                                                         \
        assert_int_equal(shape_.h, rows);                                                                              \
        assert_int_equal(shape_.w, columns);                                                                           \
        assert_int_equal(shape_.c, channels);                                                                          \
    } while (0)

static void test_shapes(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = create(ctx, 17, 12, 3);
    pinion_layer a, b, c;
    assert_shape(n, 17, 12, 3);
    assert_done(ctx, pinion_network_add_conv2d(
                         n, "a", PINION_INPUT,
                         &(pinion_conv2d){.k = 5, .r = 3, .s = 5, .stride_h = 2, .pad_h = 1, .pad_w = 1}, &a));
    assert_shape(n, 9, 10, 5);
    assert_done(
        ctx, pinion_network_add_depthwise_conv2d(n, "b", a, &(pinion_depthwise_conv2d){.r = 2, .s = 2, .bias = 1}, &b));
    assert_shape(n, 8, 9, 5);
    assert_done(ctx, pinion_network_add_maxpool(
                         n, "c", b, &(pinion_pool){.r = 3, .s = 3, .stride_h = 2, .stride_w = 1, .pad_h = 1}, &c));
    assert_shape(n, 4, 7, 5);
    assert_done(ctx, pinion_network_add_avgpool(n, "d", c, &(pinion_pool){.r = 2, .s = 3}, &a));
    assert_shape(n, 2, 2, 5);
    assert_done(ctx, pinion_network_add_batchnorm(n, "e", a, NULL, &b));
    assert_done(ctx, pinion_network_add_relu(n, "f", b, &c));
    assert_done(ctx, pinion_network_add_relu6(n, "g", b, &b));
    assert_done(ctx, pinion_network_add_add(n, "h", b, c, &b));
    assert_done(ctx, pinion_network_add_dropout(n, "i", b, &(pinion_dropout){.rate = 0.5f}, &b));
    assert_shape(n, 2, 2, 5);
    assert_done(ctx, pinion_network_add_flatten(n, "j", b, &a));
    assert_shape(n, 1, 1, 20);
    assert_done(ctx, pinion_network_add_linear(n, "k", a, &(pinion_linear){.k = 6, .bias = 1}, &a));
    assert_shape(n, 1, 1, 6);
    assert_done(ctx, pinion_network_add_global_avgpool(n, "l", a, NULL));

    pinion_network_info info = pinion_network_get_info(n);
    assert_int_equal(info.layers, 12);
    assert_int_equal(info.parameters, 5 * 3 * 5 * 3 + (2 * 2 * 5 + 5) + 2 * 5 + (6 * 20 + 6));
    assert_int_equal(info.weight_bytes, 4 * (info.parameters + 2 * 5));
    assert_int_equal(info.macs, 9 * 10 * (5 * 3 * 5 * 3) + 8 * 9 * (2 * 2 * 5) + 6 * 20);
    assert_true(n->layers[4].attributes.as.batchnorm.epsilon == 1e-5f);
    assert_true(n->layers[4].attributes.as.batchnorm.momentum == 0.1f);
    pinion_layer_info layer;
    assert_done(ctx, pinion_network_get_layer(n, 7, &layer));
    assert_string_equal(layer.name, "h");
    assert_string_equal(layer.op, "add");
    assert_int_equal(layer.input_count, 2);
    assert_int_equal(layer.inputs[0], 6);
    assert_int_equal(layer.inputs[1], 5);
    assert_refused(ctx, pinion_network_get_layer(n, 12, &layer), PINION_EINVAL,
                   "network 'mine' has 12 layers; there is no layer 12");
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_refused_inputs(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = NULL;
    assert_refused(ctx, pinion_network_create(ctx, "a\nb", (pinion_shape){1, 1, 1}, &n), PINION_EINVAL,
                   "the network's name is not valid: expected 1 to 255 letters, digits, spaces and _ . - / :");
    assert_refused(
        ctx, pinion_network_create(ctx, "a", (pinion_shape){0, 1, 1}, &n), PINION_EINVAL,
        "network 'a': its input is 0x1x1; expected rows and columns of 1 to 65536, channels of 1 to 1048576, "
        "at most 2147483647 elements");
    static const pinion_shape bad[] = {{1, 65537, 1},     {65537, 1, 1}, {1, 1, 1048577},
                                       {65536, 32768, 1}, {1, 0, 1},     {1, 1, -1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(pinion_network_create(ctx, "a", bad[i], &n), PINION_EINVAL);
    assert_null(n);
    test_context_end(ctx);
}

/* Each refusal leaves the network as it was. */
static void test_refused_layers(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = create(ctx, 8, 8, 4);
    pinion_layer a = 99;
    pinion_conv2d conv = {.k = 4, .r = 3, .s = 3};
    assert_refused(ctx, pinion_network_add_conv2d(n, "", PINION_INPUT, &conv, &a), PINION_EINVAL,
                   "a layer's name is not valid: expected 1 to 255 letters, digits and _ . - / :");
    char name[257];
    memset(name, 'x', sizeof name);
    name[256] = '\0';
    assert_int_equal(pinion_network_add_conv2d(n, name, PINION_INPUT, &conv, &a), PINION_EINVAL);
    assert_refused(ctx, pinion_network_add_conv2d(n, "input", PINION_INPUT, &conv, &a), PINION_EINVAL,
                   "layer 'input': this name is reserved");
    assert_refused(ctx, pinion_network_add_conv2d(n, "x", 0, &conv, &a), PINION_EINVAL,
                   "layer 'x' (conv2d): its input is layer 0; there are 0 layers so far");
    assert_refused(ctx, pinion_network_add_conv2d(n, "x", PINION_INPUT, NULL, &a), PINION_EINVAL,
                   "layer 'x' (conv2d): its attributes are missing");
    conv.r = 9;
    assert_refused(ctx, pinion_network_add_conv2d(n, "x", PINION_INPUT, &conv, &a), PINION_EINVAL,
                   "layer 'x' (conv2d): a filter of 9x3 does not fit its input of 8x8x4 with padding 0x0");
    conv = (pinion_conv2d){.k = 1 << 20, .r = 255, .s = 255};
    assert_refused(ctx, pinion_network_add_conv2d(n, "x", PINION_INPUT, &conv, &a), PINION_EINVAL,
                   "layer 'x' (conv2d): its weight would have more than 2147483647 elements");
    conv = (pinion_conv2d){.k = 1 << 20, .r = 1, .s = 1, .pad_h = 255, .pad_w = 255};
    assert_refused(ctx, pinion_network_add_conv2d(n, "x", PINION_INPUT, &conv, &a), PINION_EINVAL,
                   "layer 'x' (conv2d): its output would have more than 2147483647 elements");
    conv = (pinion_conv2d){.k = 0, .r = 1, .s = 1};
    assert_refused(ctx, pinion_network_add_conv2d(n, "x", PINION_INPUT, &conv, &a), PINION_EINVAL,
                   "layer 'x' (conv2d): \"channels\" is 0; expected 1 to 1048576");
    conv = (pinion_conv2d){.k = 8, .r = 1, .s = 1};
    assert_refused(ctx, pinion_network_add_depthwise_conv2d(n, "x", PINION_INPUT, &conv, &a), PINION_EINVAL,
                   "layer 'x' (depthwise_conv2d): 8 output channels were asked for but the input has 4; both must be "
                   "the same");
    conv = (pinion_conv2d){.k = 8, .r = 1, .s = 1, .stride_w = -1};
    assert_refused(ctx, pinion_network_add_conv2d(n, "x", PINION_INPUT, &conv, &a), PINION_EINVAL,
                   "layer 'x' (conv2d): \"stride\" is -1; expected 1 to 255");
    assert_refused(ctx,
                   pinion_network_add_maxpool(n, "x", PINION_INPUT, &(pinion_pool){.r = 2, .s = 2, .pad_h = 2}, &a),
                   PINION_EINVAL, "layer 'x' (maxpool): a padding of 2x0 is more than half its window of 2x2");
    assert_refused(
        ctx, pinion_network_add_linear(n, "x", PINION_INPUT, &(pinion_linear){.k = 2}, &a), PINION_EINVAL,
        "layer 'x' (linear): its input is 8x8x4; expected 1x1xc: put a flatten or a global_avgpool before it");
    assert_refused(ctx, pinion_network_add_dropout(n, "x", PINION_INPUT, &(pinion_dropout){.rate = 1}, &a),
                   PINION_EINVAL, "layer 'x' (dropout): \"rate\" is 1; expected 0 to 0.999");
    assert_refused(ctx, pinion_network_add_dropout(n, "x", PINION_INPUT, &(pinion_dropout){.rate = -0.5f}, &a),
                   PINION_EINVAL, "layer 'x' (dropout): \"rate\" is -0.5; expected 0 to 0.999");
    assert_refused(ctx, pinion_network_add_batchnorm(n, "x", PINION_INPUT, &(pinion_batchnorm){.epsilon = NAN}, &a),
                   PINION_EINVAL, "layer 'x' (batchnorm): \"epsilon\" is nan; expected 1e-12 to 1");
    assert_int_equal(a, 99);
    assert_int_equal(n->layer_count, 0);
    assert_int_equal(n->param_count, 0);
    assert_refused(ctx, pinion_network_init_weights(n, 1), PINION_EINVAL, "network 'mine' has no layers");
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_refused_graphs(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = create(ctx, 8, 8, 4);
    pinion_layer a;
    assert_done(ctx, pinion_network_add_relu(n, "x", PINION_INPUT, &a));
    assert_refused(ctx, pinion_network_add_relu(n, "x", a, NULL), PINION_EINVAL,
                   "layer 'x': there is a layer of that name already");
    assert_done(ctx, pinion_network_add_global_avgpool(n, "y", PINION_INPUT, &a));
    assert_refused(ctx, pinion_network_add_add(n, "z", PINION_INPUT, a, NULL), PINION_EINVAL,
                   "layer 'z' (add): its inputs are 8x8x4 and 1x1x4; expected two of the same shape");
    assert_refused(ctx, pinion_network_init_weights(n, 1), PINION_EINVAL,
                   "layer 'x' (relu): no layer reads it, and it is not the network's output, which is 'y'");
    pinion_network_destroy(n);

    n = create(ctx, 40, 40, 4);
    assert_refused(ctx, pinion_network_add_maxpool(n, "x", PINION_INPUT, &(pinion_pool){.r = 16, .s = 16}, &a),
                   PINION_EINVAL,
                   "layer 'x' (maxpool): its window of 16x16 has 256 elements; at most 255 are possible");
    assert_done(ctx, pinion_network_add_relu(n, "x", PINION_INPUT, &a));
    assert_done(ctx, pinion_network_init_weights(n, 1));
    assert_refused(ctx, pinion_network_add_relu(n, "y", a, NULL), PINION_EINVAL,
                   "layer 'y' (relu): the network's weights are laid out; it cannot grow");
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static pinion_network *open_zoo(pinion_context *ctx, const char *model)
{
    pinion_network *network = NULL;
    assert_done(ctx, pinion_network_open(ctx, model, NULL, &network));
    return network;
}

/* A shape that differs in one extent only is a different shape. */
static void test_refused_shapes(void **state)
{
    (void)state;
    static const pinion_conv2d narrower[] = {
        {.k = 4, .r = 2, .s = 1}, {.k = 4, .r = 1, .s = 2}, {.k = 5, .r = 1, .s = 1}};
    pinion_context *ctx = test_context();
    pinion_network *n = create(ctx, 8, 8, 4);
    pinion_layer a, b;
    for (int i = 0; i < 3; i++) {
        const char *name = &"c\0d\0e"[2 * i];
        assert_done(ctx, pinion_network_add_conv2d(n, name, PINION_INPUT, &narrower[i], &a));
        assert_int_equal(pinion_network_add_add(n, "sum", a, PINION_INPUT, &b), PINION_EINVAL);
    }
    assert_done(ctx, pinion_network_add_conv2d(n, "row", PINION_INPUT, &(pinion_conv2d){.k = 4, .r = 8, .s = 1}, &a));
    assert_done(ctx,
                pinion_network_add_conv2d(n, "column", PINION_INPUT, &(pinion_conv2d){.k = 4, .r = 1, .s = 8}, &b));
    assert_int_equal(pinion_network_add_linear(n, "fc", a, &(pinion_linear){.k = 2}, NULL), PINION_EINVAL);
    assert_int_equal(pinion_network_add_linear(n, "fc", b, &(pinion_linear){.k = 2}, NULL), PINION_EINVAL);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_patterns(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = open_zoo(ctx, "resnet18-cifar");
    static const struct {
        const char *patterns;
        int convolutions; /* of the 20 that match */
    } cases[] = {
        {"conv1", 1},        {"layer1", 4},         {"layer1.0", 2},       {"layer2", 5},        {"*", 20},
        {"*.conv1", 8},      {"*conv1", 9},         {"layer*.0.conv2", 4}, {"layer1,layer2", 9}, {"conv1,layer1,fc", 5},
        {"*downsample*", 3}, {"layer4.1.conv2", 1}, {"l*1.*.c*v2*", 2},
    };
    bool *frozen = calloc(n->layer_count, sizeof *frozen);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int count = 0;
        assert_done(ctx, pinion__network_match(n, cases[i].patterns, frozen));
        for (size_t j = 0; j < n->layer_count; j++)
            count += frozen[j] && n->layers[j].op->id == PINION__OP_conv2d;
        if (count != cases[i].convolutions)
            print_error("%s\n", cases[i].patterns);
        assert_int_equal(count, cases[i].convolutions);
    }
    assert_refused(ctx, pinion__network_match(n, "layer", frozen), PINION_EINVAL,
                   "network 'resnet18-cifar': the pattern 'layer' matches no layer with parameters");
    assert_refused(ctx, pinion__network_match(n, "fc,relu", frozen), PINION_EINVAL,
                   "network 'resnet18-cifar': the pattern 'relu' matches no layer with parameters");
    assert_refused(ctx, pinion__network_match(n, "fc,", frozen), PINION_EINVAL,
                   "network 'resnet18-cifar': the pattern '' matches no layer with parameters");
    assert_refused(ctx, pinion__network_match(n, "conv1x*,fc", frozen), PINION_EINVAL,
                   "network 'resnet18-cifar': the pattern 'conv1x*' matches no layer with parameters");
    free(frozen);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* Mean and standard deviation of one parameter's values, and the largest magnitude. */
static void statistics(const pinion_network *n, size_t param, double *mean, double *deviation, double *largest)
{
    const float *values = pinion__param_data(n, (int)param);
    size_t count = n->params[param].bytes / sizeof(float);
    double sum = 0, squares = 0;
    *largest = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
        *largest = fmax(*largest, fabs((double)values[i]));
    }
    *mean = sum / (double)count;
    *deviation = sqrt(squares / (double)count - *mean * *mean);
}

static void check_init(const pinion_network *n, size_t index)
{
    const pinion__param *param = &n->params[index];
    double mean, deviation, largest, count = (double)(param->bytes / sizeof(float));
    statistics(n, index, &mean, &deviation, &largest);
    const pinion__param_spec *spec = &param->spec;
    double expected = 0, centre = 0;
    switch (spec->init) {
    case PINION__INIT_ZERO:
        break;
    case PINION__INIT_ONE:
        centre = 1;
        break;
    case PINION__INIT_HE_FAN_OUT:
        expected = sqrt(
            2.0 / (spec->layout == PINION__LAYOUT_KRSC ? spec->n * spec->h * spec->w : spec->c * spec->h * spec->w));
        break;
    case PINION__INIT_UNIFORM_FAN_IN:
        expected = 1 / sqrt(3.0 * spec->fan);
        assert_true(largest <= 1 / sqrt(spec->fan) * 1.0001);
        break;
    }
    assert_true(fabs(mean - centre) <= 4.5 * expected / sqrt(count));
    assert_true(fabs(deviation - expected) <= 4.5 * expected / sqrt(2 * count));
}

static void test_init(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *a = open_zoo(ctx, "mobilenetv2-cifar"), *b = open_zoo(ctx, "mobilenetv2-cifar");
    assert_done(ctx, pinion_network_init_weights(a, 7));
    assert_done(ctx, pinion_network_init_weights(b, 8));
    assert_memory_not_equal(a->block, b->block, a->block_bytes);
    assert_done(ctx, pinion_network_init_weights(b, 7));
    assert_memory_equal(a->block, b->block, a->block_bytes);
    for (size_t i = 0; i < a->param_count; i++)
        check_init(a, i);
    /* Parameters of the same shape have values of their own. */
    int first = a->layers[0].params[0], last = a->layers[a->layer_count - 1].params[0];
    assert_int_equal(a->params[last].spec.init, PINION__INIT_UNIFORM_FAN_IN);
    float one = pinion__param_data(a, last)[0] * sqrtf(1280), other = pinion__param_data(a, last + 1)[0] * sqrtf(1280);
    assert_true(one != other && fabsf(one) <= 1 && fabsf(other) <= 1);
    assert_true(pinion__param_data(a, first)[0] != 0);
    pinion_network_destroy(a);
    pinion_network_destroy(b);
    test_context_end(ctx);
}

/* Parameters first, then running statistics, each at a multiple of 64 bytes, none over another. */
static void test_block(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = open_zoo(ctx, "alexnet-cifar");
    assert_done(ctx, pinion__network_allocate(n));
    size_t end = 0;
    for (int running = 0; running < 2; running++)
        for (size_t i = 0; i < n->param_count; i++) {
            if (n->params[i].state != running)
                continue;
            assert_int_equal(n->params[i].offset % PINION__SHARED_ALIGNMENT, 0);
            assert_true(n->params[i].offset >= end && n->params[i].offset < end + PINION__SHARED_ALIGNMENT);
            end = n->params[i].offset + n->params[i].bytes;
        }
    assert_true(end <= n->block_bytes);
    assert_int_equal((uintptr_t)n->block % PINION__SHARED_ALIGNMENT, 0);
    for (size_t i = 0; i < n->block_bytes; i++)
        assert_int_equal(n->block[i], 0);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_refused_inputs),
        cmocka_unit_test(test_refused_layers), cmocka_unit_test(test_refused_graphs),
        cmocka_unit_test(test_refused_shapes), cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_init),           cmocka_unit_test(test_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
