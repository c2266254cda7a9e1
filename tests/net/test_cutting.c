/* SPDX-License-Identifier: Apache-2.0
 *
 * What cannot be cut into groups, in which words; and plain networks that cost what a width costs.
 */
#include "net/groups.h"
#include "support.h"
#include <math.h>
#include <stdio.h>

static void check_refused(pinion_context *ctx, const char *layers, int groups, const char *sentence)
{
    char text[2048];
    pinion_network *n = NULL;
    const pinion_network_options options = {.groups = groups, .connect = PINION_NESTED};
    snprintf(text, sizeof text, "{\"name\": \"n\", \"input\": [8, 8, 3], \"layers\": [%s]}", layers);
    assert_refused(ctx, pinion_network_parse(ctx, text, strlen(text), "text", &options, &n), PINION_EINVAL, sentence);
    assert_null(n);
}

#define CONV(name, input, channels)                                                                                    \
    "{\"name\": \"" name "\", \"op\": \"conv2d\", \"input\": \"" input "\", \"channels\": " channels ", \"filter\": "  \
    "1}"
#define ONE(name, op, input) "{\"name\": \"" name "\", \"op\": \"" op "\", \"input\": \"" input "\"}"
#define TWO(name, op, a, b) "{\"name\": \"" name "\", \"op\": \"" op "\", \"inputs\": [\"" a "\", \"" b "\"]}"
#define LINEAR(name, input, channels)                                                                                  \
    "{\"name\": \"" name "\", \"op\": \"linear\", \"input\": \"" input "\", \"channels\": " channels "}"

static void test_refused(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    static const char usual[] = CONV("a", "input", "3") "," ONE("p", "global_avgpool", "a") "," LINEAR("fc", "p", "2");
    check_refused(ctx, usual, 9, "network 'n' cannot be cut into 9 groups: expected 1 to 8");
    check_refused(ctx, usual, -1, "network 'n' cannot be cut into -1 groups: expected 1 to 8");
    check_refused(ctx, usual, 4, "network 'n' cannot be cut into 4 groups: layer 'a' (conv2d) has only 3 channels");
    check_refused(ctx, CONV("a", "input", "1") "," CONV("fc", "a", "2"), 2,
                  "network 'n' cannot be cut into 2 groups: layer 'a' (conv2d) has only 1 channel");
    check_refused(ctx, ONE("p", "relu", "input"), 2,
                  "network 'n' cannot be cut into groups: it has no layer with weights");
    check_refused(ctx, CONV("a", "input", "4") "," ONE("bn", "batchnorm", "a") "," ONE("p", "global_avgpool", "bn"), 2,
                  "network 'n' cannot be cut into groups: its last layer with weights is 'bn' (batchnorm); expected "
                  "linear or conv2d");
    check_refused(ctx, CONV("a", "input", "4") "," CONV("b", "a", "4") "," ONE("r", "relu", "b"), 2,
                  "network 'n' cannot be cut into groups: layer 'r' (relu) is behind the classifier 'b', whose parts "
                  "add up; expected only global_avgpool, avgpool or flatten there");
    check_refused(ctx, CONV("a", "input", "4") "," CONV("b", "a", "4") "," TWO("s", "add", "a", "b"), 2,
                  "network 'n' cannot be cut into groups: layer 's' (add) is behind the classifier 'b', whose parts "
                  "add up; expected only global_avgpool, avgpool or flatten there");
    check_refused(ctx, ONE("p", "global_avgpool", "input") "," LINEAR("fc", "p", "2"), 2,
                  "network 'n' cannot be cut into groups: its classifier 'fc' reads channels of the network's input, "
                  "which is not cut");
    check_refused(ctx, CONV("a", "input", "3") "," TWO("s", "add", "input", "a") "," CONV("fc", "s", "2"), 2,
                  "network 'n' cannot be cut into groups: layer 's' (add) reads channels of the network's input, which "
                  "is not cut, and of a convolution, which is");
    /* 3 channels of 64 pixels are 128 + 64 in two groups, 192 channels are 96 + 96. */
    check_refused(ctx,
                  CONV("a", "input", "3") "," ONE("f", "flatten", "a") "," LINEAR("b", "f", "192") "," TWO(
                      "s", "add", "f", "b") "," LINEAR("fc", "s", "2"),
                  2,
                  "network 'n' cannot be cut into 2 groups: the inputs of layer 's' (add) would have 128 and 96 "
                  "channels in group 1");
    /* 3 and 3 channels beside each other are 4 + 2, 6 channels are 3 + 3. */
    check_refused(ctx,
                  CONV("a", "input", "3") "," TWO("c", "concat", "a", "a") "," CONV("b", "a", "6") "," TWO(
                      "s", "add", "c", "b") "," CONV("fc", "s", "2"),
                  2,
                  "network 'n' cannot be cut into 2 groups: the inputs of layer 's' (add) would have 4 and 3 "
                  "channels in group 1");
    test_context_end(ctx);
}

static void test_refused_options(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = NULL;
    pinion_network_options options = {.groups = 2, .connect = (enum pinion_connect)2};
    assert_refused(ctx, pinion_network_open(ctx, "alexnet-cifar", &options, &n), PINION_EINVAL,
                   "network 'alexnet-cifar': its groups are to be connected in way 2; expected towers (0) or nested "
                   "(1)");
    options = (pinion_network_options){.groups = 2, .like_width = 3};
    assert_refused(ctx, pinion_network_open(ctx, "alexnet-cifar", &options, &n), PINION_EINVAL,
                   "network 'alexnet-cifar' has no width 3 that another could be like: it is cut into 2 groups");
    options = (pinion_network_options){.like_width = 1};
    assert_int_equal(pinion_network_open(ctx, "alexnet-cifar", &options, &n), PINION_EINVAL);
    options = (pinion_network_options){.groups = 2, .like_width = -1};
    assert_int_equal(pinion_network_open(ctx, "alexnet-cifar", &options, &n), PINION_EINVAL);
    /* Names grow by three letters, and the network by its groups. */
    char name[256], text[1024];
    memset(name, 'x', sizeof name);
    name[253] = '\0';
    snprintf(
        text, sizeof text,
        "{\"name\": \"n\", \"input\": [1, 1, 3], \"layers\": [{\"name\": \"%s\", \"op\": \"linear\", \"input\": "
        "\"input\", \"channels\": 4}, {\"name\": \"fc\", \"op\": \"linear\", \"input\": \"%s\", \"channels\": 4}]}",
        name, name);
    options = (pinion_network_options){.groups = 2};
    assert_refused(ctx, pinion_network_parse(ctx, text, strlen(text), "text", &options, &n), PINION_EINVAL,
                   "network 'n' cannot be cut into 2 groups: a layer's name is not valid: expected 1 to 255 letters, "
                   "digits and _ . - / :");
    assert_null(n);

    pinion_width_info info;
    n = test_network_small(ctx, "small", 4);
    assert_refused(ctx, pinion_network_get_width(n, 1, &info), PINION_EINVAL,
                   "network 'small' is not cut into groups: it has no widths");
    pinion_network_destroy(n);
    n = test_network_cut(ctx, "alexnet-cifar", 3, PINION_TOWERS);
    assert_refused(ctx, pinion_network_get_width(n, 4, &info), PINION_EINVAL,
                   "network 'alexnet-cifar' has no width 4; expected 1 to 3");
    assert_int_equal(pinion_network_get_width(n, 0, &info), PINION_EINVAL);
    assert_int_equal(pinion_network_get_width(n, 1, NULL), PINION_EINVAL);
    assert_int_equal(pinion_network_get_width(NULL, 1, &info), PINION_EINVAL);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* A mistake of the description stays one, whatever is asked for. */
static void test_blame(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = NULL;
    const pinion_network_options options = {.groups = 2};
    static const char text[] = "{\"name\": \"n\", \"input\": [8, 8, 3], \"layers\": [" CONV("a", "input", "0") "]}";
    assert_int_equal(pinion_network_parse(ctx, text, strlen(text), "text", &options, &n), PINION_EFORMAT);
    assert_null(n);
    test_context_end(ctx);
}

static void check_scaled(pinion_context *ctx, const char *model, int groups, enum pinion_connect connect, int width)
{
    pinion_network *cut = test_network_cut(ctx, model, groups, connect), *plain = NULL, *base = NULL;
    const pinion_network_options options = {.groups = groups, .connect = connect, .like_width = width};
    pinion_width_info wanted;
    assert_done(ctx, pinion_network_get_width(cut, width, &wanted));
    assert_done(ctx, pinion_network_open(ctx, model, &options, &plain));
    assert_done(ctx, pinion_network_open(ctx, model, NULL, &base));
    pinion_network_info info = pinion_network_get_info(plain);
    assert_int_equal(info.groups, 0);
    assert_true(fabs((double)info.macs / (double)wanted.macs - 1) <= 0.03);
    assert_int_equal(info.output.c, pinion_network_get_info(base).output.c);
    assert_int_equal(plain->layer_count, base->layer_count);
    /* One factor: what the first convolution says of it holds for all, but for rounding. */
    double least = 0, most = 1e9;
    for (size_t i = 0; i + 1 < plain->layer_count; i++) {
        if (plain->layers[i].op->id != PINION__OP_conv2d)
            continue;
        double scaled = plain->layers[i].output.c, whole = base->layers[i].output.c;
        least = fmax(least, (scaled - 0.5) / whole);
        most = fmin(most, (scaled + 0.5) / whole);
    }
    assert_true(least <= most);
    pinion_network_destroy(base);
    pinion_network_destroy(plain);
    pinion_network_destroy(cut);
}

static void test_scaled(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    for (int i = 0; pinion_network_zoo_name(i); i++)
        for (int width = 1; width <= 4; width++) {
            check_scaled(ctx, pinion_network_zoo_name(i), 4, PINION_TOWERS, width);
            check_scaled(ctx, pinion_network_zoo_name(i), 4, PINION_NESTED, width);
        }
    /* All of a network of one group is the network. */
    pinion_network *plain = NULL;
    pinion_network_options options = {.groups = 1, .like_width = 1};
    assert_done(ctx, pinion_network_open(ctx, "mobilenetv2-cifar", &options, &plain));
    assert_int_equal(pinion_network_get_info(plain).parameters, 2236682);
    pinion_network_destroy(plain);
    /* Few channels: the step below and the one above, neither of which is near. */
    static const char text[] = "{\"name\": \"n\", \"input\": [8, 8, 3], \"layers\": [" CONV("a", "input", "5") "," CONV(
        "b", "a", "5") "," CONV("c", "b", "5") "," CONV("fc", "c", "2") "]}";
    options = (pinion_network_options){.groups = 5, .like_width = 2};
    assert_refused(ctx, pinion_network_parse(ctx, text, strlen(text), "text", &options, &plain), PINION_EINVAL,
                   "network 'n': no factor on its channels gives the multiply-adds of width 2; the nearest is +28.6 % "
                   "off");
    static const char more[] = "{\"name\": \"n\", \"input\": [8, 8, 3], \"layers\": [" CONV(
        "a", "input", "10") "," CONV("b", "a", "10") "," CONV("c", "b", "10") "," CONV("fc", "c", "2") "]}";
    assert_refused(ctx, pinion_network_parse(ctx, more, strlen(more), "text", &options, &plain), PINION_EINVAL,
                   "network 'n': no factor on its channels gives the multiply-adds of width 2; the nearest is -8.3 % "
                   "off");
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_options),
        cmocka_unit_test(test_blame),
        cmocka_unit_test(test_scaled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
