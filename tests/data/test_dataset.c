/* SPDX-License-Identifier: Apache-2.0
 *
 * SPECs, and data sets of a user's own.
 */
#include "files.h"

#include <math.h>
#include <string.h>

static pinion_context *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = create_context(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pinion_context_destroy(ctx);
    return 0;
}

static void test_spec(void **state)
{
    (void)state;
    pinion_dataset *dataset = NULL;
    static const char *const unknown[] = {"", ":", "cifar", "cifar100:x", "audio:x", "Images:x", ":images", "imagesx"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        expect_failure(ctx, pinion_dataset_open(ctx, unknown[i], NULL, &dataset), PINION_EINVAL,
                       "data set '%s' is unknown: expected cifar10:DIR, images:DIR or synthetic", unknown[i]);
    static const char *const incomplete[][2] = {
        {"cifar10", "cifar10:DIR"}, {"cifar10:", "cifar10:DIR"},  {"images", "images:DIR"},
        {"images:", "images:DIR"},  {"synthetic:x", "synthetic"}, {"synthetic:", "synthetic"},
    };
    for (size_t i = 0; i < sizeof incomplete / sizeof incomplete[0]; i++)
        expect_failure(ctx, pinion_dataset_open(ctx, incomplete[i][0], NULL, &dataset), PINION_EINVAL,
                       "data set '%s': expected %s", incomplete[i][0], incomplete[i][1]);
    expect_failure(ctx, pinion_dataset_open(ctx, NULL, NULL, &dataset), PINION_EINVAL,
                   "a data set needs a SPEC and a place for the result");
    assert_null(dataset);
    pinion_dataset_destroy(NULL);
}

typedef struct user {
    int reads, destroyed, label, status;
} user;

static int user_read(void *state, enum pinion_part part, int64_t index, unsigned char *pixels, int *label)
{
    user *self = state;
    self->reads++;
    memset(pixels, (int)index + (part == PINION_PART_TEST ? 100 : 0), 2 * 3);
    *label = self->label;
    return self->status;
}

static void user_destroy(void *state)
{
    ((user *)state)->destroyed++;
}

static pinion_dataset_source source_of(user *self)
{
    return (pinion_dataset_source){
        .info = {.spec = "mine",
                 .image = {2, 3, 1},
                 .classes = 2,
                 .train_count = 5,
                 .test_count = 1,
                 .mean = {0.5f},
                 .std = {0.25f},
                 .augment = PINION_AUGMENT_FLIP},
        .read = user_read,
        .destroy = user_destroy,
        .user = self,
    };
}

/* What a caller may forget. */
static void test_nothing(void **state)
{
    (void)state;
    user self = {0};
    pinion_dataset_source source = source_of(&self);
    pinion_dataset *dataset = NULL;
    unsigned char pixels[6];
    int label;
    assert_int_equal(pinion_dataset_open(NULL, "synthetic", NULL, &dataset), PINION_EINVAL);
    assert_int_equal(pinion_dataset_create(NULL, &source, &dataset), PINION_EINVAL);
    assert_null(dataset);
    expect_failure(ctx, pinion_dataset_open(ctx, "synthetic", NULL, NULL), PINION_EINVAL,
                   "a data set needs a SPEC and a place for the result");
    expect_failure(ctx, pinion_dataset_create(ctx, &source, NULL), PINION_EINVAL,
                   "a data set needs a name, a function that reads and a place for the result");
    assert_int_equal(pinion_dataset_create(ctx, &source, &dataset), PINION_OK);
    assert_int_equal(pinion_dataset_read(NULL, PINION_PART_TRAIN, 0, pixels, &label), PINION_EINVAL);
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TRAIN, 0, NULL, &label), PINION_EINVAL,
                   "mine: a sample needs a place for its pixels and its label");
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TRAIN, 0, pixels, NULL), PINION_EINVAL,
                   "mine: a sample needs a place for its pixels and its label");
    assert_int_equal(self.reads, 0);
    pinion_dataset_destroy(dataset);
}

static void test_user(void **state)
{
    (void)state;
    user self = {.label = 1};
    pinion_dataset_source source = source_of(&self);
    char spec[] = "mine", first[] = "first", second[] = "second";
    const char *names[] = {first, second};
    source.info.spec = spec;
    source.info.class_names = names;
    pinion_dataset *dataset;
    assert_int_equal(pinion_dataset_create(ctx, &source, &dataset), PINION_OK);
    /* Copies: the caller's strings may go. */
    spec[0] = first[0] = second[0] = 'X';
    names[0] = NULL;
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    assert_string_equal(info.spec, "mine");
    assert_string_equal(info.class_names[0], "first");
    assert_string_equal(info.class_names[1], "second");
    assert_int_equal(info.augment, PINION_AUGMENT_FLIP);
    assert_int_equal(info.train_count, 5);

    unsigned char pixels[6];
    int label = -1;
    assert_int_equal(pinion_dataset_read(dataset, PINION_PART_TEST, 0, pixels, &label), PINION_OK);
    assert_int_equal(label, 1);
    assert_int_equal(pixels[5], 100);
    self.label = 2;
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TRAIN, 3, pixels, &label), PINION_EFORMAT,
                   "mine: sample 3 of the training part has label 2: expected 0 to 1");
    self.label = -1;
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TEST, 0, pixels, &label), PINION_EFORMAT,
                   "mine: sample 0 of the test part has label -1: expected 0 to 1");
    self.status = PINION_EIO;
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TRAIN, 4, pixels, &label), PINION_EIO,
                   "mine: sample 4 of the training part could not be read: could not write");
    assert_int_equal(self.reads, 4);
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TRAIN, 5, pixels, &label), PINION_EINVAL,
                   "mine: sample 5: the training part has 5 samples");
    assert_int_equal(self.reads, 4);
    pinion_dataset_destroy(dataset);
    assert_int_equal(self.destroyed, 1);
}

static void test_user_names(void **state)
{
    (void)state;
    user self = {0};
    pinion_dataset_source source = source_of(&self);
    source.info.classes = 65536;
    source.destroy = NULL;
    pinion_dataset *dataset;
    assert_int_equal(pinion_dataset_create(ctx, &source, &dataset), PINION_OK);
    assert_string_equal(pinion_dataset_get_info(dataset).class_names[0], "0");
    assert_string_equal(pinion_dataset_get_info(dataset).class_names[65535], "65535");
    pinion_dataset_destroy(dataset);
}

static pinion_dataset_source changed;
static user changed_user;

#define EXPECT_REFUSED(change, ...)                                                                                    \
    do {                                                                                                               \
        pinion_dataset *refused = NULL;                                                                                \
        changed = source_of(&changed_user);                                                                            \
        change;                                                                                                        \
        expect_failure(ctx, pinion_dataset_create(ctx, &changed, &refused), PINION_EINVAL, __VA_ARGS__);               \
        assert_null(refused);                                                                                          \
    } while (0)

static void test_user_refused(void **state)
{
    (void)state;
    const char *short_names[] = {"one", NULL};
    EXPECT_REFUSED(changed.read = NULL, "a data set needs a name, a function that reads and a place for the result");
    EXPECT_REFUSED(changed.info.spec = NULL,
                   "a data set needs a name, a function that reads and a place for the result");
    EXPECT_REFUSED(changed.info.image.h = 0, "mine: images of 0x3x1: expected sides of 1 to 4096 and 1 or 3 channels");
    EXPECT_REFUSED(changed.info.image.w = 4097,
                   "mine: images of 2x4097x1: expected sides of 1 to 4096 and 1 or 3 channels");
    EXPECT_REFUSED(changed.info.image.c = 2, "mine: images of 2x3x2: expected sides of 1 to 4096 and 1 or 3 channels");
    EXPECT_REFUSED(changed.info.classes = 0, "mine: 0 classes: expected 1 to 65536");
    EXPECT_REFUSED(changed.info.classes = 65537, "mine: 65537 classes: expected 1 to 65536");
    EXPECT_REFUSED(changed.info.class_names = short_names,
                   "mine: the name of class 1 is missing or longer than 255 bytes");
    EXPECT_REFUSED(changed.info.train_count = -1,
                   "mine: -1 training and 1 test samples: expected 1 to 2147483647 in all parts");
    EXPECT_REFUSED(changed.info.train_count = changed.info.test_count = 0,
                   "mine: 0 training and 0 test samples: expected 1 to 2147483647 in all parts");
    EXPECT_REFUSED(changed.info.test_count = 1LL << 40,
                   "mine: 5 training and 1099511627776 test samples: expected 1 to 2147483647 in all parts");
    EXPECT_REFUSED(changed.info.std[0] = 0.0f,
                   "mine: channel 0 has mean 0.5 and standard deviation 0: expected finite, the latter above 0");
    EXPECT_REFUSED(changed.info.mean[0] = INFINITY,
                   "mine: channel 0 has mean inf and standard deviation 0.25: expected finite, the latter above 0");
    EXPECT_REFUSED(changed.info.augment = 8, "mine: augmentation 0x8 is unknown");
    assert_int_equal(changed_user.destroyed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_spec, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_user_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_user_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
