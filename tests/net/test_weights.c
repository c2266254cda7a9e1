/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights in files: layouts and permutations, round trips, other classes, a full disk, missing arguments.
 */
#include "support.h"
#include <errno.h>

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
    pinion_network *n = test_network_small(ctx, "small", 4);
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
            a = test_network_small(ctx, "small", 4);
            b = test_network_small(ctx, "small", 4);
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

static void test_missing_arguments(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = test_network_linear(ctx, 3), *other = NULL;
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
    pinion_network *big = test_network_small(ctx, "small", 9), *n = test_network_small(ctx, "small", 4);
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
    pinion_network *same = test_network_small(ctx, "small", 9);
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
    pinion_network *n = test_network_small(ctx, "small", 4);
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
        cmocka_unit_test(test_missing_arguments), cmocka_unit_test(test_replace_classifier),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
