/* SPDX-License-Identifier: Apache-2.0
 *
 * Several processors against one: tasks dealt out and delayed at random give the same bits; processors that share cores
 * never run at once.
 */
#include "run/machine.h"

enum { MAX_DELAY_NS = 30000 };

/* Tasks dealt out at random to two to four processors that delay each at random: the bits of one processor. */
static void test_random_delays(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(300); seed++) {
        int depth = 3 + (int)(seed % 12);
        pinion_plan_options options = training_options(BATCH);
        options.clip = seed % 4 == 0;
        machine one = {.ctx = ctx, .network = make_random_network(ctx, seed, depth, false), .processor_count = 1};
        machine many = {.ctx = ctx, .network = make_random_network(ctx, seed, depth, false)};
        assignment by = {.seed = seed, .processors = 2 + (int)(seed % 3)};
        assert_int_equal(pinion__processor_create_simulated(ctx, "alone", 0, 0, &one.processors[0]), PINION_OK);
        for (; many.processor_count < by.processors; many.processor_count++)
            assert_int_equal(pinion__processor_create_simulated(ctx, "simulated",
                                                                seed * 7 + (uint64_t)many.processor_count, MAX_DELAY_NS,
                                                                &many.processors[many.processor_count]),
                             PINION_OK);
        start(&one, &options, NULL);
        start(&many, &options, &(pinion__plan_tuning){.processor_of = assign, .user = &by});
        for (uint64_t number = 0; number < 2; number++)
            assert_true(step(&one, number) == step(&many, number));
        expect_same_weights(&one, &many);
        end(&one);
        end(&many);
    }
    pinion_context_destroy(ctx);
}

/* Simulated processors that say when two that share cores run at once. */
static atomic_int running, most_running;
static int (*run_simulated)(pinion__processor *, pinion__body *, const void *);

static int run_counted(pinion__processor *processor, pinion__body *body, const void *args)
{
    int now = atomic_fetch_add(&running, 1) + 1;
    if (now > atomic_load(&most_running))
        atomic_store(&most_running, now);
    int status = run_simulated(processor, body, args);
    atomic_fetch_sub(&running, 1);
    return status;
}

static int run_on_three(pinion_context *ctx, bool share_cores)
{
    machine m = {.ctx = ctx, .network = make_random_network(ctx, 5, 20, false)};
    pinion__processor_class counted;
    assignment by = {.seed = 1, .processors = 3};
    for (; m.processor_count < 3; m.processor_count++) {
        pinion__processor **at = &m.processors[m.processor_count];
        assert_int_equal(pinion__processor_create_simulated(ctx, "counted", 1, 300000, at), PINION_OK);
        (*at)->core_mask[1] = share_cores ? 1 : UINT64_C(1) << m.processor_count;
        counted = *(*at)->class_;
        run_simulated = counted.run;
        counted.run = run_counted;
        (*at)->class_ = &counted;
    }
    pinion_plan_options options = training_options(BATCH);
    start(&m, &options, &(pinion__plan_tuning){.processor_of = assign, .user = &by});
    atomic_store(&most_running, 0);
    for (uint64_t number = 0; number < 5; number++)
        step(&m, number);
    end(&m);
    return atomic_load(&most_running);
}

static void test_processors_that_share_cores(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    assert_int_equal(run_on_three(ctx, true), 1);
    assert_true(run_on_three(ctx, false) > 1);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_delays),
        cmocka_unit_test(test_processors_that_share_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
