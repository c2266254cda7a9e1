/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader's thread: failures come in their turn, waits are measured, batches stay while it works ahead, it can be
 * ended at any moment.
 */
#include "numbered.h"

#include <unistd.h>

static void test_failing_source(void **state)
{
    (void)state;
    reader.fail_at = 13;
    pinion__loader_options options = {.dataset = dataset, .batch = 5, .repeat = true};
    pinion__loader *loader = numbered_loader(&options);
    numbered_next(loader);
    numbered_next(loader);
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
    reader.fail_at = 5;
    pinion__loader_options options = {.dataset = dataset, .batch = 5};
    pinion__loader *loader = numbered_loader(&options);
    usleep(20000);
    assert_string_equal(pinion_context_error(ctx), "");
    numbered_next(loader);
    pinion__loader_destroy(loader);
}

static void test_wait_is_measured(void **state)
{
    (void)state;
    reader.sleep_us = 20000;
    pinion__loader_options options = {.dataset = dataset, .batch = 2, .repeat = true, .ahead = 2};
    pinion__loader *loader = numbered_loader(&options);
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
        pinion__loader *loader = numbered_loader(&options);
        for (int taken = 0; taken < i % 7; taken++)
            numbered_next(loader);
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
    pinion__loader *loader = numbered_loader(&options);
    for (int i = 0; i < 5; i++) {
        pinion__batch batch = numbered_next(loader);
        usleep(5000);
        assert_int_equal(batch.labels[0], i);
        assert_int_equal(byte_of(batch.images[0]), i);
    }
    pinion__loader_destroy(loader);
}

/* Two loaders of one data set: reads of a user's function do not overlap (the reader asserts it). */
static void test_two_loaders(void **state)
{
    (void)state;
    reader.sleep_us = 50;
    pinion__loader_options options = {.dataset = dataset, .batch = 4, .repeat = true, .shuffle = true};
    pinion__loader *first = numbered_loader(&options);
    options.part = PINION_PART_TEST;
    pinion__loader *second = numbered_loader(&options);
    for (int i = 0; i < 40; i++) {
        numbered_next(first);
        numbered_next(second);
    }
    pinion__loader_destroy(second);
    pinion__loader_destroy(first);
}

static void test_next_does_not_allocate(void **state)
{
    (void)state;
    pinion__loader_options options = {.dataset = dataset, .batch = 4, .repeat = true, .shuffle = true};
    pinion__loader *loader = numbered_loader(&options);
    size_t before = atomic_load(&ctx->allocations);
    for (int i = 0; i < 30; i++)
        numbered_next(loader);
    assert_int_equal(atomic_load(&ctx->allocations), before);
    pinion__loader_destroy(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_failing_source, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_failure_is_not_early, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_wait_is_measured, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_destroy, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_batch_stays, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_two_loaders, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_next_does_not_allocate, numbered_open, numbered_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
