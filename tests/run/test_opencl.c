/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks on an OpenCL device, alone and mixed with the host: what the reference kernels give up to rounding, the same
 * bits at each run, and no byte copied where memory is shared. Skipped where there is no device.
 */
#include "run/devices.h"

static void test_random_graphs(void **state)
{
    (void)state;
    static const float shares[] = {1.0f, 0.5f, 0.8f, 0.2f};
    for (uint64_t seed = 0; seed < 24; seed++) {
        pinion_plan_options options = training_options(BATCH);
        options.clip = seed % 5 == 0;
        options.unfused = seed % 3 == 0;
        check_training(make_graph, seed, options, (turns){seed, shares[seed % 4]}, 1e-3);
    }
}

/* As near to the reference as the host alone comes, about. */
static void test_resnet(void **state)
{
    (void)state;
    pinion_plan_options options = training_options(2);
    answer a = find_answer(make_resnet, 1, &options);
    machine host = make_on_devices(make_resnet(1), &options, &(turns){1, 0.0f}, true);
    float losses[STEPS];
    run_steps(&host, losses);
    double apart = distance(host.network, a.ref.network, a.before);
    print_message("the host alone: %.3g apart\n", apart);
    end(&host);
    check_turns(&a, (turns){1, 0.5f}, 3 * apart);
    check_turns(&a, (turns){1, 1.0f}, 3 * apart);
    end_answer(&a);
}

static void test_inference(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        pinion_plan_options options = pinion_plan_options_default();
        options.batch = BATCH;
        turns by = {seed, seed % 3 == 0 ? 1.0f : 0.5f};
        pinion_network *network = make_graph(seed);
        machine ref = make_on_ref(network, &options), mixed = make_on_devices(network, &options, &by, seed % 2 == 0);
        float expected[BATCH * CLASSES], found[BATCH * CLASSES], images[BATCH * SAMPLE];
        int32_t labels[BATCH];
        for (uint64_t number = 0; number < 2; number++) {
            make_batch(network, number, BATCH, images, labels);
            assert_int_equal(pinion_runner_infer(ref.runner, images, BATCH, expected), PINION_OK);
            if (pinion_runner_infer(mixed.runner, images, BATCH, found) < 0)
                fail_msg("%s", pinion_context_error(devices.ctx));
            for (int i = 0; i < BATCH * CLASSES; i++)
                if (!(fabsf(expected[i] - found[i]) < 1e-4f * (1 + fabsf(expected[i]))))
                    fail_msg("seed %d: logit %d is %g; expected %g", (int)seed, i, (double)found[i],
                             (double)expected[i]);
            assert_int_equal(pinion_network_init_weights(network, seed + 100), PINION_OK);
        }
        ref.network = NULL;
        end(&ref);
        end(&mixed);
    }
}

int main(void)
{
    devices.ctx = make_context();
    if (!find_devices()) {
        print_message("skipped: %s\n", pinion_context_error(devices.ctx));
        pinion_context_destroy(devices.ctx);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_inference),
        cmocka_unit_test(test_resnet),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pinion__processors_fini(&devices.list);
    pinion_context_destroy(devices.ctx);
    return failed;
}
