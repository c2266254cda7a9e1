/* SPDX-License-Identifier: Apache-2.0
 *
 * Fused plans against unfused ones: same network, same weights, same steps.
 *
 * On the CPU a fused task does the arithmetic of the tasks that it stands for, in the same order, so losses, weights,
 * optimiser state, gradients and running statistics are equal bit for bit - except behind statistics that a convolution
 * leaves: those are mean and M2 of blocks of pixels cut otherwise than batchnorm cuts them. Reference kernels work in
 * double and round when they store, so fusing saves them roundings.
 *
 * Either way a value that one plan rounds and the other does not differs by eps = 2^-24 of itself, and each of the
 * layers behind, which have condition numbers near 1, passes the difference on and adds one like it: after L layers
 * forward and L backward some 2L eps of the largest value, for random signs. Small batches of batch normalisation are
 * conditioned worse (1/standard deviation), which the factor 64 allows for. A term that is missing, doubled or stale is
 * of the order of the value itself.
 */
#include "run/machine.h"

#include <stdlib.h>

typedef struct pair {
    machine fused, plain;
} pair;

enum kind { REF, CPU, SIMULATED };

static void add_processors(machine *m, enum kind kind, pinion_context *ctx)
{
    if (kind == REF)
        m->processors[m->processor_count++] = make_ref(ctx);
    for (int i = 0; kind == SIMULATED && i < 3; i++)
        assert_int_equal(
            pinion__processor_create_simulated(ctx, "simulated", (uint64_t)i, 0, &m->processors[m->processor_count++]),
            PINION_OK);
    if (kind == CPU)
        assert_int_equal(pinion__processor_create_cpu(ctx, 2, &m->processors[m->processor_count++]), PINION_OK);
}

static machine make_one(pinion_network *network, const pinion_plan_options *options, enum kind kind)
{
    static assignment by = {.seed = 9, .processors = 3};
    pinion__plan_tuning tuning = {.processor_of = assign, .user = &by};
    machine m = {.ctx = network->ctx, .network = network};
    add_processors(&m, kind, network->ctx);
    start(&m, options, kind == SIMULATED ? &tuning : NULL);
    return m;
}

/* The networks are the same; the pair owns them. */
static pair make_pair(pinion_network *network, pinion_network *again, pinion_plan_options options, enum kind kind)
{
    pair p;
    p.fused = make_one(network, &options, kind);
    options.unfused = 1;
    p.plain = make_one(again, &options, kind);
    return p;
}

static void end_pair(pair *p)
{
    end(&p->fused);
    end(&p->plain);
}

static bool has_stats(const machine *m)
{
    for (size_t t = 0; t < m->plan->task_count; t++) {
        const pinion__task *task = &m->plan->tasks[t];
        for (int i = 0; i < PINION__MAX_OPERANDS; i++)
            if (task->operand[i] >= 0 && m->plan->tensors[task->operand[i]].role == PINION__STATS)
                return true;
    }
    return false;
}

static int count_fused(const machine *m)
{
    int fused = 0;
    for (size_t t = 0; t < m->plan->task_count; t++)
        fused += m->plan->tasks[t].what[0] != 0;
    return fused;
}

static double largest_of(const float *values, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(values[i]));
        largest = fmax(largest, fabs((double)values[i]));
    }
    return largest;
}

/* a and b differ by at most `limit` of `scale`; limit 0: bit for bit. */
static void expect_close(const char *what, const float *a, const float *b, size_t count, double scale, double limit)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(a[i]));
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    }
    if (most > limit * scale)
        fail_msg("%s: differs by %g, %g of the largest; expected at most %g", what, most, most / scale, limit);
}

/* What a step changes, of parameter i: its values, gradient, first and second moment. NULL: there is none. */
static const float *changed(const machine *m, int i, int what)
{
    return what == 0   ? pinion__param_data(m->network, i)
           : what == 1 ? pinion__runner_gradient(m->runner, i)
                       : pinion__runner_moment(m->runner, i, what - 2);
}

/* adamw moves weights by the gradient over its own size: where that is but rounding errors, so is the weight. */
static bool is_comparable(const pair *p, int i, int what, double limit)
{
    bool adamw = p->fused.plan->options.optimizer == PINION_ADAMW;
    return limit == 0 || what > 0 || !adamw || p->fused.network->params[i].state;
}

/* Differences are measured by the largest value of the kind in the whole network: the gradient of weights in front of a
 * batch normalisation may be almost nothing, a difference of large sums. */
static void expect_same_state(const pair *p, double limit)
{
    const pinion_network *network = p->fused.network;
    for (int what = 0; what < 4; what++) {
        double scale[2] = {0}; /* of parameters, of running statistics */
        for (int i = 0; i < (int)network->param_count; i++) {
            const float *a = changed(&p->fused, i, what), *b = changed(&p->plain, i, what);
            assert_int_equal(!a, !b);
            double *of = &scale[network->params[i].state];
            *of = b ? fmax(*of, largest_of(b, network->params[i].bytes / sizeof(float))) : *of;
        }
        for (int i = 0; i < (int)network->param_count; i++) {
            const float *a = changed(&p->fused, i, what), *b = changed(&p->plain, i, what);
            if (b && is_comparable(p, i, what, limit))
                expect_close(network->params[i].name, a, b, network->params[i].bytes / sizeof(float),
                             scale[network->params[i].state], limit);
        }
    }
}

static double eps_of(const pair *p, int layers, enum kind kind)
{
    return kind != REF && !has_stats(&p->fused) ? 0 : 64 * 2 * layers * 0x1p-24;
}

static void test_random_training(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int exact = 0, close = 0, fused = 0;
    for (int run = 0; run < (int)seeds(240); run++) {
        uint64_t seed = (uint64_t)run;
        int depth = 3 + run % 23;
        enum kind kind = (enum kind)(run % 3);
        pinion_plan_options options = training_options(BATCH);
        options.clip = run % 7 == 0;
        options.optimizer = run % 5 == 0 ? PINION_ADAMW : PINION_SGD;
        options.freeze = run % 11 == 0 ? "fc" : NULL;
        pinion_network *network = make_random_network(ctx, seed, depth, run % 2);
        pair p = make_pair(network, make_random_network(ctx, seed, depth, run % 2), options, kind);
        double limit = eps_of(&p, depth, kind);
        for (uint64_t number = 0; number < (limit > 0 ? 1 : 3); number++) {
            float a = step(&p.fused, number), b = step(&p.plain, number);
            expect_close("the loss", &a, &b, 1, fabs((double)b), limit);
        }
        expect_same_state(&p, limit);
        exact += limit == 0 && count_fused(&p.fused) > 2;
        close += limit > 0;
        fused += count_fused(&p.fused);
        end_pair(&p);
    }
    print_message("%d plans bit for bit, %d close, %d fused tasks\n", exact, close, fused);
    assert_true(exact > (int)seeds(40) && close > (int)seeds(100));
    pinion_context_destroy(ctx);
}

static void test_random_inference(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int run = 0; run < 90; run++) {
        uint64_t seed = (uint64_t)run;
        int depth = 3 + run % 26;
        enum kind kind = (enum kind)(run % 3);
        pinion_plan_options options = pinion_plan_options_default();
        options.batch = BATCH;
        pinion_network *network = make_random_network(ctx, seed, depth, run % 2);
        pair p = make_pair(network, make_random_network(ctx, seed, depth, run % 2), options, kind);
        float fused[BATCH * CLASSES], plain[BATCH * CLASSES];
        assert_int_equal(pinion_runner_infer(p.fused.runner, p.fused.images, BATCH, fused), PINION_OK);
        assert_int_equal(pinion_runner_infer(p.plain.runner, p.plain.images, BATCH, plain), PINION_OK);
        expect_close("the logits", fused, plain, BATCH * CLASSES, largest_of(plain, BATCH * CLASSES),
                     64 * depth * 0x1p-24);
        end_pair(&p);
    }
    pinion_context_destroy(ctx);
}

static pinion_network *open_model(pinion_context *ctx, const char *model)
{
    pinion_network *network = NULL;
    assert_int_equal(pinion_network_open(ctx, model, NULL, &network), PINION_OK);
    assert_int_equal(pinion_network_init_weights(network, 4), PINION_OK);
    return network;
}

/* Every pattern of the zoo is there: on the reference kernels, which can all of them, this is a count of tasks. */
static void test_zoo(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int i = 0; pinion_network_zoo_name(i); i++) {
        const char *model = pinion_network_zoo_name(i);
        if (strcmp(model, "resnet18") == 0)
            continue; /* the graph of resnet18-cifar, with larger images */
        pinion_plan_options options = training_options(4);
        pair p = {.fused = {.ctx = ctx, .network = open_model(ctx, model)},
                  .plain = {.ctx = ctx, .network = open_model(ctx, model)}};
        add_processors(&p.fused, CPU, ctx);
        add_processors(&p.plain, CPU, ctx);
        machine *machines[2] = {&p.fused, &p.plain};
        pinion_shape shape = p.fused.network->input;
        float *images = malloc(sizeof(float) * (size_t)(4 * shape.h * shape.w * shape.c)), loss[2];
        int32_t labels[4];
        make_batch(p.fused.network, 1, 4, images, labels);
        for (int k = 0; k < 2; k++) {
            machine *m = machines[k];
            options.unfused = k;
            assert_int_equal(pinion__plan_create(m->network, &options, m->processors, 1, &m->plan), PINION_OK);
            assert_int_equal(pinion_runner_create(m->plan, &m->runner), PINION_OK);
            pinion_runner_step_options at = {.learning_rate = 0.01f, .seed = 3};
            assert_int_equal(pinion_runner_train(m->runner, images, labels, &at, &loss[k]), PINION_OK);
        }
        int layers = (int)p.fused.network->layer_count;
        print_message("%s: %zu tasks, %d of them fused, instead of %zu; arena %.1f MiB instead of %.1f MiB\n", model,
                      p.fused.plan->task_count, count_fused(&p.fused), p.plain.plan->task_count,
                      (double)p.fused.plan->arena_bytes / 1048576, (double)p.plain.plan->arena_bytes / 1048576);
        assert_true(p.fused.plan->task_count < p.plain.plan->task_count);
        assert_true(p.fused.plan->arena_bytes <= p.plain.plan->arena_bytes);
        expect_close("the loss", &loss[0], &loss[1], 1, fabs((double)loss[1]), eps_of(&p, layers, CPU));
        expect_same_state(&p, eps_of(&p, layers, CPU));
        free(images);
        end_pair(&p);
    }
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_training),
        cmocka_unit_test(test_random_inference),
        cmocka_unit_test(test_zoo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
