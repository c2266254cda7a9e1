/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes wrong in a training or is asked of it in an awkward moment: a sample that cannot be read, values that are
 * not finite, a folder that cannot be synced, an interruption during evaluation.
 */
#include "learn/tiny.h"

#include <errno.h>
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
#include "learn/checkpoint.h"
#include "learn/split.h"
#include "learn/trainer.h"

static void assert_sentence(const tiny *t, const char *words)
{
    if (!strstr(pinion_context_error(t->ctx), words))
        fail_msg("'%s' (expected '%s')", pinion_context_error(t->ctx), words);
}

/* The tiny data behind a reader that can fail and knows how often it was asked. */
typedef struct wrapped {
    pinion_dataset *inner;
    atomic_int part, left; /* reads of this part until one fails; negative: none */
    atomic_int tests;      /* reads of the test part */
} wrapped;

static int read_wrapped(void *user, enum pinion_part part, int64_t index, unsigned char *pixels, int *label)
{
    wrapped *of = user;
    if (part == PINION_PART_TEST)
        atomic_fetch_add(&of->tests, 1);
    if ((int)part == atomic_load(&of->part) && atomic_load(&of->left) >= 0 && atomic_fetch_sub(&of->left, 1) == 0)
        return PINION_EFORMAT;
    return pinion_dataset_read(of->inner, part, index, pixels, label);
}

static void wrap_open(tiny *t, wrapped *of, enum pinion_part part, int left)
{
    tiny_open(t, NULL, 1);
    of->inner = t->dataset;
    atomic_init(&of->part, (int)part);
    atomic_init(&of->left, -1);
    atomic_init(&of->tests, 0);
    pinion_dataset_source source = {.info = pinion_dataset_get_info(of->inner), .read = read_wrapped, .user = of};
    assert_int_equal(pinion_dataset_create(t->ctx, &source, &t->dataset), PINION_OK);
    atomic_store(&of->left, left);
}

static void wrap_close(tiny *t, wrapped *of)
{
    pinion_trainer_destroy(t->trainer);
    t->trainer = NULL;
    pinion_dataset_destroy(of->inner);
    tiny_close(t);
}

/* The training of `whole`, on the same data, without trouble. */
static void train_whole(const pinion_train_options *like)
{
    tiny t;
    wrapped data;
    pinion_train_options options = *like;
    options.out = tiny_path("whole.safetensors");
    wrap_open(&t, &data, PINION_PART_TRAIN, -1);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    wrap_close(&t, &data);
}

/* Whatever was trained before a sample could not be read is saved, and the training goes on from there. */
static void bad_samples_lose_no_steps(void **state)
{
    (void)state;
    static const struct {
        enum pinion_part part;
        int reads;
        const char *words;
    } cases[] = {
        {PINION_PART_TRAIN, 16 + 5 * TINY_BATCH, "of the training part could not be read"},
        {PINION_PART_TEST, 4, "of the test part could not be read"},
    };
    pinion_train_options options = tiny_options(NULL);
    options.validation = 0;
    train_whole(&options);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tiny t;
        wrapped data;
        options.out = tiny_path("part.safetensors");
        wrap_open(&t, &data, cases[i].part, cases[i].reads);
        assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_EFORMAT);
        assert_sentence(&t, cases[i].words);
        assert_sentence(&t, i == 0 ? "; the state after step 5 is saved in " : "; the state after step 8 is saved in ");
        assert_sentence(&t, "part.state.safetensors");
        wrap_close(&t, &data);
        wrap_open(&t, &data, PINION_PART_TRAIN, -1);
        assert_int_equal(tiny_train(&t, &options, options.out, 0, NULL), PINION_OK);
        wrap_close(&t, &data);
        tiny_assert_same(tiny_path("whole.safetensors"), tiny_path("part.safetensors"));
        tiny_assert_same(tiny_path("whole.state.safetensors"), tiny_path("part.state.safetensors"));
        tiny_remove_training("part");
    }
}

/* A failure before the first step leaves no file. */
static void nothing_done_is_not_saved(void **state)
{
    (void)state;
    tiny t;
    wrapped data;
    pinion_train_options options = tiny_options(tiny_path("part.safetensors"));
    wrap_open(&t, &data, PINION_PART_TRAIN, 16);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_EFORMAT);
    assert_null(strstr(pinion_context_error(t.ctx), "saved"));
    assert_int_equal(tiny_folder_count("part"), 0);
    wrap_close(&t, &data);
}

static void networks_without_numbers_have_no_result(void **state)
{
    (void)state;
    static const float values[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        tiny t;
        tiny_open(&t, NULL, 1);
        pinion_eval_result result = {.count = -7};
        int bias = (int)t.network->param_count - 1; /* of fc: reaches the logits whatever the kernels do */
        assert_string_equal(t.network->params[bias].name, "fc.bias");
        pinion__param_data(t.network, bias)[2] = values[i];
        assert_int_equal(pinion_evaluate(t.network, t.dataset, PINION_PART_TEST, 5, NULL, NULL, &result),
                         PINION_ENONFINITE);
        assert_sentence(&t, "'tiny': sample 0 of the test part: network 'tiny' gives class 2 the value");
        assert_int_equal(result.count, -7);
        tiny_close(&t);
    }
}

static void moments_are_finite_or_not_saved(void **state)
{
    (void)state;
    tiny t;
    char out[256];
    snprintf(out, sizeof out, "%s", tiny_path("M.safetensors"));
    pinion_train_options options = tiny_options(out);
    options.optimizer = PINION_ADAMW;
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 5, NULL), PINION_EINTERRUPTED);
    tiny_copy(tiny_path("M.state.safetensors"), tiny_path("good.state.safetensors"));
    float *moment = pinion__runner_moment(t.trainer->runner, (int)t.network->param_count - 1, 1);
    moment[1] = INFINITY;
    assert_int_equal(pinion__checkpoint_save(t.trainer), PINION_ENONFINITE);
    assert_sentence(&t, "step 5: the second moment of 'fc.bias' of layer 'fc' has the value inf");
    tiny_assert_same(tiny_path("M.state.safetensors"), tiny_path("good.state.safetensors"));
    tiny_close(&t);
}

/* Counts that no training reaches are refused where they stand in a checkpoint. */
static void counts_are_bounded(void **state)
{
    (void)state;
    tiny t;
    pinion_checkpoint *checkpoint = NULL;
    pinion_train_options options = tiny_options(tiny_path("C.safetensors"));
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, NULL, 5, NULL), PINION_EINTERRUPTED);
    int64_t *const counts[] = {&t.trainer->options.steps, &t.trainer->options.save_every, &t.trainer->progress.step,
                               &t.trainer->progress.epoch, &t.trainer->progress.batch};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        int64_t before = *counts[i];
        *counts[i] = INT64_C(1000000000000001);
        assert_int_equal(pinion__checkpoint_save(t.trainer), PINION_OK);
        assert_int_equal(pinion_checkpoint_open(t.ctx, t.trainer->out, &checkpoint), PINION_EFORMAT);
        assert_sentence(&t, "1000000000000001");
        *counts[i] = before;
    }
    tiny_close(&t);
}

typedef struct trouble {
    char path[256];
    const char *operation;
} trouble;

static int fail_at(void *user, const char *operation, const char *path)
{
    const trouble *at = user;
    return strcmp(operation, at->operation) == 0 && strcmp(path, at->path) == 0 ? EIO : 0;
}

/* After the rename the new checkpoint is there, and the sentence names its step. */
static void a_replaced_checkpoint_is_named(void **state)
{
    (void)state;
    static const char *const operations[] = {"sync", "rename"};
    static const char *const words[] = {"the checkpoint of step 6 is written, but a crash of the machine may undo it",
                                        "the checkpoint of step 5 stays"};
    for (int i = 0; i < 2; i++) {
        tiny t;
        trouble at = {.operation = operations[i]};
        char out[256];
        snprintf(out, sizeof out, "%s", tiny_path("R.safetensors"));
        snprintf(at.path, sizeof at.path, "%s", i == 0 ? tiny_folder() : tiny_path("R.state.safetensors"));
        pinion_train_options options = tiny_options(out);
        options.save_every = 1;
        tiny_open(&t, NULL, 1);
        assert_int_equal(tiny_train(&t, &options, NULL, 5, NULL), PINION_EINTERRUPTED);
        t.ctx->io_hook = fail_at;
        t.ctx->io_hook_user = &at;
        assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_EIO);
        t.ctx->io_hook = NULL;
        assert_sentence(&t, words[i]);
        pinion_checkpoint *checkpoint;
        assert_int_equal(pinion_checkpoint_open(t.ctx, out, &checkpoint), PINION_OK);
        assert_int_equal(pinion_checkpoint_get_info(checkpoint)->step, i == 0 ? 6 : 5);
        pinion_checkpoint_close(checkpoint);
        tiny_close(&t);
        tiny_remove_training("R");
    }
}

static int stop_when_evaluated(void *user)
{
    wrapped *of = user;
    return atomic_load(&of->tests) > 0;
}

static void count_steps(void *user, const pinion_step_report *report)
{
    (void)user;
    assert_true(report->step <= TINY_BATCHES);
}

/* Asked for while an epoch is evaluated, a stop comes before the next step. */
static void stops_after_an_evaluation(void **state)
{
    (void)state;
    tiny t;
    wrapped data;
    pinion_train_options options = tiny_options(NULL);
    options.validation = 0;
    train_whole(&options);
    options.out = tiny_path("part.safetensors");
    wrap_open(&t, &data, PINION_PART_TRAIN, -1);
    const pinion_train_callbacks callbacks = {.step = count_steps, .stop = stop_when_evaluated, .user = &data};
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    assert_int_equal(pinion_trainer_run(t.trainer, &callbacks, NULL), PINION_EINTERRUPTED);
    assert_sentence(&t, "interrupted after step 8 of 16; the state is saved in ");
    wrap_close(&t, &data);
    wrap_open(&t, &data, PINION_PART_TRAIN, -1);
    assert_int_equal(tiny_train(&t, &options, options.out, 0, NULL), PINION_OK);
    wrap_close(&t, &data);
    tiny_assert_same(tiny_path("whole.safetensors"), tiny_path("part.safetensors"));
    tiny_assert_same(tiny_path("whole.state.safetensors"), tiny_path("part.state.safetensors"));
}

/* The last evaluation leaves nothing to interrupt. */
static void the_end_is_no_interruption(void **state)
{
    (void)state;
    tiny t;
    wrapped data;
    pinion_train_options options = tiny_options(NULL);
    options.validation = 0;
    options.epochs = 1;
    wrap_open(&t, &data, PINION_PART_TRAIN, -1);
    const pinion_train_callbacks callbacks = {.stop = stop_when_evaluated, .user = &data};
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    assert_int_equal(pinion_trainer_run(t.trainer, &callbacks, NULL), PINION_OK);
    wrap_close(&t, &data);
}

static uint64_t fingerprint_of(tiny *t, const pinion_dataset_info *info)
{
    wrapped data = {.inner = t->dataset};
    uint64_t found = 0;
    atomic_init(&data.left, -1);
    pinion_dataset *other;
    pinion_dataset_source source = {.info = *info, .read = read_wrapped, .user = &data};
    assert_int_equal(pinion_dataset_create(t->ctx, &source, &other), PINION_OK);
    assert_int_equal(pinion__data_fingerprint(t->ctx, other, &found), PINION_OK);
    pinion_dataset_destroy(other);
    return found;
}

/* Normalisation, names and counts belong to the data; the name of the data does not. */
static void fingerprints_tell_data_apart(void **state)
{
    (void)state;
    static const char *const names[TINY_CLASSES] = {"0", "1", "2", "three"};
    tiny t;
    tiny_open(&t, NULL, 1);
    const pinion_dataset_info info = pinion_dataset_get_info(t.dataset);
    uint64_t own = fingerprint_of(&t, &info);
    pinion_dataset_info others[4] = {info, info, info, info};
    others[0].mean[1] += 0.01f;
    others[1].std[2] += 0.01f;
    others[2].class_names = names;
    others[3].train_count--;
    for (int i = 0; i < 4; i++)
        assert_true(fingerprint_of(&t, &others[i]) != own);
    pinion_dataset_info moved = info;
    moved.spec = "elsewhere";
    assert_true(fingerprint_of(&t, &moved) == own);
    tiny_close(&t);
}

static void missing_arguments(void **state)
{
    (void)state;
    tiny t;
    pinion_trainer *trainer = NULL;
    pinion_checkpoint *checkpoint = NULL;
    pinion_train_options options = tiny_options(NULL);
    tiny_open(&t, NULL, 1);
    assert_int_equal(pinion_trainer_run(NULL, NULL, NULL), PINION_EINVAL);
    assert_int_equal(pinion_trainer_resume(NULL, "W"), PINION_EINVAL);
    assert_int_equal(pinion_trainer_create(NULL, t.dataset, &options, &trainer), PINION_EINVAL);
    assert_int_equal(pinion_trainer_create(t.network, NULL, &options, &trainer), PINION_EINVAL);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, NULL), PINION_EINVAL);
    assert_int_equal(pinion_checkpoint_open(NULL, "W", &checkpoint), PINION_EINVAL);
    assert_int_equal(pinion_checkpoint_open(t.ctx, NULL, &checkpoint), PINION_EINVAL);
    assert_int_equal(pinion_checkpoint_open(t.ctx, "W", NULL), PINION_EINVAL);
    assert_int_equal(pinion_evaluate(t.network, t.dataset, PINION_PART_TEST, 0, NULL, NULL, NULL), PINION_EINVAL);
    pinion_trainer_set_log_bytes(NULL, NULL, NULL);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    assert_int_equal(pinion_trainer_resume(t.trainer, NULL), PINION_EINVAL);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(bad_samples_lose_no_steps, clean),
        cmocka_unit_test_teardown(nothing_done_is_not_saved, clean),
        cmocka_unit_test_teardown(networks_without_numbers_have_no_result, clean),
        cmocka_unit_test_teardown(moments_are_finite_or_not_saved, clean),
        cmocka_unit_test_teardown(counts_are_bounded, clean),
        cmocka_unit_test_teardown(a_replaced_checkpoint_is_named, clean),
        cmocka_unit_test_teardown(stops_after_an_evaluation, clean),
        cmocka_unit_test_teardown(the_end_is_no_interruption, clean),
        cmocka_unit_test_teardown(fingerprints_tell_data_apart, clean),
        cmocka_unit_test_teardown(missing_arguments, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
