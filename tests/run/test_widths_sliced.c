/* SPDX-License-Identifier: Apache-2.0
 *
 * Dynamic networks whose batch is cut between processors: the answers of every width, and the steps of stages and of
 * joint training, are those of the whole batch but for rounding.
 */
#include "run/dynamic.h"
#include "run/state.h"

static const pinion__cut cuts[] = {
    {.count = 2, .n = {1, 2}, .processor = {0, 1}, .whole = PINION__CUT_HEAVY},
    {.count = 3, .n = {1, 1, 1}, .processor = {0, 1, 0}, .whole = 100},
    {.count = 2, .n = {2, 1}, .processor = {1, 0}},
};

enum { CUTS = sizeof cuts / sizeof *cuts };

/* On a processor of the host and one with a memory of its own. */
static machine make_sliced(pinion_context *ctx, const cut_kind *kind, const pinion_plan_options *options, int cut,
                           pinion__domain *domain)
{
    static deal by = {.hosts = 1, .devices = 1};
    machine m = {.ctx = ctx, .network = make_cut(ctx, kind)};
    add_processors(&m, domain, &by);
    start(&m, options, &(pinion__plan_tuning){.processor_of = deal_out, .user = &by, .cut = cuts[cut]});
    assert_int_equal(m.plan->cut.count, cuts[cut].count);
    return m;
}

static void expect_near(const float *found, const float *expected, size_t count, double scale, const char *what)
{
    double apart = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        apart += pow((double)found[i] - (double)expected[i], 2);
        size += pow((double)expected[i], 2);
    }
    if (!(sqrt(apart) <= 2e-5 * (sqrt(size) + scale)))
        fail_msg("%s: %g apart of %g", what, sqrt(apart), sqrt(size));
}

static void check_inference(pinion_context *ctx, const cut_kind *kind, int cut, pinion__domain *domain)
{
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = BATCH;
    float logits[BATCH * CLASSES];
    machine sliced = make_sliced(ctx, kind, &options, cut, domain);
    machine whole = make_single(make_cut(ctx, kind), &options, NULL, true);
    infer(&sliced, logits);
    infer(&whole, logits);
    for (int width = 0; width < kind->groups; width++) {
        const int found = sliced.plan->width_output[width], expected = whole.plan->width_output[width];
        expect_near(pinion__runner_tensor(sliced.runner, found), pinion__runner_tensor(whole.runner, expected),
                    BATCH * CLASSES, 0, "logits");
    }
    end(&sliced);
    end(&whole);
}

/* What a step has moved: velocities are gradients. */
static void check_training(pinion_context *ctx, const cut_kind *kind, int stage, int cut, pinion__domain *domain)
{
    pinion_plan_options options = training_options(BATCH);
    options.stage = stage;
    options.joint = stage == 0;
    float largest = 0;
    machine sliced = make_sliced(ctx, kind, &options, cut, domain);
    machine whole = make_single(make_cut(ctx, kind), &options, NULL, true);
    const float found = step(&sliced, 0), expected = step(&whole, 0);
    expect_near(&found, &expected, 1, 0, "loss");
    settle(&sliced);
    for (int p = 0; p < (int)whole.network->param_count; p++) {
        const float *velocity = pinion__runner_moment(whole.runner, p, 0);
        for (size_t e = 0; velocity && e < whole.network->params[p].bytes / sizeof(float); e++)
            if (fabsf(velocity[e]) > largest)
                largest = fabsf(velocity[e]);
    }
    assert_true(largest > 1e-3f);
    for (int p = 0; p < (int)whole.network->param_count; p++) {
        const float *velocity = pinion__runner_moment(whole.runner, p, 0);
        if (velocity)
            expect_near(pinion__runner_moment(sliced.runner, p, 0), velocity,
                        whole.network->params[p].bytes / sizeof(float), (double)largest, whole.network->params[p].name);
    }
    end(&sliced);
    end(&whole);
}

static void test_slices(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int cut = 0; cut < CUTS; cut++)
        for (int connect = 0; connect < 2; connect++)
            for (int normalised = 0; normalised < 2; normalised++) {
                const cut_kind kind = {3, (enum pinion_connect)connect, normalised};
                pinion__domain *domain = NULL;
                assert_int_equal(pinion__domain_create_simulated(ctx, connect != 0, &domain), PINION_OK);
                check_inference(ctx, &kind, cut, domain);
                for (int stage = 0; stage <= 3; stage++)
                    check_training(ctx, &kind, stage, cut, domain);
                pinion__domain_destroy_simulated(domain);
            }
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
