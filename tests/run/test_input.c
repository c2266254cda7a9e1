/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches that the caller writes where the processors read them: the results of a batch that lies elsewhere, bit for
 * bit, and no byte copied where memory is shared; where it is not, what is handed over and nothing else. In training
 * and inference, with micro-batches, with a batch that is cut, and with samples whose size is no multiple of what
 * devices can address.
 */
#include "run/inputs.h"
#include "run/state.h"

static int64_t copied(const machine *m)
{
    return pinion_runner_get_info(m->runner).copied_bytes;
}

/* Bytes that a step on other memory than a slot's copies within the host. Those that it hands over are fewer by what
 * lies in front of the micro-batches of a slot. */
static int64_t count_given(const machine *m)
{
    int64_t bytes = 0;
    for (int i = 0; i < m->runner->given_count; i++) {
        const pinion__storage *of = &m->plan->storages[m->runner->given[i]];
        if (m->plan->options.mode == PINION_TRAIN || of->place == PINION__PLACE_BATCH)
            bytes += (int64_t)of->bytes * m->plan->micro_batches;
    }
    return bytes;
}

static int64_t count_shifts(const machine *m, const pinion__input *slot)
{
    int64_t bytes = 0;
    for (int i = 0; i < m->runner->given_count * m->plan->micro_batches; i++)
        bytes += (int64_t)slot->pieces[i].shift;
    return bytes;
}

static void check_copied(const machine *elsewhere, const machine *slots, int slot, const kind *of)
{
    int64_t expected = of->copies ? copied(elsewhere) - count_given(elsewhere) : 0;
    if (of->copies)
        expected += count_shifts(slots, &slots->runner->slots[slot]);
    if (copied(slots) != expected)
        fail_msg("seed %d: %d bytes are copied; expected %d", (int)of->seed, (int)copied(slots), (int)expected);
    if (!of->copies)
        assert_int_equal(copied(elsewhere), count_given(elsewhere));
}

/* Each step on another slot, then one on other memory, and on slots again. */
static void check_training(pinion_context *ctx, uint64_t seed, int64_t max_delay_ns, int *given)
{
    kind of = draw_kind(seed, PINION_TRAIN);
    pinion__domain *domain = NULL;
    deal by[2];
    assert_int_equal(pinion__domain_create_simulated(ctx, of.copies, &domain), PINION_OK);
    machine elsewhere = make_kind(ctx, &of, domain, &by[0], max_delay_ns);
    machine slots = make_kind(ctx, &of, domain, &by[1], max_delay_ns);
    float images[MOST_ELEMENTS], *slot_images = NULL;
    int32_t labels[SAMPLES], *slot_labels = NULL;
    for (uint64_t number = 0; number < 6; number++) {
        int slot = number == 3 ? -1 : (int)(number % 2);
        make_batch(elsewhere.network, 10 * seed + number, SAMPLES, images, labels);
        if (slot >= 0) {
            get_slot(&slots, slot, &slot_images, &slot_labels);
            make_batch(slots.network, 10 * seed + number, SAMPLES, slot_images, slot_labels);
        }
        float expected = train_on(&elsewhere, images, labels, number);
        float found =
            slot < 0 ? train_on(&slots, images, labels, number) : train_on(&slots, slot_images, slot_labels, number);
        if (expected != found)
            fail_msg("seed %d, step %d: loss %.9g; expected %.9g", (int)seed, (int)number, (double)found,
                     (double)expected);
        if (slot >= 0)
            check_copied(&elsewhere, &slots, slot, &of);
    }
    expect_same_results(&elsewhere, &slots);
    *given += slots.runner->given_count > 0;
    end(&elsewhere);
    end(&slots);
    pinion__domain_destroy_simulated(domain);
}

static void test_training(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int given = 0;
    for (uint64_t seed = 0; seed < seeds(240); seed++)
        check_training(ctx, seed, seed % 4 == 3 ? 20000 : 0, &given);
    assert_true(given > (int)seeds(150));
    pinion_context_destroy(ctx);
}

/* Batches that are shorter, too. */
static void check_inference(pinion_context *ctx, uint64_t seed)
{
    kind of = draw_kind(seed, PINION_INFER);
    pinion__domain *domain = NULL;
    deal by[2];
    assert_int_equal(pinion__domain_create_simulated(ctx, of.copies, &domain), PINION_OK);
    machine elsewhere = make_kind(ctx, &of, domain, &by[0], 0), slots = make_kind(ctx, &of, domain, &by[1], 0);
    float images[MOST_ELEMENTS], expected[SAMPLES * CLASSES], found[SAMPLES * CLASSES], *slot_images = NULL;
    int32_t labels[SAMPLES];
    const size_t sample = pinion__runner_part_bytes(slots.plan) / (size_t)slots.plan->samples;
    for (int count = SAMPLES; count > 0; count -= 3) {
        make_batch(elsewhere.network, seed + (uint64_t)count, SAMPLES, images, labels);
        get_slot(&slots, count % 2, &slot_images, NULL);
        memset(slot_images, 0xff, sample * SAMPLES);
        memcpy(slot_images, images, sample * (size_t)count);
        assert_int_equal(pinion_runner_infer(elsewhere.runner, images, count, expected), PINION_OK);
        if (pinion_runner_infer(slots.runner, slot_images, count, found) < 0)
            fail_msg("%s", pinion_context_error(ctx));
        assert_memory_equal(expected, found, sizeof(float) * CLASSES * (size_t)count);
        assert_memory_equal(slot_images, images, sample * (size_t)count);
        const size_t end = (size_t)((count + slots.plan->samples - 1) / slots.plan->samples * slots.plan->samples);
        for (size_t i = sample * (size_t)count; i < sample * end; i++)
            assert_int_equal(((unsigned char *)slot_images)[i], 0);
        if (count == SAMPLES)
            check_copied(&elsewhere, &slots, 0, &of);
        else if (!of.copies)
            assert_int_equal(copied(&slots), 0);
    }
    end(&elsewhere);
    end(&slots);
    pinion__domain_destroy_simulated(domain);
}

static void test_inference(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(120); seed++)
        check_inference(ctx, seed);
    pinion_context_destroy(ctx);
}

/* Labels elsewhere than the images are copied. */
static void test_labels_elsewhere(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__domain *domain = NULL;
    kind of = {.seed = 5, .mode = PINION_TRAIN, .parts = 1};
    deal by[2];
    assert_int_equal(pinion__domain_create_simulated(ctx, false, &domain), PINION_OK);
    machine elsewhere = make_kind(ctx, &of, domain, &by[0], 0), slots = make_kind(ctx, &of, domain, &by[1], 0);
    float images[MOST_ELEMENTS], *slot_images = NULL;
    int32_t labels[SAMPLES];
    make_batch(elsewhere.network, 1, SAMPLES, images, labels);
    get_slot(&slots, 7, &slot_images, NULL);
    memcpy(slot_images, images, pinion__runner_part_bytes(slots.plan));
    assert_true(train_on(&elsewhere, images, labels, 0) == train_on(&slots, slot_images, labels, 0));
    assert_int_equal(copied(&slots), sizeof labels);
    expect_same_results(&elsewhere, &slots);
    end(&elsewhere);
    end(&slots);
    pinion__domain_destroy_simulated(domain);
    pinion_context_destroy(ctx);
}

/* On the host alone a slot is memory like any other. */
static void test_host(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    machine elsewhere = {.ctx = ctx, .network = make_odd(ctx), .processors = {make_ref(ctx)}, .processor_count = 1};
    machine slots = {.ctx = ctx, .network = make_odd(ctx), .processors = {make_ref(ctx)}, .processor_count = 1};
    pinion_plan_options options = training_options(BATCH);
    start(&elsewhere, &options, NULL);
    start(&slots, &options, NULL);
    float *images = NULL;
    int32_t *labels = NULL;
    for (uint64_t number = 0; number < 3; number++) {
        get_slot(&slots, (int)number, &images, &labels);
        make_batch(slots.network, number, BATCH, images, labels);
        make_batch(slots.network, number, BATCH, elsewhere.images, elsewhere.labels);
        assert_true(train_on(&slots, images, labels, number) ==
                    train_on(&elsewhere, elsewhere.images, elsewhere.labels, number));
        assert_int_equal(copied(&slots), 0);
    }
    expect_same_results(&elsewhere, &slots);
    end(&elsewhere);
    end(&slots);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_inference),
        cmocka_unit_test(test_labels_elsewhere),
        cmocka_unit_test(test_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
