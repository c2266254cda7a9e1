/* SPDX-License-Identifier: Apache-2.0
 *
 * The prologue of inference plans: what was folded and prepared from weights follows them when they change, whoever
 * changes them, and is left alone when they do not.
 */
#include "run/machine.h"

enum { OUTPUTS = BATCH * CLASSES };

static void infer(const machine *m, float *logits)
{
    if (pinion_runner_infer(m->runner, m->images, BATCH, logits) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
}

/* A second plan of the network of `m`, on `processors` simulated processors that delay at random. */
static machine beside(const machine *m, const pinion_plan_options *options, int processors, uint64_t seed)
{
    machine other = {.ctx = m->ctx, .network = m->network};
    for (; other.processor_count < processors; other.processor_count++)
        assert_int_equal(pinion__processor_create_simulated(m->ctx, "simulated", seed, processors > 1 ? 30000 : 0,
                                                            &other.processors[other.processor_count]),
                         PINION_OK);
    assignment by = {.seed = seed, .processors = processors};
    start(&other, options, &(pinion__plan_tuning){.processor_of = assign, .user = &by});
    return other;
}

static void end_beside(machine *m)
{
    m->network = NULL;
    end(m);
}

static void expect_fresh(const machine *m, const machine *kept, const pinion_plan_options *options)
{
    float logits[OUTPUTS], expected[OUTPUTS];
    machine fresh = beside(m, options, 1, 1);
    infer(&fresh, expected);
    infer(kept, logits);
    assert_memory_equal(logits, expected, sizeof logits);
    end_beside(&fresh);
}

/* Training steps, other initial weights: the runner that lives through them gives what a new one gives. */
static void test_weights_change(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < 60; seed++) {
        pinion_plan_options training = training_options(BATCH), inference = pinion_plan_options_default();
        inference.batch = BATCH;
        machine m = {.ctx = ctx, .network = make_random_network(ctx, seed, 3 + (int)(seed % 12), false)};
        m.processor_count = 1;
        m.processors[0] = make_ref(ctx);
        start(&m, &training, NULL);
        machine kept = beside(&m, &inference, 1 + (int)(seed % 3), seed);
        expect_fresh(&m, &kept, &inference);
        expect_fresh(&m, &kept, &inference);
        step(&m, 0);
        expect_fresh(&m, &kept, &inference);
        assert_int_equal(pinion_network_init_weights(m.network, seed + 1000), PINION_OK);
        expect_fresh(&m, &kept, &inference);
        end_beside(&kept);
        end(&m);
    }
    pinion_context_destroy(ctx);
}

/* Weights that change behind the network's back are not looked at: the prologue runs once for one version of them. */
static void test_runs_once(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = BATCH;
    machine m = {.ctx = ctx, .network = make_chain(ctx), .processor_count = 1};
    assert_int_equal(pinion__processor_create_cpu(ctx, 1, &m.processors[0]), PINION_OK);
    start(&m, &options, NULL);
    assert_true(m.plan->prologue > 0);
    float before[OUTPUTS], after[OUTPUTS];
    infer(&m, before);
    memset(pinion__param_data(m.network, 0), 0, m.network->params[0].bytes); /* conv1, folded with bn1 */
    infer(&m, after);
    assert_memory_equal(before, after, sizeof before);
    pinion__network_changed(m.network);
    infer(&m, after);
    assert_memory_not_equal(before, after, sizeof before);
    end(&m);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_weights_change), cmocka_unit_test(test_runs_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
