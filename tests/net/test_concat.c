/* SPDX-License-Identifier: Apache-2.0
 *
 * The op that puts channels side by side: shapes, what is refused, descriptions, and the order of flattened channels in
 * files behind it.
 */
#include "net/channels.h"
#include "support.h"
#include <stdio.h>

static pinion_network *create(pinion_context *ctx, int h, int w, int c)
{
    pinion_network *network = NULL;
    assert_done(ctx, pinion_network_create(ctx, "mine", (pinion_shape){h, w, c}, &network));
    return network;
}

static void test_shapes(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = create(ctx, 6, 4, 3);
    pinion_layer a, b;
    assert_done(ctx, pinion_network_add_conv2d(n, "a", PINION_INPUT, &(pinion_conv2d){.k = 5, .r = 1, .s = 1}, &a));
    assert_done(ctx, pinion_network_add_concat(n, "b", a, PINION_INPUT, &b));
    assert_int_equal(n->layers[b].output.h, 6);
    assert_int_equal(n->layers[b].output.w, 4);
    assert_int_equal(n->layers[b].output.c, 8);
    assert_done(ctx, pinion_network_add_concat(n, "c", b, b, &b)); /* of a thing with itself */
    assert_int_equal(pinion_network_get_info(n).output.c, 16);
    assert_int_equal(pinion_network_get_info(n).parameters, 15);

    assert_done(ctx, pinion_network_add_maxpool(n, "rows", b, &(pinion_pool){.r = 2, .s = 1}, &a));
    assert_refused(ctx, pinion_network_add_concat(n, "d", a, b, &a), PINION_EINVAL,
                   "layer 'd' (concat): its inputs are 3x4x16 and 6x4x16; expected the same rows and columns");
    assert_done(ctx, pinion_network_add_maxpool(n, "columns", b, &(pinion_pool){.r = 1, .s = 2}, &a));
    assert_refused(ctx, pinion_network_add_concat(n, "d", b, a, &a), PINION_EINVAL,
                   "layer 'd' (concat): its inputs are 6x4x16 and 6x2x16; expected the same rows and columns");
    assert_int_equal(pinion_network_add_concat(NULL, "d", b, a, &a), PINION_EINVAL);
    pinion_network_destroy(n);

    n = create(ctx, 1 << 15, 1 << 15, 1);
    assert_refused(ctx, pinion_network_add_concat(n, "x", PINION_INPUT, PINION_INPUT, &a), PINION_EINVAL,
                   "layer 'x' (concat): its output would have more than 2147483647 elements");
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_description(void **state)
{
    (void)state;
    static const char text[] = "{\n  \"name\": \"n\",\n  \"input\": [4, 4, 3],\n  \"layers\": [\n"
                               "    {\"name\": \"a\", \"op\": \"relu\", \"input\": \"input\"},\n"
                               "    {\"name\": \"b\", \"op\": \"concat\", \"inputs\": [\"a\", \"input\"]}\n  ]\n}\n";
    pinion_context *ctx = test_context();
    pinion_network *n = NULL;
    char *again = NULL;
    assert_done(ctx, pinion_network_parse(ctx, text, strlen(text), "text", NULL, &n));
    assert_int_equal(pinion_network_get_info(n).output.c, 6);
    assert_done(ctx, pinion__network_describe(n, &again));
    assert_string_equal(again, text);
    pinion__release(ctx, again);
    pinion_network_destroy(n);
    static const char one[] = "{\"name\": \"n\", \"input\": [4, 4, 3], \"layers\": [{\"name\": \"b\", \"op\": "
                              "\"concat\", \"input\": \"input\"}]}";
    assert_refused(ctx, pinion_network_parse(ctx, one, strlen(one), "text", NULL, &n), PINION_EFORMAT,
                   "text: layer 'b' (concat) has 1 input; expected 2");
    test_context_end(ctx);
}

/* A linear layer behind a concat of 2x3 pixels of 2 channels, 4 channels of one pixel each, and 2x1 pixels of 3. */
static void test_flattened(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = create(ctx, 2, 3, 2);
    pinion_layer a, b, c;
    assert_done(ctx, pinion_network_add_conv2d(n, "a", PINION_INPUT, &(pinion_conv2d){.k = 3, .r = 1, .s = 3}, &a));
    assert_done(ctx, pinion_network_add_flatten(n, "b", a, &a));
    assert_done(ctx, pinion_network_add_global_avgpool(n, "c", PINION_INPUT, &b));
    assert_done(ctx, pinion_network_add_relu(n, "d", b, &c));
    assert_done(ctx, pinion_network_add_concat(n, "e", b, c, &b));
    assert_done(ctx, pinion_network_add_concat(n, "f", b, a, &b));
    assert_done(ctx, pinion_network_add_flatten(n, "g", PINION_INPUT, &a));
    assert_done(ctx, pinion_network_add_dropout(n, "h", a, &(pinion_dropout){.rate = 0.5f}, &a));
    assert_done(ctx, pinion_network_add_concat(n, "i", a, b, &b));
    assert_done(ctx, pinion_network_add_batchnorm(n, "j", b, NULL, &b));
    assert_done(ctx, pinion_network_add_linear(n, "k", b, &(pinion_linear){.k = 1}, NULL));
    assert_int_equal(n->layers[b].channels.count, 3);
    static const int expected[22] = {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11, 12, 13, 14, 15, 16, 19, 17, 20, 18, 21};
    float memory[22], file[22], back[22] = {0};
    for (int i = 0; i < 22; i++)
        memory[i] = (float)i;
    const pinion__param *last = &n->params[n->param_count - 1];
    assert_string_equal(last->name, "k.weight");
    pinion__param_to_file(last, memory, 0, 22, file);
    for (int i = 0; i < 22; i++)
        assert_true(file[i] == (float)expected[i]);
    pinion__param_from_file(last, file, back);
    assert_memory_equal(back, memory, sizeof back);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_many_parts(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = create(ctx, 2, 2, 1);
    pinion_layer flat, plain, all;
    assert_done(ctx, pinion_network_add_flatten(n, "flat", PINION_INPUT, &flat));
    assert_done(ctx, pinion_network_add_global_avgpool(n, "plain", PINION_INPUT, &plain));
    all = flat;
    char name[16];
    for (int i = 1; i <= 20; i++) { /* neighbours that are not flattened are one part */
        snprintf(name, sizeof name, "p%d", i);
        assert_done(ctx, pinion_network_add_concat(n, name, all, plain, &all));
    }
    assert_int_equal(n->layers[all].channels.count, 2);
    all = flat;
    for (int i = 2; i <= 16; i++) {
        snprintf(name, sizeof name, "c%d", i);
        assert_done(ctx, pinion_network_add_concat(n, name, all, flat, &all));
    }
    size_t layers = n->layer_count;
    assert_refused(ctx, pinion_network_add_concat(n, "c17", all, flat, &all), PINION_EINVAL,
                   "layer 'c17' (concat): more than 16 flattened parts; put the concat before the flatten");
    assert_int_equal(n->layer_count, layers);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_description),
                                       cmocka_unit_test(test_flattened), cmocka_unit_test(test_many_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
