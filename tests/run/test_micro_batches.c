/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps whose batch is cut into parts: against the parts computed on their own, and, where no layer mixes samples,
 * against the whole batch; steps that fail in a late part; several processors; inference.
 */
#include "run/machine.h"

enum { SAMPLES = 6 };

static bool has_op(const pinion_network *network, enum pinion__op_id op)
{
    for (size_t i = 0; i < network->layer_count; i++)
        if (network->layers[i].op->id == op)
            return true;
    return false;
}

/* A machine for a batch of SAMPLES. */
typedef struct cut {
    machine m;
    float *images;
    int32_t *labels;
} cut;

static cut make_cut(pinion_context *ctx, uint64_t seed, pinion_plan_options options, int batch, int parts)
{
    pinion__plan_tuning tuning = {.micro_batches = parts};
    options.batch = batch;
    cut c = {.m = {.ctx = ctx, .network = make_random_network(ctx, seed, 4 + (int)(seed % 17), false)}};
    c.m.processors[0] = make_ref(ctx);
    c.m.processor_count = 1;
    start(&c.m, &options, &tuning);
    c.images = calloc((size_t)batch * SAMPLE, sizeof *c.images);
    c.labels = calloc((size_t)batch, sizeof *c.labels);
    assert_true(c.images && c.labels);
    make_batch(c.m.network, 5, batch, c.images, c.labels);
    return c;
}

static void end_cut(cut *c)
{
    end(&c->m);
    free(c->images);
    free(c->labels);
}

static float cut_step(cut *c, const float *images, const int32_t *labels, uint64_t number)
{
    pinion_runner_step_options options = step_options(&c->m, number);
    float loss = NAN;
    if (pinion_runner_train(c->m.runner, images, labels, &options, &loss) < 0)
        fail_msg("%s", pinion_context_error(c->m.ctx));
    return loss;
}

static void expect_near(const float *a, const float *b, size_t count, double tolerance, const char *what)
{
    double distance = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        distance += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    if (!(distance <= tolerance * tolerance * (size + 1e-4)))
        fail_msg("%s: distance %g of %g", what, sqrt(distance), sqrt(size));
}

/* Gradients and loss are the means of those of the parts; running statistics move part after part. */
static void test_parts_on_their_own(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int run = 0;
    for (uint64_t seed = 0; seed < 150; seed++) {
        pinion_plan_options options = training_options(SAMPLES);
        options.clip = 1; /* gradients can be read after the step */
        options.unfused = seed % 2 == 0;
        int parts = seed % 3 == 0 ? 2 : seed % 3 == 1 ? 3 : 6, samples = SAMPLES / parts;
        cut whole = make_cut(ctx, seed, options, SAMPLES, parts), part = make_cut(ctx, seed, options, samples, 1);
        const pinion_network *network = whole.m.network;
        assert_int_equal(pinion_plan_get_info(whole.m.plan).micro_batches, parts);
        if (!has_op(network, PINION__OP_dropout)) {
            float *sums = calloc(network->block_bytes / sizeof(float), sizeof *sums), *sum = sums, loss = 0;
            unsigned char *before = malloc(network->block_bytes);
            assert_true(sums && before);
            memcpy(before, part.m.network->block, network->block_bytes);
            for (int i = 0; i < parts; i++) {
                loss += cut_step(&part, whole.images + i * samples * SAMPLE, whole.labels + i * samples, 0);
                sum = sums;
                for (int p = 0; p < (int)network->param_count; p++) {
                    const pinion__param *param = &network->params[p];
                    const float *gradient = pinion__runner_gradient(part.m.runner, p);
                    for (size_t k = 0; gradient && k < param->bytes / sizeof(float); k++)
                        *sum++ += gradient[k] / (float)parts;
                    if (!param->state) /* the next part starts from the same weights */
                        memcpy(part.m.network->block + param->offset, before + param->offset, param->bytes);
                }
            }
            float found = cut_step(&whole, whole.images, whole.labels, 0);
            expect_near(&found, &(float){loss / (float)parts}, 1, 1e-6, "loss");
            sum = sums;
            for (int p = 0; p < (int)network->param_count; p++) {
                const pinion__param *param = &network->params[p];
                const float *gradient = pinion__runner_gradient(whole.m.runner, p);
                if (param->state)
                    assert_memory_equal(network->block + param->offset, part.m.network->block + param->offset,
                                        param->bytes);
                if (!gradient)
                    continue;
                expect_near(gradient, sum, param->bytes / sizeof(float), 1e-5, param->name);
                sum += param->bytes / sizeof(float);
            }
            free(sums);
            free(before);
            run++;
        }
        end_cut(&whole);
        end_cut(&part);
    }
    assert_true(run > 20);
    pinion_context_destroy(ctx);
}

/* Where no layer mixes samples, cutting changes nothing but rounding: not the draws of dropout either. */
static void test_whole_batch(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    int run = 0, dropouts = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        pinion_plan_options options = training_options(SAMPLES);
        options.clip = seed % 3 == 0;
        options.optimizer = seed % 4 == 0 ? PINION_ADAMW : PINION_SGD;
        options.label_smoothing = 0.1f;
        options.unfused = seed % 2 == 0;
        cut whole = make_cut(ctx, seed, options, SAMPLES, 1);
        for (int parts = 2; parts <= SAMPLES; parts++) {
            if (SAMPLES % parts != 0 || has_op(whole.m.network, PINION__OP_batchnorm))
                continue;
            cut some = make_cut(ctx, seed, options, SAMPLES, parts);
            memcpy(some.m.network->block, whole.m.network->block, whole.m.network->block_bytes);
            unsigned char *before = malloc(whole.m.network->block_bytes);
            assert_non_null(before);
            memcpy(before, whole.m.network->block, whole.m.network->block_bytes);
            float expected = cut_step(&whole, whole.images, whole.labels, 2),
                  found = cut_step(&some, some.images, some.labels, 2);
            expect_near(&found, &expected, 1, 1e-6, "loss");
            size_t count = whole.m.network->block_bytes / sizeof(float);
            if (options.optimizer == PINION_SGD) /* adamw's first step is the gradient's sign: rounding may flip it */
                expect_near((const float *)(const void *)some.m.network->block,
                            (const float *)(const void *)whole.m.network->block, count, 1e-5, "weights");
            memcpy(whole.m.network->block, before, whole.m.network->block_bytes);
            free(before);
            end_cut(&some);
            run++;
            dropouts += has_op(whole.m.network, PINION__OP_dropout);
            end_cut(&whole);
            whole = make_cut(ctx, seed, options, SAMPLES, 1); /* moments as in the beginning */
        }
        end_cut(&whole);
    }
    print_message("%d comparisons, %d with dropout\n", run, dropouts);
    assert_true(run > 60 && dropouts > 15);
    pinion_context_destroy(ctx);
}

/* A loss that is not finite in the last part leaves weights, running statistics and moments as they were. */
static void test_failure_in_last_part(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < 30; seed++) {
        cut c = make_cut(ctx, seed, training_options(SAMPLES), SAMPLES, 3);
        cut twin = make_cut(ctx, seed, training_options(SAMPLES), SAMPLES, 3);
        pinion_runner_step_options options = step_options(&c.m, 0);
        float loss = 7, good = c.images[SAMPLES * SAMPLE - 1];
        c.images[SAMPLES * SAMPLE - 1] = NAN;
        assert_int_equal(pinion_runner_train(c.m.runner, c.images, c.labels, &options, &loss), PINION_ENONFINITE);
        assert_non_null(strstr(pinion_context_error(ctx), "the images"));
        assert_true(loss == 7);
        expect_same_weights(&c.m, &twin.m);
        c.images[SAMPLES * SAMPLE - 1] = good;
        for (uint64_t number = 0; number < 2; number++)
            assert_true(cut_step(&c, c.images, c.labels, number) == cut_step(&twin, twin.images, twin.labels, number));
        expect_same_weights(&c.m, &twin.m);
        end_cut(&c);
        end_cut(&twin);
    }
    pinion_context_destroy(ctx);
}

/* Several processors give the bits of one. */
static void test_processors(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < 40; seed++) {
        pinion_plan_options options = training_options(BATCH);
        options.clip = seed % 2 == 0;
        machine m[2];
        for (int i = 0; i < 2; i++) {
            assignment by = {.seed = seed, .processors = 3};
            pinion__plan_tuning tuning = {.micro_batches = 3};
            m[i] = (machine){.ctx = ctx, .network = make_random_network(ctx, seed, 20, false)};
            for (; m[i].processor_count < 1 + 2 * i; m[i].processor_count++)
                m[i].processors[m[i].processor_count] = make_ref(ctx);
            tuning.processor_of = i ? assign : NULL;
            tuning.user = &by;
            start(&m[i], &options, &tuning);
        }
        for (uint64_t number = 0; number < 3; number++)
            assert_true(step(&m[0], number) == step(&m[1], number));
        expect_same_weights(&m[0], &m[1]);
        end(&m[0]);
        end(&m[1]);
    }
    pinion_context_destroy(ctx);
}

/* Inference in parts, of any number of images up to the batch. */
static void test_inference(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (uint64_t seed = 0; seed < 40; seed++) {
        pinion_plan_options options = pinion_plan_options_default();
        cut whole = make_cut(ctx, seed, options, SAMPLES, 1), some = make_cut(ctx, seed, options, SAMPLES, 3);
        for (int count = 1; count <= SAMPLES; count++) {
            float expected[SAMPLES * CLASSES] = {0}, found[SAMPLES * CLASSES] = {0};
            assert_int_equal(pinion_runner_infer(whole.m.runner, whole.images, count, expected), PINION_OK);
            assert_int_equal(pinion_runner_infer(some.m.runner, whole.images, count, found), PINION_OK);
            assert_memory_equal(expected, found, sizeof expected);
        }
        end_cut(&whole);
        end_cut(&some);
    }
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_on_their_own),
        cmocka_unit_test(test_whole_batch),
        cmocka_unit_test(test_failure_in_last_part),
        cmocka_unit_test(test_processors),
        cmocka_unit_test(test_inference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
