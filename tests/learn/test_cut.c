/* SPDX-License-Identifier: Apache-2.0
 *
 * Trainings whose batch is cut between two processors of the host: stopped or killed and resumed they run the same
 * tasks and end in the files of an uninterrupted one; a checkpoint whose plan does not fit is refused in one sentence;
 * a plan file is needed only to begin.
 */
#include "learn/tiny.h"

#include <pinion/error.h>
#include <setjmp.h>
#include <signal.h>
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

static pinion_train_options cut_options(const char *out)
{
    pinion_train_options options = tiny_options(out);
    options.processors = "cpu/1,cpu/1";
    return options;
}

static char *lines_of(const pinion_plan *plan)
{
    char *lines = NULL;
    assert_int_equal(pinion__plan_kernels(plan, &lines), PINION_OK);
    return lines;
}

/* The plan of a trainer with its batch cut. */
static pinion_plan *cut_plan(const pinion_trainer *trainer, const pinion_plan *like)
{
    const pinion__plan_tuning tuning = {.cut = {.count = 2, .n = {5, 3}, .processor = {0, 1}}};
    pinion_plan *plan = NULL;
    if (pinion__plan_create_tuned(trainer->network, &like->options, &tuning, trainer->processors.at,
                                  trainer->processors.count, &plan) < 0)
        fail_msg("%s", pinion_context_error(trainer->ctx));
    return plan;
}

/* Steps and evaluations are cut. */
static void cut_all(pinion_trainer *trainer)
{
    pinion_plan *training = cut_plan(trainer, trainer->plan);
    pinion_plan *evaluation = cut_plan(trainer, pinion__evaluator_plan(trainer->evaluator));
    char *lines[] = {lines_of(training), lines_of(evaluation)};
    if (pinion__trainer_build(trainer, trainer->ctx->isa, (pinion__given_kernels){lines[0], lines[1], 0}) < 0)
        fail_msg("%s", pinion_context_error(trainer->ctx));
    assert_int_equal(trainer->plan->cut.count, 2);
    for (int i = 0; i < 2; i++)
        pinion__release(trainer->ctx, lines[i]);
    pinion_plan_destroy(training);
    pinion_plan_destroy(evaluation);
}

typedef struct pause {
    int64_t step, at;
    bool dies;
} pause_at;

static void on_step(void *user, const pinion_step_report *report)
{
    pause_at *of = user;
    of->step = report->step;
    if (of->dies && of->step == of->at)
        kill(getpid(), SIGKILL);
}

static int asks_to_stop(void *user)
{
    const pause_at *of = user;
    return of->at > 0 && of->step == of->at;
}

/* Begins a training; stops behind a step (0: at its end). The lines that it ran; the caller frees them. */
static char *begin(const char *out, const pinion_train_options *options, pause_at pause)
{
    tiny t;
    pinion_train_options chosen = *options;
    chosen.out = tiny_path(out);
    tiny_open(&t, NULL, 1);
    if (pinion_trainer_create(t.network, t.dataset, &chosen, &t.trainer) < 0)
        fail_msg("%s", pinion_context_error(t.ctx));
    if (!options->place)
        cut_all(t.trainer);
    char *own = lines_of(t.trainer->plan), *lines = strdup(own);
    const pinion_train_callbacks callbacks = {.step = on_step, .stop = asks_to_stop, .user = &pause};
    assert_int_equal(pinion_trainer_run(t.trainer, &callbacks, NULL), pause.at ? PINION_EINTERRUPTED : PINION_OK);
    pinion__release(t.ctx, own);
    tiny_close(&t);
    return lines;
}

/* Goes on to the end, with the same lines. */
static void resume(const char *name, const pinion_train_options *options, const char *lines)
{
    tiny t;
    pinion_train_options chosen = *options;
    chosen.out = tiny_path(name);
    tiny_open(&t, NULL, 99);
    if (pinion_trainer_create(t.network, t.dataset, &chosen, &t.trainer) < 0 ||
        pinion_trainer_resume(t.trainer, chosen.out) < 0)
        fail_msg("%s", pinion_context_error(t.ctx));
    char *found = lines_of(t.trainer->plan);
    assert_string_equal(lines, found);
    assert_non_null(strstr(lines, "@0-4"));
    assert_int_equal(pinion__evaluator_plan(t.trainer->evaluator)->cut.count, options->place ? 0 : 2);
    assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_OK);
    pinion__release(t.ctx, found);
    tiny_close(&t);
}

static void stopped_and_resumed(void **state)
{
    (void)state;
    const pinion_train_options options = cut_options(NULL);
    free(begin("whole.safetensors", &options, (pause_at){0}));
    for (int64_t step = 1; step < 2 * TINY_BATCHES; step += 3) {
        char *lines = begin("part.safetensors", &options, (pause_at){.at = step});
        resume("part.safetensors", &options, lines);
        tiny_assert_same_training("whole", "part");
        tiny_remove_training("part");
        free(lines);
    }
}

/* Killed behind a step: the checkpoint is older. */
static void killed_and_resumed(void **state)
{
    (void)state;
    pinion_train_options options = cut_options(NULL);
    options.save_every = 3;
    char *lines = begin("whole.safetensors", &options, (pause_at){0});
    for (int64_t step = 5; step < 2 * TINY_BATCHES; step += 6) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            free(begin("part.safetensors", &options, (pause_at){.at = step, .dies = true}));
            _exit(1);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        resume("part.safetensors", &options, lines);
        tiny_assert_same_training("whole", "part");
        tiny_remove_training("part");
    }
    free(lines);
}

/* A training from a plan file needs it no more when it is resumed. */
static void plan_files_are_needed_once(void **state)
{
    (void)state;
    tiny t;
    pinion_train_options options = cut_options(NULL);
    tiny_open(&t, NULL, 1);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    pinion_plan *plan = cut_plan(t.trainer, t.trainer->plan);
    char file[512];
    snprintf(file, sizeof file, "%s", tiny_path("plan.json"));
    assert_int_equal(pinion_plan_save(plan, file), PINION_OK);
    pinion_plan_destroy(plan);
    tiny_close(&t);

    options.place = file;
    free(begin("whole.safetensors", &options, (pause_at){0}));
    char *lines = begin("part.safetensors", &options, (pause_at){.at = 6});
    resume("part.safetensors", &options, lines); /* as whoever began it, with the same options */
    tiny_assert_same_training("whole", "part");
    free(begin("part.safetensors", &options, (pause_at){.at = 6}));

    unlink(file);
    tiny_open(&t, NULL, 99); /* as the command does, with those of the checkpoint */
    pinion_checkpoint *checkpoint = NULL;
    assert_int_equal(pinion_checkpoint_open(t.ctx, tiny_path("part.safetensors"), &checkpoint), PINION_OK);
    pinion_train_options saved = pinion_checkpoint_get_info(checkpoint)->options;
    assert_null(saved.place);
    saved.out = tiny_path("part.safetensors");
    if (tiny_train(&t, &saved, saved.out, 0, NULL) < 0)
        fail_msg("%s", pinion_context_error(t.ctx));
    pinion_checkpoint_close(checkpoint);
    tiny_close(&t);
    tiny_assert_same_training("whole", "part");
    free(lines);
}

/* ---- what does not fit ---- */

/* Replaces the first occurrence of `from`, or all of them, in the checkpoint by `to`, of the same length. */
static void edit_checkpoint(const char *from, const char *to, bool all)
{
    enum { MOST = 1 << 18 };
    static char data[MOST];
    FILE *file = fopen(tiny_path("W.state.safetensors"), "r+b");
    assert_non_null(file);
    size_t bytes = fread(data, 1, MOST, file);
    char *at = memmem(data, bytes, from, strlen(from));
    if (!at)
        fail_msg("the checkpoint has no '%s'", from);
    assert_int_equal(strlen(from), strlen(to));
    for (bool more = true; more && at; more = all) {
        memcpy(at, to, strlen(to));
        at = memmem(at, bytes - (size_t)(at - data), from, strlen(from));
    }
    rewind(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void expect_refused(const pinion_train_options *options, int code, const char *words)
{
    tiny t;
    tiny_open(&t, NULL, 1);
    int status = tiny_train(&t, options, tiny_path("W.safetensors"), 0, NULL);
    const char *sentence = pinion_context_error(t.ctx);
    if (status != code || !strstr(sentence, words) || strchr(sentence, '\n'))
        fail_msg("status %d (expected %d): '%s' (expected '%s')", status, code, sentence, words);
    tiny_close(&t);
}

static void make_checkpoint(void)
{
    const pinion_train_options options = cut_options(NULL);
    free(begin("W.safetensors", &options, (pause_at){.at = 5}));
}

static void other_options_are_refused(void **state)
{
    (void)state;
    make_checkpoint();
    pinion_train_options options = cut_options(NULL);
    options.processors = "cpu/1";
    expect_refused(&options, PINION_EINVAL, "--processors is 'cpu/1', but the checkpoint was made with 'cpu/1,cpu/1'");
    options = cut_options(NULL);
    options.place = "serial";
    expect_refused(&options, PINION_EINVAL, "--place is 'serial', but the checkpoint was made with ''");
    options = cut_options(NULL);
    options.batch = 4;
    expect_refused(&options, PINION_EINVAL, "--batch is '4', but the checkpoint was made with '8'");
}

static void other_cuts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        bool all;
        const char *words;
    } edits[] = {
        {"@0-4", "@0-3", true, "1 slice with 4 samples"},
        {"@5-7", "@5-8", true, "make the batch of 8"},
        {"@5-7", "@4-7", true, "samples"},
        {"@5-7", "@5-6", true, "7 samples"},
        {"cpu/1#2", "cpu/1#3", true, "processor 'cpu/1#3', which is not among those of this plan"},
        {"cpu/1#2", "cpu/1#3", false, "processor 'cpu/1#3', which is not among those of this plan"},
        {"conv1 conv2d", "conv9 conv2d", false, "conv9"},
        {"forward@5-7", "forwarx@5-7", false, "forwarx@5-7"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        make_checkpoint();
        edit_checkpoint(edits[i].from, edits[i].to, edits[i].all);
        const pinion_train_options options = cut_options(NULL);
        expect_refused(&options, PINION_EINVAL, edits[i].words);
        expect_refused(&options, PINION_EINVAL, "W.state.safetensors");
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(stopped_and_resumed, clean),
        cmocka_unit_test_teardown(killed_and_resumed, clean),
        cmocka_unit_test_teardown(plan_files_are_needed_once, clean),
        cmocka_unit_test_teardown(other_options_are_refused, clean),
        cmocka_unit_test_teardown(other_cuts_are_refused, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
