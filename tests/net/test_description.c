/* SPDX-License-Identifier: Apache-2.0
 *
 * Network descriptions: what is read, in which order layers come out, and a sentence for each thing that can be wrong.
 */
#include "support.h"
#include <stdio.h>

static int parse(pinion_context *ctx, const char *json, const pinion_network_options *options, pinion_network **out)
{
    return pinion_network_parse(ctx, json, strlen(json), "net.json", options, out);
}

/* A description of an 8x8x3 input around its layers. */
static const char *around(const char *layers)
{
    static char json[8192];
    snprintf(json, sizeof json, "{\"name\": \"n\", \"input\": [8, 8, 3], \"layers\": [%s]}", layers);
    return json;
}

static const char not_json[] = "net.json: line 1, column ";

/* What is wrong, and what is said about it. */
static const struct {
    const char *json; /* begins with '#': layers only */
    const char *sentence;
} refused[] = {
    {"", not_json},
    {"{\"name\": }", not_json},
    {"[]", "net.json: expected a JSON object with \"name\", \"input\" and \"layers\""},
    {"{\"a\": 1, \"a\": 2}", not_json},
    {"{\"nam\": 1}", "net.json: unknown key 'nam'; expected name, input, layers"},
    {"{\"name\": 1}", "net.json: \"name\": expected 1 to 255 letters, digits, spaces and _ . - / :"},
    {"{\"name\": \"n\"}", "net.json: \"input\": expected [rows, columns, channels], each at least 1"},
    {"{\"name\": \"n\", \"input\": [8, 8, 0]}",
     "net.json: \"input\": expected [rows, columns, channels], each at least 1"},
    {"{\"name\": \"n\", \"input\": [8, 8, 3]}", "net.json: \"layers\": expected an array of 1 to 10000 layers"},
    {"{\"name\": \"n\", \"input\": [70000, 8, 3], \"layers\": [{\"name\": \"a\", \"op\": \"relu\", \"input\": "
     "\"input\"}]}",
     "net.json: network 'n': its input is 70000x8x3; expected rows and columns of 1 to 65536, channels of 1 to "
     "1048576, at most 2147483647 elements"},
    {"#7", "net.json: layer number 1 is an integer; expected an object"},
    {"#{}", "net.json: layer number 1 has no \"name\""},
    {"#{\"name\": \"a b\"}", "net.json: layer 'a b': a name has 1 to 255 letters, digits and _ . - / :"},
    {"#{\"name\": \"a\"}", "net.json: layer 'a' has no \"op\""},
    {"#{\"name\": \"a\", \"op\": \"conv3d\"}", "net.json: layer 'a': unknown op 'conv3d'"},
    {"#{\"name\": \"a\", \"op\": \"sgd\"}", "net.json: layer 'a': unknown op 'sgd'"},
    {"#{\"name\": \"a\", \"op\": \"relu\"}",
     "net.json: layer 'a' (relu) has neither \"input\" nor \"inputs\"; expected one of them"},
    {"#{\"name\": \"a\", \"op\": \"relu\", \"input\": \"input\", \"inputs\": []}",
     "net.json: layer 'a' (relu) has both \"input\" and \"inputs\"; expected one of them"},
    {"#{\"name\": \"a\", \"op\": \"relu\", \"inputs\": \"input\"}",
     "net.json: layer 'a' (relu): \"inputs\" is a string; expected an array of names"},
    {"#{\"name\": \"a\", \"op\": \"relu\", \"input\": 3}",
     "net.json: layer 'a' (relu): its input is an integer; expected a layer's name"},
    {"#{\"name\": \"a\", \"op\": \"add\", \"input\": \"input\"}", "net.json: layer 'a' (add) has 1 input; expected 2"},
    {"#{\"name\": \"a\", \"op\": \"relu\", \"inputs\": [\"input\", \"input\"]}",
     "net.json: layer 'a' (relu) has 2 inputs; expected 1"},
    {"#{\"name\": \"a\", \"op\": \"relu\", \"input\": \"b\"}",
     "net.json: layer 'a' (relu): there is no layer 'b' to be its input"},
    {"#{\"name\": \"a\", \"op\": \"relu\", \"input\": \"input\", \"slope\": 1}",
     "net.json: layer 'a' (relu): unknown key 'slope'; expected name, op, input"},
    {"#{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"strid\": 1}",
     "net.json: layer 'a' (conv2d): unknown key 'strid'; expected name, op, input, channels, filter, stride, "
     "padding, bias"},
    {"#{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"filter\": 3}",
     "net.json: layer 'a' (conv2d) has no \"channels\""},
    {"#{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 8.0, \"filter\": 3}",
     "net.json: layer 'a' (conv2d): \"channels\" is a number; expected an integer"},
    {"#{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 99999999999, \"filter\": 3}",
     "net.json: layer 'a' (conv2d): \"channels\" is 99999999999; expected 1 to 1048576"},
    {"#{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 8, \"filter\": [3, 3, 3]}",
     "net.json: layer 'a' (conv2d): \"filter\" is an array of 3; expected rows and columns"},
    {"#{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 8, \"filter\": \"3\"}",
     "net.json: layer 'a' (conv2d): \"filter\" is a string; expected an integer or two in an array"},
    {"#{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 8, \"filter\": 3, \"stride\": [1, "
     "0]}",
     "net.json: layer 'a' (conv2d): \"stride\" is 0; expected 1 to 255"},
    {"#{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 8, \"filter\": 3, \"bias\": 1}",
     "net.json: layer 'a' (conv2d): \"bias\" is an integer; expected true or false"},
    {"#{\"name\": \"a\", \"op\": \"dropout\", \"input\": \"input\", \"rate\": \"x\"}",
     "net.json: layer 'a' (dropout): \"rate\" is a string; expected a number"},
    {"#{\"name\": \"a\", \"op\": \"dropout\", \"input\": \"input\", \"rate\": -1}",
     "net.json: layer 'a' (dropout): \"rate\" is -1; expected 0 to 0.999"},
    {"#{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 8, \"filter\": 9}",
     "net.json: layer 'a' (conv2d): a filter of 9x9 does not fit its input of 8x8x3 with padding 0x0"},
    {"#{\"name\": \"a\", \"op\": \"linear\", \"input\": \"input\", \"channels\": 8}",
     "net.json: layer 'a' (linear): its input is 8x8x3; expected 1x1xc: put a flatten or a global_avgpool before "
     "it"},
    {"#{\"name\": \"a\", \"op\": \"relu\", \"input\": \"input\"}, {\"name\": \"a\", \"op\": \"relu\", \"input\": "
     "\"input\"}",
     "net.json: layer 'a': there are two layers of that name"},
    {"#{\"name\": \"input\", \"op\": \"relu\", \"input\": \"input\"}",
     "net.json: layer 'input': this name is reserved"},
    {"#{\"name\": \"a\", \"op\": \"relu\", \"input\": \"input\"}, {\"name\": \"b\", \"op\": \"relu\", \"input\": "
     "\"input\"}",
     "net.json: layer 'a' (relu): no layer reads it, and it is not the network's output, which is 'b'"},
    {"#{\"name\": \"a\", \"op\": \"relu\", \"input\": \"a\"}", "net.json: layers form a cycle: 'a' -> 'a'"},
    {"#{\"name\": \"o\", \"op\": \"relu\", \"input\": \"c\"}, {\"name\": \"a\", \"op\": \"relu\", \"input\": "
     "\"c\"},"
     "{\"name\": \"b\", \"op\": \"relu\", \"input\": \"a\"}, {\"name\": \"c\", \"op\": \"add\", \"inputs\": "
     "[\"input\", \"b\"]}",
     "net.json: layers form a cycle: 'a' -> 'b' -> 'c' -> 'a'"},
};

static void test_refusals(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        pinion_network *network = NULL;
        const char *json = refused[i].json[0] == '#' ? around(refused[i].json + 1) : refused[i].json;
        assert_int_equal(parse(ctx, json, NULL, &network), PINION_EFORMAT);
        const char *sentence = pinion_context_error(ctx);
        if (strcmp(refused[i].sentence, not_json) == 0) /* the rest is jansson's */
            assert_memory_equal(sentence, not_json, strlen(not_json));
        else
            assert_string_equal(sentence, refused[i].sentence);
        assert_null(network);
        assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    }
    test_context_end(ctx);
}

/* Whatever stands in a file comes out in a sentence of one line. */
static void test_hostile_text(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *network = NULL;
    assert_refused(ctx, parse(ctx, around("{\"name\": \"a\", \"op\": \"\\u001b[2J\\n\"}"), NULL, &network),
                   PINION_EFORMAT, "net.json: layer 'a': unknown op '?[2J?'");
    assert_int_equal(parse(ctx, around("{\"name\": \"a\\u0000b\"}"), NULL, &network), PINION_EFORMAT);

    enum { DEEP = 100000 };
    char *deep = malloc(DEEP);
    memset(deep, '[', DEEP);
    assert_int_equal(pinion_network_parse(ctx, deep, DEEP, "net.json", NULL, &network), PINION_EFORMAT);
    free(deep);

    enum { LONG = (1 << 24) + 1 };
    char *text = malloc(LONG);
    memset(text, ' ', LONG);
    assert_refused(ctx, pinion_network_parse(ctx, text, LONG, "net.json", NULL, &network), PINION_EFORMAT,
                   "net.json: a network description of 16777217 bytes is too long; at most 16777216 are possible");
    free(text);
    test_context_end(ctx);
}

/* Layers may stand in any order; a file in a valid order keeps it. */
static void test_order(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *network = NULL;
    assert_done(ctx, parse(ctx,
                           around("{\"name\": \"sum\", \"op\": \"add\", \"inputs\": [\"right\", \"left\"]},"
                                  "{\"name\": \"left\", \"op\": \"relu\", \"input\": \"first\"},"
                                  "{\"name\": \"right\", \"op\": \"relu6\", \"input\": \"first\"},"
                                  "{\"name\": \"first\", \"op\": \"conv2d\", \"inputs\": [\"input\"], \"channels\": 4, "
                                  "\"filter\": [1, 3]}"),
                           NULL, &network));
    static const char *const expected[] = {"first", "right", "left", "sum"};
    assert_int_equal(network->layer_count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(network->layers[i].name, expected[i]);
    assert_int_equal(network->layers[3].inputs[0], 1);
    assert_int_equal(network->layers[3].inputs[1], 2);
    assert_int_equal(network->layers[0].attributes.as.conv2d.r, 1);
    assert_int_equal(network->layers[0].attributes.as.conv2d.s, 3);
    assert_int_equal(network->layers[0].attributes.as.conv2d.bias, 1);
    pinion_network_destroy(network);
    test_context_end(ctx);
}

/* describe, parse and describe again: the same text, the same network. */
static void check_round_trip(pinion_context *ctx, const pinion_network *network)
{
    pinion_network *again = NULL;
    char *text = NULL, *same = NULL;
    assert_done(ctx, pinion__network_describe(network, &text));
    assert_done(ctx, parse(ctx, text, NULL, &again));
    assert_done(ctx, pinion__network_describe(again, &same));
    assert_string_equal(text, same);
    assert_int_equal(again->layer_count, network->layer_count);
    assert_int_equal(again->param_count, network->param_count);
    for (size_t i = 0; i < network->layer_count; i++) {
        const pinion__layer *a = &network->layers[i], *b = &again->layers[i];
        assert_string_equal(a->name, b->name);
        assert_ptr_equal(a->op, b->op);
        assert_memory_equal(a->inputs, b->inputs, (size_t)a->op->inputs * sizeof a->inputs[0]);
        assert_memory_equal(&a->output, &b->output, sizeof a->output);
        assert_memory_equal(&a->attributes, &b->attributes, a->op->attributes_bytes);
    }
    pinion__release(ctx, text);
    pinion__release(ctx, same);
    pinion_network_destroy(again);
}

static void test_round_trip(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *network = NULL;
    for (int i = 0; pinion_network_zoo_name(i); i++) {
        assert_done(ctx, pinion_network_open(ctx, pinion_network_zoo_name(i), NULL, &network));
        check_round_trip(ctx, network);
        pinion_network_destroy(network);
    }
    assert_done(ctx, parse(ctx,
                           around("{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 4, "
                                  "\"filter\": [1, 3], \"stride\": [1, 2]},"
                                  "{\"name\": \"b\", \"op\": \"batchnorm\", \"input\": \"a\", \"epsilon\": "
                                  "1.2345678e-7, \"momentum\": 0.3333333333},"
                                  "{\"name\": \"c\", \"op\": \"avgpool\", \"input\": \"b\", \"window\": 2},"
                                  "{\"name\": \"d\", \"op\": \"depthwise_conv2d\", \"input\": \"c\", \"filter\": 1},"
                                  "{\"name\": \"e\", \"op\": \"dropout\", \"input\": \"d\", \"rate\": 0.1}"),
                           NULL, &network));
    check_round_trip(ctx, network);
    pinion_network_destroy(network);
    test_context_end(ctx);
}

static void test_overrides(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *network = NULL;
    const char *json = around("{\"name\": \"f\", \"op\": \"flatten\", \"input\": \"input\"},"
                              "{\"name\": \"a\", \"op\": \"linear\", \"input\": \"f\", \"channels\": 9},"
                              "{\"name\": \"b\", \"op\": \"linear\", \"input\": \"a\", \"channels\": 4},"
                              "{\"name\": \"c\", \"op\": \"dropout\", \"input\": \"b\", \"rate\": 0.5}");
    pinion_network_options options = {.input = {.w = 5}, .classes = 3};
    assert_done(ctx, parse(ctx, json, &options, &network));
    assert_int_equal(network->layers[1].input_shapes[0].c, 8 * 5 * 3);
    assert_int_equal(network->layers[1].output.c, 9);
    assert_int_equal(pinion_network_get_info(network).output.c, 3);
    pinion_network_destroy(network);
    network = NULL;

    json = around("{\"name\": \"a\", \"op\": \"relu\", \"input\": \"input\"}");
    assert_refused(ctx, parse(ctx, json, &options, &network), PINION_EINVAL,
                   "net.json: there is no linear layer whose outputs could become 3 classes");
    /* What is wrong with and without the override is the description's fault. */
    json = around("{\"name\": \"a\", \"op\": \"linear\", \"input\": \"input\", \"channels\": 2}");
    assert_refused(
        ctx, parse(ctx, json, &options, &network), PINION_EFORMAT,
        "net.json: layer 'a' (linear): its input is 8x5x3; expected 1x1xc: put a flatten or a global_avgpool "
        "before it");
    assert_null(network);
    test_context_end(ctx);
}

static void test_files(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *network = NULL;
    char sentence[512];
    const char *json = around("{\"name\": \"a\", \"op\": \"relu\", \"input\": \"input\"}"), *path = test_path("a.json");
    test_write(path, json, strlen(json));
    assert_done(ctx, pinion_network_open(ctx, path, NULL, &network));
    assert_string_equal(pinion_network_get_info(network).name, "n");
    pinion_network_destroy(network);
    network = NULL;
    test_write(path, "", 0);
    assert_int_equal(pinion_network_open(ctx, path, NULL, &network), PINION_EFORMAT);
    path = test_path("absent.json");
    snprintf(sentence, sizeof sentence, "%s: cannot be opened: No such file or directory", path);
    assert_refused(ctx, pinion_network_open(ctx, path, NULL, &network), PINION_EFORMAT, sentence);
    assert_null(network);
    test_context_end(ctx);
}

/* 10,000 layers are read in either order without trouble, one more is refused. */
static void test_many_layers(void **state)
{
    (void)state;
    enum { COUNT = 10000, LINE = 64 };
    pinion_context *ctx = test_context();
    char *json = malloc((size_t)(COUNT + 1) * LINE + 128);
    for (int extra = 0; extra < 2; extra++) {
        size_t at = (size_t)sprintf(json, "{\"name\": \"n\", \"input\": [8, 8, 3], \"layers\": [");
        for (int i = COUNT + extra; i >= 1; i--)
            at += (size_t)sprintf(json + at,
                                  i > 1 ? "{\"name\":\"%d\",\"op\":\"relu\",\"input\":\"%d\"},"
                                        : "{\"name\":\"%d\",\"op\":\"relu\",\"input\":\"input\"}]}",
                                  i, i - 1);
        pinion_network *network = NULL;
        int status = pinion_network_parse(ctx, json, at, "net.json", NULL, &network);
        assert_int_equal(status, extra ? PINION_EFORMAT : PINION_OK);
        pinion_network_destroy(network);
    }
    free(json);
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_order),
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_overrides),    cmocka_unit_test(test_files),
        cmocka_unit_test(test_many_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
