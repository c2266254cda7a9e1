/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks cut into groups: which layers there are, what they read, what they cost and where their weights lie.
 */
#include "net/groups.h"
#include "support.h"
#include <math.h>
#include <stdio.h>

/* One line a layer: "GROUP NAME OP <- INPUTS: SHAPE PARAMETERS". */
static char *list(const pinion_network *n)
{
    static char text[8192];
    size_t at = 0;
    pinion_layer_info layer;
    for (int i = 0; i < (int)n->layer_count; i++) {
        assert_int_equal(pinion_network_get_layer(n, i, &layer), PINION_OK);
        at += (size_t)snprintf(text + at, sizeof text - at, "%d %s %s <-", layer.group, layer.name, layer.op);
        for (int j = 0; j < layer.input_count; j++)
            at += (size_t)snprintf(text + at, sizeof text - at, " %s",
                                   layer.inputs[j] < 0 ? "input" : n->layers[layer.inputs[j]].name);
        at += (size_t)snprintf(text + at, sizeof text - at, ": %dx%dx%d %d\n", layer.output.h, layer.output.w,
                               layer.output.c, (int)layer.parameters);
    }
    return text;
}

static void check_layers(const char *model, int groups, enum pinion_connect connect, const char *expected)
{
    pinion_context *ctx = test_context();
    pinion_network *n = test_network_cut(ctx, model, groups, connect);
    assert_string_equal(list(n), expected);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_towers(void **state)
{
    (void)state;
    check_layers(test_every_cut, 2, PINION_TOWERS,
                 "1 norm.g1 batchnorm <- input: 6x6x2 4\n"
                 "1 a.g1 conv2d <- norm.g1: 6x6x3 57\n"
                 "1 dw.g1 depthwise_conv2d <- a.g1: 6x6x3 30\n"
                 "1 sum.g1 add <- a.g1 dw.g1: 6x6x3 0\n"
                 "1 cat.g1 concat <- sum.g1 a.g1: 6x6x6 0\n"
                 "1 b.g1 conv2d <- cat.g1: 6x6x4 24\n"
                 "1 pool.g1 maxpool <- b.g1: 2x2x4 0\n"
                 "1 flat.g1 flatten <- pool.g1: 1x1x16 0\n"
                 "1 drop.g1 dropout <- flat.g1: 1x1x16 0\n"
                 "1 hidden.g1 linear <- drop.g1: 1x1x4 68\n"
                 "1 relu.g1 relu <- hidden.g1: 1x1x4 0\n"
                 "1 fc.g1 linear <- relu.g1: 1x1x3 15\n"
                 "2 a.g2 conv2d <- norm.g1: 6x6x2 38\n"
                 "2 dw.g2 depthwise_conv2d <- a.g2: 6x6x2 20\n"
                 "2 sum.g2 add <- a.g2 dw.g2: 6x6x2 0\n"
                 "2 cat.g2 concat <- sum.g2 a.g2: 6x6x4 0\n"
                 "2 b.g2 conv2d <- cat.g2: 6x6x3 12\n"
                 "2 pool.g2 maxpool <- b.g2: 2x2x3 0\n"
                 "2 flat.g2 flatten <- pool.g2: 1x1x12 0\n"
                 "2 drop.g2 dropout <- flat.g2: 1x1x12 0\n"
                 "2 hidden.g2 linear <- drop.g2: 1x1x4 52\n"
                 "2 relu.g2 relu <- hidden.g2: 1x1x4 0\n"
                 "2 fc.g2 linear <- relu.g2: 1x1x3 12\n"
                 "2 fc.s2 add <- fc.g1 fc.g2: 1x1x3 0\n");
}

/* Two convolutions read "a": one concat a group serves both. The classifier is a convolution behind which pixels are
 * averaged; its parts, which read their own group's channels, are added behind that. */
static void test_nested(void **state)
{
    (void)state;
    static const char model[] =
        "{\"name\": \"n\", \"input\": [4, 4, 3], \"layers\": ["
        "{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 7, \"filter\": 1, \"bias\": false},"
        "{\"name\": \"b\", \"op\": \"conv2d\", \"input\": \"a\", \"channels\": 4, \"filter\": 1, \"bias\": false},"
        "{\"name\": \"c\", \"op\": \"conv2d\", \"input\": \"a\", \"channels\": 4, \"filter\": 1, \"bias\": false},"
        "{\"name\": \"sum\", \"op\": \"add\", \"inputs\": [\"b\", \"c\"]},"
        "{\"name\": \"last\", \"op\": \"conv2d\", \"input\": \"sum\", \"channels\": 5, \"filter\": 1},"
        "{\"name\": \"mean\", \"op\": \"global_avgpool\", \"input\": \"last\"},"
        "{\"name\": \"flat\", \"op\": \"flatten\", \"input\": \"mean\"}]}";
    check_layers(model, 3, PINION_NESTED,
                 "1 a.g1 conv2d <- input: 4x4x3 9\n"
                 "1 b.g1 conv2d <- a.g1: 4x4x2 6\n"
                 "1 c.g1 conv2d <- a.g1: 4x4x2 6\n"
                 "1 sum.g1 add <- b.g1 c.g1: 4x4x2 0\n"
                 "1 last.g1 conv2d <- sum.g1: 4x4x5 15\n"
                 "1 mean.g1 global_avgpool <- last.g1: 1x1x5 0\n"
                 "1 flat.g1 flatten <- mean.g1: 1x1x5 0\n"
                 "2 a.g2 conv2d <- input: 4x4x2 6\n"
                 "2 a.c2 concat <- a.g1 a.g2: 4x4x5 0\n"
                 "2 b.g2 conv2d <- a.c2: 4x4x1 5\n"
                 "2 c.g2 conv2d <- a.c2: 4x4x1 5\n"
                 "2 sum.g2 add <- b.g2 c.g2: 4x4x1 0\n"
                 "2 last.g2 conv2d <- sum.g2: 4x4x5 5\n"
                 "2 mean.g2 global_avgpool <- last.g2: 1x1x5 0\n"
                 "2 flat.g2 flatten <- mean.g2: 1x1x5 0\n"
                 "2 flat.s2 add <- flat.g1 flat.g2: 1x1x5 0\n"
                 "3 a.g3 conv2d <- input: 4x4x2 6\n"
                 "3 a.c3 concat <- a.c2 a.g3: 4x4x7 0\n"
                 "3 b.g3 conv2d <- a.c3: 4x4x1 7\n"
                 "3 c.g3 conv2d <- a.c3: 4x4x1 7\n"
                 "3 sum.g3 add <- b.g3 c.g3: 4x4x1 0\n"
                 "3 last.g3 conv2d <- sum.g3: 4x4x5 5\n"
                 "3 mean.g3 global_avgpool <- last.g3: 1x1x5 0\n"
                 "3 flat.g3 flatten <- mean.g3: 1x1x5 0\n"
                 "3 flat.s3 add <- flat.s2 flat.g3: 1x1x5 0\n");
}

static int slice(int channels, int groups, int group)
{
    return channels / groups + (group < channels % groups);
}

/* Of a convolution or linear layer of the base: filter elements, and channels that group `group` reads. */
static int64_t filter_of(const pinion__layer *layer)
{
    return layer->op->id == PINION__OP_linear ? 1
                                              : (int64_t)layer->attributes.as.conv2d.r * layer->attributes.as.conv2d.s;
}

static int64_t channels_read(const pinion_network *base, const pinion__layer *layer, int groups, bool nested, int group)
{
    int input = layer->inputs[0], pixels = 1, channels = layer->input_shapes[0].c;
    if (input == PINION_INPUT)
        return channels;
    if (base->layers[input].op->id == PINION__OP_flatten) {
        pixels = base->layers[input].input_shapes[0].h * base->layers[input].input_shapes[0].w;
        channels /= pixels;
    }
    int64_t read = slice(channels, groups, group);
    for (int before = 0; before < group && nested; before++)
        read += slice(channels, groups, before);
    return read * pixels;
}

/* Adds what a group has of a layer of the base, counted by itself. */
static void count(const pinion_network *base, const pinion__layer *layer, int groups, bool nested, int group,
                  pinion_width_info *sums)
{
    bool last = layer == &base->layers[base->layer_count - 1];
    int64_t made = last ? layer->output.c : slice(layer->output.c, groups, group), weights = 0, biases = 0;
    int64_t pixels = (int64_t)layer->output.h * layer->output.w;
    switch (layer->op->id) {
    case PINION__OP_linear:
        weights = made * channels_read(base, layer, groups, nested && !last, group);
        biases = layer->attributes.as.linear.bias && (!last || group == 0) ? made : 0;
        break;
    case PINION__OP_conv2d:
        weights = made * channels_read(base, layer, groups, nested, group) * filter_of(layer);
        biases = layer->attributes.as.conv2d.bias ? made : 0;
        break;
    case PINION__OP_depthwise_conv2d:
        weights = made * filter_of(layer);
        break;
    case PINION__OP_batchnorm:
        sums->parameters += 2 * made;
        sums->weight_bytes += 4 * 4 * made;
        break;
    default:
        break;
    }
    sums->parameters += weights + biases;
    sums->weight_bytes += 4 * (weights + biases);
    sums->macs += weights * pixels;
}

static void check_counts(pinion_context *ctx, const char *model, int groups, enum pinion_connect connect)
{
    pinion_network *base = NULL, *n = test_network_cut(ctx, model, groups, connect);
    pinion_width_info expected = {0}, found;
    assert_done(ctx, pinion_network_open(ctx, model, NULL, &base));
    for (int j = 0; j < groups; j++) {
        for (size_t i = 0; i < base->layer_count; i++)
            count(base, &base->layers[i], groups, connect == PINION_NESTED, j, &expected);
        assert_done(ctx, pinion_network_get_width(n, j + 1, &found));
        assert_int_equal(found.parameters, expected.parameters);
        assert_int_equal(found.weight_bytes, expected.weight_bytes);
        assert_int_equal(found.macs, expected.macs);
    }
    pinion_network_info info = pinion_network_get_info(n), plain = pinion_network_get_info(base);
    assert_int_equal(info.parameters, expected.parameters);
    assert_int_equal(info.macs, expected.macs);
    assert_int_equal(info.groups, groups);
    assert_int_equal(info.connect, connect);
    assert_int_equal(info.width, 0);
    assert_int_equal(plain.groups, 0);
    assert_int_equal(info.output.c, plain.output.c);
    assert_true(groups > 1 || (info.parameters == plain.parameters && info.macs == plain.macs));
    pinion_network_destroy(base);
    pinion_network_destroy(n);
}

static void test_counts(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    for (int i = 0; pinion_network_zoo_name(i); i++)
        for (int groups = 1; groups <= PINION_MAX_GROUPS; groups++) {
            check_counts(ctx, pinion_network_zoo_name(i), groups, PINION_TOWERS);
            check_counts(ctx, pinion_network_zoo_name(i), groups, PINION_NESTED);
        }
    pinion_network *n = test_network_cut(ctx, "alexnet-cifar", 4, PINION_TOWERS);
    assert_int_equal(pinion_network_get_info(n).parameters, 607178);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* Layers and weights group by group; what later groups are does not change earlier ones. */
static void check_order(pinion_context *ctx, const char *model, int groups, enum pinion_connect connect)
{
    pinion_network *n = test_network_cut(ctx, model, groups, connect);
    assert_done(ctx, pinion__network_allocate(n));
    assert_int_equal((uintptr_t)n->block % 4096, 0);
    assert_int_equal(n->group_offset[0], 0);
    assert_int_equal(n->group_offset[groups], n->block_bytes);
    size_t param = 0, layer = 0, end = 0;
    for (int j = 1; j <= groups; j++) {
        assert_int_equal(n->group_offset[j] % 4096, 0);
        for (; layer < n->layer_count && n->layers[layer].group == j; layer++)
            for (int i = 0; i < n->layers[layer].op->inputs; i++)
                assert_true(n->layers[layer].inputs[i] < (int)layer);
        assert_int_equal(n->width_output[j - 1], layer - 1);
        assert_true(n->layers[layer - 1].op->id == PINION__OP_add || j == 1);
        for (; param < n->param_count && n->layers[n->params[param].layer].group == j; param++) {
            assert_true(n->params[param].offset >= n->group_offset[j - 1]);
            end = n->params[param].offset + n->params[param].bytes;
            assert_true(end <= n->group_offset[j]);
        }
        assert_int_equal(pinion__network_param_count(n, j), param);
    }
    assert_int_equal(layer, n->layer_count);
    assert_int_equal(param, n->param_count);
    assert_int_equal(pinion__network_param_count(n, 0), 0);
    pinion_network_destroy(n);
}

static void test_order(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    for (int groups = 1; groups <= 5; groups++) {
        check_order(ctx, test_every_cut, groups, PINION_TOWERS);
        check_order(ctx, test_every_cut, groups, PINION_NESTED);
        check_order(ctx, "mobilenetv2-cifar", groups, PINION_NESTED);
    }
    pinion_network *plain = test_network_small(ctx, "small", 4);
    assert_int_equal(pinion__network_param_count(plain, 0), plain->param_count);
    pinion_network_destroy(plain);
    test_context_end(ctx);
}

/* What a nested layer reads behind a flatten: in a file the channels outside, as if its slices had been put side by
 * side before they were flattened; in memory slice by slice, pixels outside. */
static void test_flattened(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = test_network_cut(ctx, test_every_cut, 3, PINION_NESTED);
    assert_done(ctx, pinion__network_allocate(n));
    static const int slices[3] = {3, 2, 2}; /* of 7, 2x2 pixels each */
    size_t at = 0;
    while (strcmp(n->params[at].name, "hidden.g3.weight") != 0)
        at++;
    float memory[2 * 28], file[2 * 28];
    for (int i = 0; i < 2 * 28; i++)
        memory[i] = (float)i;
    assert_int_equal(n->params[at].bytes, sizeof memory);
    pinion__param_to_file(&n->params[at], memory, 0, 2 * 28, file);
    const float *next = file;
    for (int k = 0; k < 2; k++)
        for (int j = 0, before = 0; j < 3; before += 4 * slices[j++])
            for (int c = 0; c < slices[j]; c++)
                for (int pixel = 0; pixel < 4; pixel++)
                    assert_true(*next++ == (float)(28 * k + before + pixel * slices[j] + c));
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* A group that is initialised by itself has the values that it has when all are. */
static void test_initial_values(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *all = test_network_cut(ctx, test_every_cut, 3, PINION_NESTED);
    pinion_network *one = test_network_cut(ctx, test_every_cut, 3, PINION_NESTED);
    assert_done(ctx, pinion_network_init_weights(all, 7));
    assert_int_equal(pinion_network_get_info(all).width, 3);
    assert_refused(ctx, pinion__network_init_group(one, 2, 7), PINION_EINVAL,
                   "network 'every': group 2 cannot be the next: 0 of its groups have weights");
    assert_refused(ctx, pinion__network_init_group(one, 4, 7), PINION_EINVAL,
                   "network 'every' has no group 4; it is cut into 3");
    assert_int_equal(pinion__network_init_group(one, 0, 7), PINION_EINVAL);
    for (int j = 1; j <= 3; j++) {
        uint64_t version = one->version;
        assert_done(ctx, pinion__network_init_group(one, j, 7));
        assert_true(one->version > version);
        assert_int_equal(pinion_network_get_info(one).width, j);
        assert_memory_equal(one->block, all->block, all->group_offset[j]);
        for (size_t i = one->group_offset[j]; i < one->block_bytes; i++)
            assert_int_equal(one->block[i], 0);
    }
    /* Anew: the others stay. */
    assert_done(ctx, pinion__network_init_group(one, 2, 8));
    assert_int_equal(pinion_network_get_info(one).width, 3);
    assert_memory_equal(one->block, all->block, all->group_offset[1]);
    assert_memory_not_equal(one->block + all->group_offset[1], all->block + all->group_offset[1], 64);
    assert_memory_equal(one->block + all->group_offset[2], all->block + all->group_offset[2],
                        all->block_bytes - all->group_offset[2]);
    pinion_network_destroy(all);
    pinion_network_destroy(one);
    test_context_end(ctx);
}

/* Of the first parameter of a layer. */
static double find_variance(const pinion_network *n, const char *layer)
{
    char name[64];
    snprintf(name, sizeof name, "%s.weight", layer);
    for (int p = 0; p < (int)n->param_count; p++) {
        if (strcmp(n->params[p].name, name) != 0)
            continue;
        const size_t count = n->params[p].bytes / sizeof(float);
        double squares = 0;
        for (size_t i = 0; i < count; i++)
            squares += pow((double)pinion__param_data(n, p)[i], 2);
        return squares / (double)count;
    }
    fail_msg("no %s", name);
    return 0;
}

/* "normed" and the classifier begin as slices of the uncut layer, "plain" by its own fan: two groups of 64 channels. */
static void test_initial_variance(void **state)
{
    (void)state;
    static const char model[] =
        "{\"name\": \"n\", \"input\": [8, 8, 32], \"layers\": ["
        "{\"name\": \"plain\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 128, \"filter\": 3},"
        "{\"name\": \"normed\", \"op\": \"conv2d\", \"input\": \"plain\", \"channels\": 128, \"filter\": 3, "
        "\"bias\": false},"
        "{\"name\": \"bn\", \"op\": \"batchnorm\", \"input\": \"normed\"},"
        "{\"name\": \"mean\", \"op\": \"global_avgpool\", \"input\": \"bn\"},"
        "{\"name\": \"flat\", \"op\": \"flatten\", \"input\": \"mean\"},"
        "{\"name\": \"fc\", \"op\": \"linear\", \"input\": \"flat\", \"channels\": 100}]}";
    pinion_context *ctx = test_context();
    for (int connect = PINION_TOWERS; connect <= PINION_NESTED; connect++) {
        pinion_network *n = test_network_cut(ctx, model, 2, (enum pinion_connect)connect);
        assert_done(ctx, pinion_network_init_weights(n, 3));
        for (int group = 1; group <= 2; group++) {
            const char *const names[] = {group == 1 ? "plain.g1" : "plain.g2", group == 1 ? "normed.g1" : "normed.g2",
                                         group == 1 ? "fc.g1" : "fc.g2"};
            const double expected[] = {2.0 / (64 * 9), 2.0 / (128 * 9), 1.0 / (3 * 128)};
            for (int i = 0; i < 3; i++) {
                const double variance = find_variance(n, names[i]);
                if (!(fabs(variance / expected[i] - 1) < 0.06))
                    fail_msg("%s: variance %g; expected %g", names[i], variance, expected[i]);
            }
        }
        pinion_network_destroy(n);
    }
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_towers),           cmocka_unit_test(test_nested),
        cmocka_unit_test(test_counts),           cmocka_unit_test(test_order),
        cmocka_unit_test(test_flattened),        cmocka_unit_test(test_initial_values),
        cmocka_unit_test(test_initial_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
