/* SPDX-License-Identifier: Apache-2.0
 *
 * CLBlast's rows in networks whose convolutions and linear layers all run by them, beside the reference kernels; and
 * on a processor whose OpenCL is not the one that CLBlast is linked with, where no row applies. Skipped where there is
 * no device.
 */
#include "device/opencl.h"
#include "op/operands.h"
#include "run/devices.h"
#include "support/failing_opencl.h"

static const char *const rows[] = {"linear_forward_clblast",          "linear_backward_data_clblast",
                                   "linear_backward_weights_clblast", "conv2d_forward_clblast",
                                   "conv2d_backward_data_clblast",    "conv2d_backward_weights_clblast"};

/* An addend, biases with and without an activation behind them, a batch normalisation that wants statistics; sizes with
 * and without a rest in CLBlast's tiles, small and large. */
static const char text[] =
    "{\"name\": \"pointwise\", \"input\": [8, 8, 3], \"layers\": ["
    "{\"name\": \"a\", \"op\": \"conv2d\", \"input\": \"input\", \"channels\": 64, \"filter\": 1},"
    "{\"name\": \"ra\", \"op\": \"relu\", \"input\": \"a\"},"
    "{\"name\": \"b\", \"op\": \"conv2d\", \"input\": \"ra\", \"channels\": 128, \"filter\": 1, \"bias\": false},"
    "{\"name\": \"bn\", \"op\": \"batchnorm\", \"input\": \"b\"},"
    "{\"name\": \"rb\", \"op\": \"relu\", \"input\": \"bn\"},"
    "{\"name\": \"c\", \"op\": \"conv2d\", \"input\": \"rb\", \"channels\": 64, \"filter\": 1},"
    "{\"name\": \"sum\", \"op\": \"add\", \"inputs\": [\"c\", \"ra\"]},"
    "{\"name\": \"rc\", \"op\": \"relu6\", \"input\": \"sum\"},"
    "{\"name\": \"pool\", \"op\": \"global_avgpool\", \"input\": \"rc\"},"
    "{\"name\": \"fc1\", \"op\": \"linear\", \"input\": \"pool\", \"channels\": 150},"
    "{\"name\": \"r1\", \"op\": \"relu\", \"input\": \"fc1\"},"
    "{\"name\": \"fc2\", \"op\": \"linear\", \"input\": \"r1\", \"channels\": 10, \"bias\": false}]}";

static pinion_network *make_pointwise(uint64_t seed)
{
    pinion_network *network = NULL;
    assert_int_equal(pinion_network_parse(devices.ctx, text, sizeof text - 1, "the test", NULL, &network), PINION_OK);
    assert_int_equal(pinion_network_init_weights(network, seed), PINION_OK);
    return network;
}

static void expect_rows(const machine *m)
{
    for (size_t t = 0; t < m->plan->task_count; t++) {
        const pinion__kernel *kernel = m->plan->tasks[t].kernel;
        if (kernel && (kernel->op == PINION__OP_conv2d || kernel->op == PINION__OP_linear))
            assert_non_null(strstr(kernel->name, "_clblast"));
    }
}

static void test_networks(void **state)
{
    (void)state;
    turns all = {1, 1.0f};
    assert_int_equal(setenv("PINION_MASK", "opencl:conv2d_*[0-9],opencl:linear_*[!t]", 1), 0);
    for (uint64_t seed = 0; seed < 4; seed++) {
        pinion_plan_options options = training_options((const int[]){1, 5, 16, 64}[seed]);
        options.unfused = seed == 1;
        options.optimizer = seed == 2 ? PINION_ADAMW : PINION_SGD;
        machine m = make_on_devices(make_pointwise(seed), &options, &all, true);
        expect_rows(&m);
        end(&m);
        check_training(make_pointwise, seed, options, all, 1e-3);
    }
    assert_int_equal(unsetenv("PINION_MASK"), 0);
}

/* How many of the rows apply to a small product on the processor. */
static int count_applicable(pinion__processor *processor)
{
    float nothing;
    const pinion_conv2d conv = {.k = 8, .r = 1, .s = 1};
    const pinion__view view = {.data = &nothing, .n = 8, .h = 1, .w = 1, .c = 8, .ld = 8};
    pinion__args args = {.attributes = &conv, .processor = processor};
    int count = 0;
    for (int i = 0; i < 3; i++)
        args.operand[i] = view;
    args.operand[PINION__CONV_FORWARD_Y] = view;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const pinion__kernel *kernel = pinion__kernel_find(rows[i], PINION__PROCESSOR_OPENCL, PINION__ISA_BASELINE);
        assert_non_null(kernel);
        count += kernel->body->applicable(&args);
    }
    return count;
}

static void test_other_library(void **state)
{
    (void)state;
    pinion__opencl_api real, other;
    pinion__processor *processor = NULL;
    pinion_context *ctx = make_context();
    assert_int_equal(count_applicable(devices.list.at[1]), sizeof rows / sizeof rows[0]);
    assert_int_equal(pinion__opencl_api_load(ctx, &real), PINION_OK);
    failing_opencl(&real, -1, false, &other);
    assert_int_equal(pinion__opencl_use(ctx, &other), PINION_OK);
    assert_int_equal(pinion__processor_create_opencl(ctx, 0, 0, &processor), PINION_OK);
    assert_int_equal(count_applicable(processor), 0);
    pinion__processor_destroy(processor);
    pinion_context_destroy(ctx);
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
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_other_library),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pinion__processors_fini(&devices.list);
    pinion_context_destroy(devices.ctx);
    return failed;
}
