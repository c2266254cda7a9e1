/* SPDX-License-Identifier: Apache-2.0
 *
 * What a weights file says of its network: model, classes, input, normalisation; what is refused there, in which words.
 */
#include "support.h"
#include <jansson.h>
#include <math.h>
#include <stdio.h>

static void test_metadata(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = NULL;
    pinion_weights_file *file = NULL;
    const char *path = test_path("w.safetensors");
    static const char *const names[3] = {"cat", "dog \"x\"", "\303\266"};
    pinion_network_options options = {.input = {48, 32, 0}, .classes = 3};
    assert_done(ctx, pinion_network_open(ctx, "resnet18", &options, &n));
    assert_refused(ctx, pinion_weights_save(n, path, NULL), PINION_EINVAL,
                   "network 'resnet18' has no weights yet: initialise or load them");
    assert_done(ctx, pinion_network_init_weights(n, 1));
    assert_done(ctx, pinion_weights_save(n, path,
                                         &(pinion_weights_metadata){.class_names = names,
                                                                    .class_count = 3,
                                                                    .mean = {0.1f, 0.2f, 0.3f},
                                                                    .std = {1, 2, 0.3333333f}}));
    assert_done(ctx, pinion_weights_open(ctx, path, &file));
    const pinion_weights_metadata *m = pinion_weights_get_metadata(file);
    assert_string_equal(m->model, "resnet18");
    assert_int_equal(m->class_count, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(m->class_names[i], names[i]);
    assert_int_equal(m->input.h, 48);
    assert_int_equal(m->input.w, 32);
    assert_int_equal(m->input.c, 3);
    assert_true(m->mean[0] == 0.1f && m->mean[1] == 0.2f && m->mean[2] == 0.3f);
    assert_true(m->std[0] == 1 && m->std[1] == 2 && m->std[2] == 0.3333333f);
    pinion_tensor_info info;
    assert_done(ctx, pinion_weights_get_tensor(file, 0, &info));
    assert_string_equal(info.name, "conv1.weight");
    assert_string_equal(info.dtype, "F32");
    assert_int_equal(info.rank, 4);
    assert_int_equal(info.bytes, 64 * 3 * 7 * 7 * 4);
    assert_int_equal(pinion_weights_get_tensor(file, 102, &info), PINION_EINVAL);
    assert_int_equal(pinion_weights_get_tensor(file, -1, &info), PINION_EINVAL);
    pinion_weights_close(file);
    pinion_network_destroy(n);

    /* A network of no zoo is described in its file, and is the same again when it is built from that. */
    n = test_network_small(ctx, "resnet18", 4);
    assert_done(ctx, pinion_weights_save(n, path, NULL));
    assert_done(ctx, pinion_weights_open(ctx, path, &file));
    m = pinion_weights_get_metadata(file);
    assert_int_equal(m->class_count, 4);
    assert_null(m->class_names);
    assert_true(m->std[0] == 0);
    pinion_network *again = NULL;
    assert_done(ctx, pinion_network_parse(ctx, m->model, strlen(m->model), path, NULL, &again));
    assert_done(ctx, pinion_weights_load(again, file, NULL));
    assert_memory_equal(again->block, n->block, n->block_bytes);
    pinion_network_destroy(again);
    pinion_weights_close(file);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* Writes a file with one tensor "t" and the given metadata, opens it. */
static void check_bad_metadata(const char *key, const char *value, const char *sentence)
{
    pinion_context *ctx = test_context();
    pinion__st_file *container = NULL;
    pinion_weights_file *file = NULL;
    char header[512];
    unsigned char bytes[600] = {0};
    int length = snprintf(header, sizeof header, "{\"__metadata__\": {\"%s\": \"%s\"}}", key, value);
    bytes[0] = (unsigned char)length;
    memcpy(bytes + 8, header, (size_t)length);
    assert_done(ctx, pinion__st_parse(ctx, bytes, 8 + (size_t)length, "w", &container));
    assert_refused(ctx, pinion__weights_metadata(ctx, container, &file), PINION_EFORMAT, sentence);
    pinion__st_close(ctx, container);
    test_context_end(ctx);
}

static void test_bad_metadata(void **state)
{
    (void)state;
    check_bad_metadata("pinion.input", "32x32", "w: metadata 'pinion.input' is '32x32'; expected HxWxC");
    check_bad_metadata("pinion.input", "32x99999999999x3",
                       "w: metadata 'pinion.input' is '32x99999999999x3'; expected HxWxC");
    check_bad_metadata("pinion.input", "32x32x3x", "w: metadata 'pinion.input' is '32x32x3x'; expected HxWxC");
    check_bad_metadata("pinion.model", "/etc/net.json",
                       "w: metadata 'pinion.model' is '/etc/net.json'; expected a name of the zoo or a JSON "
                       "description");
    check_bad_metadata("pinion.model", "",
                       "w: metadata 'pinion.model' is ''; expected a name of the zoo or a JSON "
                       "description");
    check_bad_metadata("pinion.std", "[]",
                       "w: metadata 'pinion.std' is '[]'; expected an array of 1 to 3 positive numbers, one a channel");
    check_bad_metadata("pinion.classes", "[1]", "w: metadata 'pinion.classes' is '[1]'; expected an array of names");
    check_bad_metadata("pinion.classes", "", "w: metadata 'pinion.classes' is ''; expected an array of names");
    check_bad_metadata(
        "pinion.class_count", "0",
        "w: metadata 'pinion.class_count' is '0'; expected 1 to 1048576, and as many as there are names of "
        "classes");
    check_bad_metadata(
        "pinion.class_count", "7x",
        "w: metadata 'pinion.class_count' is '7x'; expected 1 to 1048576, and as many as there are names of "
        "classes");
    check_bad_metadata("pinion.class_count", "1048577",
                       "w: metadata 'pinion.class_count' is '1048577'; expected 1 to 1048576, and as many as there are "
                       "names of classes");
    check_bad_metadata(
        "pinion.mean", "[1, 2, 3, 4]",
        "w: metadata 'pinion.mean' is '[1, 2, 3, 4]'; expected an array of 1 to 3 numbers, one a channel");
    check_bad_metadata(
        "pinion.std", "[1, 2, 0]",
        "w: metadata 'pinion.std' is '[1, 2, 0]'; expected an array of 1 to 3 positive numbers, one a channel");
    check_bad_metadata(
        "pinion.mean", "[1, 2, 1e300]",
        "w: metadata 'pinion.mean' is '[1, 2, 1e300]'; expected an array of 1 to 3 numbers, one a channel");
}

/* As many means and deviations as channels; what is not used is not written, and not looked at. */
static void test_channels(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    for (int channels = 1; channels <= 4; channels++) {
        pinion_network *n = test_network_linear(ctx, channels);
        pinion_weights_file *file = NULL;
        /* NaN in what no channel uses does no harm. */
        pinion_weights_metadata given = {.mean = {0.5f, NAN, NAN}, .std = {0.25f, 0, 0}};
        for (int i = 1; i < channels && i < 3; i++) {
            given.mean[i] = 0.5f;
            given.std[i] = 0.25f;
        }
        const char *path = test_path("grey.safetensors");
        assert_done(ctx, pinion_weights_save(n, path, &given));
        assert_done(ctx, pinion_weights_open(ctx, path, &file));
        const pinion_weights_metadata *m = pinion_weights_get_metadata(file);
        assert_int_equal(m->input.c, channels);
        for (int i = 0; i < 3; i++) {
            assert_true(m->mean[i] == (i < channels ? 0.5f : 0));
            assert_true(m->std[i] == (i < channels ? 0.25f : 0));
        }
        assert_done(ctx, pinion_weights_load(n, file, NULL));
        pinion_weights_close(file);
        given.std[channels < 3 ? channels - 1 : 2] = -1;
        assert_int_equal(pinion_weights_save(n, path, &given), PINION_EINVAL);
        pinion_network_destroy(n);
    }
    test_context_end(ctx);
}

static size_t json_left;

static void *json_failing(size_t bytes)
{
    return json_left-- == 0 ? NULL : malloc(bytes);
}

/* Out of memory in the JSON reader is no fault of the file; but where it takes a string that it cannot allocate for a
 * wrong token, nobody can tell. */
static void test_json_memory(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
    } pairs[] = {{"pinion.classes", "[\\\"a\\\", \\\"b\\\"]"},
                 {"pinion.std", "[0.5, 0.5, 0.5]"},
                 {"pinion.groups\": \"2\", \"pinion.connect\": \"towers\", \"pinion.width\": \"2\", "
                  "\"pinion.top1_per_width",
                  "[50.5, 60.5]"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        pinion_context *ctx = test_context();
        pinion__st_file *container = NULL;
        char header[256];
        unsigned char bytes[300] = {0};
        int length =
            snprintf(header, sizeof header, "{\"__metadata__\": {\"%s\": \"%s\"}}", pairs[i].key, pairs[i].value);
        bytes[0] = (unsigned char)length;
        memcpy(bytes + 8, header, (size_t)length);
        assert_done(ctx, pinion__st_parse(ctx, bytes, 8 + (size_t)length, "w", &container));
        json_set_alloc_funcs(json_failing, free);
        int status = PINION_ENOMEM;
        size_t tries = 0, out_of_memory = 0;
        for (; status != PINION_OK; tries++) {
            pinion_weights_file *file = NULL;
            json_left = tries;
            status = pinion__weights_metadata(ctx, container, &file);
            bool wrong_token = status == PINION_EFORMAT && tries > 1;
            assert_true(status == PINION_OK || status == PINION_ENOMEM || wrong_token);
            out_of_memory += status == PINION_ENOMEM;
            pinion_weights_close(file);
        }
        json_set_alloc_funcs(malloc, free);
        assert_true(tries > 1 && out_of_memory > 1);
        pinion__st_close(ctx, container);
        test_context_end(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_bad_metadata),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_json_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
