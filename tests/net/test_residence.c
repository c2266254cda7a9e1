/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights of groups that leave memory and come back from the file that they were loaded from.
 */
#include "base/pages.h"
#include "net/groups.h"
#include "net/residence.h"
#include "support.h"
#include <stdio.h>
#include <unistd.h>

/* A file with the weights of `width` of four groups, and the network that was loaded from it. */
static pinion_network *loaded(pinion_context *ctx, const char *path, int width)
{
    pinion_network *n = test_network_cut(ctx, "alexnet-cifar", 4, PINION_NESTED);
    pinion_network *from = test_network_cut(ctx, "alexnet-cifar", 4, PINION_NESTED);
    for (int j = 1; j <= width; j++)
        assert_done(ctx, pinion__network_init_group(from, j, 3));
    assert_done(ctx, pinion_weights_save(from, path, NULL));
    pinion_network_destroy(from);
    assert_done(ctx, test_load(n, path, false));
    return n;
}

static size_t in_memory(const pinion_network *n)
{
    return pinion__pages_resident(n->block, n->block_bytes);
}

static void test_release_restore(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = loaded(ctx, test_path("w.safetensors"), 4);
    unsigned char *before = malloc(n->block_bytes);
    memcpy(before, n->block, n->block_bytes);
    uint64_t version = n->version;
    for (int width = 3; width >= 0; width--) {
        size_t there = in_memory(n), released = pinion__network_release_groups(n, width);
        assert_int_equal(released, n->group_offset[width + 1] - n->group_offset[width]);
        assert_int_equal(in_memory(n), there - released);
        assert_int_equal(pinion_network_get_info(n).width, width);
        assert_memory_equal(n->block, before, n->group_offset[width]);
        assert_int_equal(pinion__network_release_groups(n, width), 0);
    }
    assert_done(ctx, pinion__network_restore_groups(n, 1));
    assert_int_equal(pinion_network_get_info(n).width, 1);
    assert_memory_equal(n->block, before, n->group_offset[1]);
    assert_done(ctx, pinion__network_restore_groups(n, 4));
    assert_int_equal(pinion_network_get_info(n).width, 4);
    assert_memory_equal(n->block, before, n->block_bytes);
    assert_done(ctx, pinion__network_restore_groups(n, 2)); /* they are there */
    assert_int_equal(pinion_network_get_info(n).width, 4);
    assert_true(n->version == version);
    free(before);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* While groups are away, a file gets those that are there. */
static void test_save_released(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    pinion_network *n = loaded(ctx, test_path("w.safetensors"), 3);
    pinion_weights_file *file = NULL;
    assert_true(pinion__network_release_groups(n, 2) > 0);
    const char *path = test_path("narrow.safetensors");
    assert_done(ctx, pinion_weights_save(n, path, NULL));
    assert_done(ctx, pinion_weights_open(ctx, path, &file));
    assert_int_equal(pinion_weights_get_metadata(file)->width, 2);
    pinion_weights_close(file);
    assert_done(ctx, pinion__network_restore_groups(n, 3));
    assert_refused(ctx, pinion__network_restore_groups(n, 4), PINION_EINVAL,
                   "network 'alexnet-cifar': the weights of group 4 were not released, they cannot come back");
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* What could not come back stays. */
static void test_kept(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    char path[256];
    snprintf(path, sizeof path, "%s", test_path("w.safetensors"));
    pinion_network *n = test_network_cut(ctx, "alexnet-cifar", 4, PINION_NESTED);
    assert_int_equal(pinion__network_release_groups(n, 1), 0); /* no weights */
    assert_done(ctx, pinion_network_init_weights(n, 1));
    assert_int_equal(pinion__network_release_groups(n, 1), 0); /* of no file */
    pinion_network_destroy(n);
    n = loaded(ctx, path, 4);
    assert_int_equal(pinion__network_release_groups(n, 4), 0); /* none beyond */
    assert_int_equal(pinion__network_release_groups(n, -1), 0);
    assert_int_equal(pinion__network_release_groups(n, PINION_MAX_GROUPS), 0);
    assert_int_equal(pinion_network_get_info(n).width, 4);
    pinion__network_changed(n); /* a training step */
    assert_int_equal(pinion__network_release_groups(n, 1), 0);
    assert_int_equal(pinion_network_get_info(n).width, 4);
    pinion_network_destroy(n);
    n = loaded(ctx, path, 2);
    assert_done(ctx, pinion__network_init_group(n, 3, 1)); /* one of three is of no file */
    assert_int_equal(pinion__network_release_groups(n, 1), 0);
    pinion_network_destroy(n);

    n = test_network_small(ctx, "small", 4); /* no groups */
    assert_done(ctx, pinion_weights_save(n, path, NULL));
    assert_done(ctx, test_load(n, path, false));
    assert_int_equal(pinion__network_release_groups(n, 0), 0);
    pinion_network_destroy(n);

    pinion_network *other = NULL; /* a classifier that is not the file's */
    const pinion_network_options options = {.groups = 4, .connect = PINION_NESTED, .classes = 7};
    pinion_network_destroy(loaded(ctx, path, 4));
    assert_done(ctx, pinion_network_open(ctx, "alexnet-cifar", &options, &other));
    assert_done(ctx, pinion_network_init_weights(other, 1));
    assert_done(ctx, test_load(other, path, true));
    assert_int_equal(pinion__network_release_groups(other, 1), 0);
    pinion_network_destroy(other);
    test_context_end(ctx);
}

/* Restores groups 2 to 4 from whatever the file has become: in vain, and what was there stays. */
static void check_lost(pinion_context *ctx, pinion_network *n, const char *sentence)
{
    size_t kept = n->group_offset[1], rest = n->block_bytes - kept;
    unsigned char *before = malloc(kept), *zeros = calloc(rest, 1);
    memcpy(before, n->block, kept);
    assert_int_equal(pinion__network_restore_groups(n, 4), PINION_EFORMAT);
    assert_non_null(strstr(pinion_context_error(ctx), sentence));
    assert_int_equal(pinion_network_get_info(n).width, 1);
    assert_memory_equal(n->block, before, kept);
    assert_memory_equal(n->block + kept, zeros, rest);
    free(zeros);
    free(before);
}

static void replace(char *data, size_t bytes, const char *find, const char *by)
{
    char *at = memmem(data, bytes, find, strlen(find));
    assert_non_null(at);
    memcpy(at, by, strlen(by));
}

static void test_replaced(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    char path[256];
    snprintf(path, sizeof path, "%s", test_path("w.safetensors"));
    pinion_network *n = loaded(ctx, path, 4), *other = test_network_cut(ctx, "alexnet-cifar", 4, PINION_NESTED);
    size_t bytes;
    char *data = test_read(path, &bytes);
    assert_true(pinion__network_release_groups(n, 1) > 0);

    assert_done(ctx, pinion_network_init_weights(other, 4));
    assert_done(ctx, pinion_weights_save(other, path, NULL));
    check_lost(ctx, n, "w.safetensors: the weights of group 2 in it are not those that were loaded from it");
    pinion_network_destroy(other);
    test_write(path, data, bytes - 1); /* cut off */
    check_lost(ctx, n, "outside the data");
    data[bytes - 1] ^= 1; /* in group 4 */
    test_write(path, data, bytes);
    check_lost(ctx, n, "w.safetensors: the weights of group 4 in it are not those that were loaded from it");
    assert_done(ctx, pinion__network_restore_groups(n, 3)); /* the others are whole */
    assert_true(pinion__network_release_groups(n, 1) > 0);
    data[bytes - 1] ^= 1;
    /* The same bytes under changed names and types. */
    char *copy = malloc(bytes);
    memcpy(copy, data, bytes);
    replace(copy, bytes, "\"features.1.g3.weight\"", "\"features.1.g3.WEIGHT\"");
    replace(copy, bytes, "\"features.1.g3.bias\"", "\"features.1.g3.BIAS\"");
    test_write(path, copy, bytes);
    check_lost(ctx, n, "the weights of group 3 in it");
    memcpy(copy, data, bytes);
    char *type = strstr(strstr(copy + 8, "\"features.1.g2.weight\""), "F32");
    memcpy(type, "I32", 3);
    test_write(path, copy, bytes);
    check_lost(ctx, n, "the weights of group 2 in it");
    memcpy(copy, data, bytes);
    char *shape = strstr(strstr(copy + 8, "\"features.0.g2.weight\""), "[16, 3, ");
    memcpy(shape, "[3, 16, ", 8);
    test_write(path, copy, bytes);
    check_lost(ctx, n, "the weights of group 2 in it");
    assert_int_equal(unlink(path), 0);
    check_lost(ctx, n, "w.safetensors");
    uint64_t header;
    memcpy(&header, data, sizeof header);
    data[8 + header] ^= 1; /* it is back, but for a bit in group 1, which is not looked at */
    test_write(path, data, bytes);
    assert_done(ctx, pinion__network_restore_groups(n, 4));
    free(copy);
    free(data);
    pinion_network_destroy(n);
    test_context_end(ctx);
}

/* A file that was opened by a relative name is found from elsewhere. */
static void test_relative(void **state)
{
    (void)state;
    pinion_context *ctx = test_context();
    char folder[256], *was = getcwd(NULL, 0);
    snprintf(folder, sizeof folder, "%s", test_path(""));
    assert_int_equal(chdir(folder), 0);
    pinion_network *n = loaded(ctx, "relative.safetensors", 4);
    assert_int_equal(chdir(was), 0);
    free(was);
    assert_true(pinion__network_release_groups(n, 1) > 0);
    assert_done(ctx, pinion__network_restore_groups(n, 4));
    pinion_network_destroy(n);
    test_context_end(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_release_restore), cmocka_unit_test(test_save_released), cmocka_unit_test(test_kept),
        cmocka_unit_test(test_replaced),        cmocka_unit_test(test_relative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
