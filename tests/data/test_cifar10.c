/* SPDX-License-Identifier: Apache-2.0
 *
 * CIFAR-10's binary files: what they mean, and the sentence for each kind of damage.
 */
#include "data/cifar10.h"
#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pinion_context *ctx;

static int open_folder(pinion_dataset **out)
{
    char spec[512];
    snprintf(spec, sizeof spec, "cifar10:%s", test_folder);
    return pinion_dataset_open(ctx, spec, NULL, out);
}

static int setup(void **state)
{
    ctx = create_context(NULL);
    return make_test_folder(state);
}

static int teardown(void **state)
{
    pinion_context_destroy(ctx);
    return remove_test_folder(state);
}

static void test_info(void **state)
{
    (void)state;
    write_cifar_folder(5);
    pinion_dataset *dataset;
    assert_int_equal(open_folder(&dataset), PINION_OK);
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    assert_int_equal(info.train_count, 10);
    assert_int_equal(info.test_count, 3);
    assert_int_equal(info.image.h, 32);
    assert_int_equal(info.image.w, 32);
    assert_int_equal(info.image.c, 3);
    assert_int_equal(info.classes, 10);
    assert_string_equal(info.class_names[0], "airplane");
    assert_string_equal(info.class_names[9], "truck");
    assert_int_equal(info.augment, PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP);
    assert_float_equal(info.mean[0], 0.49140f, 0);
    assert_float_equal(info.std[2], 0.26159f, 0);
    assert_int_equal(strncmp(info.spec, "cifar10:/", 9), 0);
    pinion_dataset_destroy(dataset);
}

static void expect_record(pinion_dataset *dataset, enum pinion_part part, int64_t index, int number)
{
    unsigned char pixels[3072];
    int label = -1;
    assert_int_equal(pinion_dataset_read(dataset, part, index, pixels, &label), PINION_OK);
    assert_int_equal(label, number % 10);
    for (int i = 0; i < 1024; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(pixels[3 * i + c], (unsigned char)(number + 31 * (1024 * c + i) + 40 * c));
}

static void test_pixels(void **state)
{
    (void)state;
    write_cifar_folder(5);
    /* data_batch_10 comes after data_batch_2. */
    write_cifar(in_folder("data_batch_10.bin"), 2, 50);
    pinion_dataset *dataset;
    assert_int_equal(open_folder(&dataset), PINION_OK);
    assert_int_equal(pinion_dataset_get_info(dataset).train_count, 12);
    for (int i = 0; i < 10; i++)
        expect_record(dataset, PINION_PART_TRAIN, i, i);
    expect_record(dataset, PINION_PART_TRAIN, 10, 50);
    expect_record(dataset, PINION_PART_TRAIN, 11, 51);
    for (int i = 0; i < 3; i++)
        expect_record(dataset, PINION_PART_TEST, i, 100 + i);

    unsigned char pixels[3072];
    int label;
    const char *spec = pinion_dataset_get_info(dataset).spec;
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TRAIN, 12, pixels, &label), PINION_EINVAL,
                   "%s: sample 12: the training part has 12 samples", spec);
    expect_failure(ctx, pinion_dataset_read(dataset, PINION_PART_TEST, -1, pixels, &label), PINION_EINVAL,
                   "%s: sample -1: the test part has 3 samples", spec);
    expect_failure(ctx, pinion_dataset_read(dataset, (enum pinion_part)2, 0, pixels, &label), PINION_EINVAL,
                   "%s: part 2: expected the training or the test part", spec);
    pinion_dataset_destroy(dataset);
}

static void expect_refusal(const char *format, const char *path)
{
    pinion_dataset *dataset = NULL;
    char expected[1024];
    snprintf(expected, sizeof expected, "%s%s", path, format);
    expect_failure(ctx, open_folder(&dataset), PINION_EFORMAT, "%s", expected);
    assert_null(dataset);
}

static void test_sizes(void **state)
{
    (void)state;
    write_cifar_folder(5);
    const char *path = in_folder("data_batch_2.bin");
    cut_file(path, 5 * 3073 - 1);
    expect_refusal(": 15364 bytes are not a whole number of records of 3073 bytes: record 4 ends after 3072 bytes",
                   path);
    cut_file(path, 5 * 3073 + 1);
    expect_refusal(": 15366 bytes are not a whole number of records of 3073 bytes: record 5 ends after 1 bytes", path);
    cut_file(path, 100);
    expect_refusal(": 100 bytes are not a whole number of records of 3073 bytes: record 0 ends after 100 bytes", path);
    cut_file(path, 0);
    expect_refusal(": is empty: expected records of 3073 bytes", path);
    /* Sparse: takes no space. */
    cut_file(path, (size_t)3073 * 1000001);
    expect_refusal(": 1000001 records: expected at most 1000000", path);
    write_cifar(path, 5, 0);

    path = in_folder("test_batch.bin");
    cut_file(path, 3073 * 2 + 3000);
    expect_refusal(": 9146 bytes are not a whole number of records of 3073 bytes: record 2 ends after 3000 bytes",
                   path);
}

static void test_label(void **state)
{
    (void)state;
    write_cifar_folder(5);
    const char *path = in_folder("data_batch_1.bin");
    damage_byte(path, 3 * 3073);
    expect_refusal(": record 3 has label 252: expected 0 to 9", path);
    write_cifar(path, 5, 0);
    size_t bytes;
    path = in_folder("test_batch.bin");
    unsigned char *data = read_bytes(path, &bytes);
    data[2 * 3073] = 10;
    write_bytes(path, data, bytes);
    free(data);
    expect_refusal(": record 2 has label 10: expected 0 to 9", path);
}

static void test_missing(void **state)
{
    (void)state;
    expect_refusal(": no data_batch_*.bin: expected the binary version of CIFAR-10", test_folder);
    write_cifar_folder(5);
    assert_int_equal(unlink(in_folder("test_batch.bin")), 0);
    expect_refusal(": cannot be opened: No such file or directory", in_folder("test_batch.bin"));
    make_folder(in_folder("test_batch.bin"));
    expect_refusal(": is not a regular file", in_folder("test_batch.bin"));

    pinion_dataset *dataset;
    expect_failure(ctx, pinion_dataset_open(ctx, "cifar10:/nowhere/at/all", NULL, &dataset), PINION_EFORMAT,
                   "/nowhere/at/all: cannot be opened: No such file or directory");
}

static void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static void test_names(void **state)
{
    (void)state;
    write_cifar_folder(5);
    const char *path = in_folder("batches.meta.txt");
    write_text(path, "a\nb\r\n\nc\nd\ne\nf\ng\nh\ni\nlast of them");
    pinion_dataset *dataset;
    assert_int_equal(open_folder(&dataset), PINION_OK);
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    assert_string_equal(info.class_names[1], "b");
    assert_string_equal(info.class_names[2], "c");
    assert_string_equal(info.class_names[9], "last of them");
    pinion_dataset_destroy(dataset);

    write_text(path, "a\nb\n");
    expect_refusal(": 2 class names: expected 10", path);
    write_text(path, "");
    expect_refusal(": 0 class names: expected 10", path);
    write_text(path, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n");
    expect_refusal(": more than 10 class names: expected 10", path);
    write_text(path, "a\n0123456789012345678901234567890123456789012345678901234567890123\n");
    expect_refusal(": line 2 is not a class name: expected text of at most 63 bytes", path);
    write_bytes(path, "a\nb\0c\n", 6);
    expect_refusal(": line 2 is not a class name: expected text of at most 63 bytes", path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_info, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pixels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_label, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
