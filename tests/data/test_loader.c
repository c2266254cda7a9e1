/* SPDX-License-Identifier: Apache-2.0
 *
 * What the loader gives: each sample once an epoch, the same batches from any start, parts of the data, how streams
 * end.
 */
#include "data/augment.h"
#include "numbered.h"

#include <stdlib.h>
#include <string.h>

static void test_in_order(void **state)
{
    (void)state;
    pinion__loader_options options = {.dataset = dataset,
                                      .part = PINION_PART_TEST,
                                      .batch = 3,
                                      .ahead = 1,
                                      .augment = PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP};
    assert_int_equal(pinion__loader_batches(&options), 3);
    pinion__loader *loader = numbered_loader(&options);
    for (int index = 0; index < 3; index++) {
        pinion__batch batch = numbered_next(loader);
        assert_int_equal(batch.count, index < 2 ? 3 : 1);
        assert_int_equal(batch.epoch, 0);
        assert_int_equal(batch.index, index);
        assert_int_equal((uintptr_t)batch.images % 64, 0);
        for (int i = 0; i < 3; i++) {
            const float *image = batch.images + (size_t)i * PIXELS;
            bool there = i < batch.count;
            assert_int_equal(batch.labels[i], there ? 3 * index + i : 0);
            /* The test part is never augmented. */
            for (int p = 0; p < H * W; p++) {
                assert_int_equal(byte_of(image[3 * p]), there ? 50 + 3 * index + i : 0);
                assert_int_equal(byte_of(image[3 * p + 1]), there ? 100 + p / W : 0);
                assert_int_equal(byte_of(image[3 * p + 2]), there ? 200 + p % W : 0);
            }
        }
    }
    for (int again = 0; again < 3; again++) {
        pinion__batch batch = numbered_next(loader);
        assert_int_equal(batch.count, 0);
        assert_int_equal(batch.index, 3);
    }
    pinion__loader_destroy(loader);
}

/* Labels of the first `batches` batches, one after the other. */
static void collect(const pinion__loader_options *options, int batches, int32_t *labels)
{
    pinion__loader *loader = numbered_loader(options);
    for (int i = 0; i < batches; i++) {
        pinion__batch batch = numbered_next(loader);
        memcpy(labels + i * options->batch, batch.labels, (size_t)options->batch * sizeof *labels);
    }
    pinion__loader_destroy(loader);
}

static void test_shuffle(void **state)
{
    (void)state;
    pinion__loader_options options = {.dataset = dataset, .batch = 4, .shuffle = true, .repeat = true, .seed = 5};
    assert_int_equal(pinion__loader_batches(&options), 6);
    int32_t labels[24 * 2], other[24 * 2];
    collect(&options, 12, labels);
    for (int epoch = 0; epoch < 2; epoch++) {
        int seen[COUNT] = {0};
        for (int i = 0; i < COUNT; i++)
            seen[labels[24 * epoch + i]]++;
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(seen[i], 1);
    }
    assert_memory_not_equal(labels, labels + 24, 23 * sizeof *labels);
    collect(&options, 12, other);
    assert_memory_equal(labels, other, sizeof labels);
    options.seed = 6;
    collect(&options, 12, other);
    assert_memory_not_equal(labels, other, 23 * sizeof *labels);
    options.shuffle = false;
    collect(&options, 12, other);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(other[i], i);
}

static void test_drop_last(void **state)
{
    (void)state;
    pinion__loader_options options = {.dataset = dataset, .batch = 4, .shuffle = true, .drop_last = true};
    assert_int_equal(pinion__loader_batches(&options), 5);
    pinion__loader *loader = numbered_loader(&options);
    for (int i = 0; i < 5; i++)
        assert_int_equal(numbered_next(loader).count, 4);
    assert_int_equal(numbered_next(loader).count, 0);
    pinion__loader_destroy(loader);
}

/* Whatever the start, the stream is the one from the beginning, bit for bit. */
static void test_starts(void **state)
{
    (void)state;
    pinion__loader_options options = {.dataset = dataset,
                                      .batch = 5,
                                      .shuffle = true,
                                      .repeat = true,
                                      .seed = 9,
                                      .augment = PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP};
    enum { BATCHES = 12, PER_EPOCH = 5 };
    size_t bytes = (size_t)options.batch * PIXELS * sizeof(float);
    unsigned char *all = malloc(bytes * BATCHES);
    assert_non_null(all);
    pinion__loader *loader = numbered_loader(&options);
    for (int i = 0; i < BATCHES; i++)
        memcpy(all + bytes * (size_t)i, numbered_next(loader).images, bytes);
    pinion__loader_destroy(loader);

    for (int start = 0; start < BATCHES; start++) {
        options.first_epoch = start / PER_EPOCH;
        options.first_batch = start % PER_EPOCH;
        if (start == PER_EPOCH) { /* the end of an epoch is the beginning of the next */
            options.first_epoch = 0;
            options.first_batch = PER_EPOCH;
        }
        options.ahead = 1 + start % 3;
        loader = numbered_loader(&options);
        for (int i = start; i < BATCHES; i++) {
            pinion__batch batch = numbered_next(loader);
            assert_int_equal(batch.epoch, i / PER_EPOCH);
            assert_int_equal(batch.index, i % PER_EPOCH);
            assert_memory_equal(batch.images, all + bytes * (size_t)i, bytes);
        }
        pinion__loader_destroy(loader);
    }
    free(all);
}

static void test_end_without_repeat(void **state)
{
    (void)state;
    pinion__loader_options options = {.dataset = dataset, .batch = 5, .first_epoch = 3, .first_batch = 4};
    pinion__loader *loader = numbered_loader(&options);
    assert_int_equal(numbered_next(loader).epoch, 3);
    pinion__batch end = numbered_next(loader);
    assert_int_equal(end.count, 0);
    assert_int_equal(end.epoch, 3);
    pinion__loader_destroy(loader);
    options.first_batch = 5;
    loader = numbered_loader(&options);
    assert_int_equal(numbered_next(loader).count, 0);
    pinion__loader_destroy(loader);
}

/* A part held back, and the rest of it. */
static void test_subset(void **state)
{
    (void)state;
    static const uint32_t held[] = {22, 3, 11, 0}, rest[] = {1, 2, 4, 5, 6, 7, 8, 9, 10, 12};
    int32_t labels[12] = {0};
    pinion__loader_options options = {.dataset = dataset, .batch = 2, .subset = held, .subset_count = 4};
    assert_int_equal(pinion__loader_batches(&options), 2);
    collect(&options, 2, labels);
    for (int i = 0; i < 4; i++)
        assert_int_equal(labels[i], held[i]);
    options.subset = rest;
    options.subset_count = 10;
    options.shuffle = true;
    collect(&options, 5, labels);
    int seen[COUNT] = {0};
    for (int i = 0; i < 10; i++)
        seen[labels[i]]++;
    for (int i = 0; i < 10; i++)
        assert_int_equal(seen[rest[i]], 1);
}

/* What is drawn for a sample does not depend on where in the epoch it comes. */
static void test_augmentation_follows_sample(void **state)
{
    (void)state;
    static const uint32_t one[] = {17};
    pinion__loader_options options = {.dataset = dataset,
                                      .batch = COUNT,
                                      .shuffle = true,
                                      .seed = 3,
                                      .first_epoch = 2,
                                      .augment = PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP};
    pinion__loader *all = numbered_loader(&options);
    pinion__batch batch = numbered_next(all);
    options.subset = one;
    options.subset_count = 1;
    options.batch = 1;
    pinion__loader *single = numbered_loader(&options);
    pinion__batch alone = numbered_next(single);
    int found = 0;
    for (int i = 0; i < COUNT; i++)
        if (batch.labels[i] == 17) {
            assert_memory_equal(batch.images + (size_t)i * PIXELS, alone.images, PIXELS * sizeof(float));
            found++;
        }
    assert_int_equal(found, 1);
    pinion__loader_destroy(all);
    pinion__loader_destroy(single);
}

#define EXPECT_REFUSED(field, value, ...)                                                                              \
    do {                                                                                                               \
        pinion__loader_options refused = {.dataset = dataset, .batch = 4};                                             \
        refused.field = value;                                                                                         \
        pinion__loader *loader = NULL;                                                                                 \
        expect_failure(ctx, pinion__loader_create(ctx, &refused, &loader), PINION_EINVAL, __VA_ARGS__);                \
        assert_null(loader);                                                                                           \
    } while (0)

static void test_refused(void **state)
{
    (void)state;
    EXPECT_REFUSED(batch, 0, "batch 0: expected 1 to 65536");
    EXPECT_REFUSED(batch, -3, "batch -3: expected 1 to 65536");
    EXPECT_REFUSED(batch, 65537, "batch 65537: expected 1 to 65536");
    EXPECT_REFUSED(first_batch, 7, "mine: to begin at epoch 0, batch 7: an epoch has 6 batches");
    EXPECT_REFUSED(first_epoch, -1, "mine: to begin at epoch -1, batch 0: an epoch has 6 batches");
    EXPECT_REFUSED(ahead, -1, "-1 batches ahead: expected 0 to 1024");
    static const uint32_t beyond[] = {1, 23};
    pinion__loader *loader = NULL;
    pinion__loader_options options = {.dataset = dataset, .batch = 2, .subset = beyond, .subset_count = 2};
    expect_failure(ctx, pinion__loader_create(ctx, &options, &loader), PINION_EINVAL,
                   "mine: sample 23 wanted of the training part, which has 23");
    options.subset_count = 0;
    expect_failure(ctx, pinion__loader_create(ctx, &options, &loader), PINION_EINVAL,
                   "mine: no samples in the training part");
    options = (pinion__loader_options){.dataset = dataset, .batch = 24, .drop_last = true};
    expect_failure(ctx, pinion__loader_create(ctx, &options, &loader), PINION_EINVAL,
                   "mine: 23 samples in the training part are fewer than a batch of 24");
    assert_null(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_order, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_shuffle, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_drop_last, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_starts, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_end_without_repeat, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_subset, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_augmentation_follows_sample, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_refused, numbered_open, numbered_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
