/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans of dynamic networks: each width gives what a network of its groups alone gives, bit by bit, and what the
 * network that was cut gives where the weights that groups do not have are 0: towers are a grouped convolution, nested
 * groups a dense one with zeros above the diagonal. So do the gradients. Stages change nothing of the groups before
 * them.
 */
#include "run/dynamic.h"
#include "run/state.h"

typedef void with_kind(pinion_context *ctx, const cut_kind *kind);

static void for_all(with_kind *check)
{
    pinion_context *ctx = make_context();
    for (int groups = 1; groups <= 4; groups++)
        for (int connect = 0; connect < 2; connect++)
            for (int normalised = 0; normalised < 2; normalised++)
                check(ctx, &(cut_kind){groups, (enum pinion_connect)connect, normalised});
    pinion_context_destroy(ctx);
}

static pinion_plan_options inference(int width, bool unfused)
{
    pinion_plan_options options = pinion_plan_options_default();
    options.batch = BATCH;
    options.width = width;
    options.unfused = unfused;
    return options;
}

static pinion_plan_options training(int stage, int width)
{
    pinion_plan_options options = training_options(BATCH);
    options.stage = stage;
    options.width = width;
    options.momentum = 0;
    options.weight_decay = 0;
    return options;
}

static void expect_near(const float *found, const float *expected, size_t count, double scale, const char *what)
{
    double apart = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        apart += pow((double)found[i] - (double)expected[i], 2);
        size += pow((double)expected[i], 2);
    }
    if (!(sqrt(apart) <= 1e-5 * (sqrt(size) + scale)))
        fail_msg("%s: %g apart of %g", what, sqrt(apart), sqrt(size));
}

/* ---- inference ---- */

static const float *width_logits(const machine *m, int width)
{
    return pinion__runner_tensor(m->runner, m->plan->width_output[width - 1]);
}

/* A plan of the whole network leaves the answers of all widths. */
static void check_bits(pinion_context *ctx, const cut_kind *kind)
{
    for (int way = 0; way < 4; way++) {
        const pinion_plan_options all = inference(0, way / 2 != 0);
        const pinion__plan_tuning tuning = {.separate = way == 3};
        float logits[BATCH * CLASSES], expected[BATCH * CLASSES];
        machine whole = make_single(make_cut(ctx, kind), &all, &tuning, way % 2);
        infer(&whole, logits);
        assert_int_equal(pinion_plan_get_info(whole.plan).width, kind->groups);
        for (int width = 1; width <= kind->groups; width++) {
            const pinion_plan_options options = inference(width, way / 2 != 0), plain = inference(0, way / 2 != 0);
            machine planned = make_single(whole.network, &options, &tuning, way % 2);
            machine narrow = make_single(make_narrow(whole.network, width), &plain, NULL, way % 2);
            infer(&narrow, expected);
            infer(&planned, logits);
            assert_memory_equal(logits, expected, sizeof logits);
            assert_memory_equal(width_logits(&whole, width), expected, sizeof logits);
            end_beside(&planned);
            end(&narrow);
        }
        end(&whole);
    }
}

static void test_bits(void **state)
{
    (void)state;
    for_all(check_bits);
}

static void check_masked_inference(pinion_context *ctx, const cut_kind *kind)
{
    for (int width = 1; width <= kind->groups; width++) {
        const pinion_plan_options options = inference(width, false), plain = inference(0, false);
        float logits[BATCH * CLASSES], expected[BATCH * CLASSES];
        machine cut = make_single(make_cut(ctx, kind), &options, NULL, true);
        machine dense = make_single(make_masked(ctx, cut.network, kind->normalised, width), &plain, NULL, false);
        infer(&cut, logits);
        infer(&dense, expected);
        expect_near(logits, expected, BATCH * CLASSES, 0, "logits");
        end(&cut);
        end(&dense);
    }
}

static void test_masked_inference(void **state)
{
    (void)state;
    for_all(check_masked_inference);
}

/* Groups stand one behind the other, what they prepare on pages of its own. */
static void check_ends(pinion_context *ctx, const cut_kind *kind)
{
    const pinion_plan_options options = inference(0, false);
    machine m = make_single(make_cut(ctx, kind), &options, NULL, true);
    const pinion_plan *plan = m.plan;
    int group = 1;
    for (int t = 0; t < plan->prologue; t++) {
        while (t >= plan->prologue_end[group - 1])
            group++;
        assert_int_equal(plan->network->layers[plan->tasks[t].layer].group, group);
        if (plan->tasks[t].prepare) {
            const pinion__storage *into = &plan->storages[plan->tasks[t].prepared];
            assert_true(into->offset + into->bytes <= plan->prepared_end[group - 1]);
            assert_true(group == 1 || into->offset >= plan->prepared_end[group - 2]);
        }
    }
    group = 1;
    for (int t = plan->prologue; t < (int)plan->task_count; t++) {
        while (t >= plan->width_end[group - 1])
            group++;
        assert_int_equal(plan->network->layers[plan->tasks[t].layer].group, group);
    }
    assert_int_equal(plan->width_end[kind->groups - 1], plan->task_count);
    assert_int_equal(plan->prologue_end[kind->groups - 1], plan->prologue);
    assert_true(plan->prologue > 0 && plan->prepared_end[kind->groups - 1] == plan->prepared_bytes);
    for (int j = 0; j < kind->groups; j++)
        assert_int_equal(plan->prepared_end[j] % 4096, 0);
    end(&m);
}

static void test_ends(void **state)
{
    (void)state;
    for_all(check_ends);
}

/* ---- training ---- */

static double largest_change(const machine *m, const pinion_network *before)
{
    double largest = 0;
    for (int p = 0; p < (int)before->param_count; p++) {
        double sum = 0;
        for (size_t e = 0; !before->params[p].state && e < before->params[p].bytes / sizeof(float); e++)
            sum += pow((double)pinion__param_data(m->network, p)[e] - (double)pinion__param_data(before, p)[e], 2);
        largest = fmax(largest, sqrt(sum));
    }
    return largest;
}

/* One step of the whole network and of the masked one: gradients and running statistics. */
static void check_masked_training(pinion_context *ctx, const cut_kind *kind)
{
    for (int cpu = 0; cpu < 2; cpu++) {
        const pinion_plan_options options = training(0, 0);
        pinion_network *before = make_cut(ctx, kind);
        machine cut = make_single(make_cut(ctx, kind), &options, NULL, cpu);
        machine dense = make_single(make_masked(ctx, before, kind->normalised, kind->groups), &options, NULL, false);
        pinion_network *dense_before = make_masked(ctx, before, kind->normalised, kind->groups);
        const float loss = step(&cut, 0), expected = step(&dense, 0);
        expect_near(&loss, &expected, 1, 0, "loss");
        const double largest = largest_change(&cut, before);
        assert_true(largest > 1e-3);
        for (int p = 0; p < (int)before->param_count; p++) {
            int group, of = find_base(dense.network, before, p, &group);
            float found[4096], wanted[4096];
            const size_t count = before->params[p].bytes / sizeof(float);
            assert_true(count <= 4096);
            for (size_t e = 0; e < count; e++) {
                const size_t at = find_element(dense.network, before, p, e);
                found[e] = pinion__param_data(cut.network, p)[e] - pinion__param_data(before, p)[e];
                wanted[e] = pinion__param_data(dense.network, of)[at] - pinion__param_data(dense_before, of)[at];
            }
            expect_near(found, wanted, count, largest * 2, before->params[p].name);
        }
        pinion_network_destroy(before);
        pinion_network_destroy(dense_before);
        end(&cut);
        end(&dense);
    }
}

static void test_masked_training(void **state)
{
    (void)state;
    for_all(check_masked_training);
}

/* A tensor in the bytes of another gives the bits of copies, and fused tasks those of plain ones where no statistics
 * are left. */
static void check_ways(pinion_context *ctx, const cut_kind *kind)
{
    for (int joint = 0; joint < 2; joint++) {
        pinion_plan_options options = training_options(BATCH);
        options.joint = joint;
        options.unfused = kind->normalised;
        machine a = make_single(make_cut(ctx, kind), &options, NULL, true);
        machine b = make_single(make_cut(ctx, kind), &options, &(pinion__plan_tuning){.separate = true}, true);
        options.unfused = 1;
        machine c = make_single(make_cut(ctx, kind), &options, NULL, true);
        for (uint64_t number = 0; number < 2; number++) {
            const float loss = step(&a, number);
            assert_true(loss == step(&b, number) && loss == step(&c, number));
        }
        expect_same_weights(&a, &b);
        expect_same_weights(&a, &c);
        end(&a);
        end(&b);
        end(&c);
    }
}

static void test_ways(void **state)
{
    (void)state;
    for_all(check_ways);
}

/* Is the parameter one of groups before `stage`? */
static bool is_earlier(const pinion_network *network, int param, int stage)
{
    return network->layers[network->params[param].layer].group < stage;
}

/* Without batch normalisation a stage's groups behave as in training of all: the new group learns the same. */
static void check_stages(pinion_context *ctx, const cut_kind *kind)
{
    for (int stage = 1; stage <= kind->groups; stage++) {
        const pinion_plan_options options = training(stage, 0), all = training(0, stage);
        pinion_network *before = make_cut(ctx, kind);
        machine staged = make_single(make_cut(ctx, kind), &options, NULL, true);
        machine free_ = make_single(make_cut(ctx, kind), &all, NULL, true);
        const float loss = step(&staged, 0), expected = step(&free_, 0);
        const double largest = largest_change(&staged, before);
        assert_true(largest > 1e-4 && (kind->normalised || loss == expected));

        for (int p = 0; p < (int)before->param_count; p++) {
            const int group = before->layers[before->params[p].layer].group;
            const float *after = pinion__param_data(staged.network, p);
            const size_t bytes = before->params[p].bytes;
            if (group != stage)
                assert_memory_equal(after, pinion__param_data(before, p), bytes);
            else if (!kind->normalised)
                expect_near(after, pinion__param_data(free_.network, p), bytes / sizeof(float), 0.1,
                            before->params[p].name);
            assert_int_equal(staged.plan->param_moments[p] >= 0, group == stage && !before->params[p].state);
        }
        for (uint64_t number = 1; number < 4; number++)
            step(&staged, number);
        for (int p = 0; p < (int)before->param_count; p++)
            if (is_earlier(before, p, stage))
                assert_memory_equal(pinion__param_data(staged.network, p), pinion__param_data(before, p),
                                    before->params[p].bytes);
        pinion_network_destroy(before);
        end(&staged);
        end(&free_);
    }
}

static void test_stages(void **state)
{
    (void)state;
    for_all(check_stages);
}

/* A stage of nested groups computes no gradient of earlier groups' features. */
static void test_parts(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    const pinion_plan_options options = training(2, 0);
    machine m = make_single(make_cut(ctx, &(cut_kind){2, PINION_NESTED, true}), &options, NULL, true);
    int parts = 0;
    for (int t = m.plan->gate + 1; t < (int)m.plan->task_count; t++) {
        const pinion__task *task = &m.plan->tasks[t];
        assert_true(task->layer < 0 || m.network->layers[task->layer].group == 2);
        const int w = task->op->id == PINION__OP_conv2d && task->pass == PINION__BACKWARD_DATA ? task->operand[1] : -1;
        parts += w >= 0 && m.plan->tensors[w].c == 5 && m.plan->tensors[w].ld == 10;
        assert_int_equal(task->op->id == PINION__OP_add, 0);
    }
    assert_int_equal(parts, 2); /* conv2 and conv3 */
    end(&m);
    pinion_context_destroy(ctx);
}

/* Logits that are given make the step that computing them makes, and no task of earlier groups. */
static void check_prior(pinion_context *ctx, const cut_kind *kind)
{
    for (int stage = 2; stage <= kind->groups && kind->connect == PINION_TOWERS; stage++) {
        const pinion_plan_options before = inference(stage - 1, false);
        pinion_plan_options options = training(stage, 0);
        float prior[BATCH * CLASSES];
        machine earlier = make_single(make_cut(ctx, kind), &before, NULL, true);
        machine computed = make_single(make_cut(ctx, kind), &options, NULL, true);
        options.prior = 1;
        machine given = make_single(make_cut(ctx, kind), &options, NULL, true);
        for (int t = 0; t < (int)given.plan->task_count; t++)
            assert_int_equal(pinion__task_group(given.plan, &given.plan->tasks[t]) % stage, 0);
        infer(&earlier, prior);
        const float expected = step(&computed, 0);
        pinion_runner_step_options how = step_options(&given, 0);
        float loss;
        how.prior = prior;
        assert_int_equal(pinion_runner_train(given.runner, given.images, given.labels, &how, &loss), PINION_OK);
        expect_near(&loss, &expected, 1, 0, "loss"); /* inference has folded batch normalisation */
        for (int p = 0; p < (int)given.network->param_count; p++)
            expect_near(pinion__param_data(given.network, p), pinion__param_data(computed.network, p),
                        given.network->params[p].bytes / sizeof(float), 0, given.network->params[p].name);
        end(&earlier);
        end(&computed);
        end(&given);
    }
}

static void test_prior(void **state)
{
    (void)state;
    for_all(check_prior);
}

/* ---- what is refused ---- */

static void expect_refusal(pinion_network *network, const pinion_plan_options *options, int status, const char *text)
{
    pinion_plan *plan = NULL;
    pinion__processor *ref = make_ref(network->ctx);
    assert_int_equal(pinion__plan_create(network, options, &ref, 1, &plan), status);
    if (!strstr(pinion_context_error(network->ctx), text))
        fail_msg("'%s'; expected '%s'", pinion_context_error(network->ctx), text);
    pinion__processor_destroy(ref);
}

static void test_refusals(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_network *plain = make_chain(ctx), *nested = make_cut(ctx, &(cut_kind){3, PINION_NESTED, true});
    pinion_plan_options options = inference(1, false);
    expect_refusal(plain, &options, PINION_EINVAL, "network 'chain' is not cut into groups");
    options.width = 4;
    expect_refusal(nested, &options, PINION_EINVAL, "width is 4; expected 1 to 3");
    options.width = -1;
    expect_refusal(nested, &options, PINION_EINVAL, "width is -1; expected 1 to 3");
    options = training(4, 0);
    expect_refusal(nested, &options, PINION_EINVAL, "stage 4: network 'base' has 3 groups");
    expect_refusal(plain, &options, PINION_EINVAL, "network 'chain' is not cut into groups");
    options = training(2, 3);
    expect_refusal(nested, &options, PINION_EINVAL, "stage 2 of width 3");
    options = training(2, 0);
    options.joint = 1;
    expect_refusal(nested, &options, PINION_EINVAL, "joint training has no stages");
    options = training(2, 0);
    options.prior = 1;
    expect_refusal(nested, &options, PINION_EINVAL, "expected towers");
    options.stage = 1;
    expect_refusal(nested, &options, PINION_EINVAL, "prior logits in stage 1");
    pinion_network_destroy(plain);
    pinion_network_destroy(nested);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),  cmocka_unit_test(test_masked_inference), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_ways),  cmocka_unit_test(test_masked_training),  cmocka_unit_test(test_stages),
        cmocka_unit_test(test_parts), cmocka_unit_test(test_refusals),         cmocka_unit_test(test_prior),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
