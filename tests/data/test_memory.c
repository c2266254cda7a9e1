/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation fails in turn: the failure is told as "out of memory", nothing leaks, and the same work succeeds
 * once memory is there.
 */
#include "data/loader.h"
#include "files.h"

#include <stdio.h>
#include <string.h>

typedef int (*scenario)(pinion_context *ctx);

/* Opens the data set and loads its first three samples, to the end of the stream: then the loader's thread has made
 * all its allocations, whoever was faster. */
static int open_and_load(pinion_context *ctx, const char *spec, const pinion_dataset_options *options)
{
    static const uint32_t first[] = {0, 1, 2};
    pinion_dataset *dataset = NULL;
    pinion__loader *loader = NULL;
    pinion__batch batch = {.count = 1};
    int status = pinion_dataset_open(ctx, spec, options, &dataset);
    pinion__loader_options wanted = {
        .dataset = dataset, .batch = 2, .shuffle = true, .ahead = 1, .subset = first, .subset_count = 3};
    if (status == PINION_OK)
        status = pinion__loader_create(ctx, &wanted, &loader);
    while (status == PINION_OK && batch.count > 0)
        status = pinion__loader_next(loader, &batch, NULL);
    pinion__loader_destroy(loader);
    pinion_dataset_destroy(dataset);
    return status;
}

static int load_cifar10(pinion_context *ctx)
{
    char spec[512];
    snprintf(spec, sizeof spec, "cifar10:%s", test_folder);
    return open_and_load(ctx, spec, NULL);
}

static int load_images(pinion_context *ctx)
{
    char spec[512];
    pinion_dataset_options options = {.image = {20, 20, 3}};
    snprintf(spec, sizeof spec, "images:%s", test_folder);
    return open_and_load(ctx, spec, &options);
}

static int load_synthetic(pinion_context *ctx)
{
    return open_and_load(ctx, "synthetic", NULL);
}

static int user_read(void *user, enum pinion_part part, int64_t index, unsigned char *pixels, int *label)
{
    (void)user;
    (void)part;
    (void)index;
    *pixels = 0;
    *label = 0;
    return PINION_OK;
}

static int create_user(pinion_context *ctx)
{
    pinion_dataset_source source = {
        .info = {.spec = "mine", .image = {1, 1, 1}, .classes = 3, .train_count = 1, .std = {1.0f}},
        .read = user_read,
    };
    pinion_dataset *dataset = NULL;
    int status = pinion_dataset_create(ctx, &source, &dataset);
    pinion_dataset_destroy(dataset);
    return status;
}

/* Returns how many allocations failed before the scenario went through. */
static long fail_each(scenario run)
{
    for (long i = 1;; i++) {
        test_memory memory = {0};
        pinion_context *ctx = create_context(&memory);
        long fail_at = memory.calls + i;
        memory.fail_at = fail_at;
        int status = run(ctx);
        bool failed = memory.calls >= fail_at;
        if (failed) {
            assert_int_equal(status, PINION_ENOMEM);
            assert_int_equal(strncmp(pinion_context_error(ctx), "out of memory: ", 15), 0);
        } else {
            assert_int_equal(status, PINION_OK);
        }
        assert_int_equal(atomic_load(&ctx->live_bytes), 0);
        pinion_context_destroy(ctx);
        assert_int_equal(memory.live, 0);
        if (!failed)
            return i - 1;
    }
}

static void test_cifar10(void **state)
{
    (void)state;
    write_cifar_folder(4);
    write_bytes(in_folder("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", 20);
    assert_true(fail_each(load_cifar10) > 20);
}

static void test_images(void **state)
{
    (void)state;
    make_folder(in_folder("train"));
    make_folder(in_folder("train/one"));
    make_folder(in_folder("train/two"));
    make_folder(in_folder("test"));
    make_folder(in_folder("test/two"));
    write_png(in_folder("train/one/a.png"), 25, 30, PNG_RGB_INTERLACED);
    write_png(in_folder("train/one/b.png"), 25, 30, PNG_PALETTE);
    write_jpeg(in_folder("train/two/a.jpg"), 25, 30, JPEG_RGB);
    write_jpeg(in_folder("test/two/a.jpg"), 25, 30, JPEG_RGB);
    assert_true(fail_each(load_images) > 50);
}

static void test_synthetic(void **state)
{
    (void)state;
    assert_true(fail_each(load_synthetic) > 10);
}

static void test_user(void **state)
{
    (void)state;
    assert_int_equal(fail_each(create_user), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cifar10, make_test_folder, remove_test_folder),
        cmocka_unit_test_setup_teardown(test_images, make_test_folder, remove_test_folder),
        cmocka_unit_test(test_synthetic),
        cmocka_unit_test(test_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
