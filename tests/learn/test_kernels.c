/* SPDX-License-Identifier: Apache-2.0
 *
 * A training that is resumed runs the kernels of its checkpoint, not those that would be chosen, and measures nothing;
 * a checkpoint whose kernels are not there is refused.
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

enum { LINES_BYTES = 1 << 14 };

static int leave_no_files(void **state)
{
    (void)state;
    tiny_folder_clean();
    return 0;
}

/* The plan's kernels with another one where a task has a choice, its name in *other. False: none has. */
static bool choose_otherwise(const pinion_plan *plan, char lines[LINES_BYTES], char other[64])
{
    pinion_task_info task;
    pinion_candidate_info candidate;
    char *text = NULL, line[256] = "";
    for (int t = 0; !*line && pinion_plan_get_task(plan, t, &task) == PINION_OK; t++)
        for (int i = 0; !*line && pinion_plan_get_candidate(plan, t, i, &candidate) == PINION_OK; i++)
            if (!candidate.chosen) {
                snprintf(line, sizeof line, "%s %s %s ", task.layer, task.op, task.pass);
                snprintf(other, 64, "%s", candidate.kernel);
            }
    assert_int_equal(pinion__plan_kernels(plan, &text), PINION_OK);
    const char *at = *line ? strstr(text, line) : NULL;
    if (at) {
        at += strlen(line);
        const char *rest = at + strcspn(at, " \n");
        const int length = snprintf(lines, LINES_BYTES, "%.*s%s%s", (int)(at - text), text, other, rest);
        assert_true(length < LINES_BYTES);
    }
    pinion__release(plan->ctx, text);
    return at != NULL;
}

static void create_trainer(tiny *t, const pinion_train_options *options)
{
    tiny_open(t, NULL, 1);
    if (pinion_trainer_create(t->network, t->dataset, options, &t->trainer) < 0)
        fail_msg("%s", pinion_context_error(t->ctx));
}

static int stop_after(void *user)
{
    int *steps = user;
    return --*steps == 0;
}

/* Trains with given kernels: to the end, or `steps` of it. */
static void train_with(const char *out, const char *lines, int steps)
{
    tiny t;
    pinion_train_options options = tiny_options(tiny_path(out));
    create_trainer(&t, &options);
    const pinion__given_kernels given = {.training = lines};
    assert_int_equal(pinion__trainer_build(t.trainer, t.ctx->isa, given), PINION_OK);
    const pinion_train_callbacks callbacks = {.stop = stop_after, .user = &steps};
    int expected = steps ? PINION_EINTERRUPTED : PINION_OK; /* the run counts `steps` down */
    assert_int_equal(pinion_trainer_run(t.trainer, steps ? &callbacks : NULL, NULL), expected);
    tiny_close(&t);
}

static void resuming_repeats_kernels(void **state)
{
    (void)state;
    static char lines[LINES_BYTES];
    char other[64], *kernels = NULL;
    tiny t;
    pinion_train_options options = tiny_options(NULL);
    create_trainer(&t, &options);
    bool choice = choose_otherwise(t.trainer->plan, lines, other);
    tiny_close(&t);
    if (!choice)
        skip();
    train_with("whole.safetensors", lines, 0);
    train_with("part.safetensors", lines, 5);

    options = tiny_options(tiny_path("part.safetensors"));
    create_trainer(&t, &options);
    assert_int_equal(pinion__plan_kernels(t.trainer->plan, &kernels), PINION_OK);
    assert_string_not_equal(kernels, lines); /* it chooses otherwise by itself */
    pinion__release(t.ctx, kernels);
    t.trainer->options.patience = PINION_PATIENCE_MEASURE;
    assert_int_equal(pinion_trainer_resume(t.trainer, tiny_path("part.safetensors")), PINION_OK);
    assert_int_equal(pinion__plan_kernels(t.trainer->plan, &kernels), PINION_OK);
    assert_string_equal(kernels, lines);
    pinion__release(t.ctx, kernels);
    assert_int_equal(pinion_plan_get_info(t.trainer->plan).measured_tasks, 0);
    assert_int_equal(pinion_plan_get_info(pinion__evaluator_plan(t.trainer->evaluator)).measured_tasks, 0);
    assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_OK);
    tiny_close(&t);
    tiny_assert_same_training("whole", "part");
}

static void missing_kernels_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } cases[] = {
        {"softmax_cross_entropy_forward", "softmax_cross_entropy_forwarx",
         "its plan cannot be repeated: task '- softmax"},
        {"pool1 maxpool forward", "pool9 maxpool forward", "was made with the task 'pool9 maxpool forward"},
        {"pinion.plan.evaluation\": \"conv1", "pinion.plan.evaluation\": \"conv9", "was made with the task 'conv9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tiny t;
        pinion_train_options options = tiny_options(tiny_path("W.safetensors"));
        tiny_open(&t, NULL, 1);
        assert_int_equal(tiny_train(&t, &options, NULL, 5, NULL), PINION_EINTERRUPTED);
        tiny_close(&t);
        tiny_edit_checkpoint(cases[i].from, cases[i].to);
        tiny_open(&t, NULL, 1);
        int status = tiny_train(&t, &options, options.out, 0, NULL);
        if (status != PINION_EINVAL || !strstr(pinion_context_error(t.ctx), cases[i].words))
            fail_msg("status %d, expected '%s': %s", status, cases[i].words, pinion_context_error(t.ctx));
        tiny_close(&t);
    }
}

static int remove_folder(void **state)
{
    (void)state;
    tiny_folder_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(resuming_repeats_kernels, leave_no_files),
        cmocka_unit_test_teardown(missing_kernels_are_refused, leave_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
