/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps whose batch is cut between processors: the whole batch's results but for rounding, the same bits whatever the
 * processors are, in whose memory they work and how long each task takes; and inference.
 */
#include "plan/build.h"
#include "run/shared.h"

enum { SAMPLES = 8 };

/* A machine for a batch of SAMPLES on `hosts` processors of the host and others in a domain. */
typedef struct sliced {
    machine m;
    deal by;
    float images[SAMPLES * SAMPLE];
    int32_t labels[SAMPLES];
} sliced;

/* Plans that leave layers whole, of those that were made. */
static int wholes, joins;

/* Slices of random sizes, each for a random processor, of all layers or only the first, some of whose gradients are
 * made for all slices. */
static pinion__cut draw_cut(uint64_t seed, int slices, int processors)
{
    draws from = {.seed = seed + 5000};
    pinion__cut cut = {.count = slices};
    int left = SAMPLES;
    for (int i = 0; i < slices; i++) {
        cut.n[i] = i + 1 < slices ? 1 + draw(&from, left - (slices - i) + 1) : left;
        left -= cut.n[i];
        cut.processor[i] = (i + (int)seed) % processors;
    }
    cut.whole = draw(&from, 3) - 1;
    cut.leading = draw(&from, 2) ? draw(&from, 4) : 0;
    return cut;
}

static pinion_plan_options draw_options(uint64_t seed)
{
    pinion_plan_options options = training_options(SAMPLES);
    options.clip = seed % 4 == 0;
    options.optimizer = seed % 5 == 0 ? PINION_ADAMW : PINION_SGD;
    options.unfused = seed % 3 == 0;
    options.label_smoothing = 0.1f;
    return options;
}

/* Some seeds freeze the first layer with parameters. */
static void start_sliced(sliced *s, uint64_t seed, pinion_plan_options options, pinion__cut cut)
{
    machine *m = &s->m;
    int first = m->network->params[0].layer;
    bool freezes = options.mode == PINION_TRAIN && seed % 7 == 0 && first + 1 < (int)m->network->layer_count;
    pinion__plan_tuning tuning = {.processor_of = deal_out, .user = &s->by, .cut = cut, .separate = seed % 11 == 0};
    options.freeze = freezes ? m->network->layers[first].name : NULL;
    int status = pinion__plan_create_tuned(m->network, &options, &tuning, m->processors, m->processor_count, &m->plan);
    if (status == PINION_EUNSUPPORTED) { /* not every layer can be the first that is not cut */
        assert_true(cut.leading > 0);
        tuning.cut.leading = 0;
        status = pinion__plan_create_tuned(m->network, &options, &tuning, m->processors, m->processor_count, &m->plan);
    }
    if (status < 0 || pinion_runner_create(m->plan, &m->runner) < 0)
        fail_msg("seed %d: %s", (int)seed, pinion_context_error(m->ctx));
    wholes += m->plan->cut.whole > 0;
    joins += m->plan->joined > 0;
    make_batch(m->network, 1, SAMPLES, s->images, s->labels);
}

static void make_sliced(sliced *s, pinion_context *ctx, uint64_t seed, const pinion_plan_options *options,
                        pinion__cut cut, pinion__domain *domain, deal by)
{
    *s = (sliced){.by = by, .m = {.ctx = ctx}};
    s->m.network = make_random_network(ctx, seed, 3 + (int)(seed % 14), false);
    add_processors(&s->m, domain, &by);
    start_sliced(s, seed, *options, cut);
}

static float sliced_step(sliced *s, uint64_t number)
{
    pinion_runner_step_options options = step_options(&s->m, number);
    float loss = NAN;
    if (pinion_runner_train(s->m.runner, s->images, s->labels, &options, &loss) < 0)
        fail_msg("%s", pinion_context_error(s->m.ctx));
    return loss;
}

static void expect_near(const float *a, const float *b, size_t count, double tolerance, uint64_t seed, const char *what)
{
    double distance = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        distance += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    if (!(distance <= tolerance * tolerance * (size + 1e-4)))
        fail_msg("seed %d, %s: distance %g of %g", (int)seed, what, sqrt(distance), sqrt(size));
}

/* Weights, running statistics, moments and logits. */
static void expect_near_results(const sliced *a, const sliced *b, uint64_t seed)
{
    const pinion_network *left = a->m.network, *right = b->m.network;
    for (int p = 0; p < (int)left->param_count; p++) {
        const pinion__param *param = &left->params[p];
        size_t count = param->bytes / sizeof(float);
        if (a->m.plan->options.optimizer == PINION_SGD || param->state) /* adamw: the sign of a gradient near 0 */
            expect_near((const float *)(const void *)(left->block + param->offset),
                        (const float *)(const void *)(right->block + param->offset), count, 2e-5, seed, param->name);
        const float *moment = pinion__runner_moment(a->m.runner, p, 0);
        if (moment)
            expect_near(moment, pinion__runner_moment(b->m.runner, p, 0), count, 1e-3, seed, "moments");
    }
    expect_near(pinion__runner_logits(a->m.runner), pinion__runner_logits(b->m.runner), SAMPLES * CLASSES, 1e-4, seed,
                "logits");
}

static void test_whole_batch(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(400); seed++) {
        pinion_plan_options options = draw_options(seed);
        sliced whole, cut;
        make_sliced(&whole, ctx, seed, &options, (pinion__cut){0}, NULL, (deal){.hosts = 1});
        make_sliced(&cut, ctx, seed, &options, draw_cut(seed, 2 + (int)(seed % 3), 2), NULL,
                    (deal){.seed = seed, .hosts = 2});
        float expected = sliced_step(&whole, 0), found = sliced_step(&cut, 0);
        expect_near(&found, &expected, 1, 1e-5, seed, "loss");
        expect_near_results(&cut, &whole, seed);
        expected = sliced_step(&whole, 1), found = sliced_step(&cut, 1);
        if (options.optimizer == PINION_SGD)
            expect_near(&found, &expected, 1, 1e-4, seed, "loss of the second step");
        end(&whole.m);
        end(&cut.m);
    }
    assert_true(wholes > 0 && joins > 0);
    pinion_context_destroy(ctx);
}

/* Hosts and devices, and delays, which change the order in which tasks run, and nothing else. */
static void check_bits(pinion_context *ctx, uint64_t seed, int64_t max_delay_ns, bool with_domain)
{
    pinion_plan_options options = draw_options(seed);
    pinion__domain *domain = NULL;
    sliced one, other;
    pinion__cut cut = draw_cut(seed, 2 + (int)(seed % 3), 2);
    if (with_domain)
        assert_int_equal(pinion__domain_create_simulated(ctx, seed % 2 == 0, &domain), PINION_OK);
    deal by = {.seed = seed, .hosts = with_domain ? 1 : 2, .devices = with_domain, .max_delay_ns = max_delay_ns};
    make_sliced(&one, ctx, seed, &options, cut, NULL, (deal){.seed = seed, .hosts = 2});
    make_sliced(&other, ctx, seed, &options, cut, domain, by);
    for (uint64_t number = 0; number < 2; number++)
        if (sliced_step(&one, number) != sliced_step(&other, number))
            fail_msg("seed %d: another loss at step %d", (int)seed, (int)number);
    expect_same_results(&one.m, &other.m);
    end(&one.m);
    end(&other.m);
    if (domain)
        pinion__domain_destroy_simulated(domain);
}

static void test_devices(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(200); seed++)
        check_bits(ctx, seed, 0, true);
    pinion_context_destroy(ctx);
}

static void test_delays(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(300); seed++)
        check_bits(ctx, seed, 20000, seed % 2 == 0);
    pinion_context_destroy(ctx);
}

static void test_inference(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(100); seed++) {
        pinion_plan_options options = pinion_plan_options_default();
        pinion__domain *domain = NULL;
        float expected[SAMPLES * CLASSES], found[SAMPLES * CLASSES];
        options.batch = SAMPLES;
        options.unfused = seed % 3 == 0;
        sliced whole, cut;
        assert_int_equal(pinion__domain_create_simulated(ctx, seed % 2 == 0, &domain), PINION_OK);
        make_sliced(&whole, ctx, seed, &options, (pinion__cut){0}, NULL, (deal){.hosts = 1});
        make_sliced(&cut, ctx, seed, &options, draw_cut(seed, 2, 2), domain,
                    (deal){.seed = seed, .hosts = 1, .devices = 1});
        for (int count = SAMPLES; count > 0; count -= 3) {
            assert_int_equal(pinion_runner_infer(whole.m.runner, whole.images, count, expected), PINION_OK);
            if (pinion_runner_infer(cut.m.runner, whole.images, count, found) < 0)
                fail_msg("%s", pinion_context_error(ctx));
            /* Some kernels add in another order for another n. */
            expect_near(found, expected, CLASSES * (size_t)count, 1e-4, seed, "logits of an inference");
        }
        end(&whole.m);
        end(&cut.m);
        pinion__domain_destroy_simulated(domain);
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
        pinion__domain *domain = NULL;
        sliced one, other;
        pinion__cut cut = draw_cut(seed, 2, 2);
        assert_int_equal(pinion__domain_create_simulated(ctx, seed % 2 == 0, &domain), PINION_OK);
        make_sliced(&one, ctx, seed, &options, cut, NULL, (deal){.seed = seed, .hosts = 2});
        make_sliced(&other, ctx, seed, &options, cut, domain, (deal){.seed = seed, .hosts = 1, .devices = 1});
        if (!one.m.plan->options.freeze && seed % 11 != 0) {
            shrink(&other.m, &options,
                   &(pinion__plan_tuning){.processor_of = deal_out, .user = &other.by, .cut = other.m.plan->cut});
            recomputed += other.m.plan->recomputed;
        }
        for (uint64_t number = 0; number < 2; number++)
            assert_true(sliced_step(&one, number) == sliced_step(&other, number));
        expect_same_results(&one.m, &other.m);
        end(&one.m);
        end(&other.m);
        pinion__domain_destroy_simulated(domain);
    }
    assert_true(recomputed > (int)seeds(50));
    pinion_context_destroy(ctx);
}

/* The lines of a plan tell how its batch is cut. */
static void test_lines(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < 40; seed++) {
        pinion_plan_options options = draw_options(seed);
        pinion__domain *domain = NULL;
        sliced one, other;
        char *lines = NULL, *again = NULL;
        assert_int_equal(pinion__domain_create_simulated(ctx, false, &domain), PINION_OK);
        deal by = {.seed = seed, .hosts = 1, .devices = 1};
        make_sliced(&one, ctx, seed, &options, draw_cut(seed, 2 + (int)(seed % 3), 2), domain, by);
        make_sliced(&other, ctx, seed, &options, draw_cut(seed + 1, 2, 2), domain, by);
        assert_int_equal(pinion__plan_kernels(one.m.plan, &lines), PINION_OK);
        options.freeze = one.m.plan->options.freeze;
        pinion_runner_destroy(other.m.runner);
        pinion_plan_destroy(other.m.plan);
        pinion__plan_tuning given = {.kernels = lines, .separate = seed % 11 == 0};
        if (pinion__plan_create_tuned(other.m.network, &options, &given, other.m.processors, 2, &other.m.plan) < 0 ||
            pinion_runner_create(other.m.plan, &other.m.runner) < 0)
            fail_msg("%s", pinion_context_error(ctx));
        assert_memory_equal(&one.m.plan->cut, &other.m.plan->cut, sizeof one.m.plan->cut);
        assert_int_equal(pinion__plan_kernels(other.m.plan, &again), PINION_OK);
        assert_string_equal(lines, again);
        assert_true(sliced_step(&one, 0) == sliced_step(&other, 0));
        expect_same_results(&one.m, &other.m);
        pinion__release(ctx, lines);
        pinion__release(ctx, again);
        end(&one.m);
        end(&other.m);
        pinion__domain_destroy_simulated(domain);
    }
    pinion_context_destroy(ctx);
}

/* A value that is not finite: the same sentence whatever the processors are, and nothing has changed. */
static void test_not_finite(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int failed = 0;
    for (uint64_t seed = 0; seed < seeds(60); seed++) {
        pinion_plan_options options = draw_options(seed);
        sliced whole, cut;
        make_sliced(&whole, ctx, seed, &options, (pinion__cut){0}, NULL, (deal){.hosts = 1});
        make_sliced(&cut, ctx, seed, &options, draw_cut(seed, 2, 2), NULL, (deal){.seed = seed, .hosts = 2});
        pinion_runner_step_options with = step_options(&cut.m, 0);
        unsigned char *before = malloc(cut.m.network->block_bytes);
        assert_non_null(before);
        memcpy(before, cut.m.network->block, cut.m.network->block_bytes);
        float loss;
        whole.images[5] = cut.images[5] = NAN;
        if (pinion_runner_train(whole.m.runner, whole.images, whole.labels, &with, &loss) == PINION_ENONFINITE) {
            char sentence[1024];
            snprintf(sentence, sizeof sentence, "%s", pinion_context_error(ctx));
            assert_int_equal(pinion_runner_train(cut.m.runner, cut.images, cut.labels, &with, &loss),
                             PINION_ENONFINITE);
            assert_string_equal(sentence, pinion_context_error(ctx));
            assert_memory_equal(before, cut.m.network->block, cut.m.network->block_bytes);
            failed++;
        }
        free(before);
        end(&whole.m);
        end(&cut.m);
    }
    assert_true(failed > (int)seeds(20));
    pinion_context_destroy(ctx);
}

static void test_refusals(void **state)
{
    (void)state;
    static const pinion__cut bad[] = {{.count = 1, .n = {SAMPLES}},
                                      {.count = 2, .n = {SAMPLES, 1}, .processor = {0, 1}},
                                      {.count = 2, .n = {SAMPLES, 0}, .processor = {0, 1}},
                                      {.count = 2, .n = {SAMPLES - 1, 1}, .processor = {0, 2}}};
    pinion_context *ctx = make_context();
    pinion_plan_options options = draw_options(1);
    sliced s;
    make_sliced(&s, ctx, 1, &options, draw_cut(1, 2, 2), NULL, (deal){.hosts = 2});
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pinion__plan_tuning tuning = {.cut = bad[i]};
        pinion_plan *plan;
        assert_int_equal(pinion__plan_create_tuned(s.m.network, &options, &tuning, s.m.processors, 2, &plan),
                         PINION_EINVAL);
    }
    end(&s.m);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_batch), cmocka_unit_test(test_devices),   cmocka_unit_test(test_delays),
        cmocka_unit_test(test_inference),   cmocka_unit_test(test_recompute), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_not_finite),  cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
