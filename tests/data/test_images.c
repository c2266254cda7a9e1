/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of images: what is a class, what is passed over, the two arrangements, and images that are damaged.
 */
#include "files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pinion_context *ctx;
static char last_warning[1024];

static void keep_warning(void *user, enum pinion_log_level level, const char *text)
{
    (void)user;
    if (level == PINION_LOG_WARNING)
        snprintf(last_warning, sizeof last_warning, "%s", text);
}

static int setup(void **state)
{
    pinion_context_options options = pinion_context_options_default();
    options.log = keep_warning;
    options.threads = 1;
    last_warning[0] = '\0';
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    return make_test_folder(state);
}

static int teardown(void **state)
{
    pinion_context_destroy(ctx);
    return remove_test_folder(state);
}

static int open_folder(int side, pinion_dataset **out)
{
    char spec[512];
    snprintf(spec, sizeof spec, "images:%s", test_folder);
    pinion_dataset_options options = {.image = {side, side, 3}};
    return pinion_dataset_open(ctx, spec, side ? &options : NULL, out);
}

/* CLASSES folders of two images each under `root`, the second a JPEG. */
static void write_classes(const char *root, const char *const *classes, int count)
{
    for (int i = 0; i < count; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", root, classes[i]);
        make_folder(path);
        snprintf(path, sizeof path, "%s/%s/b.PNG", root, classes[i]);
        write_png(path, 20 + i, 24, PNG_RGB);
        snprintf(path, sizeof path, "%s/%s/a.jpeg", root, classes[i]);
        write_jpeg(path, 40, 30 + i, JPEG_GREY);
    }
}

static const char *const classes[] = {"pear", "apple", "Zebra"};

static void test_classes(void **state)
{
    (void)state;
    write_classes(test_folder, classes, 3);
    pinion_dataset *dataset;
    assert_int_equal(open_folder(20, &dataset), PINION_OK);
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    assert_int_equal(info.classes, 3);
    assert_string_equal(info.class_names[0], "Zebra");
    assert_string_equal(info.class_names[1], "apple");
    assert_string_equal(info.class_names[2], "pear");
    assert_int_equal(info.train_count, 6);
    assert_int_equal(info.test_count, 0);
    assert_int_equal(info.image.h, 20);
    assert_int_equal(info.augment, PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP);
    assert_float_equal(info.mean[0], 0.485f, 0);
    assert_float_equal(info.std[2], 0.225f, 0);
    assert_string_equal(last_warning, "");

    unsigned char pixels[20 * 20 * 3];
    int label;
    for (int i = 0; i < 6; i++) {
        memset(pixels, 1, sizeof pixels);
        assert_int_equal(pinion_dataset_read(dataset, PINION_PART_TRAIN, i, pixels, &label), PINION_OK);
        assert_int_equal(label, i / 2);
    }
    /* The last is pear/b.PNG, 20 wide and 24 high: two rows are cut off at either end. */
    for (int i = 0; i < 20 * 20 * 3; i++)
        assert_int_equal(pixels[i], pattern(i / 60 + 2, i / 3 % 20, i % 3));
    pinion_dataset_destroy(dataset);

    assert_int_equal(open_folder(0, &dataset), PINION_OK);
    assert_int_equal(pinion_dataset_get_info(dataset).image.h, 224);
    pinion_dataset_destroy(dataset);
}

static void test_passed_over(void **state)
{
    (void)state;
    write_classes(test_folder, classes, 3);
    make_folder(in_folder(".git"));
    write_bytes(in_folder("README.txt"), "x", 1);
    write_bytes(in_folder("pear/.hidden.png"), "x", 1);
    write_bytes(in_folder("pear/notes.txt"), "x", 1);
    write_bytes(in_folder("apple/Thumbs.db"), "x", 1);
    make_folder(in_folder("apple/folder.png"));
    pinion_dataset *dataset;
    assert_int_equal(open_folder(20, &dataset), PINION_OK);
    assert_int_equal(pinion_dataset_get_info(dataset).classes, 3);
    assert_int_equal(pinion_dataset_get_info(dataset).train_count, 6);
    pinion_dataset_destroy(dataset);
    char expected[512];
    snprintf(expected, sizeof expected, "%s: passed over what is neither PNG nor JPEG: 3 entries", test_folder);
    assert_string_equal(last_warning, expected);
}

static void test_split(void **state)
{
    (void)state;
    make_folder(in_folder("train"));
    make_folder(in_folder("test"));
    make_folder(in_folder("other"));
    write_classes(in_folder("train"), classes, 3);
    write_classes(in_folder("test"), classes, 1);
    pinion_dataset *dataset;
    assert_int_equal(open_folder(20, &dataset), PINION_OK);
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    assert_int_equal(info.classes, 3);
    assert_string_equal(info.class_names[2], "pear");
    assert_int_equal(info.train_count, 6);
    assert_int_equal(info.test_count, 2);
    unsigned char pixels[20 * 20 * 3];
    int label;
    assert_int_equal(pinion_dataset_read(dataset, PINION_PART_TEST, 1, pixels, &label), PINION_OK);
    assert_int_equal(label, 2);
    pinion_dataset_destroy(dataset);

    make_folder(in_folder("test/quince"));
    expect_failure(ctx, open_folder(20, &dataset), PINION_EFORMAT,
                   "%s: class 'quince' is not among the 3 classes of the training part", in_folder("test"));
}

/* Classes that happen to be called train and test. */
static void test_class_called_train(void **state)
{
    (void)state;
    static const char *const vehicles[] = {"train", "test", "car"};
    write_classes(test_folder, vehicles, 3);
    pinion_dataset *dataset;
    assert_int_equal(open_folder(20, &dataset), PINION_OK);
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    assert_int_equal(info.train_count, 6);
    assert_int_equal(info.test_count, 0);
    assert_string_equal(info.class_names[2], "train");
    pinion_dataset_destroy(dataset);
}

static void test_empty(void **state)
{
    (void)state;
    pinion_dataset *dataset = NULL;
    expect_failure(ctx, open_folder(20, &dataset), PINION_EFORMAT,
                   "%s: no folders: expected a folder a class with PNG or JPEG images in it", test_folder);
    write_png(in_folder("loose.png"), 20, 20, PNG_RGB);
    expect_failure(ctx, open_folder(20, &dataset), PINION_EFORMAT,
                   "%s: no folders: expected a folder a class with PNG or JPEG images in it", test_folder);
    make_folder(in_folder("apple"));
    write_bytes(in_folder("apple/notes.txt"), "x", 1);
    expect_failure(ctx, open_folder(20, &dataset), PINION_EFORMAT,
                   "%s: no images: expected PNG or JPEG files of the class 'apple'", in_folder("apple"));
    assert_null(dataset);
    expect_failure(ctx, pinion_dataset_open(ctx, "images:/nowhere/at/all", NULL, &dataset), PINION_EFORMAT,
                   "/nowhere/at/all: cannot be opened: No such file or directory");
}

static void test_damaged(void **state)
{
    (void)state;
    write_classes(test_folder, classes, 3);
    pinion_dataset *dataset = NULL;
    char path[600];
    snprintf(path, sizeof path, "%s", in_folder("apple/b.PNG"));
    cut_file(path, 12);
    expect_failure(ctx, open_folder(20, &dataset), PINION_EFORMAT, "%s: is a damaged PNG: the file ends early", path);
    write_bytes(path, "not an image", 12);
    expect_failure(ctx, open_folder(20, &dataset), PINION_EFORMAT,
                   "%s: is no image: expected the signature of PNG or JPEG at its beginning", path);
    cut_file(path, 0);
    expect_failure(ctx, open_folder(20, &dataset), PINION_EFORMAT, "%s: is empty: expected a PNG or JPEG image", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    expect_failure(ctx, open_folder(20, &dataset), PINION_EFORMAT, "%s: cannot be opened: No such file or directory",
                   path);
    assert_null(dataset);
    assert_int_equal(unlink(path), 0);

    /* Damage behind the header is found when the sample is read. */
    write_png(path, 40, 40, PNG_RGB);
    cut_file(path, 200);
    assert_int_equal(open_folder(20, &dataset), PINION_OK);
    unsigned char pixels[20 * 20 * 3];
    int label;
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TRAIN, 3, pixels, &label), PINION_EFORMAT,
                   "%s: is a damaged PNG: the file ends early", path);
    assert_int_equal(unlink(path), 0);
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TRAIN, 3, pixels, &label), PINION_EFORMAT,
                   "%s: cannot be opened: No such file or directory", path);
    pinion_dataset_destroy(dataset);
}

static void test_size(void **state)
{
    (void)state;
    pinion_dataset *dataset;
    pinion_dataset_options options = {.image = {0, 5000, 3}};
    expect_failure(ctx, pinion_dataset_open(ctx, "images:x", &options, &dataset), PINION_EINVAL,
                   "images:x: images of 224x5000x3: expected sides of 1 to 4096 and 3 channels");
    options.image = (pinion_shape){-1, 0, 0};
    expect_failure(ctx, pinion_dataset_open(ctx, "images:x", &options, &dataset), PINION_EINVAL,
                   "images:x: images of -1x224x3: expected sides of 1 to 4096 and 3 channels");
    options.image = (pinion_shape){0, 0, 1};
    expect_failure(ctx, pinion_dataset_open(ctx, "images:x", &options, &dataset), PINION_EINVAL,
                   "images:x: images of 224x224x1: expected sides of 1 to 4096 and 3 channels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_classes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_split, setup, teardown),
        cmocka_unit_test_setup_teardown(test_class_called_train, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
