/* SPDX-License-Identifier: Apache-2.0
 *
 * What the metadata and the names of tensors say of groups, and what of it is not believed.
 */
#include "support.h"
#include <stdio.h>

static void test_group_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int group;
    } names[] = {{"a.g1.weight", 1}, {"a.b.g8.running_var", 8}, {"a.g9.weight", 0},
                 {"a.g0.weight", 0}, {"a.g12.bias", 0},         {"bag1.weight", 0},
                 {"g1.weight", 0},   {".g1.weight", 0},         {"a.h1.weight", 0},
                 {"a.g1", 0},        {"a.g1.g2.bias", 2},       {"", 0},
                 {"a.weight", 0}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(pinion__st_group(names[i].name), names[i].group);
}

/* What the metadata claim of groups. */
static void check_metadata(const char *find, const char *replace, const char *sentence)
{
    pinion_context *ctx = test_context();
    pinion_weights_file *file = NULL;
    const char *path = test_save_groups(ctx, 2, PINION_TOWERS, "claims.safetensors");
    char expected[1024];
    size_t bytes;
    char *data = test_read(path, &bytes);
    char *at = strstr(data + 8, find);
    assert_non_null(at);
    assert_int_equal(strlen(find), strlen(replace));
    memcpy(at, replace, strlen(replace));
    test_write(path, data, bytes);
    free(data);
    snprintf(expected, sizeof expected, "%s: %s", path, sentence);
    assert_refused(ctx, pinion_weights_open(ctx, path, &file), PINION_EFORMAT, expected);
    test_context_end(ctx);
}

static void test_claims(void **state)
{
    (void)state;
    check_metadata("\"pinion.groups\": \"3\"", "\"pinion.groups\": \"9\"",
                   "metadata 'pinion.groups' is '9'; expected 1 to 8");
    check_metadata("\"pinion.groups\": \"3\"", "\"pinion.groups\": \"1\"",
                   "metadata 'pinion.width' is '2'; expected 1 to 1");
    check_metadata("\"pinion.width\": \"2\"", "\"pinion.width\": \"0\"",
                   "metadata 'pinion.width' is '0'; expected 1 to 3");
    check_metadata("\"pinion.width\"", "\"pinion.wodth\"", "metadata 'pinion.width' is missing; expected 1 to 3");
    check_metadata("\"towers\"", "\"towars\"", "metadata 'pinion.connect' is 'towars'; expected towers or nested");
    check_metadata("\"pinion.connect\"", "\"pinion.cannect\"",
                   "metadata 'pinion.connect' is missing; expected towers or nested");
    check_metadata("[61.5, 70.25]", "[61.5, 170.5]",
                   "metadata 'pinion.top1_per_width' is '[61.5, 170.5]'; expected an array of at most 2 numbers, 0 to "
                   "100");
    check_metadata("[61.5, 70.25]", "[1,  2,    3]",
                   "metadata 'pinion.top1_per_width' is '[1,  2,    3]'; expected an array of at most 2 numbers, 0 to "
                   "100");
}

static int fill_from_file(void *user, size_t tensor, uint64_t offset, void *buffer, size_t bytes)
{
    const pinion__st_file *file = user;
    memcpy(buffer, file->tensors[tensor].data + offset, bytes);
    return PINION_OK;
}

/* Takes a file's metadata away. */
static void strip(pinion_context *ctx, const char *path)
{
    pinion__st_file *file = NULL;
    assert_done(ctx, pinion__st_open(ctx, path, &file));
    assert_done(ctx, pinion__st_save(ctx, path, file->tensors, file->tensor_count, NULL, 0, fill_from_file, file));
    pinion__st_close(ctx, file);
}

/* A width that the tensors do not bear out; and a file that has lost its metadata, as PyTorch writes it. */
static void test_names_decide(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = test_network_cut(ctx, test_every_cut, 3, PINION_TOWERS);
    const char *path = test_save_groups(ctx, 2, PINION_TOWERS, "names.safetensors");
    size_t bytes;
    char *data = test_read(path, &bytes);
    *(strstr(data + 8, "\"pinion.width\": \"2\"") + 17) = '3';
    test_write(path, data, bytes);
    char expected[1024];
    snprintf(expected, sizeof expected, "%s: tensor 'a.g3.weight' of network 'every' is missing", path);
    assert_refused(ctx, test_load(n, path, false), PINION_EFORMAT, expected);
    assert_int_equal(pinion_network_get_info(n).width, 0);
    *(strstr(data + 8, "\"pinion.width\": \"3\"") + 17) = '1';
    memcpy(strstr(data + 8, "[61.5, 70.25]"), "[61.5       ]", 13);
    test_write(path, data, bytes);
    snprintf(expected, sizeof expected, "%s: network 'every' has no weights of the name 'a.g2.weight'", path);
    assert_refused(ctx, test_load(n, path, false), PINION_EFORMAT, expected);
    free(data);
    strip(ctx, test_save_groups(ctx, 2, PINION_TOWERS, "names.safetensors"));
    assert_done(ctx, test_load(n, path, false));
    assert_int_equal(pinion_network_get_info(n).width, 2);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

static void test_bad_accuracy(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = test_network_cut(ctx, test_every_cut, 2, PINION_TOWERS);
    assert_done(ctx, pinion_network_init_weights(n, 1));
    const pinion_weights_metadata metadata = {.known_widths = 2, .top1_per_width = {50, 101}};
    assert_refused(ctx, pinion_weights_save(n, test_path("w.safetensors"), &metadata), PINION_EINVAL,
                   "metadata of weights: the accuracy of width 2 is 101; expected 0 to 100");
    pinion_network_destroy(n);
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_names),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_names_decide),
        cmocka_unit_test(test_bad_accuracy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
