/* SPDX-License-Identifier: Apache-2.0
 *
 * Widths on an OpenCL device, alone and mixed with the host: what the reference kernels give up to rounding, the same
 * bits however a width is reached, and memory that stays the device's. Skipped where there is no device.
 */
#include "run/devices.h"
#include "run/widths.h"

static float images[MOST_BATCH * IMAGE];

/* By width. */
typedef struct results {
    float at[GROUPS][MOST_BATCH * ANSWERS];
    int seen;
} results;

static void take_answer(void *user, int width, const float *logits)
{
    results *of = user;
    memcpy(of->at[width - 1], logits, sizeof of->at[width - 1]);
    of->seen = width;
}

static void infer_width(const machine *m, int width, float *logits)
{
    if (pinion_runner_set_width(m->runner, width) < 0 || pinion_runner_infer(m->runner, images, MOST_BATCH, logits) < 0)
        fail_msg("width %d: %s", width, pinion_context_error(m->ctx));
}

static void expect_near(const float *found, const float *expected, int width)
{
    for (int i = 0; i < MOST_BATCH * ANSWERS; i++)
        if (!(fabsf(expected[i] - found[i]) < 1e-4f * (1 + fabsf(expected[i]))))
            fail_msg("width %d: logit %d is %g; expected %g", width, i, (double)found[i], (double)expected[i]);
}

static void check_machine(machine *m, const machine *ref)
{
    static const int order[] = {2, 4, 1, 3, 4, 1, 2};
    const pinion_anytime_options options = {.answer = take_answer, .user = &(results){.seen = 0}};
    results *all = options.user;
    float found[MOST_BATCH * ANSWERS], expected[MOST_BATCH * ANSWERS];
    if (pinion_runner_infer_anytime(m->runner, images, MOST_BATCH, &options, found, NULL) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
    assert_int_equal(all->seen, GROUPS);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        infer_width(m, order[i], found);
        assert_memory_equal(found, all->at[order[i] - 1], sizeof found);
        infer_width(ref, order[i], expected);
        expect_near(found, expected, order[i]);
    }
    pinion_residence residence = {.bytes = 1};
    assert_int_equal(pinion_runner_release(m->runner, 2, &residence), PINION_OK);
    assert_int_equal(residence.bytes, 0);
    assert_int_equal(pinion_runner_set_width(m->runner, 3), PINION_EINVAL);
    infer_width(m, 2, found);
    assert_memory_equal(found, all->at[1], sizeof found);
    assert_int_equal(pinion_runner_restore(m->runner, GROUPS, &residence), PINION_OK);
    infer_width(m, GROUPS, found);
    assert_memory_equal(found, all->at[GROUPS - 1], sizeof found);
}

static void check(enum pinion_connect connect, turns by, bool serial)
{
    const pinion_plan_options options = infer_options(MOST_BATCH, 0);
    pinion_network *network = make_cut(devices.ctx, GROUPS, connect);
    machine ref = make_on_ref(network, &options);
    machine mixed = make_on_devices(network, &options, &by, serial);
    check_machine(&mixed, &ref);
    ref.network = NULL;
    end(&ref);
    end(&mixed);
}

static void test_towers(void **state)
{
    (void)state;
    check(PINION_TOWERS, (turns){1, 1.0f}, true);
    for (uint64_t seed = 0; seed < 6; seed++)
        check(PINION_TOWERS, (turns){seed, 0.5f}, seed % 2 == 0);
}

static void test_nested(void **state)
{
    (void)state;
    check(PINION_NESTED, (turns){1, 1.0f}, true);
    for (uint64_t seed = 0; seed < 6; seed++)
        check(PINION_NESTED, (turns){seed, 0.5f}, seed % 2 == 0);
}

int main(void)
{
    devices.ctx = make_context();
    if (!find_devices()) {
        print_message("skipped: %s\n", pinion_context_error(devices.ctx));
        pinion_context_destroy(devices.ctx);
        return 77;
    }
    pinion__random_normal(1, DRAWS_DATA, 0, MOST_BATCH * IMAGE, images);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_towers),
        cmocka_unit_test(test_nested),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pinion__processors_fini(&devices.list);
    pinion_context_destroy(devices.ctx);
    return failed;
}
