/* SPDX-License-Identifier: Apache-2.0
 *
 * A loader that prepares batches in memory that it is given: the batches of one with memory of its own, in the slots by
 * turns, and nothing written but those that wait.
 */
#include "numbered.h"

#include <string.h>
#include <unistd.h>

enum { BATCH = 4, SLOTS = 3, ELEMENTS = BATCH * PIXELS, GUARD = 16 };

typedef struct room {
    _Alignas(64) float images[ELEMENTS + GUARD];
    int32_t labels[BATCH + GUARD];
} room;

static room rooms[SLOTS];
static pinion__loader_slot slots[SLOTS];

static void clear_rooms(void)
{
    for (int i = 0; i < SLOTS; i++) {
        memset(&rooms[i], 0xee, sizeof rooms[i]);
        slots[i] = (pinion__loader_slot){rooms[i].images, rooms[i].labels};
    }
}

static void check_guards(void)
{
    unsigned char expected[GUARD * sizeof(float)];
    memset(expected, 0xee, sizeof expected);
    for (int i = 0; i < SLOTS; i++) {
        assert_memory_equal(rooms[i].images + ELEMENTS, expected, sizeof expected);
        assert_memory_equal(rooms[i].labels + BATCH, expected, GUARD * sizeof(int32_t));
    }
}

static pinion__loader_options training(int64_t first_batch)
{
    return (pinion__loader_options){.dataset = dataset,
                                    .part = PINION_PART_TRAIN,
                                    .batch = BATCH,
                                    .shuffle = true,
                                    .augment = PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP,
                                    .seed = 7,
                                    .first_batch = first_batch,
                                    .repeat = true,
                                    .ahead = SLOTS - 1};
}

static void test_same_batches(void **state)
{
    (void)state;
    clear_rooms();
    pinion__loader_options own = training(1), given = training(1);
    given.slots = slots;
    pinion__loader *expected = numbered_loader(&own), *found = numbered_loader(&given);
    memset(slots, 0, sizeof slots); /* the list is copied */
    for (int i = 0; i < 20; i++) {
        pinion__batch a = numbered_next(expected), b = numbered_next(found);
        assert_ptr_equal(b.images, rooms[i % SLOTS].images);
        assert_ptr_equal(b.labels, rooms[i % SLOTS].labels);
        assert_int_equal(a.count, b.count);
        assert_int_equal(a.epoch, b.epoch);
        assert_int_equal(a.index, b.index);
        assert_memory_equal(a.images, b.images, sizeof(float) * ELEMENTS);
        assert_memory_equal(a.labels, b.labels, sizeof(int32_t) * BATCH);
    }
    pinion__loader_destroy(expected);
    pinion__loader_destroy(found);
    check_guards();
}

/* The last batch of an epoch comes short; its rest is zeros, whatever the memory held. */
static void test_short_batch(void **state)
{
    (void)state;
    clear_rooms();
    pinion__loader_options options = {
        .dataset = dataset, .part = PINION_PART_TRAIN, .batch = BATCH, .ahead = SLOTS - 1, .slots = slots};
    pinion__loader *loader = numbered_loader(&options);
    pinion__batch batch;
    while ((batch = numbered_next(loader)).count == BATCH)
        ;
    assert_int_equal(batch.count, COUNT % BATCH);
    for (int i = batch.count * PIXELS; i < ELEMENTS; i++)
        assert_true(batch.images[i] == 0.0f);
    for (int i = batch.count; i < BATCH; i++)
        assert_int_equal(batch.labels[i], 0);
    assert_int_equal(numbered_next(loader).count, 0);
    pinion__loader_destroy(loader);
    check_guards();
}

/* While the caller has a batch, the thread fills the others, and leaves that one alone; after the end, all. */
static void test_leaves_the_callers(void **state)
{
    (void)state;
    static room before[SLOTS];
    clear_rooms();
    pinion__loader_options options = training(0);
    options.slots = slots;
    pinion__loader *loader = numbered_loader(&options);
    for (int i = 0; i < 5; i++) {
        pinion__batch batch = numbered_next(loader);
        before[0] = rooms[i % SLOTS];
        usleep(20000); /* the others are ready long before */
        assert_memory_equal(&before[0], &rooms[i % SLOTS], sizeof *before);
        memset((void *)(uintptr_t)batch.images, 0x11, sizeof(float)); /* a device may do what it wants there */
    }
    pinion__loader_destroy(loader);
    memcpy(before, rooms, sizeof rooms);
    usleep(20000);
    assert_memory_equal(before, rooms, sizeof rooms);
    check_guards();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_batches, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_short_batch, numbered_open, numbered_close),
        cmocka_unit_test_setup_teardown(test_leaves_the_callers, numbered_open, numbered_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
