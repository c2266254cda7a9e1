/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples held back from training: which ones, and that they are.
 */
#include "learn/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/context.h"
#include "learn/split.h"

static void split_is_disjoint(void **state)
{
    (void)state;
    tiny t;
    tiny_open(&t, NULL, 1);
    uint32_t *train, *held, *again, *other;
    const int64_t total = 50, count = 12;
    assert_int_equal(pinion__split(t.ctx, 5, total, count, NULL, &train, &held), PINION_OK);
    int seen[50] = {0};
    for (int64_t i = 0; i < count; i++) {
        seen[held[i]]++;
        assert_true(i == 0 || held[i] > held[i - 1]);
    }
    for (int64_t i = 0; i < total - count; i++) {
        seen[train[i]]++;
        assert_true(i == 0 || train[i] > train[i - 1]);
    }
    for (int i = 0; i < total; i++)
        assert_int_equal(seen[i], 1);
    pinion__release(t.ctx, train);
    assert_int_equal(pinion__split(t.ctx, 5, total, count, NULL, &train, &again), PINION_OK);
    assert_memory_equal(held, again, (size_t)count * sizeof *held);
    pinion__release(t.ctx, train);
    assert_int_equal(pinion__split(t.ctx, 6, total, count, NULL, &train, &other), PINION_OK);
    assert_memory_not_equal(held, other, (size_t)count * sizeof *held);
    pinion__release(t.ctx, train);
    pinion__release(t.ctx, other);

    const int64_t given[3] = {49, 0, 7};
    const uint32_t sorted[3] = {0, 7, 49};
    assert_int_equal(pinion__split(t.ctx, 5, total, 3, given, &train, &other), PINION_OK);
    assert_memory_equal(other, sorted, sizeof sorted);
    pinion__release(t.ctx, train);
    pinion__release(t.ctx, held);
    pinion__release(t.ctx, again);
    pinion__release(t.ctx, other);
    tiny_close(&t);
}

/* Samples held back never reach training: with other pixels there, the weights are the same. */
static atomic_int poison;
static const int64_t held_back[4] = {3, 20, 21, 66};

static int read_poisoned(void *user, enum pinion_part part, int64_t index, unsigned char *pixels, int *label)
{
    pinion_dataset *inner = user;
    int status = pinion_dataset_read(inner, part, index, pixels, label);
    for (int i = 0; i < 4 && part == PINION_PART_TRAIN; i++)
        if (index == held_back[i] && atomic_load(&poison))
            memset(pixels, 255, TINY_SIDE * TINY_SIDE * 3);
    return status;
}

static void held_back_is_not_trained_on(void **state)
{
    (void)state;
    for (int run = 0; run < 2; run++) {
        tiny t;
        tiny_open(&t, NULL, 1);
        pinion_dataset_source source = {
            .info = pinion_dataset_get_info(t.dataset), .read = read_poisoned, .user = t.dataset};
        pinion_dataset *inner = t.dataset;
        assert_int_equal(pinion_dataset_create(t.ctx, &source, &t.dataset), PINION_OK);
        atomic_store(&poison, run);
        pinion_train_options options = tiny_options(tiny_path(run ? "B.safetensors" : "A.safetensors"));
        options.validation = 4;
        options.validation_indices = held_back;
        assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
        pinion_trainer_destroy(t.trainer);
        pinion_dataset_destroy(t.dataset);
        t.trainer = NULL;
        t.dataset = inner;
        tiny_close(&t);
    }
    tiny_assert_same(tiny_path("A.safetensors"), tiny_path("B.safetensors"));
}

static int begin(void **state)
{
    (void)state;
    tiny_folder();
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
        cmocka_unit_test(split_is_disjoint),
        cmocka_unit_test(held_back_is_not_trained_on),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
