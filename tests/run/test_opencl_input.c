/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches that the caller writes into the memory of an OpenCL device: the bits of a batch that lies elsewhere, no byte
 * copied where memory is shared, the tensors and nothing else where it is not; on the system's OpenCL and on one that
 * forgives nothing (tests/support/checked_opencl.h). Skipped where there is no device.
 */
#include "device/opencl.h"
#include "run/devices.h"
#include "run/inputs.h"
#include "support/checked_opencl.h"

enum { VARIANTS = 3, STEPS_OF_INPUT = 3 };

/* The batch as a whole, in micro-batches, and cut between device and host. */
static machine make_variant(uint64_t seed, int variant, enum pinion_mode mode, turns by)
{
    machine m = {.ctx = devices.ctx, .network = seed % 2 ? make_odd(devices.ctx) : make_graph(seed)};
    pinion_plan_options options = mode == PINION_TRAIN ? training_options(BATCH) : pinion_plan_options_default();
    options.batch = BATCH;
    pinion__plan_tuning tuning = {.processor_of = take_turns, .user = &by};
    tuning.micro_batches = variant == 1 ? BATCH : 0;
    if (variant == 2)
        tuning.cut =
            (pinion__cut){.count = 2, .n = {1, BATCH - 1}, .processor = {seed / 2 % 2 == 0, seed / 2 % 2 != 0}};
    if (pinion__plan_create_tuned(m.network, &options, &tuning, devices.list.at, 2, &m.plan) < 0 ||
        pinion_runner_create(m.plan, &m.runner) < 0)
        fail_msg("%s", pinion_context_error(m.ctx));
    return m;
}

static int run_one(const machine *m, const float *images, const int32_t *labels, uint64_t number, float *result)
{
    pinion_runner_step_options options = step_options(m, number);
    return m->plan->options.mode == PINION_TRAIN ? pinion_runner_train(m->runner, images, labels, &options, result)
                                                 : pinion_runner_infer(m->runner, images, BATCH, result);
}

static void check_variant(uint64_t seed, int variant, enum pinion_mode mode, float share)
{
    const turns by = {seed, share};
    machine elsewhere = make_variant(seed, variant, mode, by), slots = make_variant(seed, variant, mode, by);
    const bool copies = slots.plan->domain && slots.plan->domain->copies;
    for (uint64_t number = 0; number < STEPS_OF_INPUT; number++) {
        float images[BATCH * SAMPLE], *slot_images = NULL;
        float expected[BATCH * CLASSES] = {0}, found[BATCH * CLASSES] = {0};
        int32_t labels[BATCH], *slot_labels = NULL;
        make_batch(slots.network, number, BATCH, images, labels);
        if (pinion_runner_input(slots.runner, (int)(number % 2), &slot_images, &slot_labels) < 0)
            fail_msg("%s", pinion_context_error(devices.ctx));
        make_batch(slots.network, number, BATCH, slot_images, slot_labels);
        if (run_one(&elsewhere, images, labels, number, expected) < 0 ||
            run_one(&slots, slot_images, slot_labels, number, found) < 0)
            fail_msg("seed %d, variant %d: %s", (int)seed, variant, pinion_context_error(devices.ctx));
        if (memcmp(expected, found, sizeof found) != 0)
            fail_msg("seed %d, variant %d, step %d: other results", (int)seed, variant, (int)number);
        if (!copies)
            assert_int_equal(pinion_runner_get_info(slots.runner).copied_bytes, 0);
    }
    settle(&elsewhere);
    settle(&slots);
    for (int p = 0; p < (int)slots.network->param_count; p++)
        if (memcmp(pinion__param_data(elsewhere.network, p), pinion__param_data(slots.network, p),
                   slots.network->params[p].bytes) != 0)
            fail_msg("seed %d, variant %d, mode %d: another %s", (int)seed, variant, (int)mode,
                     slots.network->params[p].name);
    end(&elsewhere);
    end(&slots);
}

static void check_all(uint64_t seeds)
{
    static const float shares[] = {1.0f, 0.5f, 0.2f};
    for (uint64_t seed = 0; seed < seeds; seed++)
        for (int variant = 0; variant < VARIANTS; variant++) {
            check_variant(seed, variant, PINION_TRAIN, shares[(seed / 2 + (uint64_t)variant) % 3]);
            check_variant(seed, variant, PINION_INFER, shares[(seed / 2 + (uint64_t)variant) % 3]);
        }
}

/* A device alone fetches the images and gives back the logits. */
static void check_tensors(bool copies)
{
    machine m = make_variant(1, 0, PINION_INFER, (turns){1, 1.0f});
    float *images = NULL, logits[BATCH * CLASSES];
    int32_t labels[BATCH];
    assert_int_equal(pinion_runner_input(m.runner, 0, &images, NULL), PINION_OK);
    for (uint64_t number = 0; number < 2; number++) {
        make_batch(m.network, number, BATCH, images, labels);
        assert_int_equal(pinion_runner_infer(m.runner, images, BATCH, logits), PINION_OK);
    }
    const int64_t tensors = BATCH * 5 * 3 * 3 * (int64_t)sizeof(float) + (int64_t)sizeof logits;
    assert_int_equal(pinion_runner_get_info(m.runner).copied_bytes, copies ? tensors : 0);
    end(&m);
}

/* In a runner's first step nothing is mapped anew under the hands of the host's tasks. */
static void check_first_steps(void)
{
    for (uint64_t i = 0; i < seeds(60); i++)
        check_variant(3, 0, PINION_TRAIN, 0.5f);
}

static bool open_devices(void)
{
    bool found = find_devices();
    if (!found)
        print_message("skipped: %s\n", pinion_context_error(devices.ctx));
    return found;
}

static void close_devices(void)
{
    pinion__processors_fini(&devices.list);
    pinion_context_destroy(devices.ctx);
}

static void test_system(void **state)
{
    (void)state;
    devices.ctx = make_context();
    bool found = open_devices();
    if (found && !devices.list.at[1]->domain->copies) {
        check_all(6);
        check_tensors(false);
    }
    close_devices();
    if (!found)
        skip();
}

static void check_domain(bool discrete)
{
    pinion__opencl_api real, checked;
    devices.ctx = make_context();
    if (pinion__opencl_api_load(devices.ctx, &real) < 0)
        skip();
    checked_opencl_begin(&real, discrete, &checked);
    pinion__opencl_use(devices.ctx, &checked);
    bool found = open_devices();
    if (found) {
        pinion__domain *domain = devices.list.at[1]->domain;
        assert_int_equal(domain->copies, discrete);
        check_all(6);
        check_tensors(discrete);
        if (!discrete)
            check_first_steps();
        assert_int_equal(atomic_load(&domain->copied_bytes), checked_opencl_copied());
        assert_true(discrete == (checked_opencl_copied() > 0));
        if (checked_opencl_errors())
            fail_msg("%s", checked_opencl_sentence());
    }
    close_devices();
    assert_int_equal(checked_opencl_end(), 0);
    if (!found)
        skip();
}

static void test_shared(void **state)
{
    (void)state;
    check_domain(false);
}

static void test_discrete(void **state)
{
    (void)state;
    check_domain(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_discrete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
