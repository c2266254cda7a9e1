/* SPDX-License-Identifier: Apache-2.0
 *
 * What training does: it learns, reports, keeps the best weights and frozen layers, stops at a value that is not
 * finite, and gives the same bits with any number of threads.
 */
#include "learn/tiny.h"

#include <math.h>
#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/context.h"
#include "learn/evaluate.h"
#include "learn/trainer.h"

enum { MOST = 256 };

typedef struct record {
    int steps, epochs;
    pinion_step_report step[MOST];
    pinion_epoch_report epoch[MOST];
} record;

static void record_step(void *user, const pinion_step_report *report)
{
    record *into = user;
    into->step[into->steps++] = *report;
}

static void record_epoch(void *user, const pinion_epoch_report *report)
{
    record *into = user;
    into->epoch[into->epochs++] = *report;
}

static int run_recorded(tiny *t, const pinion_train_options *options, record *into, pinion_train_result *result)
{
    *into = (record){.steps = 0};
    const pinion_train_callbacks callbacks = {.step = record_step, .epoch = record_epoch, .user = into};
    int status = pinion_trainer_create(t->network, t->dataset, options, &t->trainer);
    return status < 0 ? status : pinion_trainer_run(t->trainer, &callbacks, result);
}

/* Loss falls, accuracy comes near 100 %, and the reports agree with each other and with pinion_evaluate. */
static void learns_and_reports(void **state)
{
    (void)state;
    tiny t;
    record seen;
    pinion_train_result result;
    pinion_train_options options = tiny_options(NULL);
    options.epochs = 15;
    options.validation = 0;
    options.label_smoothing = 0;
    options.augment = PINION_AUGMENT_NONE;
    tiny_open(&t, NULL, 1);
    assert_int_equal(run_recorded(&t, &options, &seen, &result), PINION_OK);

    assert_int_equal(seen.steps, 15 * TINY_BATCHES);
    assert_int_equal(seen.epochs, 15);
    assert_true(seen.epoch[14].loss < 0.5 * seen.epoch[0].loss);
    assert_true(result.top1 > 80);
    for (int e = 0; e < 15; e++) {
        double sum = 0;
        for (int i = 0; i < TINY_BATCHES; i++) {
            const pinion_step_report *step = &seen.step[e * TINY_BATCHES + i];
            assert_int_equal(step->step, e * TINY_BATCHES + i + 1);
            assert_int_equal(step->steps, 15 * TINY_BATCHES);
            assert_int_equal(step->epoch, e + 1);
            assert_int_equal(step->epochs, 15);
            assert_true(step->step_ms > 0 && step->wait_ms >= 0 && step->wait_ms <= step->step_ms);
            assert_true(step->images_per_s > 0);
            sum += (double)step->loss;
        }
        assert_true(seen.epoch[e].loss == sum / TINY_BATCHES);
        assert_true(isnan(seen.epoch[e].validation_top1));
        double waited = 0, taken = 0;
        for (int i = 0; i < TINY_BATCHES; i++) {
            waited += seen.step[e * TINY_BATCHES + i].wait_ms;
            taken += seen.step[e * TINY_BATCHES + i].step_ms;
        }
        assert_true(seen.epoch[e].wait_share == waited / taken);
    }
    assert_int_equal(result.steps, 15 * TINY_BATCHES);
    assert_true(result.loss == seen.epoch[14].loss);
    assert_true(result.top1 == seen.epoch[14].top1);
    assert_true(isnan(result.best_top1));
    assert_true(result.step_ms > 0 && result.wait_share >= 0 && result.wait_share <= 1 && result.images_per_s > 0);

    for (int batch = 0; batch <= 5; batch++) { /* 13 samples: the last batch comes short */
        pinion_eval_result eval;
        assert_int_equal(pinion_evaluate(t.network, t.dataset, PINION_PART_TEST, batch, NULL, NULL, &eval), PINION_OK);
        assert_int_equal(eval.count, TINY_TEST);
        assert_true(eval.top1 == result.top1);
        assert_true(isfinite(eval.loss) && eval.loss >= 0);
    }
    const float mean[3] = {0.9f, 0.1f, 0.2f}, std[3] = {3, 3, 3};
    pinion_eval_result own, other;
    assert_int_equal(pinion_evaluate(t.network, t.dataset, PINION_PART_TRAIN, 0, NULL, NULL, &own), PINION_OK);
    assert_int_equal(pinion_evaluate(t.network, t.dataset, PINION_PART_TRAIN, 0, mean, std, &other), PINION_OK);
    assert_int_equal(own.count, TINY_TRAIN);
    assert_true(own.loss != other.loss);
    tiny_close(&t);
}

static void rows_are_judged(void **state)
{
    (void)state;
    int64_t hits = 0;
    double loss = 0;
    const float logits[4] = {1, 3, 3, -2}, huge[2] = {-1e38f, 1e38f};
    pinion__evaluate_row(logits, 4, 2, &hits, &loss); /* the first maximum is class 1 */
    assert_int_equal(hits, 0);
    assert_true(fabs(loss - (log(exp(1.0) + 2 * exp(3.0) + exp(-2.0)) - 3)) < 1e-12);
    pinion__evaluate_row(logits, 4, 1, &hits, &loss);
    assert_int_equal(hits, 1);
    loss = 0;
    pinion__evaluate_row(huge, 2, 1, &hits, &loss);
    assert_true(hits == 2 && loss == 0);
}

/* The file of the best epoch holds what the network held then. */
static void keeps_the_best(void **state)
{
    (void)state;
    tiny t;
    record seen;
    pinion_train_result result;
    pinion_train_options options = tiny_options(tiny_path("best.safetensors"));
    options.epochs = 8;
    options.validation = 19;
    options.learning_rate = 0.3f;
    tiny_open(&t, NULL, 1);
    assert_int_equal(run_recorded(&t, &options, &seen, &result), PINION_OK);
    double best = -1;
    for (int e = 0; e < seen.epochs; e++) {
        assert_true(seen.epoch[e].top1 == seen.epoch[e].validation_top1);
        best = fmax(best, seen.epoch[e].validation_top1);
    }
    assert_true(result.best_top1 == best);

    pinion_weights_file *file;
    assert_int_equal(pinion_weights_open(t.ctx, tiny_path("best.best.safetensors"), &file), PINION_OK);
    assert_int_equal(pinion_weights_load(t.network, file, NULL), PINION_OK);
    pinion_weights_close(file);
    pinion_eval_result eval;
    assert_int_equal(pinion__evaluator_run(t.trainer->evaluator, t.dataset, PINION_PART_TRAIN,
                                           t.trainer->validation_subset, 19, &eval),
                     PINION_OK);
    assert_true(eval.top1 == best);
    tiny_close(&t);
}

static void frozen_layers_keep_their_bytes(void **state)
{
    (void)state;
    tiny t, start;
    pinion_train_options options = tiny_options(NULL);
    options.freeze = "conv1,bn1";
    tiny_open(&t, NULL, 1);
    tiny_open(&start, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    bool moved = false;
    for (size_t i = 0; i < t.network->param_count; i++) {
        const pinion__param *param = &t.network->params[i];
        bool same =
            memcmp(pinion__param_data(t.network, (int)i), pinion__param_data(start.network, (int)i), param->bytes) == 0;
        if (strncmp(param->name, "fc.", 3) != 0)
            assert_true(same);
        else
            moved |= !same;
    }
    assert_true(moved);
    tiny_close(&t);
    tiny_close(&start);
}

/* A rate that throws the weights out of range: the sentence says step and layer, and the last checkpoint is as it was.
 */
static void stops_at_nan(void **state)
{
    (void)state;
    tiny t;
    char out[256];
    snprintf(out, sizeof out, "%s", tiny_path("nan.safetensors"));
    tiny_open(&t, NULL, 1);
    pinion_train_options options = tiny_options(out);
    options.save_every = 1;
    options.clip_norm = 0;
    assert_int_equal(tiny_train(&t, &options, NULL, 5, NULL), PINION_EINTERRUPTED);
    tiny_close(&t);
    tiny_copy(tiny_path("nan.safetensors"), tiny_path("good.safetensors"));
    tiny_copy(tiny_path("nan.state.safetensors"), tiny_path("good.state.safetensors"));

    /* With a save due, the weights of step 6 are found out; without, the loss of step 7. */
    static const char *const found[] = {"step 6: ", "step 7: "};
    for (int i = 0; i < 2; i++) {
        options.save_every = i == 0;
        tiny_open(&t, NULL, 1);
        assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
        assert_int_equal(pinion_trainer_resume(t.trainer, tiny_path("nan.safetensors")), PINION_OK);
        t.trainer->stage.learning_rate = 3e38f;
        t.trainer->options.schedule = PINION_SCHEDULE_CONSTANT;
        assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_ENONFINITE);
        const char *sentence = pinion_context_error(t.ctx);
        if (strncmp(sentence, found[i], strlen(found[i])) != 0 || !strstr(sentence, "layer '"))
            fail_msg("'%s' (expected '%s' and a layer)", sentence, found[i]);
        tiny_assert_same(tiny_path("nan.safetensors"), tiny_path("good.safetensors"));
        tiny_assert_same(tiny_path("nan.state.safetensors"), tiny_path("good.state.safetensors"));
        tiny_close(&t);
    }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    static const char *const names[] = {"t1.safetensors", "t2.safetensors", "t3.safetensors"};
    for (int i = 0; i < 3; i++) {
        tiny t;
        pinion_context_options context = pinion_context_options_default();
        context.threads = i + 1;
        pinion_train_options options = tiny_options(tiny_path(names[i]));
        tiny_open(&t, &context, 1);
        assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
        tiny_close(&t);
    }
    tiny_assert_same_training("t1", "t2");
    tiny_assert_same_training("t1", "t3");
}

/* The seed matters, and nothing else that is left to chance. */
static void seeds_matter(void **state)
{
    (void)state;
    pinion_train_result results[3];
    for (int i = 0; i < 3; i++) {
        tiny t;
        pinion_train_options options = tiny_options(NULL);
        options.seed = i < 2 ? 11 : 12;
        tiny_open(&t, NULL, 1);
        assert_int_equal(tiny_train(&t, &options, NULL, 0, &results[i]), PINION_OK);
        tiny_close(&t);
    }
    assert_true(results[0].loss == results[1].loss);
    assert_true(results[0].loss != results[2].loss);
}

/* `steps` may end a training within an epoch, which still is evaluated and reported. */
static void steps_cut_an_epoch(void **state)
{
    (void)state;
    tiny t;
    record seen;
    pinion_train_result result;
    pinion_train_options options = tiny_options(NULL);
    options.steps = TINY_BATCHES + 3;
    tiny_open(&t, NULL, 1);
    assert_int_equal(run_recorded(&t, &options, &seen, &result), PINION_OK);
    assert_int_equal(seen.steps, TINY_BATCHES + 3);
    assert_int_equal(seen.epochs, 2);
    double sum = 0;
    for (int i = TINY_BATCHES; i < seen.steps; i++)
        sum += (double)seen.step[i].loss;
    assert_true(seen.epoch[1].loss == sum / 3);
    assert_int_equal(result.steps, TINY_BATCHES + 3);
    assert_true(seen.step[seen.steps - 1].learning_rate < 0.02f / 1000);
    tiny_close(&t);
}

static size_t allocations[MOST];

static void count_allocations(void *user, const pinion_step_report *report)
{
    pinion_context *ctx = user;
    allocations[report->step] = atomic_load(&ctx->allocations);
}

static void steps_allocate_nothing(void **state)
{
    (void)state;
    tiny t;
    pinion_train_options options = tiny_options(NULL);
    tiny_open(&t, NULL, 1);
    const pinion_train_callbacks callbacks = {.step = count_allocations, .user = t.ctx};
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    assert_int_equal(pinion_trainer_run(t.trainer, &callbacks, NULL), PINION_OK);
    for (int64_t i = 2; i <= TINY_BATCHES; i++)
        assert_int_equal(allocations[i], allocations[1]);
    tiny_close(&t);
}

static int begin(void **state)
{
    (void)state;
    tiny_folder();
    return 0;
}

static int end(void **state)
{
    (void)state;
    tiny_folder_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_and_reports),     cmocka_unit_test(rows_are_judged),
        cmocka_unit_test(keeps_the_best),         cmocka_unit_test(frozen_layers_keep_their_bytes),
        cmocka_unit_test(stops_at_nan),           cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(seeds_matter),           cmocka_unit_test(steps_cut_an_epoch),
        cmocka_unit_test(steps_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
