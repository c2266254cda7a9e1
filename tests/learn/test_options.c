/* SPDX-License-Identifier: Apache-2.0
 *
 * Options out of range, data that do not fit, output that cannot be written: refused before training, by name.
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static tiny shared;

/* Creation fails with the code, and the sentence holds the words. */
static void assert_refused(const pinion_train_options *options, int code, const char *words)
{
    pinion_trainer *trainer = NULL;
    int status = pinion_trainer_create(shared.network, shared.dataset, options, &trainer);
    const char *sentence = pinion_context_error(shared.ctx);
    if (status != code || trainer || !strstr(sentence, words))
        fail_msg("status %d (expected %d): '%s' (expected '%s')", status, code, sentence, words);
}

#define REFUSED(member, value, words)                                                                                  \
    do {                                                                                                               \
        pinion_train_options options = tiny_options(NULL);                                                             \
        options.member = (value);                                                                                      \
        assert_refused(&options, PINION_EINVAL, (words));                                                              \
    } while (0)

static void out_of_range(void **state)
{
    (void)state;
    REFUSED(batch, 0, "batch is 0; expected 1 to 65536");
    REFUSED(batch, -3, "batch is -3");
    REFUSED(batch, 65537, "batch is 65537");
    REFUSED(epochs, 0, "epochs is 0");
    REFUSED(epochs, -1, "epochs is -1");
    REFUSED(steps, -1, "steps is -1");
    REFUSED(steps, INT64_C(1000000000000001), "steps is 1000000000000001; expected 1 to 1000000000000000, or 0");
    REFUSED(steps, INT64_MAX, "steps is 9223372036854775807");
    REFUSED(save_every, -2, "save-every is -2");
    REFUSED(save_every, INT64_MAX, "save-every is 9223372036854775807; expected 1 to 1000000000000000 steps");
    REFUSED(learning_rate, -0.1f, "learning rate is -0.1");
    REFUSED(learning_rate, NAN, "learning rate is nan");
    REFUSED(learning_rate, INFINITY, "learning rate is inf");
    REFUSED(momentum, 1, "momentum is 1; expected at least 0 and less than 1");
    REFUSED(momentum, -0.5f, "momentum is -0.5");
    REFUSED(momentum, NAN, "momentum is nan");
    REFUSED(weight_decay, -1, "weight decay is -1");
    REFUSED(weight_decay, INFINITY, "weight decay is inf; expected 0 or a positive");
    REFUSED(clip_norm, -1, "clip-norm is -1");
    REFUSED(clip_norm, NAN, "clip-norm is nan");
    REFUSED(label_smoothing, 1, "label smoothing is 1");
    REFUSED(label_smoothing, -0.1f, "label smoothing is -0.1");
    REFUSED(distillation_weight, -0.5f, "distillation weight is -0.5");
    REFUSED(optimizer, (enum pinion_optimizer)7, "optimizer is 7");
    REFUSED(schedule, (enum pinion_schedule)9, "schedule is 9");
    REFUSED(augment, 4, "augment is 4");
    REFUSED(augment, -2, "augment is -2");
    REFUSED(freeze, "nothing.*", "nothing.*");
}

static void data_that_do_not_fit(void **state)
{
    (void)state;
    REFUSED(batch, 68, "batch is 68, but 'tiny' has 64 samples to train on (3 held back)");
    REFUSED(batch, 65, "batch is 65");
    REFUSED(validation, -1, "val-split is -1");
    REFUSED(validation, INT64_MAX, "val-split is 9223372036854775807; expected a number of samples");
    REFUSED(validation, TINY_TRAIN, "val-split is 67, but 'tiny' has 67 training samples");
    static const int64_t twice[] = {1, 2, 1}, outside[] = {1, 67, 2}, negative[] = {-1, 3, 4};
    REFUSED(validation_indices, twice, "val-split: sample 1 is there twice");
    REFUSED(validation_indices, outside, "val-split: sample 67; expected 0 to 66");
    REFUSED(validation_indices, negative, "val-split: sample -1");

    pinion_network *right = shared.network;
    const pinion_shape shapes[] = {{TINY_SIDE, TINY_SIDE, 3}, {9, TINY_SIDE, 3}};
    static const char *const words[] = {"'tiny' has 4 classes, but the output of network 'other' is 1x1x5",
                                        "'tiny' has images of 8x8x3, but network 'other' takes 9x8x3"};
    for (int i = 0; i < 2; i++) {
        const pinion_linear linear = {.k = 5 - i};
        pinion_layer at;
        assert_int_equal(pinion_network_create(shared.ctx, "other", shapes[i], &shared.network), PINION_OK);
        assert_int_equal(pinion_network_add_flatten(shared.network, "flat", PINION_INPUT, &at), PINION_OK);
        assert_int_equal(pinion_network_add_linear(shared.network, "fc", at, &linear, &at), PINION_OK);
        pinion_train_options options = tiny_options(NULL);
        assert_refused(&options, PINION_EINVAL, words[i]);
        pinion_eval_result result;
        assert_int_equal(pinion_evaluate(shared.network, shared.dataset, PINION_PART_TEST, 0, NULL, NULL, &result),
                         PINION_EINVAL);
        assert_non_null(strstr(pinion_context_error(shared.ctx), words[i]));
        pinion_network_destroy(shared.network);
        shared.network = right;
    }
}

static void output_that_cannot_be_written(void **state)
{
    (void)state;
    pinion_train_options options = tiny_options("/nowhere/at/all/W.safetensors");
    assert_refused(&options, PINION_EIO, "/nowhere/at/all");
    options.out = "W.state.safetensors";
    assert_refused(&options, PINION_EINVAL, "W.state.safetensors");
    options.out = "";
    assert_refused(&options, PINION_EINVAL, "out is ''");

    char path[256];
    snprintf(path, sizeof path, "%s", tiny_path("W.state.safetensors"));
    assert_int_equal(mkdir(path, 0777), 0);
    options.out = tiny_path("W.safetensors");
    assert_refused(&options, PINION_EIO, "W.state.safetensors: is a folder");
    assert_int_equal(rmdir(path), 0);

    if (geteuid() != 0) { /* root may write anywhere */
        assert_int_equal(chmod(tiny_folder(), 0555), 0);
        assert_refused(&options, PINION_EIO, tiny_folder());
        assert_int_equal(chmod(tiny_folder(), 0777), 0);
    }
}

static void evaluation_arguments(void **state)
{
    (void)state;
    pinion_eval_result result;
    const float good[3] = {1, 1, 1}, bad[3] = {1, 0, 1};
    struct {
        int batch;
        const float *mean, *std;
        const char *words;
    } cases[] = {{-1, NULL, NULL, "batch is -1"},
                 {65537, NULL, NULL, "batch is 65537"},
                 {0, good, NULL, "mean and std"},
                 {0, good, bad, "std 0 of channel 1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(pinion_evaluate(shared.network, shared.dataset, PINION_PART_TEST, cases[i].batch,
                                         cases[i].mean, cases[i].std, &result),
                         PINION_EINVAL);
        assert_non_null(strstr(pinion_context_error(shared.ctx), cases[i].words));
    }
    assert_int_equal(pinion_evaluate(NULL, shared.dataset, PINION_PART_TEST, 0, NULL, NULL, &result), PINION_EINVAL);
    assert_int_equal(pinion_evaluate(shared.network, NULL, PINION_PART_TEST, 0, NULL, NULL, &result), PINION_EINVAL);
}

static int open_shared(void **state)
{
    (void)state;
    tiny_folder();
    tiny_open(&shared, NULL, 1);
    return 0;
}

static int close_shared(void **state)
{
    (void)state;
    tiny_close(&shared);
    tiny_folder_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_of_range),
        cmocka_unit_test(data_that_do_not_fit),
        cmocka_unit_test(output_that_cannot_be_written),
        cmocka_unit_test(evaluation_arguments),
    };
    return cmocka_run_group_tests(tests, open_shared, close_shared);
}
