/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader: each sample once an epoch, the same batches from any start, what augmentation draws, how streams end,
 * and ending it at any moment.
 */
#include "data/augment.h"
#include "data/loader.h"
#include "files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 23, H = 16, W = 24, PIXELS = H * W * 3 };

/* Sample i: pixel (y, x) is (i, 100 + y, 200 + x), its label i; the test part's is (50 + i, …). */
typedef struct user {
    int64_t fail_at; /* -1: never */
    unsigned sleep_us;
    int reading;
} user;

static pinion_context *ctx;
static pinion_dataset *dataset;
static user data_user;

static int user_read(void *state, enum pinion_part part, int64_t index, unsigned char *pixels, int *label)
{
    user *self = state;
    assert_int_equal(__atomic_add_fetch(&self->reading, 1, __ATOMIC_SEQ_CST), 1);
    if (self->sleep_us)
        usleep(self->sleep_us);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            *pixels++ = (unsigned char)(index + (part == PINION_PART_TEST ? 50 : 0));
            *pixels++ = (unsigned char)(100 + y);
            *pixels++ = (unsigned char)(200 + x);
        }
    *label = (int)index;
    __atomic_sub_fetch(&self->reading, 1, __ATOMIC_SEQ_CST);
    return index == self->fail_at ? PINION_EFORMAT : PINION_OK;
}

static int setup(void **state)
{
    (void)state;
    ctx = create_context(NULL);
    data_user = (user){.fail_at = -1};
    /* Mean 0 and deviation 1/255: normalised values are the bytes. */
    pinion_dataset_source source = {
        .info = {.spec = "mine", .image = {H, W, 3}, .classes = COUNT, .train_count = COUNT, .test_count = 7},
        .read = user_read,
        .user = &data_user,
    };
    for (int c = 0; c < 3; c++)
        source.info.std[c] = 1.0f / 255.0f;
    return pinion_dataset_create(ctx, &source, &dataset);
}

static int teardown(void **state)
{
    (void)state;
    pinion_dataset_destroy(dataset);
    pinion_context_destroy(ctx);
    return 0;
}

static pinion__loader *create(const pinion__loader_options *options)
{
    pinion__loader *loader = NULL;
    assert_int_equal(pinion__loader_create(ctx, options, &loader), PINION_OK);
    return loader;
}

static pinion__batch next(pinion__loader *loader)
{
    pinion__batch batch = {0};
    int64_t waited = -1;
    assert_int_equal(pinion__loader_next(loader, &batch, &waited), PINION_OK);
    assert_true(waited >= 0);
    return batch;
}

static int byte_of(float value)
{
    return (int)(value + 0.5f);
}

static void test_in_order(void **state)
{
    (void)state;
    pinion__loader_options options = {.dataset = dataset,
                                      .part = PINION_PART_TEST,
                                      .batch = 3,
                                      .ahead = 1,
                                      .augment = PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP};
    assert_int_equal(pinion__loader_batches(&options), 3);
    pinion__loader *loader = create(&options);
    for (int index = 0; index < 3; index++) {
        pinion__batch batch = next(loader);
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
        pinion__batch batch = next(loader);
        assert_int_equal(batch.count, 0);
        assert_int_equal(batch.index, 3);
    }
    pinion__loader_destroy(loader);
}

/* Labels of the first `batches` batches, one after the other. */
static void collect(const pinion__loader_options *options, int batches, int32_t *labels)
{
    pinion__loader *loader = create(options);
    for (int i = 0; i < batches; i++) {
        pinion__batch batch = next(loader);
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
    pinion__loader *loader = create(&options);
    for (int i = 0; i < 5; i++)
        assert_int_equal(next(loader).count, 4);
    assert_int_equal(next(loader).count, 0);
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
    pinion__loader *loader = create(&options);
    for (int i = 0; i < BATCHES; i++)
        memcpy(all + bytes * (size_t)i, next(loader).images, bytes);
    pinion__loader_destroy(loader);

    for (int start = 0; start < BATCHES; start++) {
        options.first_epoch = start / PER_EPOCH;
        options.first_batch = start % PER_EPOCH;
        if (start == PER_EPOCH) { /* the end of an epoch is the beginning of the next */
            options.first_epoch = 0;
            options.first_batch = PER_EPOCH;
        }
        options.ahead = 1 + start % 3;
        loader = create(&options);
        for (int i = start; i < BATCHES; i++) {
            pinion__batch batch = next(loader);
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
    pinion__loader *loader = create(&options);
    assert_int_equal(next(loader).epoch, 3);
    pinion__batch end = next(loader);
    assert_int_equal(end.count, 0);
    assert_int_equal(end.epoch, 3);
    pinion__loader_destroy(loader);
    options.first_batch = 5;
    loader = create(&options);
    assert_int_equal(next(loader).count, 0);
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
    pinion__loader *all = create(&options);
    pinion__batch batch = next(all);
    options.subset = one;
    options.subset_count = 1;
    options.batch = 1;
    pinion__loader *single = create(&options);
    pinion__batch alone = next(single);
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

/* Every pixel is the one at the drawn offset, or black outside. */
static void test_transform(void **state)
{
    (void)state;
    pinion__normaliser normaliser;
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    info.mean[1] = 0.5f;
    pinion__normaliser_init(&normaliser, &info);
    unsigned char pixels[PIXELS];
    int label;
    assert_int_equal(pinion_dataset_read(dataset, PINION_PART_TRAIN, 9, pixels, &label), PINION_OK);
    float out[PIXELS];
    for (int top = -2; top <= 2; top++)
        for (int left = -2; left <= 2; left++)
            for (int flip = 0; flip < 2; flip++) {
                pinion__transform transform = {top, left, flip};
                pinion__transform_apply(&transform, &normaliser, info.image, pixels, out);
                for (int y = 0; y < H; y++)
                    for (int x = 0; x < W; x++) {
                        int row = y + top, column = (flip ? W - 1 - x : x) + left;
                        bool inside = row >= 0 && row < H && column >= 0 && column < W;
                        const float *pixel = out + (y * W + x) * 3;
                        assert_int_equal(byte_of(pixel[0]), inside ? 9 : 0);
                        assert_int_equal(byte_of(pixel[1] + 127.5f), inside ? 100 + row : 0);
                        assert_int_equal(byte_of(pixel[2]), inside ? 200 + column : 0);
                    }
            }
}

/* Offsets are uniform over the nine places of a 32x32 image, flips even, all independent of the epoch before. */
static void test_draws(void **state)
{
    (void)state;
    enum { DRAWS = 20000, PLACES = 9 };
    int top[PLACES] = {0}, left[PLACES] = {0}, flips = 0, repeated = 0;
    pinion_shape image = {32, 40, 3};
    for (int i = 0; i < DRAWS; i++) {
        pinion__transform drawn = pinion__transform_draw(image, PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP, 1, 4, i);
        pinion__transform later = pinion__transform_draw(image, PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP, 1, 5, i);
        assert_true(drawn.top >= -4 && drawn.top <= 4 && drawn.left >= -4 && drawn.left <= 4);
        top[drawn.top + 4]++;
        left[drawn.left + 4]++;
        flips += drawn.flip;
        repeated += drawn.top == later.top && drawn.left == later.left && drawn.flip == later.flip;
    }
    /* Five standard deviations. */
    for (int place = 0; place < PLACES; place++) {
        assert_true(abs(top[place] - DRAWS / PLACES) < 222);
        assert_true(abs(left[place] - DRAWS / PLACES) < 222);
    }
    assert_true(abs(flips - DRAWS / 2) < 354);
    assert_true(abs(repeated - DRAWS / 162) < 56);

    pinion__transform none = pinion__transform_draw(image, PINION_AUGMENT_NONE, 1, 4, 7);
    assert_true(none.top == 0 && none.left == 0 && !none.flip);
    for (int i = 0; i < 50; i++) {
        pinion__transform crop = pinion__transform_draw(image, PINION_AUGMENT_CROP, 1, 4, i);
        pinion__transform flip = pinion__transform_draw(image, PINION_AUGMENT_FLIP, 1, 4, i);
        assert_true(!crop.flip && flip.top == 0 && flip.left == 0);
    }
}

static void test_failing_source(void **state)
{
    (void)state;
    data_user.fail_at = 13;
    pinion__loader_options options = {.dataset = dataset, .batch = 5, .repeat = true};
    pinion__loader *loader = create(&options);
    next(loader);
    next(loader);
    pinion__batch batch;
    for (int again = 0; again < 3; again++)
        expect_failure(ctx, pinion__loader_next(loader, &batch, NULL), PINION_EFORMAT,
                       "mine: sample 13 of the training part could not be read: malformed or unreadable input");
    pinion__loader_destroy(loader);
}

/* A failure ahead of the caller stays unsaid until the caller comes to it. */
static void test_failure_is_not_early(void **state)
{
    (void)state;
    data_user.fail_at = 5;
    pinion__loader_options options = {.dataset = dataset, .batch = 5};
    pinion__loader *loader = create(&options);
    usleep(20000);
    assert_string_equal(pinion_context_error(ctx), "");
    next(loader);
    pinion__loader_destroy(loader);
}

static void test_wait_is_measured(void **state)
{
    (void)state;
    data_user.sleep_us = 20000;
    pinion__loader_options options = {.dataset = dataset, .batch = 2, .repeat = true, .ahead = 2};
    pinion__loader *loader = create(&options);
    pinion__batch batch;
    int64_t waited;
    assert_int_equal(pinion__loader_next(loader, &batch, &waited), PINION_OK);
    assert_true(waited > 20 * 1000 * 1000);
    usleep(800000);
    assert_int_equal(pinion__loader_next(loader, &batch, &waited), PINION_OK);
    assert_int_equal(waited, 0);
    pinion__loader_destroy(loader);
}

/* Ended while the thread waits for room, reads, or has come to its end; with batches taken or not. */
static void test_destroy(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        pinion__loader_options options = {.dataset = dataset, .batch = 4, .repeat = i % 2, .ahead = 1 + i % 4};
        pinion__loader *loader = create(&options);
        for (int taken = 0; taken < i % 7; taken++)
            next(loader);
        usleep((unsigned)(i % 5) * 100);
        pinion__loader_destroy(loader);
    }
    pinion__loader_destroy(NULL);
}

/* A batch is the caller's until the next call, however far ahead the thread is. */
static void test_batch_stays(void **state)
{
    (void)state;
    pinion__loader_options options = {.dataset = dataset, .batch = 1, .repeat = true, .ahead = 1};
    pinion__loader *loader = create(&options);
    for (int i = 0; i < 5; i++) {
        pinion__batch batch = next(loader);
        usleep(5000);
        assert_int_equal(batch.labels[0], i);
        assert_int_equal(byte_of(batch.images[0]), i);
    }
    pinion__loader_destroy(loader);
}

/* Two loaders of one data set: reads of a user's function do not overlap (user_read asserts it). */
static void test_two_loaders(void **state)
{
    (void)state;
    data_user.sleep_us = 50;
    pinion__loader_options options = {.dataset = dataset, .batch = 4, .repeat = true, .shuffle = true};
    pinion__loader *first = create(&options);
    options.part = PINION_PART_TEST;
    pinion__loader *second = create(&options);
    for (int i = 0; i < 40; i++) {
        next(first);
        next(second);
    }
    pinion__loader_destroy(second);
    pinion__loader_destroy(first);
}

static void test_next_does_not_allocate(void **state)
{
    (void)state;
    pinion__loader_options options = {.dataset = dataset, .batch = 4, .repeat = true, .shuffle = true};
    pinion__loader *loader = create(&options);
    size_t before = atomic_load(&ctx->allocations);
    for (int i = 0; i < 30; i++)
        next(loader);
    assert_int_equal(atomic_load(&ctx->allocations), before);
    pinion__loader_destroy(loader);
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
        cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shuffle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop_last, setup, teardown),
        cmocka_unit_test_setup_teardown(test_starts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_without_repeat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_augmentation_follows_sample, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transform, setup, teardown),
        cmocka_unit_test_setup_teardown(test_draws, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failing_source, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_is_not_early, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wait_is_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destroy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_loaders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_next_does_not_allocate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
