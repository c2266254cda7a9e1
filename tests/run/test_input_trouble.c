/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a runner for batches, where something is not as it should be: wrong arguments, a batch that is not finite,
 * allocations that fail; and while another thread writes the next batch.
 */
#include "run/inputs.h"

static void test_arguments(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_plan_options options = training_options(BATCH);
    machine m = make_chain_machine(ctx, &options, 1);
    float *images = NULL, *all[PINION_INPUT_SLOTS];
    int32_t *labels = NULL;
    assert_int_equal(pinion_runner_input(NULL, 0, &images, &labels), PINION_EINVAL);
    assert_int_equal(pinion_runner_input(m.runner, 0, NULL, &labels), PINION_EINVAL);
    for (int slot = -1; slot <= PINION_INPUT_SLOTS; slot += PINION_INPUT_SLOTS + 1) {
        assert_int_equal(pinion_runner_input(m.runner, slot, &images, &labels), PINION_EINVAL);
        assert_non_null(strstr(pinion_context_error(ctx), "expected 0 to 7"));
    }
    assert_null(images);
    assert_null(labels);
    for (int slot = 0; slot < PINION_INPUT_SLOTS; slot++) {
        get_slot(&m, slot, &all[slot], &labels);
        assert_int_equal((uintptr_t)all[slot] % 64, 0);
        memset(all[slot], slot, sizeof m.images);
        memset(labels, slot, sizeof m.labels);
    }
    for (int slot = 0; slot < PINION_INPUT_SLOTS; slot++) {
        get_slot(&m, slot, &images, NULL);
        assert_ptr_equal(images, all[slot]);
        for (size_t i = 0; i < sizeof m.images; i++)
            assert_int_equal(((unsigned char *)images)[i], slot);
    }
    end(&m);
    pinion_context_destroy(ctx);
}

/* A batch with a value that is not finite: the same sentence, and the next step is as good. */
static void test_not_finite(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(60); seed++) {
        kind of = draw_kind(seed, PINION_TRAIN);
        pinion__domain *domain = NULL;
        deal by[2];
        assert_int_equal(pinion__domain_create_simulated(ctx, of.copies, &domain), PINION_OK);
        machine elsewhere = make_kind(ctx, &of, domain, &by[0], 0), slots = make_kind(ctx, &of, domain, &by[1], 0);
        float images[MOST_ELEMENTS], *slot_images = NULL, loss;
        int32_t labels[SAMPLES], *slot_labels = NULL;
        get_slot(&slots, 0, &slot_images, &slot_labels);
        for (uint64_t number = 0; number < 3; number++) {
            const pinion_runner_step_options options = step_options(&slots, number);
            char sentence[1024] = "";
            make_batch(slots.network, number, SAMPLES, images, labels);
            make_batch(slots.network, number, SAMPLES, slot_images, slot_labels);
            if (number == 1)
                images[7] = slot_images[7] = NAN;
            int expected = pinion_runner_train(elsewhere.runner, images, labels, &options, &loss);
            snprintf(sentence, sizeof sentence, "%s", pinion_context_error(ctx));
            assert_int_equal(pinion_runner_train(slots.runner, slot_images, slot_labels, &options, &loss), expected);
            if (expected < 0)
                assert_string_equal(pinion_context_error(ctx), sentence);
        }
        expect_same_results(&elsewhere, &slots);
        end(&elsewhere);
        end(&slots);
        pinion__domain_destroy_simulated(domain);
    }
    pinion_context_destroy(ctx);
}

/* ---- a thread that writes the next batch while a step runs ---- */

typedef struct writer {
    const machine *m;
    float *images;
    int32_t *labels;
    uint64_t number;
} writer;

static void *write_batch(void *argument)
{
    const writer *of = argument;
    make_batch(of->m->network, of->number, SAMPLES, of->images, of->labels);
    return NULL;
}

static void test_writing_meanwhile(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(36); seed++) {
        kind of = draw_kind(seed, PINION_TRAIN);
        pinion__domain *domain = NULL;
        deal by[2];
        assert_int_equal(pinion__domain_create_simulated(ctx, of.copies, &domain), PINION_OK);
        machine elsewhere = make_kind(ctx, &of, domain, &by[0], 0), slots = make_kind(ctx, &of, domain, &by[1], 20000);
        float images[MOST_ELEMENTS];
        int32_t labels[SAMPLES];
        writer writers[2] = {{.m = &slots}, {.m = &slots}};
        for (int i = 0; i < 2; i++)
            get_slot(&slots, i, &writers[i].images, &writers[i].labels);
        write_batch(&writers[0]);
        for (uint64_t number = 0; number < 6; number++) {
            writer *now = &writers[number % 2], *next = &writers[(number + 1) % 2];
            pthread_t thread;
            next->number = number + 1;
            assert_int_equal(pthread_create(&thread, NULL, write_batch, next), 0);
            float found = train_on(&slots, now->images, now->labels, number);
            assert_int_equal(pthread_join(thread, NULL), 0);
            make_batch(elsewhere.network, number, SAMPLES, images, labels);
            assert_true(found == train_on(&elsewhere, images, labels, number));
        }
        expect_same_results(&elsewhere, &slots);
        end(&elsewhere);
        end(&slots);
        pinion__domain_destroy_simulated(domain);
    }
    pinion_context_destroy(ctx);
}

/* ---- allocations that fail ---- */

static int64_t allowed = INT64_MAX;

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    return allowed-- > 0 ? aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment) : NULL;
}

static void release(void *user, void *pointer)
{
    (void)user;
    free(pointer);
}

/* Each in turn; the runner is as good afterwards. */
static void test_out_of_memory(void **state)
{
    (void)state;
    pinion_context *ctx = NULL;
    pinion__domain *domain = NULL;
    kind of = {.seed = 5, .mode = PINION_TRAIN, .parts = 2};
    deal by;
    pinion_context_options options = pinion_context_options_default();
    options.alloc = allocate;
    options.release = release;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    assert_int_equal(pinion__domain_create_simulated(ctx, false, &domain), PINION_OK);
    machine m = make_kind(ctx, &of, domain, &by, 0);
    float *images = NULL;
    int32_t *labels = NULL;
    int status = PINION_ENOMEM, failures = 0;
    for (; status < 0; failures++) {
        allowed = failures;
        status = pinion_runner_input(m.runner, 0, &images, &labels);
        allowed = INT64_MAX;
        assert_true(status == PINION_OK || (status == PINION_ENOMEM && !images && !labels));
    }
    assert_true(failures > 3);
    make_batch(m.network, 1, SAMPLES, images, labels);
    assert_true(isfinite(train_on(&m, images, labels, 0)));
    end(&m);
    pinion__domain_destroy_simulated(domain);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_writing_meanwhile),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
