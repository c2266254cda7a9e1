/* SPDX-License-Identifier: Apache-2.0
 *
 * Logits of frozen groups that are computed once: when they are, that they are those of inference, that each sample is
 * given its own, whatever the order, and that training with them is training without.
 */
#include "learn/grown.h"

#include <math.h>
#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "learn/prior.h"

/* A network whose groups 1 and 2 are trained, in W.safetensors. */
static void train_two(enum pinion_connect connect)
{
    tiny t;
    pinion_train_options options = grown_options(tiny_path("W.safetensors"), PINION_AUGMENT_NONE);
    options.stage_count = 2;
    grown_open(&t, NULL, 1, GROWN_GROUPS, connect);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);
}

/* A trainer of the third group behind them. */
static void open_third(tiny *t, enum pinion_connect connect, const pinion_train_options *options)
{
    pinion_weights_file *file;
    grown_open(t, NULL, 1, GROWN_GROUPS, connect);
    assert_int_equal(pinion_weights_open(t->ctx, tiny_path("W.safetensors"), &file), PINION_OK);
    assert_int_equal(pinion_weights_load(t->network, file, NULL), PINION_OK);
    pinion_weights_close(file);
    assert_int_equal(pinion_trainer_create(t->network, t->dataset, options, &t->trainer), PINION_OK);
}

static pinion_train_options third_options(const char *out)
{
    const pinion_train_options all = grown_options(out, PINION_AUGMENT_NONE);
    return grown_stage(&all, 2);
}

static void when_it_is_used(void **state)
{
    (void)state;
    static const struct {
        enum pinion_connect connect;
        int stage, augment;
        size_t memory_limit;
        bool used;
    } cases[] = {
        {PINION_TOWERS, 3, PINION_AUGMENT_NONE, 0, true},
        {PINION_TOWERS, 3, PINION_AUGMENT_FLIP, 0, false},
        {PINION_TOWERS, 3, -1, 0, false},
        {PINION_TOWERS, 1, PINION_AUGMENT_NONE, 0, false},
        {PINION_TOWERS, 3, PINION_AUGMENT_NONE, 1u << 30, false},
        {PINION_NESTED, 3, PINION_AUGMENT_NONE, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tiny t;
        pinion_train_options options = third_options(NULL);
        train_two(cases[i].connect);
        options.stage = cases[i].stage;
        options.augment = cases[i].augment;
        options.memory_limit = cases[i].memory_limit;
        open_third(&t, cases[i].connect, &options);
        assert_int_equal(t.trainer->plan->options.prior, cases[i].used);
        assert_null(t.trainer->prior.logits); /* not before it runs */
        assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_OK);
        assert_int_equal(t.trainer->prior.logits != NULL, cases[i].used);
        tiny_close(&t);
    }
}

/* The same bits as an inference of two groups, for every sample of the training part. */
static void it_is_inference(void **state)
{
    (void)state;
    tiny t;
    const pinion_train_options options = third_options(NULL);
    pinion_plan_options how = pinion_plan_options_default();
    pinion_plan *plan;
    pinion_runner *runner;
    pinion__loader *loader;
    pinion__batch batch;
    float logits[TINY_BATCH * TINY_CLASSES];
    int64_t seen = 0;
    train_two(PINION_TOWERS);
    open_third(&t, PINION_TOWERS, &options);
    assert_int_equal(pinion__prior_prepare(t.trainer), PINION_OK);
    how.mode = PINION_INFER;
    how.batch = TINY_BATCH;
    how.width = 2;
    assert_int_equal(pinion_plan_create(t.network, &how, &plan), PINION_OK);
    assert_int_equal(pinion_runner_create(plan, &runner), PINION_OK);
    const pinion__loader_options in_order = {.dataset = t.dataset, .part = PINION_PART_TRAIN, .batch = TINY_BATCH};
    assert_int_equal(pinion__loader_create(t.ctx, &in_order, &loader), PINION_OK);
    for (; pinion__loader_next(loader, &batch, NULL) == PINION_OK && batch.count > 0; seen += batch.count) {
        assert_int_equal(pinion_runner_infer(runner, batch.images, batch.count, logits), PINION_OK);
        assert_memory_equal(logits, t.trainer->prior.logits + seen * TINY_CLASSES,
                            (size_t)batch.count * TINY_CLASSES * sizeof(float));
    }
    assert_int_equal(seen, TINY_TRAIN);
    pinion__loader_destroy(loader);
    pinion_runner_destroy(runner);
    pinion_plan_destroy(plan);
    tiny_close(&t);
}

/* Shuffled batches of a part of the samples: each row is its sample's. */
static void each_sample_its_own(void **state)
{
    (void)state;
    tiny t;
    const pinion_train_options options = third_options(NULL);
    pinion__loader *loader;
    pinion__batch batch;
    int moved = 0, seen[TINY_TRAIN] = {0};
    train_two(PINION_TOWERS);
    open_third(&t, PINION_TOWERS, &options);
    assert_int_equal(pinion__prior_prepare(t.trainer), PINION_OK);
    const pinion__loader_options shuffled = {.dataset = t.dataset,
                                             .part = PINION_PART_TRAIN,
                                             .subset = t.trainer->train_subset,
                                             .subset_count = t.trainer->train_count,
                                             .batch = TINY_BATCH,
                                             .shuffle = true,
                                             .drop_last = true,
                                             .seed = 5};
    assert_int_equal(pinion__loader_create(t.ctx, &shuffled, &loader), PINION_OK);
    while (pinion__loader_next(loader, &batch, NULL) == PINION_OK && batch.count > 0) {
        const float *rows = pinion__prior_gather(t.trainer, &batch);
        for (int i = 0; i < batch.count; i++) {
            unsigned char pixels[TINY_SIDE * TINY_SIDE * 3];
            int label;
            int64_t sample = batch.samples[i];
            assert_int_equal(pinion_dataset_read(t.dataset, PINION_PART_TRAIN, sample, pixels, &label), PINION_OK);
            assert_int_equal(label, batch.labels[i]);
            /* The pixels say which sample it is: normalised as the data set says. */
            float first = ((float)pixels[0] / 255.0f - 0.3f) / 0.2f;
            assert_true(fabsf(first - batch.images[i * TINY_SIDE * TINY_SIDE * 3]) < 1e-5f);
            assert_memory_equal(rows + i * TINY_CLASSES, t.trainer->prior.logits + sample * TINY_CLASSES,
                                TINY_CLASSES * sizeof(float));
            moved += sample != batch.index * TINY_BATCH + i;
            seen[sample]++;
        }
    }
    assert_true(moved > TINY_TRAIN / 2);
    for (int i = 0; i < TINY_TRAIN; i++)
        assert_true(seen[i] <= 1);
    pinion__loader_destroy(loader);
    tiny_close(&t);
}

/* Frozen groups compute the same function in a step and in inference, but inference folds batch norm into the weights:
 * a logit differs by the rounding of some hundred products, about 1e-6 of the logits' size of about 1. With a constant
 * learning rate of 0.03 and ten steps the weights follow by no more than some 1e-6; another sample's logits would move
 * them by 1e-3. */
static void as_if_computed_in_each_step(void **state)
{
    (void)state;
    tiny t;
    float *weights[2];
    size_t bytes = 0;
    train_two(PINION_TOWERS);
    for (int i = 0; i < 2; i++) {
        pinion_train_options options = third_options(NULL);
        options.schedule = PINION_SCHEDULE_CONSTANT;
        options.memory_limit = i ? (size_t)1 << 30 : 0; /* with a limit nothing is cached */
        open_third(&t, PINION_TOWERS, &options);
        assert_int_equal(t.trainer->plan->options.prior, i == 0);
        assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_OK);
        weights[i] = grown_copy_group(t.network, 3, &bytes);
        tiny_close(&t);
    }
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        assert_true(fabs((double)weights[0][i] - (double)weights[1][i]) < 2e-5);
    free(weights[0]);
    free(weights[1]);
}

static int clean(void **state)
{
    (void)state;
    tiny_folder_clean();
    return 0;
}

static int end(void **state)
{
    (void)state;
    tiny_folder_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(when_it_is_used, clean),
        cmocka_unit_test_teardown(it_is_inference, clean),
        cmocka_unit_test_teardown(each_sample_its_own, clean),
        cmocka_unit_test_teardown(as_if_computed_in_each_step, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
