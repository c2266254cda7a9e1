/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading weights: what is refused, in which words, that nothing is lost then, and files of other types.
 */
#include "support.h"
#include <math.h>
#include <stdio.h>

/* One conv "a" (2x1x1x1) and one linear "fc" (2x2) to be loaded from hand-made files. */
static pinion_network *tiny(pinion_context *ctx)
{
    pinion_network *n = NULL;
    pinion_layer at;
    assert_done(ctx, pinion_network_create(ctx, "tiny", (pinion_shape){1, 1, 1}, &n));
    assert_done(ctx, pinion_network_add_conv2d(n, "a", PINION_INPUT, &(pinion_conv2d){.k = 2, .r = 1, .s = 1}, &at));
    assert_done(ctx, pinion_network_add_linear(n, "fc", at, &(pinion_linear){.k = 2, .bias = 1}, &at));
    assert_done(ctx, pinion_network_init_weights(n, 1));
    return n;
}

typedef struct item {
    const char *name;
    enum pinion__dtype dtype;
    int64_t shape[4];
    int rank;
    double values[4];
} item;

static int fill_items(void *user, size_t tensor, uint64_t offset, void *buffer, size_t bytes)
{
    const item *items = user;
    (void)offset;
    for (size_t i = 0; i < bytes / pinion__dtype_bytes(items[tensor].dtype); i++) {
        float single = (float)items[tensor].values[i];
        int64_t whole = 0;
        uint32_t bits;
        uint16_t half;
        memcpy(&bits, &single, sizeof bits);
        switch (items[tensor].dtype) {
        case PINION__F32:
            memcpy((char *)buffer + 4 * i, &single, 4);
            break;
        case PINION__F64:
            memcpy((char *)buffer + 8 * i, &items[tensor].values[i], 8);
            break;
        case PINION__BF16:
            half = (uint16_t)(bits >> 16);
            memcpy((char *)buffer + 2 * i, &half, 2);
            break;
        case PINION__F16: /* values are bits here */
            half = (uint16_t)items[tensor].values[i];
            memcpy((char *)buffer + 2 * i, &half, 2);
            break;
        default:
            memcpy((char *)buffer + 8 * i, &whole, 8);
            break;
        }
    }
    return PINION_OK;
}

static const char *save_items(pinion_context *ctx, item *items, size_t count)
{
    pinion__st_tensor tensors[8] = {0};
    const char *path = test_path("items.safetensors");
    for (size_t i = 0; i < count; i++) {
        tensors[i] = (pinion__st_tensor){.name = (char *)items[i].name, .dtype = items[i].dtype, .rank = items[i].rank};
        memcpy(tensors[i].shape, items[i].shape, sizeof items[i].shape);
    }
    assert_done(ctx, pinion__st_save(ctx, path, tensors, count, NULL, 0, fill_items, items));
    return path;
}

static item good_a = {"a.weight", PINION__F32, {2, 1, 1, 1}, 4, {1, 2}};
static item good_fc = {"fc.weight", PINION__F32, {2, 2}, 2, {3, 4, 5, 6}};
static item good_bias = {"fc.bias", PINION__F32, {2}, 1, {7, 8}};

/* Loading is refused with the sentence (behind "PATH: ") and leaves the weights alone. */
static void check_load_refused(pinion_network *n, item *items, size_t count, bool replace, const char *sentence)
{
    char expected[1024];
    unsigned char *before = malloc(n->block_bytes);
    memcpy(before, n->block, n->block_bytes);
    const char *path = save_items(n->ctx, items, count);
    snprintf(expected, sizeof expected, "%s: %s", path, sentence);
    assert_refused(n->ctx, test_load(n, path, replace), PINION_EFORMAT, expected);
    assert_memory_equal(before, n->block, n->block_bytes);
    free(before);
}

static void test_load_refusals(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = tiny(ctx);
    check_load_refused(n, (item[]){good_a, good_fc}, 2, false, "tensor 'fc.bias' of network 'tiny' is missing");
    item bad = {"fc.bias", PINION__F32, {1, 2}, 2, {7, 8}};
    check_load_refused(n, (item[]){good_a, good_fc, bad}, 3, false,
                       "tensor 'fc.bias' has the shape [1, 2]; network 'tiny' expects [2]");
    bad = (item){"a.weight", PINION__F32, {1, 2, 1, 1}, 4, {1, 2}};
    check_load_refused(n, (item[]){bad, good_fc, good_bias}, 3, true,
                       "tensor 'a.weight' has the shape [1, 2, 1, 1]; network 'tiny' expects [2, 1, 1, 1]");
    bad = (item){"fc.weight", PINION__F32, {2, 1}, 2, {1, 2}};
    check_load_refused(n, (item[]){good_a, bad, good_bias}, 3, true,
                       "tensor 'fc.weight' has the shape [2, 1]; network 'tiny' expects [2, 2]");
    bad = (item){"fc.weight", PINION__F32, {1, 2}, 2, {1, 2}};
    check_load_refused(n, (item[]){good_a, bad, good_bias}, 3, false,
                       "tensor 'fc.weight' has the shape [1, 2]; network 'tiny' expects [2, 2]");
    bad = (item){"fc.bias", PINION__I64, {2}, 1, {0}};
    check_load_refused(n, (item[]){good_a, good_fc, bad}, 3, false,
                       "tensor 'fc.bias' is of type I64; expected F32, F64, F16 or BF16");
    bad = (item){"extra", PINION__F32, {1}, 1, {0}};
    check_load_refused(n, (item[]){good_a, good_fc, good_bias, bad}, 4, false,
                       "network 'tiny' has no weights of the name 'extra'");
    bad = good_bias;
    bad.values[1] = (double)INFINITY;
    check_load_refused(n, (item[]){good_a, good_fc, bad}, 3, false,
                       "tensor 'fc.bias': value number 2 is inf, not a finite number");
    bad.values[0] = -1e300;
    bad.dtype = PINION__F64;
    check_load_refused(n, (item[]){good_a, good_fc, bad}, 3, false,
                       "tensor 'fc.bias': value number 1 is -inf, not a finite number");
    bad = good_fc;
    bad.values[2] = (double)NAN;
    char sentence[128];
    snprintf(sentence, sizeof sentence, "tensor 'fc.weight': value number 3 is %g, not a finite number",
             (double)(float)NAN);
    check_load_refused(n, (item[]){good_a, bad, good_bias}, 3, false, sentence);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_conversions(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = tiny(ctx);
    item a = {"a.weight", PINION__F64, {2, 1, 1, 1}, 4, {0.1, -3.4e38}};
    item fc = {"fc.weight", PINION__F16, {2, 2}, 2, {0x3C00, 0xC100, 0x0001, 0x7BFF}};
    item bias = {"fc.bias", PINION__BF16, {2}, 1, {1.5, -0.0078125}};
    item count = {"bn.num_batches_tracked", PINION__I64, {1}, 1, {0}},
         state_tensor = {"pinion.state.x", PINION__U8, {0}, 1, {0}};
    assert_done(ctx, test_load(n, save_items(ctx, (item[]){a, fc, bias, count, state_tensor}, 5), false));
    const float *values = pinion__param_data(n, 0);
    assert_true(values[0] == 0.1f && values[1] == -3.4e38f);
    values = pinion__param_data(n, 1);
    assert_true(values[0] == 1 && values[1] == -2.5f && values[2] == 0x1p-24f && values[3] == 65504);
    values = pinion__param_data(n, 2);
    assert_true(values[0] == 1.5f && values[1] == -0.0078125f);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* A classifier of which only the weight differs keeps its bias too. */
static void test_half_a_classifier(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = tiny(ctx);
    float before[2];
    memcpy(before, pinion__param_data(n, 2), sizeof before);
    item fc = {"fc.weight", PINION__F32, {1, 2}, 2, {9, 9}};
    assert_done(ctx, test_load(n, save_items(ctx, (item[]){good_a, fc, good_bias}, 3), true));
    assert_true(pinion__param_data(n, 0)[1] == 2);
    assert_memory_equal(before, pinion__param_data(n, 2), sizeof before);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_load_refusals), cmocka_unit_test(test_conversions),
                                       cmocka_unit_test(test_half_a_classifier)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
