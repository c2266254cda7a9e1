/* SPDX-License-Identifier: Apache-2.0
 *
 * A training in stages that is stopped or killed anywhere - within a stage, between two, in a save - and resumed ends
 * in the bytes of one that is not; what of a checkpoint is refused.
 */
#include "learn/grown.h"

#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/context.h"
#include "learn/trainer.h"

enum { EXIT_KILLED = 9 };

typedef struct variant {
    enum pinion_connect connect;
    int augment;
    enum pinion_optimizer optimizer;
    int64_t save_every;
} variant;

/* Towers whose logits are computed once, and nested ones with everything on. */
static const variant variants[] = {
    {PINION_TOWERS, PINION_AUGMENT_NONE, PINION_SGD, 0},
    {PINION_NESTED, -1, PINION_ADAMW, 3},
};

static pinion_train_options variant_options(const variant *of, const char *out)
{
    pinion_train_options options = grown_options(out, of->augment);
    options.optimizer = of->optimizer;
    options.save_every = of->save_every;
    return options;
}

static void make_whole(const variant *of, pinion_train_result *result)
{
    tiny t;
    const pinion_train_options options = variant_options(of, tiny_path("whole.safetensors"));
    grown_open(&t, NULL, 1, GROWN_GROUPS, of->connect);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, result), PINION_OK);
    tiny_close(&t);
}

static void at_every_step(void **state)
{
    const variant *of = *state;
    tiny t;
    pinion_train_result whole, result;
    make_whole(of, &whole);
    for (int64_t stop = 1; stop <= GROWN_STEPS; stop++) {
        const pinion_train_options options = variant_options(of, tiny_path("part.safetensors"));
        grown_open(&t, NULL, 1, GROWN_GROUPS, of->connect);
        assert_int_equal(tiny_train(&t, &options, NULL, stop, NULL), PINION_EINTERRUPTED);
        tiny_close(&t);

        pinion_context_options context = pinion_context_options_default();
        pinion_checkpoint *checkpoint;
        context.threads = 1 + (stop % 5 == 0);
        grown_open(&t, &context, 99, GROWN_GROUPS, of->connect); /* other weights */
        assert_int_equal(pinion_checkpoint_open(t.ctx, options.out, &checkpoint), PINION_OK);
        const pinion_checkpoint_info *info = pinion_checkpoint_get_info(checkpoint);
        assert_int_equal(info->step, stop);
        assert_int_equal(info->groups, GROWN_GROUPS);
        assert_int_equal(info->connect, of->connect);
        assert_int_equal(info->options.stage_count, GROWN_GROUPS + 1);
        pinion_train_options again = info->options; /* what a program that resumes does */
        again.out = options.out;
        int status = tiny_train(&t, &again, options.out, 0, &result);
        if (status < 0)
            fail_msg("resuming after step %d: %s", (int)stop, pinion_context_error(t.ctx));
        pinion_checkpoint_close(checkpoint);
        assert_true(result.loss == whole.loss && result.top1 == whole.top1 && result.best_top1 == whole.best_top1);
        tiny_close(&t);
        tiny_assert_same_training("whole", "part");
        tiny_remove_training("part");
    }
}

static int stop_at_once(void *user)
{
    (void)user;
    return 1;
}

static void note_stage(void *user, const pinion_stage_report *report)
{
    *(int *)user = report->result ? 0 : report->stage;
}

/* Stopped again and again: after the first step, then always at the first moment that it is asked. */
static void at_every_moment(void **state)
{
    const variant *of = *state;
    tiny t;
    int stage = 0, runs = 0, status = PINION_EINTERRUPTED;
    const pinion_train_options options = variant_options(of, tiny_path("part.safetensors"));
    const pinion_train_callbacks callbacks = {.stop = stop_at_once, .stage = note_stage, .user = &stage};
    make_whole(of, NULL);
    for (; status == PINION_EINTERRUPTED; runs++) {
        grown_open(&t, NULL, 1, GROWN_GROUPS, of->connect);
        assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
        if (runs)
            assert_int_equal(pinion_trainer_resume(t.trainer, options.out), PINION_OK);
        status = pinion_trainer_run(t.trainer, &callbacks, NULL);
        tiny_close(&t);
    }
    assert_int_equal(status, PINION_OK);
    assert_true(runs > GROWN_STEPS);
    tiny_assert_same_training("whole", "part");
}

/* The process ends at its operation number `at`. */
typedef struct trap {
    int at, seen;
} trap;

static int spring(void *user, const char *operation, const char *path)
{
    trap *set = user;
    (void)operation;
    (void)path;
    if (++set->seen == set->at)
        _exit(EXIT_KILLED);
    return 0;
}

static int train_with_trap(const variant *of, trap *set)
{
    tiny t;
    const pinion_train_options options = variant_options(of, tiny_path("part.safetensors"));
    grown_open(&t, NULL, 1, GROWN_GROUPS, of->connect);
    t.ctx->io_hook = spring;
    t.ctx->io_hook_user = set;
    int status =
        tiny_train(&t, &options, tiny_exists(tiny_path("part.state.safetensors")) ? options.out : NULL, 0, NULL);
    tiny_close(&t);
    return status;
}

/* Killed at a write, sync or rename, then resumed: at every seventh, so that all kinds come in all stages. */
static void killed_in_saves(void **state)
{
    const variant *of = *state;
    trap count = {.at = 0};
    make_whole(of, NULL);
    assert_int_equal(train_with_trap(of, &count), PINION_OK);
    assert_true(count.seen > 50);
    for (int at = 1; at <= count.seen; at += 7) {
        trap set = {.at = at}, none = {.at = 0};
        tiny_folder_keep("whole");
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            train_with_trap(of, &set);
            _exit(0);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), EXIT_KILLED);
        assert_int_equal(train_with_trap(of, &none), PINION_OK);
        tiny_assert_same_training("whole", "part");
    }
}

/* ---- what is refused ---- */

/* The three groups, not all of them jointly behind that. */
static pinion_train_options three_stages(void)
{
    pinion_train_options options = grown_options(NULL, -1);
    options.stage_count = GROWN_GROUPS;
    return options;
}

static void make_checkpoint(const pinion_train_options *like, int64_t stop)
{
    tiny t;
    pinion_train_options options = *like;
    options.out = tiny_path("W.safetensors");
    grown_open(&t, NULL, 1, GROWN_GROUPS, PINION_TOWERS);
    assert_int_equal(tiny_train(&t, &options, NULL, stop, NULL), PINION_EINTERRUPTED);
    tiny_close(&t);
}

static void refuse(const pinion_train_options *options, int groups, enum pinion_connect connect, int code,
                   const char *words)
{
    tiny t;
    grown_open(&t, NULL, 1, groups, connect);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, options, &t.trainer), PINION_OK);
    int width = t.network->width;
    assert_int_equal(pinion_trainer_resume(t.trainer, tiny_path("W.safetensors")), code);
    if (!strstr(pinion_context_error(t.ctx), words))
        fail_msg("'%s' (expected '%s')", pinion_context_error(t.ctx), words);
    assert_int_equal(t.network->width, width);
    tiny_close(&t);
}

static void other_trainings_are_refused(void **state)
{
    (void)state;
    pinion_train_options options = three_stages(), other;
    make_checkpoint(&options, 10);
    refuse(&options, GROWN_GROUPS, PINION_NESTED, PINION_EINVAL,
           "was made with 3 groups as towers, but network 'grown' has 3, nested");
    refuse(&options, GROWN_GROUPS + 1, PINION_TOWERS, PINION_EINVAL,
           "was made with 3 groups as towers, but network 'grown' has 4 as towers");
    other = options;
    other.stage_count = 2;
    refuse(&other, GROWN_GROUPS, PINION_TOWERS, PINION_EINVAL,
           "--incremental is '1,2', but the checkpoint was made with '1,2,3'");
    other = options;
    other.stages[2].epochs = 4;
    refuse(&other, GROWN_GROUPS, PINION_TOWERS, PINION_EINVAL,
           "--epochs is '1,1,4', but the checkpoint was made with '1,1,2'");
    other = options;
    other.stages[2].learning_rate = 0.25f;
    refuse(&other, GROWN_GROUPS, PINION_TOWERS, PINION_EINVAL,
           "--lr is '0.02,0.04,0.25', but the checkpoint was made with '0.02,0.04,0.03'");
    other = options;
    other.stages[1].steps = 6;
    refuse(&other, GROWN_GROUPS, PINION_TOWERS, PINION_EINVAL, "--steps is '0,6,10'");
    other = grown_stage(&options, 0);
    refuse(&other, GROWN_GROUPS, PINION_TOWERS, PINION_EINVAL, "--incremental is ''");
}

/* A file that contradicts itself. */
static void damaged_checkpoints_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } cases[] = {
        {"\"pinion.train.stage-index\": \"2\"", "\"pinion.train.stage-index\": \"1\"",
         "expected a place within 5 steps"},
        {"\"pinion.train.stage-index\": \"2\"", "\"pinion.train.stage-index\": \"4\"", "expected 0 to 3"},
        {"\"pinion.train.stage-groups\": \"1,2,3,0\"", "\"pinion.train.stage-groups\": \"1,2,3,3\"",
         "stages: number 4"},
        {"\"pinion.train.stage-groups\": \"1,2,3,0\"", "\"pinion.train.stage-groups\": \"1,2,300\"", "stage-epochs"},
        {"\"pinion.train.stage-epochs\": \"1,1,2,1\"", "\"pinion.train.stage-epochs\": \"1,1,x,1\"", "stage-epochs"},
        {"\"pinion.width\": \"3\"", "\"pinion.width\": \"2\"", "has the weights of 2 groups; expected 3"},
        {"\"pinion.best.", "\"pinion.besx.", "tensor 'pinion.best.conv1.g3.weight' is missing"},
    };
    const pinion_train_options options = grown_options(NULL, -1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tiny t;
        make_checkpoint(&options, 22); /* within stage 3, of which an epoch has ended: there are best weights */
        tiny_edit_checkpoint(cases[i].from, cases[i].to);
        grown_open(&t, NULL, 1, GROWN_GROUPS, PINION_TOWERS);
        assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
        int status = pinion_trainer_resume(t.trainer, tiny_path("W.safetensors"));
        if (status >= 0 || !strstr(pinion_context_error(t.ctx), cases[i].words))
            fail_msg("%s: '%s' (expected '%s')", cases[i].to, pinion_context_error(t.ctx), cases[i].words);
        tiny_close(&t);
        tiny_folder_clean();
    }
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
    void *first = (void *)(uintptr_t)&variants[0], *second = (void *)(uintptr_t)&variants[1];
    const struct CMUnitTest tests[] = {
        {"cached towers at every step", at_every_step, NULL, clean, first},
        {"nested at every step", at_every_step, NULL, clean, second},
        {"cached towers at every moment", at_every_moment, NULL, clean, first},
        {"nested at every moment", at_every_moment, NULL, clean, second},
        {"cached towers killed in saves", killed_in_saves, NULL, clean, first},
        {"nested killed in saves", killed_in_saves, NULL, clean, second},
        cmocka_unit_test_teardown(other_trainings_are_refused, clean),
        cmocka_unit_test_teardown(damaged_checkpoints_are_refused, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
