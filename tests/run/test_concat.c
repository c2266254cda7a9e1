/* SPDX-License-Identifier: Apache-2.0
 *
 * Concats: inputs that are made right where the concat wants them give the bits of inputs that are copied there, in
 * training and inference, whoever runs the tasks, with activations computed once more and with the batch cut; and where
 * some channels want no gradient, the others' is the same.
 */
#include "run/concats.h"

enum { NETWORKS = 150 };

static int copies, embedded; /* in plans that were made */

static void count_copies(const pinion_plan *plan)
{
    for (int t = 0; t < (int)plan->task_count; t++)
        if (plan->tasks[t].op->id == PINION__OP_add && plan->tasks[t].pass == PINION__BACKWARD_DATA && t < plan->gate)
            copies++;
    for (size_t i = 0; i < plan->tensor_count; i++)
        embedded += plan->tensors[i].role == PINION__OUTPUT && plan->tensors[i].ld > plan->tensors[i].c;
}

static machine make_one(pinion_network *network, const pinion_plan_options *options, const pinion__plan_tuning *tuning,
                        bool cpu)
{
    machine m = {.ctx = network->ctx, .network = network, .processor_count = 1};
    if (cpu)
        assert_int_equal(pinion__processor_create_cpu(m.ctx, 2, &m.processors[0]), PINION_OK);
    else
        m.processors[0] = make_ref(m.ctx);
    start(&m, options, tuning);
    return m;
}

static pinion_plan_options draw_options(uint64_t seed)
{
    pinion_plan_options options = training_options(BATCH);
    options.clip = seed % 4 == 0;
    options.optimizer = seed % 5 == 0 ? PINION_ADAMW : PINION_SGD;
    options.unfused = seed % 3 == 0;
    return options;
}

static void expect_same_steps(machine *a, machine *b, uint64_t seed)
{
    for (uint64_t number = 0; number < 2; number++) {
        const float left = step(a, number), right = step(b, number);
        if (memcmp(&left, &right, sizeof left) != 0)
            fail_msg("seed %d, step %d: loss %.9g; expected %.9g", (int)seed, (int)number, (double)left, (double)right);
    }
    settle(a);
    settle(b);
    if (memcmp(a->network->block, b->network->block, a->network->block_bytes) != 0)
        fail_msg("seed %d: weights differ", (int)seed);
}

static void check_training(pinion_context *ctx, uint64_t seed, bool cpu)
{
    const pinion_plan_options options = draw_options(seed);
    const pinion__plan_tuning separate = {.separate = true};
    machine a = make_one(make_concats(ctx, seed), &options, NULL, cpu);
    machine b = make_one(make_concats(ctx, seed), &options, &separate, cpu);
    count_copies(a.plan);
    expect_same_steps(&a, &b, seed);
    end(&a);
    end(&b);
}

static void test_training(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(NETWORKS); seed++) {
        check_training(ctx, seed, false);
        check_training(ctx, seed, true);
    }
    assert_true(copies > 10 && embedded > 100);
    pinion_context_destroy(ctx);
}

static void infer(const machine *m, float logits[BATCH * CLASSES])
{
    if (pinion_runner_infer(m->runner, m->images, BATCH, logits) < 0)
        fail_msg("%s", pinion_context_error(m->ctx));
}

static void test_inference(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(NETWORKS); seed++)
        for (int cpu = 0; cpu < 2; cpu++) {
            pinion_plan_options options = pinion_plan_options_default();
            options.batch = BATCH;
            options.unfused = seed % 3 == 0;
            float found[BATCH * CLASSES], expected[BATCH * CLASSES];
            machine a = make_one(make_concats(ctx, seed), &options, NULL, cpu);
            machine b = make_one(make_concats(ctx, seed), &options, &(pinion__plan_tuning){.separate = true}, cpu);
            infer(&a, found);
            infer(&b, expected);
            assert_memory_equal(found, expected, sizeof found);
            end(&a);
            end(&b);
        }
    pinion_context_destroy(ctx);
}

/* Several processors, of the host and with a memory of their own. */
static void test_processors(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(NETWORKS / 3); seed++) {
        const pinion_plan_options options = draw_options(seed);
        pinion__domain *domain = NULL;
        assert_int_equal(pinion__domain_create_simulated(ctx, seed % 2 != 0, &domain), PINION_OK);
        deal by = {.seed = seed, .hosts = 2, .devices = 1, .serial = seed % 3 == 0, .max_delay_ns = 20000};
        machine a = {.ctx = ctx, .network = make_concats(ctx, seed)};
        add_processors(&a, domain, &by);
        start(&a, &options, &(pinion__plan_tuning){.processor_of = deal_out, .user = &by});
        machine b = {.ctx = ctx, .network = make_concats(ctx, seed), .processor_count = 1};
        assert_int_equal(pinion__processor_create_simulated(ctx, "host", 0, 0, &b.processors[0]), PINION_OK);
        start(&b, &options, &(pinion__plan_tuning){.separate = true});
        expect_same_steps(&a, &b, seed);
        end(&a);
        end(&b);
        pinion__domain_destroy_simulated(domain);
    }
    pinion_context_destroy(ctx);
}

/* As little memory as recomputation gives. */
static void test_recompute(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int recomputed = 0;
    const uint64_t networks = seeds(NETWORKS / 3);
    for (uint64_t seed = 0; seed < networks; seed++) {
        const pinion_plan_options options = draw_options(seed);
        machine a = make_one(make_concats(ctx, seed), &options, NULL, true);
        machine b = make_one(make_concats(ctx, seed), &options, NULL, true);
        shrink(&a, &options, NULL);
        recomputed += a.plan->recomputed;
        expect_same_steps(&a, &b, seed);
        end(&a);
        end(&b);
    }
    assert_true(recomputed > (int)networks / 2);
    pinion_context_destroy(ctx);
}

static double norm(const float *x, const float *y, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += pow((double)x[i] - (y ? (double)y[i] : 0), 2);
    return sqrt(sum);
}

/* Gradients, which add up in another order, by what moments hold of them. Some are 0 but for rounding. */
static void expect_near_gradients(const machine *a, const machine *b, uint64_t seed, double tolerance)
{
    double largest = 0;
    for (int p = 0; p < (int)a->network->param_count; p++) {
        const float *x = pinion__runner_moment(a->runner, p, 0);
        const size_t count = a->network->params[p].bytes / sizeof(float);
        largest = x ? fmax(largest, norm(x, NULL, count)) : largest;
    }
    for (int p = 0; p < (int)a->network->param_count; p++) {
        const float *x = pinion__runner_moment(a->runner, p, 0), *y = pinion__runner_moment(b->runner, p, 0);
        const size_t count = a->network->params[p].bytes / sizeof(float);
        if (x && !(norm(x, y, count) <= tolerance * (norm(y, NULL, count) + 0.1 * largest)))
            fail_msg("seed %d: %s differs", (int)seed, a->network->params[p].name);
    }
}

/* Convolutions that are frozen need no gradient for what lies before them; what is trained learns the same. */
static void test_frozen(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int parts = 0;
    for (uint64_t seed = 0; seed < seeds(NETWORKS); seed++) {
        pinion_plan_options options = training_options(BATCH);
        machine b = make_one(make_concats(ctx, seed), &options, NULL, false);
        char freeze[4000] = "";
        draws from = {.seed = seed};
        for (size_t i = 0; i < b.network->layer_count; i++) {
            const pinion__layer *layer = &b.network->layers[i];
            if (layer->op->id == PINION__OP_conv2d && draw(&from, 3))
                snprintf(freeze + strlen(freeze), sizeof freeze - strlen(freeze), "%s%s", freeze[0] ? "," : "",
                         layer->name);
        }
        options.freeze = freeze;
        machine a = make_one(make_concats(ctx, seed), &options, NULL, false);
        for (int t = 0; t < (int)a.plan->task_count; t++) {
            const pinion__task *task = &a.plan->tasks[t];
            const int w =
                task->op->id == PINION__OP_conv2d || task->op->id == PINION__OP_linear ? task->operand[1] : -1;
            parts += task->pass == PINION__BACKWARD_DATA && w >= 0 && a.plan->tensors[w].ld > a.plan->tensors[w].c;
        }
        step(&a, 0);
        step(&b, 0);
        expect_near_gradients(&a, &b, seed, 1e-5);
        end(&a);
        end(&b);
    }
    assert_true(parts > 10);
    pinion_context_destroy(ctx);
}

/* The batch cut between processors, of the host and with a memory of their own; batch normalisation sums other blocks.
 */
static void test_slices(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < seeds(NETWORKS); seed++) {
        const pinion_plan_options options = training_options(BATCH);
        pinion__domain *domain = NULL;
        draws from = {.seed = seed + 900};
        pinion__cut cut = {.count = 2, .n = {1, 2}, .processor = {0, 1}, .whole = draw(&from, 4) - 1};
        cut.leading = draw(&from, 2) ? draw(&from, 4) : 0;
        deal by = {.seed = seed, .hosts = 1, .devices = 1};
        assert_int_equal(pinion__domain_create_simulated(ctx, seed % 2 != 0, &domain), PINION_OK);
        machine a = {.ctx = ctx, .network = make_concats(ctx, seed)};
        machine b = make_one(make_concats(ctx, seed), &options, NULL, true);
        add_processors(&a, domain, &by);
        pinion__plan_tuning tuning = {.processor_of = deal_out, .user = &by, .cut = cut};
        if (pinion__plan_create_tuned(a.network, &options, &tuning, a.processors, 2, &a.plan) < 0)
            tuning.cut.leading = 0; /* not every layer can be the first that is not cut */
        pinion_plan_destroy(a.plan);
        a.plan = NULL;
        start(&a, &options, &tuning);
        const float left = step(&a, 0), right = step(&b, 0);
        assert_true(fabsf(left - right) < 1e-4f * right);
        settle(&a);
        expect_near_gradients(&a, &b, seed, 1e-3);
        end(&a);
        end(&b);
        pinion__domain_destroy_simulated(domain);
    }
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),  cmocka_unit_test(test_inference), cmocka_unit_test(test_processors),
        cmocka_unit_test(test_recompute), cmocka_unit_test(test_frozen),    cmocka_unit_test(test_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
