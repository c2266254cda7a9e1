/* SPDX-License-Identifier: Apache-2.0
 *
 * Mixed networks on an OpenCL that forgives nothing (tests/support/checked_opencl.h), as a device that shares the
 * host's memory and as one that does not. Skipped where there is no device.
 */
#include "device/opencl.h"
#include "run/devices.h"
#include "support/checked_opencl.h"

static void train_graphs(void)
{
    static const float shares[] = {0.5f, 1.0f, 0.2f, 0.8f};
    for (uint64_t seed = 0; seed < 8; seed++) {
        pinion_plan_options options = training_options(BATCH);
        options.clip = seed == 3;
        options.unfused = seed % 3 == 0;
        pinion_network *before = make_graph(seed);
        turns by = {seed, shares[seed % 4]};
        machine ref = make_on_ref(make_graph(seed), &options);
        machine mixed = make_on_devices(make_graph(seed), &options, &by, seed % 2 == 0);
        float expected[STEPS], found[STEPS];
        run_steps(&ref, expected);
        run_steps(&mixed, found);
        double apart = distance(mixed.network, ref.network, before);
        if (!(apart < 1e-3) || checked_opencl_errors())
            fail_msg("seed %d: weights %.3g apart; %s", (int)seed, apart, checked_opencl_sentence());
        end(&ref);
        end(&mixed);
        pinion_network_destroy(before);
    }
}

static void check_domain(bool discrete)
{
    pinion__opencl_api real, checked;
    devices.ctx = make_context();
    if (pinion__opencl_api_load(devices.ctx, &real) < 0)
        skip();
    checked_opencl_begin(&real, discrete, &checked);
    pinion__opencl_use(devices.ctx, &checked);
    bool found = find_devices();
    if (found) {
        pinion__domain *domain = devices.list.at[1]->domain;
        assert_int_equal(domain->copies, discrete);
        train_graphs();
        assert_int_equal(atomic_load(&domain->copied_bytes), checked_opencl_copied());
        assert_true(discrete == (checked_opencl_copied() > 0));
        pinion__processors_fini(&devices.list);
    }
    pinion_context_destroy(devices.ctx);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared), cmocka_unit_test(test_discrete)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
