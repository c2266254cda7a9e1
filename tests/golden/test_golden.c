/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole networks against PyTorch's float64: one step's loss, gradients, weights, running statistics and logits, then
 * ten steps.
 */
#include "golden/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

enum { STEPS = 10 };

static const double run_factor = 3;

static void check_logits(golden *g)
{
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = g->batch;
    pinion_plan *plan = NULL;
    pinion_runner *runner = NULL;
    assert_int_equal(pinion_plan_create(g->network, &options, &plan), PINION_OK);
    assert_int_equal(pinion_runner_create(plan, &runner), PINION_OK);
    golden_check_logits(g, runner);
    pinion_runner_destroy(runner);
    pinion_plan_destroy(plan);
}

static void check_model(const char *model)
{
    golden g;
    pinion_context *ctx;
    assert_int_equal(pinion_context_create(NULL, &ctx), PINION_OK);
    golden_open(&g, ctx, model);
    golden_fill_weights(&g);
    const pinion_plan_options options = golden_options(&g);
    if (pinion_plan_create(g.network, &options, &g.plan) < 0 || pinion_runner_create(g.plan, &g.runner) < 0)
        fail_msg("%s", pinion_context_error(ctx));

    const json_t *losses = json_object_get(json_object_get(g.root, "run"), "losses");
    golden_worst run = {.kind = "distance over PyTorch float32's"}, all = {.kind = "loss"};
    for (int step = 0; step < STEPS; step++) {
        char name[32];
        snprintf(name, sizeof name, "step %d", step + 1);
        const float loss = golden_step(&g, step);
        golden_note(&all, fabs((double)loss / golden_element(losses, (size_t)step) - 1), name);
        if (step == 0) {
            golden_check_tensors(&g);
            check_logits(&g);
            golden_check_loss(&g, loss);
        }
        golden_note(&run, golden_compare_run(&g, step), name);
    }
    golden_check(&run, run_factor);
    print_message("  loss in ten steps: %.3g\n", all.error);
    golden_close(&g);
    pinion_context_destroy(ctx);
}

static void test_resnet18(void **state)
{
    (void)state;
    check_model("resnet18-cifar");
}

static void test_mobilenetv2(void **state)
{
    (void)state;
    check_model("mobilenetv2-cifar");
}

static void test_alexnet(void **state)
{
    (void)state;
    check_model("alexnet-cifar");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnet18),
        cmocka_unit_test(test_mobilenetv2),
        cmocka_unit_test(test_alexnet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
