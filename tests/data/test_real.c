/* SPDX-License-Identifier: Apache-2.0
 *
 * The real CIFAR-10 subset in PINION_DATA: counts, names, balance, and mean and deviation near the published ones.
 * Skipped where the files are absent.
 */
#include "data/loader.h"
#include "files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char spec[1024];

static void test_contents(void **state)
{
    (void)state;
    pinion_context *ctx = create_context(NULL);
    pinion_dataset *dataset;
    assert_int_equal(pinion_dataset_open(ctx, spec, NULL, &dataset), PINION_OK);
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    assert_int_equal(info.train_count, 10000);
    assert_int_equal(info.test_count, 2000);
    assert_string_equal(info.class_names[0], "airplane");
    assert_string_equal(info.class_names[9], "truck");
    int64_t per_class[10] = {0};
    for (int64_t i = 0; i < info.train_count; i++) {
        unsigned char pixels[3072];
        int label;
        assert_int_equal(pinion_dataset_read(dataset, PINION_PART_TRAIN, i, pixels, &label), PINION_OK);
        per_class[label]++;
    }
    for (int c = 0; c < 10; c++)
        assert_int_equal(per_class[c], 1000);
    pinion_dataset_destroy(dataset);
    pinion_context_destroy(ctx);
}

/* Normalised by the published constants of all 50,000 images, the subset has about mean 0 and deviation 1 a channel. */
static void test_normalisation(void **state)
{
    (void)state;
    pinion_context *ctx = create_context(NULL);
    pinion_dataset *dataset;
    assert_int_equal(pinion_dataset_open(ctx, spec, NULL, &dataset), PINION_OK);
    pinion__loader *loader;
    pinion__loader_options options = {.dataset = dataset, .batch = 250};
    assert_int_equal(pinion__loader_create(ctx, &options, &loader), PINION_OK);
    double sum[3] = {0}, squares[3] = {0}, count = 0;
    pinion__batch batch;
    while (pinion__loader_next(loader, &batch, NULL) == PINION_OK && batch.count > 0) {
        for (int i = 0; i < batch.count * 1024; i++)
            for (int c = 0; c < 3; c++) {
                double value = (double)batch.images[3 * i + c];
                sum[c] += value;
                squares[c] += value * value;
            }
        count += batch.count * 1024;
    }
    assert_true(count == 10000.0 * 1024);
    for (int c = 0; c < 3; c++) {
        double mean = sum[c] / count;
        assert_true(fabs(mean) < 0.02);
        assert_true(fabs(sqrt(squares[c] / count - mean * mean) - 1.0) < 0.02);
    }
    pinion__loader_destroy(loader);
    pinion_dataset_destroy(dataset);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const char *data = getenv("PINION_DATA");
    snprintf(spec, sizeof spec, "cifar10:%s/cifar10", data ? data : "../shared/data");
    if (access(spec + sizeof "cifar10:" - 1, R_OK) != 0) {
        printf("skipped: %s is absent\n", spec);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_normalisation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
