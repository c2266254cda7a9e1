/* SPDX-License-Identifier: Apache-2.0
 *
 * The synthetic data set: the same bytes on every machine, balanced classes, parts that share nothing - and hard
 * enough: a linear model learns something of it but stays under 60 % on the test part.
 */
#include "base/random.h"
#include "data/loader.h"
#include "files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the first 100 samples of each part: a change of the drawings is a change of the data set. */
#define TRAIN_HASH UINT64_C(0x8f150fe64694f39d)
#define TEST_HASH UINT64_C(0xba001b3c7ae4c95a)

enum { VALUES = 32 * 32 * 3, CLASSES = 10, BATCH = 40, EPOCHS = 12 };

static pinion_context *ctx;
static pinion_dataset *dataset;

static int setup(void **state)
{
    (void)state;
    ctx = create_context(NULL);
    return pinion_dataset_open(ctx, "synthetic", NULL, &dataset);
}

static int teardown(void **state)
{
    (void)state;
    pinion_dataset_destroy(dataset);
    pinion_context_destroy(ctx);
    return 0;
}

static uint64_t hash_part(pinion_dataset *from, enum pinion_part part, int64_t count)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (int64_t i = 0; i < count; i++) {
        unsigned char pixels[VALUES];
        int label;
        assert_int_equal(pinion_dataset_read(from, part, i, pixels, &label), PINION_OK);
        for (int v = 0; v < VALUES; v++)
            hash = (hash ^ pixels[v]) * 0x100000001b3u;
    }
    return hash;
}

static void test_bytes(void **state)
{
    (void)state;
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    assert_string_equal(info.spec, "synthetic");
    assert_int_equal(info.classes, CLASSES);
    assert_string_equal(info.class_names[0], "striped disc");
    assert_int_equal(info.image.h, 32);
    assert_int_equal(hash_part(dataset, PINION_PART_TRAIN, 100), TRAIN_HASH);
    assert_int_equal(hash_part(dataset, PINION_PART_TEST, 100), TEST_HASH);
}

static void test_seed(void **state)
{
    (void)state;
    uint64_t hashes[3];
    for (uint64_t seed = 0; seed < 3; seed++) {
        pinion_dataset_options options = {.seed = seed};
        pinion_dataset *seeded;
        assert_int_equal(pinion_dataset_open(ctx, "synthetic", &options, &seeded), PINION_OK);
        hashes[seed] = hash_part(seeded, PINION_PART_TRAIN, 20);
        pinion_dataset_destroy(seeded);
    }
    assert_true(hashes[0] == hashes[1]);
    assert_true(hashes[1] != hashes[2]);
}

/* Labels are balanced, and no test sample is a training sample. */
static void test_parts(void **state)
{
    (void)state;
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    int64_t counts[2] = {info.train_count, info.test_count}, per_class[2][CLASSES] = {{0}};
    uint64_t *firsts = calloc((size_t)(counts[0] + counts[1]), sizeof *firsts);
    assert_non_null(firsts);
    size_t samples = 0;
    for (int part = 0; part < 2; part++)
        for (int64_t i = 0; i < counts[part]; i++) {
            unsigned char pixels[VALUES];
            int label;
            assert_int_equal(pinion_dataset_read(dataset, (enum pinion_part)part, i, pixels, &label), PINION_OK);
            per_class[part][label]++;
            memcpy(&firsts[samples++], pixels, sizeof *firsts);
        }
    for (int part = 0; part < 2; part++)
        for (int c = 0; c < CLASSES; c++)
            assert_int_equal(per_class[part][c], counts[part] / CLASSES);
    for (size_t i = 0; i < samples; i++)
        for (size_t j = i + 1; j < samples; j++)
            assert_true(firsts[i] != firsts[j]);
    free(firsts);
}

/* Softmax regression on the normalised pixels. */
typedef struct linear_model {
    float weights[CLASSES][VALUES], bias[CLASSES];
} linear_model;

static void logits_of(const linear_model *model, const float *image, float *logits)
{
    for (int k = 0; k < CLASSES; k++) {
        float sum[8] = {0};
        for (int v = 0; v < VALUES; v += 8)
            for (int lane = 0; lane < 8; lane++)
                sum[lane] += model->weights[k][v + lane] * image[v + lane];
        logits[k] = model->bias[k];
        for (int lane = 0; lane < 8; lane++)
            logits[k] += sum[lane];
    }
}

static int best_of(const float *logits)
{
    int best = 0;
    for (int k = 1; k < CLASSES; k++)
        if (logits[k] > logits[best])
            best = k;
    return best;
}

/* One step down the gradient of one sample's cross-entropy, weights decaying a little. */
static void learn(linear_model *model, const float *image, int label, float rate)
{
    float share[CLASSES], total = 0.0f;
    logits_of(model, image, share);
    float top = share[best_of(share)];
    for (int k = 0; k < CLASSES; k++)
        total += share[k] = expf(share[k] - top);
    for (int k = 0; k < CLASSES; k++) {
        float step = rate * (share[k] / total - (k == label ? 1.0f : 0.0f));
        for (int v = 0; v < VALUES; v++)
            model->weights[k][v] -= step * image[v];
        model->bias[k] -= step;
    }
}

static double accuracy(const linear_model *model, enum pinion_part part)
{
    pinion__loader *loader;
    pinion__loader_options options = {.dataset = dataset, .part = part, .batch = BATCH};
    assert_int_equal(pinion__loader_create(ctx, &options, &loader), PINION_OK);
    int hits = 0, count = 0;
    pinion__batch batch;
    while (pinion__loader_next(loader, &batch, NULL) == PINION_OK && batch.count > 0)
        for (int i = 0; i < batch.count; i++) {
            float logits[CLASSES];
            logits_of(model, batch.images + i * VALUES, logits);
            hits += best_of(logits) == batch.labels[i];
            count++;
        }
    pinion__loader_destroy(loader);
    return 100.0 * hits / count;
}

static void test_linear_model(void **state)
{
    (void)state;
    linear_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    pinion__loader *loader;
    pinion__loader_options options = {.dataset = dataset, .batch = BATCH, .shuffle = true, .repeat = true, .seed = 1};
    assert_int_equal(pinion__loader_create(ctx, &options, &loader), PINION_OK);
    int64_t batches = pinion__loader_batches(&options) * EPOCHS;
    double best = 0.0;
    for (int64_t b = 0; b < batches; b++) {
        pinion__batch batch;
        assert_int_equal(pinion__loader_next(loader, &batch, NULL), PINION_OK);
        float rate = 1e-4f * (1.0f - (float)b / (float)batches);
        for (int i = 0; i < batch.count; i++)
            learn(model, batch.images + i * VALUES, batch.labels[i], rate);
        if ((b + 1) % (batches / EPOCHS) == 0)
            best = fmax(best, accuracy(model, PINION_PART_TEST));
    }
    printf("linear model: training part %.1f %%, test part %.1f %% at best\n", accuracy(model, PINION_PART_TRAIN),
           best);
    /* It does learn: what it cannot is not for want of training. */
    assert_true(accuracy(model, PINION_PART_TRAIN) > 50.0);
    assert_true(best < 60.0);
    assert_true(best > 20.0);
    pinion__loader_destroy(loader);
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_seed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_linear_model, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
