/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights in files: layouts and permutations, round trips, metadata, other classes, a full disk.
 */
#include "support.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* Each kind of parameter, a flatten with batch norm and a linear layer behind it. */
static pinion_network *small(pinion_context *ctx, const char *name, int classes)
{
    pinion_network *n = NULL;
    pinion_layer at;
    assert_done(ctx, pinion_network_create(ctx, name, (pinion_shape){4, 6, 2}, &n));
    assert_done(ctx, pinion_network_add_conv2d(n, "conv", PINION_INPUT,
                                               &(pinion_conv2d){.k = 3, .r = 2, .s = 3, .bias = 1}, &at));
    assert_done(ctx, pinion_network_add_depthwise_conv2d(n, "dw", at, &(pinion_depthwise_conv2d){.r = 2, .s = 2}, &at));
    assert_done(ctx, pinion_network_add_flatten(n, "flatten", at, &at)); /* 2x3x3 */
    assert_done(ctx, pinion_network_add_dropout(n, "drop", at, &(pinion_dropout){.rate = 0.5f}, &at));
    assert_done(ctx, pinion_network_add_batchnorm(n, "bn", at, NULL, &at));
    assert_done(ctx, pinion_network_add_linear(n, "hidden", at, &(pinion_linear){.k = 5, .bias = 1}, &at));
    assert_done(ctx, pinion_network_add_batchnorm(n, "bn2", at, NULL, &at));
    assert_done(ctx, pinion_network_add_linear(n, "fc", at, &(pinion_linear){.k = classes, .bias = 1}, &at));
    assert_done(ctx, pinion_network_init_weights(n, 3));
    return n;
}

static const pinion__param *find_param(const pinion_network *n, const char *name)
{
    for (size_t i = 0; i < n->param_count; i++)
        if (strcmp(n->params[i].name, name) == 0)
            return &n->params[i];
    fail_msg("%s", name);
    return NULL;
}

/* Fills a parameter so that each element tells where it is in memory, and gives the file's order of them. */
static const float *in_file_order(const pinion_network *n, const char *name, float *file)
{
    const pinion__param *param = find_param(n, name);
    float *memory = pinion__param_data(n, (int)(param - n->params));
    size_t count = param->bytes / sizeof(float);
    for (size_t i = 0; i < count; i++)
        memory[i] = (float)i;
    pinion__param_to_file(param, memory, 0, count, file);
    for (size_t first = 0; first < count; first++) { /* from anywhere: the same */
        float one;
        pinion__param_to_file(param, memory, first, 1, &one);
        assert_true(one == file[first]);
    }
    float *back = calloc(count, sizeof *back);
    pinion__param_from_file(param, file, back);
    assert_memory_equal(back, memory, param->bytes);
    free(back);
    return file;
}

static void test_layouts(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = small(ctx, "small", 4);
    float file[128];
    const float *at = in_file_order(n, "conv.weight", file);
    for (int k = 0; k < 3; k++)
        for (int c = 0; c < 2; c++)
            for (int r = 0; r < 2; r++)
                for (int s = 0; s < 3; s++)
                    assert_true(*at++ == (float)(((k * 2 + r) * 3 + s) * 2 + c));
    at = in_file_order(n, "dw.weight", file);
    for (int c = 0; c < 3; c++)
        for (int r = 0; r < 2; r++)
            for (int s = 0; s < 2; s++)
                assert_true(*at++ == (float)((r * 2 + s) * 3 + c));
    at = in_file_order(n, "conv.bias", file);
    for (int k = 0; k < 3; k++)
        assert_true(*at++ == (float)k);
    /* Behind the flatten of 2x3x3: the file has channels outside, memory inside. */
    at = in_file_order(n, "hidden.weight", file);
    for (int k = 0; k < 5; k++)
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < 2; y++)
                for (int x = 0; x < 3; x++)
                    assert_true(*at++ == (float)(k * 18 + (y * 3 + x) * 3 + c));
    at = in_file_order(n, "bn.weight", file);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 2; y++)
            for (int x = 0; x < 3; x++)
                assert_true(*at++ == (float)((y * 3 + x) * 3 + c));
    /* The linear layer makes channels of its own: no permutation in its bias and behind it. */
    static const char *const plain[] = {"hidden.bias", "bn2.weight", "bn2.running_var", "fc.weight", "fc.bias"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        at = in_file_order(n, plain[i], file);
        for (size_t j = 0; j < find_param(n, plain[i])->bytes / sizeof(float); j++)
            assert_true(at[j] == (float)j);
    }
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_round_trip(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    static const char *const models[] = {"small", "alexnet-cifar", "mobilenetv2-cifar"};
    for (int i = 0; i < 3; i++) {
        pinion_network *a = NULL, *b = NULL;
        if (i == 0) {
            a = small(ctx, "small", 4);
            b = small(ctx, "small", 4);
        } else {
            assert_done(ctx, pinion_network_open(ctx, models[i], NULL, &a));
            assert_done(ctx, pinion_network_open(ctx, models[i], NULL, &b));
            assert_done(ctx, pinion_network_init_weights(a, 3));
        }
        assert_done(ctx, pinion_network_init_weights(b, 4));
        const char *path = test_path("w.safetensors");
        assert_done(ctx, pinion_weights_save(a, path, NULL));
        assert_done(ctx, test_load(b, path, false));
        assert_memory_equal(a->block, b->block, a->block_bytes);
        pinion_network_destroy(a);
        pinion_network_destroy(b);
    }
    test_context_end(ctx);
}

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
    n = small(ctx, "resnet18", 4);
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

static pinion_network *linear_network(pinion_context *ctx, int channels)
{
    pinion_network *n = NULL;
    pinion_layer at;
    assert_done(ctx, pinion_network_create(ctx, "grey", (pinion_shape){2, 2, channels}, &n));
    assert_done(ctx, pinion_network_add_flatten(n, "flat", PINION_INPUT, &at));
    assert_done(ctx, pinion_network_add_linear(n, "fc", at, &(pinion_linear){.k = 2}, &at));
    assert_done(ctx, pinion_network_init_weights(n, 3));
    return n;
}

/* As many means and deviations as channels; what is not used is not written, and not looked at. */
static void test_channels(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    for (int channels = 1; channels <= 4; channels++) {
        pinion_network *n = linear_network(ctx, channels);
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
    } pairs[] = {{"pinion.classes", "[\\\"a\\\", \\\"b\\\"]"}, {"pinion.std", "[0.5, 0.5, 0.5]"}};
    for (size_t i = 0; i < 2; i++) {
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

static void test_missing_arguments(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = linear_network(ctx, 3), *other = NULL;
    pinion_weights_file *file = NULL;
    pinion_tensor_info tensor;
    pinion_layer_info layer;
    const char *path = test_path("w.safetensors");
    const pinion_shape shape = {1, 1, 1};
    assert_done(ctx, pinion_weights_save(n, path, NULL));
    assert_int_equal(pinion_weights_save(NULL, path, NULL), PINION_EINVAL);
    assert_int_equal(pinion_weights_save(n, NULL, NULL), PINION_EINVAL);
    assert_int_equal(pinion_weights_open(NULL, path, &file), PINION_EINVAL);
    assert_int_equal(pinion_weights_open(ctx, NULL, &file), PINION_EINVAL);
    assert_int_equal(pinion_weights_open(ctx, path, NULL), PINION_EINVAL);
    assert_done(ctx, pinion_weights_open(ctx, path, &file));
    assert_int_equal(pinion_weights_load(NULL, file, NULL), PINION_EINVAL);
    assert_int_equal(pinion_weights_load(n, NULL, NULL), PINION_EINVAL);
    assert_int_equal(pinion_weights_get_tensor(NULL, 0, &tensor), PINION_EINVAL);
    assert_int_equal(pinion_weights_get_tensor(file, 0, NULL), PINION_EINVAL);
    pinion_weights_close(file);
    assert_int_equal(pinion_network_create(NULL, "n", shape, &other), PINION_EINVAL);
    assert_int_equal(pinion_network_create(ctx, "n", shape, NULL), PINION_EINVAL);
    assert_int_equal(pinion_network_open(NULL, "resnet18", NULL, &other), PINION_EINVAL);
    assert_int_equal(pinion_network_open(ctx, "resnet18", NULL, NULL), PINION_EINVAL);
    assert_int_equal(pinion_network_parse(NULL, "{}", 2, "n", NULL, &other), PINION_EINVAL);
    assert_int_equal(pinion_network_parse(ctx, NULL, 2, "n", NULL, &other), PINION_EINVAL);
    assert_int_equal(pinion_network_parse(ctx, "{}", 2, "n", NULL, NULL), PINION_EINVAL);
    assert_int_equal(pinion_network_get_layer(NULL, 0, &layer), PINION_EINVAL);
    assert_int_equal(pinion_network_get_layer(n, 0, NULL), PINION_EINVAL);
    assert_int_equal(pinion_network_init_weights(NULL, 1), PINION_EINVAL);
    assert_int_equal(pinion_network_add_relu(NULL, "r", PINION_INPUT, NULL), PINION_EINVAL);
    assert_int_equal(pinion_network_add_add(NULL, "r", PINION_INPUT, PINION_INPUT, NULL), PINION_EINVAL);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_replace_classifier(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *big = small(ctx, "small", 9), *n = small(ctx, "small", 4);
    const char *path = test_path("w.safetensors");
    assert_done(ctx, pinion_network_init_weights(big, 99));
    assert_done(ctx, pinion_weights_save(big, path, NULL));
    float before[4 * 5], bias[4];
    size_t last = (size_t)(find_param(n, "fc.weight") - n->params);
    memcpy(before, pinion__param_data(n, (int)last), sizeof before);
    memcpy(bias, pinion__param_data(n, (int)last + 1), sizeof bias);
    assert_int_equal(test_load(n, path, false), PINION_EFORMAT);
    assert_done(ctx, test_load(n, path, true));
    for (size_t i = 0; i < n->param_count; i++)
        if (i != last && i != last + 1)
            assert_memory_equal(pinion__param_data(n, (int)i), pinion__param_data(big, (int)i), n->params[i].bytes);
    assert_memory_equal(before, pinion__param_data(n, (int)last), sizeof before);
    assert_memory_equal(bias, pinion__param_data(n, (int)last + 1), sizeof bias);
    /* The same number of outputs: nothing is to be replaced. */
    pinion_network *same = small(ctx, "small", 9);
    assert_done(ctx, test_load(same, path, true));
    assert_memory_equal(same->block, big->block, big->block_bytes);
    pinion_network_destroy(same);
    pinion_network_destroy(big);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

typedef struct trouble {
    int at, count; /* the operation that fails; operations so far */
    bool renamed;  /* the failing operation came after the rename */
} trouble;

static int fail_operation(void *user, const char *operation, const char *path)
{
    trouble *t = user;
    (void)path;
    if (t->count++ == t->at)
        return ENOSPC;
    t->renamed |= strcmp(operation, "rename") == 0;
    return 0;
}

/* A full disk at every write, sync and rename in turn: the old file stays, whole. */
static void test_full_disk(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = small(ctx, "small", 4);
    const char *path = test_path("kept.safetensors");
    assert_done(ctx, pinion_weights_save(n, path, NULL));
    size_t bytes, bytes_after;
    char *before = test_read(path, &bytes);
    assert_done(ctx, pinion_network_init_weights(n, 77));
    trouble t = {.at = -1};
    ctx->io_hook = fail_operation;
    ctx->io_hook_user = &t;
    int status;
    do {
        t = (trouble){.at = t.at + 1};
        status = pinion_weights_save(n, path, NULL);
        char *after = test_read(path, &bytes_after);
        assert_int_equal(bytes, bytes_after);
        assert_int_equal(memcmp(before, after, bytes) != 0, t.renamed);
        assert_true(status == PINION_OK || status == PINION_EIO);
        free(after);
    } while (status != PINION_OK);
    assert_true(t.at >= 3);
    ctx->io_hook = NULL;
    free(before);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),           cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_metadata),          cmocka_unit_test(test_bad_metadata),
        cmocka_unit_test(test_channels),          cmocka_unit_test(test_json_memory),
        cmocka_unit_test(test_missing_arguments), cmocka_unit_test(test_replace_classifier),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
