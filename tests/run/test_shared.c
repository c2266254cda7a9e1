/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans whose tasks are dealt out at random to the host and to devices with a memory of their own: the bits of one
 * processor, in training and in inference, whatever the rest of the plan is like. What a side does not hold is poison
 * on it, so a hand-over that is missing or wrong shows.
 */
#include "plan/build.h"
#include "run/shared.h"
#include "run/state.h"

static pinion_plan_options draw_options(uint64_t seed)
{
    pinion_plan_options options = training_options(BATCH);
    options.clip = seed % 4 == 0;
    options.optimizer = seed % 5 == 0 ? PINION_ADAMW : PINION_SGD;
    options.unfused = seed % 3 == 0;
    return options;
}

/* Some seeds freeze the first layer with parameters. */
static void start_some(machine *m, uint64_t seed, pinion_plan_options options, const pinion__plan_tuning *tuning)
{
    int first = m->network->params[0].layer;
    bool freezes = options.mode == PINION_TRAIN && seed % 7 == 0 && first + 1 < (int)m->network->layer_count;
    options.freeze = freezes ? m->network->layers[first].name : NULL;
    start(m, &options, tuning);
}

static machine make_alone(pinion_context *ctx, uint64_t seed, const pinion_plan_options *options,
                          pinion__plan_tuning tuning)
{
    machine m = {.ctx = ctx, .network = make_random_network(ctx, seed, 3 + (int)(seed % 12), false)};
    add_processors(&m, NULL, &(deal){.hosts = 1});
    start_some(&m, seed, *options, &tuning);
    return m;
}

static machine make_dealt(pinion_context *ctx, uint64_t seed, const pinion_plan_options *options,
                          pinion__plan_tuning tuning, pinion__domain *domain, deal *by)
{
    machine m = {.ctx = ctx, .network = make_random_network(ctx, seed, 3 + (int)(seed % 12), false)};
    add_processors(&m, domain, by);
    tuning.processor_of = deal_out;
    tuning.user = by;
    start_some(&m, seed, *options, &tuning);
    return m;
}

static deal draw_deal(uint64_t seed, int64_t max_delay_ns)
{
    return (deal){
        .seed = seed, .hosts = 1 + (int)(seed % 2), .devices = 1 + (int)(seed / 2 % 2), .max_delay_ns = max_delay_ns};
}

/* The same network twice: on one processor, and dealt out. */
typedef struct pair {
    pinion__domain *domain;
    deal by;
    machine one, many;
} pair;

static void make_pair(pair *p, pinion_context *ctx, uint64_t seed, const pinion_plan_options *options,
                      pinion__plan_tuning tuning, int64_t max_delay_ns)
{
    p->by = draw_deal(seed, max_delay_ns);
    assert_int_equal(pinion__domain_create_simulated(ctx, seed % 2 == 0, &p->domain), PINION_OK);
    p->one = make_alone(ctx, seed, options, tuning);
    p->many = make_dealt(ctx, seed, options, tuning, p->domain, &p->by);
}

static void end_pair(pair *p)
{
    end(&p->one);
    end(&p->many);
    pinion__domain_destroy_simulated(p->domain);
}

static void expect_same_step(const pair *p, uint64_t number)
{
    machine *one = (machine *)&p->one, *many = (machine *)&p->many;
    assert_true(step(one, number) == step(many, number));
}

static void check_training(pinion_context *ctx, uint64_t seed, pinion__plan_tuning tuning, int64_t max_delay_ns)
{
    pinion_plan_options options = draw_options(seed);
    pair p = {0};
    make_pair(&p, ctx, seed, &options, tuning, max_delay_ns);
    if (seed % 3 == 0)
        make_serial(&p.many);
    for (uint64_t number = 0; number < 2; number++)
        expect_same_step(&p, number);
    assert_memory_equal(pinion__runner_logits(p.one.runner), pinion__runner_logits(p.many.runner),
                        sizeof(float) * CLASSES * BATCH / (size_t)p.many.plan->micro_batches);
    expect_same_results(&p.one, &p.many);
    expect_same_step(&p, 2);
    expect_same_results(&p.one, &p.many);
    end_pair(&p);
}

static void test_training(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(300); seed++)
        check_training(ctx, seed, (pinion__plan_tuning){.separate = seed % 11 == 0}, 0);
    pinion_context_destroy(ctx);
}

static void test_micro_batches(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 300; seed < 300 + seeds(100); seed++)
        check_training(ctx, seed, (pinion__plan_tuning){.micro_batches = BATCH}, 0);
    pinion_context_destroy(ctx);
}

/* Delays change the order in which tasks of different processors run, and nothing else. */
static void test_delays(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(1000); seed++) {
        pinion_plan_options options = draw_options(seed);
        pair p = {0};
        make_pair(&p, ctx, seed, &options, (pinion__plan_tuning){.micro_batches = seed % 10 == 0 ? BATCH : 0}, 20000);
        if (seed % 5 == 0)
            make_serial(&p.many);
        expect_same_step(&p, 0);
        expect_same_results(&p.one, &p.many);
        end_pair(&p);
    }
    pinion_context_destroy(ctx);
}

static void test_recompute(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int recomputed = 0;
    for (uint64_t seed = 0; seed < seeds(60); seed++) {
        pinion_plan_options options = draw_options(seed);
        pair p = {0};
        make_pair(&p, ctx, seed, &options, (pinion__plan_tuning){0}, 0);
        shrink(&p.many, &options, &(pinion__plan_tuning){.processor_of = deal_out, .user = &p.by});
        recomputed += p.many.plan->recomputed;
        if (p.many.plan->options.freeze || !p.one.plan->options.freeze) {
            expect_same_step(&p, 0);
            expect_same_step(&p, 1);
            expect_same_results(&p.one, &p.many);
        }
        end_pair(&p);
    }
    assert_true(recomputed > (int)seeds(50));
    pinion_context_destroy(ctx);
}

/* Inference, also while the same network is trained by a runner beside it, on devices or on the host. */
static void test_inference(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(100); seed++) {
        pinion_plan_options training = draw_options(seed), inference = pinion_plan_options_default();
        float expected[BATCH * CLASSES], found[BATCH * CLASSES];
        inference.batch = BATCH;
        inference.unfused = seed % 3 == 0;
        pair p = {0};
        make_pair(&p, ctx, seed, &training, (pinion__plan_tuning){0}, 0);
        deal by = {.seed = seed + 1000, .hosts = (int)(seed % 3 != 0), .devices = (int)(seed % 3)};
        by.devices += by.hosts + by.devices == 0;
        machine alone = {.ctx = ctx, .network = p.one.network}, beside = {.ctx = ctx, .network = p.many.network};
        add_processors(&alone, NULL, &(deal){.hosts = 1});
        add_processors(&beside, p.domain, &by);
        pinion__plan_tuning cut = {.micro_batches = seed % 4 == 0 ? BATCH : 0};
        start(&alone, &inference, &cut);
        cut.processor_of = deal_out, cut.user = &by;
        start(&beside, &inference, &cut);
        for (uint64_t number = 0; number < 2; number++) {
            for (int count = BATCH; count > 0; count -= 2) {
                make_batch(alone.network, 10 * number + (uint64_t)count, BATCH, alone.images, alone.labels);
                assert_int_equal(pinion_runner_infer(alone.runner, alone.images, count, expected), PINION_OK);
                if (pinion_runner_infer(beside.runner, alone.images, count, found) < 0)
                    fail_msg("%s", pinion_context_error(ctx));
                assert_memory_equal(expected, found, sizeof(float) * CLASSES * (size_t)count);
            }
            expect_same_step(&p, number);
        }
        expect_same_results(&p.one, &p.many);
        alone.network = beside.network = NULL;
        end(&alone);
        end(&beside);
        end_pair(&p);
    }
    pinion_context_destroy(ctx);
}

/* Inference in the arena of a training runner, by turns with its steps. */
static void test_lent_arena(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int lent = 0;
    for (uint64_t seed = 0; seed < seeds(60); seed++) {
        pinion_plan_options training = draw_options(seed), inference = pinion_plan_options_default();
        float expected[BATCH * CLASSES], found[BATCH * CLASSES];
        inference.batch = 1 + (int)(seed % BATCH);
        pair p = {0};
        make_pair(&p, ctx, seed, &training, (pinion__plan_tuning){0}, 0);
        machine alone = {.ctx = ctx, .network = p.one.network};
        add_processors(&alone, NULL, &(deal){.hosts = 1});
        start(&alone, &inference, NULL);
        pinion_plan *plan = NULL;
        pinion_runner *guest = NULL;
        deal by = {.seed = seed + 1, .hosts = p.by.hosts, .devices = p.by.devices};
        assert_int_equal(pinion__plan_create_tuned(p.many.network, &inference,
                                                   &(pinion__plan_tuning){.processor_of = deal_out, .user = &by},
                                                   p.many.processors, p.many.processor_count, &plan),
                         PINION_OK);
        assert_int_equal(pinion__runner_create_in(plan, p.many.runner, &guest), PINION_OK);
        lent += guest->lender != NULL;
        for (uint64_t number = 0; number < 3; number++) {
            expect_same_step(&p, number);
            for (int i = 0; i < 2; i++) {
                make_batch(alone.network, 2 * number + (uint64_t)i, BATCH, alone.images, alone.labels);
                assert_int_equal(pinion_runner_infer(alone.runner, alone.images, inference.batch, expected), PINION_OK);
                if (pinion_runner_infer(guest, alone.images, inference.batch, found) < 0)
                    fail_msg("%s", pinion_context_error(ctx));
                assert_memory_equal(expected, found, sizeof(float) * CLASSES * (size_t)inference.batch);
            }
        }
        pinion_runner_destroy(guest);
        pinion_plan_destroy(plan);
        expect_same_step(&p, 3);
        expect_same_results(&p.one, &p.many);
        alone.network = NULL;
        end(&alone);
        end_pair(&p);
    }
    assert_true(lent > (int)seeds(20));
    pinion_context_destroy(ctx);
}

/* The sentence of a step that fails; "" where the value that is not finite does not reach the loss. */
static void train_in_vain(machine *m, char *sentence, size_t bytes)
{
    pinion_runner_step_options options = step_options(m, 1);
    float loss;
    int status = pinion_runner_train(m->runner, m->images, m->labels, &options, &loss);
    assert_true(status == PINION_OK || status == PINION_ENONFINITE);
    snprintf(sentence, bytes, "%s", status < 0 ? pinion_context_error(m->ctx) : "");
}

/* A loss that is not finite: the same sentence, nothing has changed, and the next step is as good. */
static void test_not_finite(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int failed = 0;
    for (uint64_t seed = 0; seed < seeds(120); seed++) {
        pinion_plan_options options = draw_options(seed);
        char sentence[2][1024];
        pair p = {0};
        make_pair(&p, ctx, seed, &options, (pinion__plan_tuning){.micro_batches = seed % 5 == 0 ? BATCH : 0}, 0);
        expect_same_step(&p, 0);
        settle(&p.many);
        machine *both[] = {&p.one, &p.many};
        int param = (int)(seed % p.one.network->param_count);
        float kept = 0;
        for (int i = 0; i < 2; i++) {
            float *at = seed % 3 == 0 ? &both[i]->images[5] : pinion__param_data(both[i]->network, param);
            kept = *at;
            *at = NAN;
            train_in_vain(both[i], sentence[i], sizeof sentence[i]);
            settle(both[i]);
            *at = kept;
        }
        assert_string_equal(sentence[0], sentence[1]);
        if (sentence[0][0]) {
            expect_same_results(&p.one, &p.many);
            expect_same_step(&p, 2);
            expect_same_results(&p.one, &p.many);
            failed++;
        }
        end_pair(&p);
    }
    assert_true(failed > (int)seeds(60));
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),  cmocka_unit_test(test_micro_batches), cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_inference), cmocka_unit_test(test_lent_arena),    cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_delays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
