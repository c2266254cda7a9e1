/* SPDX-License-Identifier: Apache-2.0
 *
 * A training that is interrupted and resumed ends in the same bytes as one that is not; what a checkpoint says.
 */
#include "learn/tiny.h"

#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/context.h"
#include "learn/trainer.h"

static const int64_t held_back[3] = {5, 1, 40};

typedef struct variant {
    const char *name;
    enum pinion_optimizer optimizer;
    enum pinion_schedule schedule;
    int64_t steps, save_every;
    float clip_norm;
    const char *freeze;
    const int64_t *held_back;
} variant;

static const variant variants[] = {
    {"sgd", PINION_SGD, PINION_SCHEDULE_ONECYCLE, 0, 0, 2, NULL, NULL},
    {"adamw", PINION_ADAMW, PINION_SCHEDULE_COSINE, 11, 3, 0, NULL, held_back},
    {"frozen", PINION_SGD, PINION_SCHEDULE_STEP, 0, 1, 0, "conv1", NULL},
};

static pinion_train_options variant_options(const variant *of, const char *out)
{
    pinion_train_options options = tiny_options(out);
    options.optimizer = of->optimizer;
    options.schedule = of->schedule;
    options.steps = of->steps;
    options.save_every = of->save_every;
    options.clip_norm = of->clip_norm;
    options.freeze = of->freeze;
    options.validation_indices = of->held_back;
    if (of->optimizer == PINION_ADAMW)
        options.learning_rate = 0.005f;
    return options;
}

/* Stops after each number of steps in turn, resumes in a fresh context with other initial weights and number of
 * threads. */
static void at_every_step(void **state)
{
    const variant *of = *state;
    tiny t;
    pinion_train_result whole, result;
    pinion_train_options options = variant_options(of, tiny_path("whole.safetensors"));
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, &whole), PINION_OK);
    tiny_close(&t);

    for (int64_t stop = 1; stop <= whole.steps; stop++) {
        tiny_open(&t, NULL, 1);
        options = variant_options(of, tiny_path("part.safetensors"));
        assert_int_equal(tiny_train(&t, &options, NULL, stop, NULL), PINION_EINTERRUPTED);
        assert_non_null(strstr(pinion_context_error(t.ctx), "part.state.safetensors"));
        tiny_close(&t);

        pinion_context_options context = pinion_context_options_default();
        context.threads = 1 + (int)(stop % 2);
        tiny_open(&t, &context, 99);
        const char *from = tiny_path(stop % 2 ? "part.safetensors" : "part.state.safetensors");
        assert_int_equal(tiny_train(&t, &options, from, 0, &result), PINION_OK);
        assert_true(result.loss == whole.loss && result.top1 == whole.top1 && result.best_top1 == whole.best_top1);
        assert_int_equal(result.steps, whole.steps);
        tiny_close(&t);
        tiny_assert_same_training("whole", "part");
        tiny_remove_training("part");
    }
}

/* Twice interrupted; and a finished training has nothing left to do. */
static void more_than_once(void **state)
{
    (void)state;
    tiny t;
    pinion_train_result whole, result;
    pinion_train_options options = tiny_options(tiny_path("whole.safetensors"));
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, &whole), PINION_OK);
    tiny_close(&t);

    options.out = tiny_path("part.safetensors");
    static const int64_t stops[] = {3, 8, 9, 0, 0};
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        tiny_open(&t, NULL, 1);
        int status = tiny_train(&t, &options, i ? options.out : NULL, stops[i], &result);
        assert_int_equal(status, stops[i] ? PINION_EINTERRUPTED : PINION_OK);
        tiny_close(&t);
    }
    assert_true(result.loss == whole.loss && result.top1 == whole.top1 && result.best_top1 == whole.best_top1);
    tiny_assert_same_training("whole", "part");
}

/* One trainer, stopped and run again, goes on as well. */
static void in_place(void **state)
{
    (void)state;
    tiny t;
    pinion_train_options options = tiny_options(tiny_path("whole.safetensors"));
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);
    tiny_open(&t, NULL, 1);
    options.out = tiny_path("part.safetensors");
    assert_int_equal(tiny_train(&t, &options, NULL, 6, NULL), PINION_EINTERRUPTED);
    assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_OK);
    tiny_close(&t);
    tiny_assert_same_training("whole", "part");
}

static int64_t log_position(void *user)
{
    return *(const int64_t *)user;
}

static void checkpoint_says_what_it_is(void **state)
{
    (void)state;
    tiny t;
    int64_t position = 4711;
    pinion_train_options options = tiny_options(tiny_path("W.safetensors"));
    options.freeze = "conv1";
    options.steps = 2;
    options.validation_indices = held_back;
    tiny_open(&t, NULL, 1);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    pinion_trainer_set_log_bytes(t.trainer, log_position, &position);
    assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_OK);

    pinion_checkpoint *checkpoint;
    assert_int_equal(pinion_checkpoint_open(t.ctx, tiny_path("W.safetensors"), &checkpoint), PINION_OK);
    const pinion_checkpoint_info *info = pinion_checkpoint_get_info(checkpoint);
    assert_int_equal(*info->model, '{');
    assert_string_equal(info->data, "tiny");
    assert_int_equal(info->classes, TINY_CLASSES);
    assert_true(info->input.h == TINY_SIDE && info->input.w == TINY_SIDE && info->input.c == 3);
    assert_int_equal(info->step, 2);
    assert_int_equal(info->log_bytes, 4711);
    assert_int_equal(info->options.batch, TINY_BATCH);
    assert_string_equal(info->options.freeze, "conv1");
    assert_true(info->options.learning_rate == 0.02f && info->options.clip_norm == 2);
    assert_int_equal(info->options.augment, PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP);
    assert_null(info->options.out);
    const int64_t sorted[3] = {1, 5, 40};
    assert_memory_equal(info->options.validation_indices, sorted, sizeof sorted);

    pinion_network *again; /* the description makes the same network */
    assert_int_equal(pinion_network_parse(t.ctx, info->model, strlen(info->model), "checkpoint", NULL, &again),
                     PINION_OK);
    pinion_weights_file *file; /* and the state can be used as a weights file */
    assert_int_equal(pinion_weights_open(t.ctx, tiny_path("W.state.safetensors"), &file), PINION_OK);
    assert_int_equal(pinion_weights_load(again, file, NULL), PINION_OK);
    pinion_weights_close(file);
    pinion_network_destroy(again);
    pinion_checkpoint_close(checkpoint);
    tiny_close(&t);
}

/* A plan for a lesser instruction set is used again; one for a greater is refused. */
static void plans_are_kept(void **state)
{
    (void)state;
    tiny t;
    pinion_context_options context = pinion_context_options_default();
    context.isa = "baseline";
    pinion_train_options options = tiny_options(tiny_path("whole.safetensors"));
    if (pinion_context_create(&context, &t.ctx) != PINION_OK)
        skip(); /* a build for one instruction set alone */
    pinion_context_destroy(t.ctx);
    tiny_open(&t, &context, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);

    options.out = tiny_path("part.safetensors");
    tiny_open(&t, &context, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 7, NULL), PINION_EINTERRUPTED);
    tiny_close(&t);
    tiny_open(&t, NULL, 1); /* the best instruction set there is */
    bool richer = t.ctx->isa != PINION__ISA_BASELINE && t.ctx->isa != PINION__ISA_NEON;
    if (richer) {
        assert_int_equal(tiny_train(&t, &options, options.out, 0, NULL), PINION_OK);
        tiny_assert_same_training("whole", "part");
    }
    tiny_close(&t);
    if (!richer)
        skip();

    tiny_make_checkpoint();
    tiny_open(&t, &context, 1);
    assert_int_equal(tiny_train(&t, &options, tiny_path("W.safetensors"), 0, NULL), PINION_EINVAL);
    assert_non_null(strstr(pinion_context_error(t.ctx), "this context may use baseline"));
    tiny_close(&t);
}

static int clean(void **state)
{
    (void)state;
    tiny_folder_clean();
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
    union {
        const variant *of;
        void *state;
    } chosen[3] = {{&variants[0]}, {&variants[1]}, {&variants[2]}};
    const struct CMUnitTest tests[] = {
        {"at_every_step sgd", at_every_step, NULL, clean, chosen[0].state},
        {"at_every_step adamw", at_every_step, NULL, clean, chosen[1].state},
        {"at_every_step frozen", at_every_step, NULL, clean, chosen[2].state},
        cmocka_unit_test_teardown(more_than_once, clean),
        cmocka_unit_test_teardown(in_place, clean),
        cmocka_unit_test_teardown(checkpoint_says_what_it_is, clean),
        cmocka_unit_test_teardown(plans_are_kept, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
