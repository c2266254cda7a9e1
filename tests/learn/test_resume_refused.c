/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint that does not belong to the training, or is damaged, is refused.
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
#include "net/network.h"

static const int64_t held_back[3] = {5, 1, 40};

static void assert_resume_refused(const pinion_train_options *options, int code, const char *words)
{
    tiny t;
    tiny_open(&t, NULL, 1);
    int status = tiny_train(&t, options, tiny_path("W.safetensors"), 0, NULL);
    const char *sentence = pinion_context_error(t.ctx);
    if (status != code || !strstr(sentence, words))
        fail_msg("status %d (expected %d): '%s' (expected '%s')", status, code, sentence, words);
    tiny_close(&t);
}

#define DIFFERS(member, value, words)                                                                                  \
    do {                                                                                                               \
        pinion_train_options options = tiny_options(NULL);                                                             \
        options.member = (value);                                                                                      \
        assert_resume_refused(&options, PINION_EINVAL, (words));                                                       \
    } while (0)

static void other_options_are_refused(void **state)
{
    (void)state;
    tiny_make_checkpoint();
    DIFFERS(batch, 4, "--batch is '4', but the checkpoint was made with '8'");
    DIFFERS(epochs, 3, "--epochs is '3'");
    DIFFERS(steps, 12, "--steps is '12'");
    DIFFERS(optimizer, PINION_ADAMW, "--optimizer is 'adamw', but the checkpoint was made with 'sgd'");
    DIFFERS(learning_rate, 0.5f, "--lr is '0.5', but the checkpoint was made with '0.02'");
    DIFFERS(momentum, 0.5f, "momentum");
    DIFFERS(weight_decay, 0.5f, "weight-decay");
    DIFFERS(schedule, PINION_SCHEDULE_STEP, "--schedule is 'step', but the checkpoint was made with 'onecycle'");
    DIFFERS(clip_norm, 0, "clip-norm");
    DIFFERS(label_smoothing, 0, "label-smoothing");
    DIFFERS(distillation_weight, 0.5f, "--distillation-weight is '0.5', but the checkpoint was made with '0.3'");
    DIFFERS(augment, PINION_AUGMENT_NONE, "--augment is 'none', but the checkpoint was made with 'crop,flip'");
    DIFFERS(freeze, "conv1", "--freeze is 'conv1', but the checkpoint was made with ''");
    DIFFERS(seed, 2, "seed");
    DIFFERS(validation, 2, "val-split");
    DIFFERS(validation_indices, held_back, "val-split");
    pinion_train_options options = tiny_options(NULL);
    options.save_every = 7; /* may differ */
    tiny t;
    tiny_open(&t, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, tiny_path("W.safetensors"), 0, NULL), PINION_OK);
    tiny_close(&t);
}

static int read_other(void *user, enum pinion_part part, int64_t index, unsigned char *pixels, int *label)
{
    (void)user, (void)part;
    memset(pixels, 3, TINY_SIDE * TINY_SIDE * 3);
    *label = (int)(index % TINY_CLASSES);
    return PINION_OK;
}

static void other_data_are_refused(void **state)
{
    (void)state;
    tiny t;
    tiny_make_checkpoint();
    tiny_open(&t, NULL, 1);
    pinion_dataset_source source = {.info = pinion_dataset_get_info(t.dataset), .read = read_other};
    pinion_dataset *other, *right = t.dataset;
    assert_int_equal(pinion_dataset_create(t.ctx, &source, &other), PINION_OK);
    t.dataset = other;
    pinion_train_options options = tiny_options(NULL);
    assert_int_equal(tiny_train(&t, &options, tiny_path("W.safetensors"), 0, NULL), PINION_EINVAL);
    assert_non_null(strstr(pinion_context_error(t.ctx), "other training data"));
    pinion_trainer_destroy(t.trainer);
    t.trainer = NULL;
    t.dataset = right;
    pinion_dataset_destroy(other);
    tiny_close(&t);
}

static void other_networks_are_refused(void **state)
{
    (void)state;
    tiny t;
    tiny_make_checkpoint();
    tiny_open(&t, NULL, 1);
    pinion_network_destroy(t.network);
    const pinion_linear linear = {.k = TINY_CLASSES};
    pinion_layer at;
    const pinion_shape shape = {TINY_SIDE, TINY_SIDE, 3};
    assert_int_equal(pinion_network_create(t.ctx, "tiny", shape, &t.network), PINION_OK);
    assert_int_equal(pinion_network_add_flatten(t.network, "flat", PINION_INPUT, &at), PINION_OK);
    assert_int_equal(pinion_network_add_linear(t.network, "fc", at, &linear, &at), PINION_OK);
    pinion_train_options options = tiny_options(NULL);
    assert_int_equal(tiny_train(&t, &options, tiny_path("W.safetensors"), 0, NULL), PINION_EINVAL);
    assert_non_null(strstr(pinion_context_error(t.ctx), "another network"));
    tiny_close(&t);
}

static void damaged_checkpoints_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
        int code;
    } edits[] = {
        {"pinion.train.step\"", "pinion.train.stop\"", "pinion.train.step", PINION_EFORMAT},
        {"pinion.train.batch\"", "pinion.train.botch\"", "pinion.train.batch", PINION_EFORMAT},
        {"pinion.train.step\": \"5\"", "pinion.train.step\": \"6\"", "expected a place within", PINION_EFORMAT},
        {"pinion.train.step\": \"5\"", "pinion.train.step\": \"x\"", "'pinion.train.step' is 'x'", PINION_EFORMAT},
        {"pinion.train.epoch-step\": \"5\"", "pinion.train.epoch-step\": \"9\"", "expected a place within",
         PINION_EFORMAT},
        {"pinion.train.clip-norm\": \"1p1\"", "pinion.train.clip-norm\": \"1q1\"", "clip-norm", PINION_EFORMAT},
        {"pinion.train.clip-norm\": \"1p1\"", "pinion.train.clip-norm\": \"-p1\"", "clip-norm", PINION_EFORMAT},
        {"pinion.moment0.fc.weight", "pinion.moment9.fc.weight", "pinion.moment0.fc.weight", PINION_EFORMAT},
        {"fc linear forward linear", "fc linear forward lineal", "lineal", PINION_EINVAL},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        tiny_make_checkpoint();
        tiny_edit_checkpoint(edits[i].from, edits[i].to);
        pinion_train_options options = tiny_options(NULL);
        assert_resume_refused(&options, edits[i].code, edits[i].words);
    }
    tiny_make_checkpoint();
    assert_int_equal(remove(tiny_path("W.state.safetensors")), 0);
    pinion_train_options options = tiny_options(NULL);
    assert_resume_refused(&options, PINION_EFORMAT, "W.state.safetensors");
    tiny_copy(tiny_path("W.safetensors"), tiny_path("W.state.safetensors")); /* weights alone are no checkpoint */
    assert_resume_refused(&options, PINION_EFORMAT, "is no checkpoint of a training");
}

/* A refused checkpoint leaves the network's weights as they were. */
static void refusal_changes_nothing(void **state)
{
    (void)state;
    tiny t, start;
    tiny_make_checkpoint();
    tiny_edit_checkpoint("pinion.moment0.fc.weight", "pinion.moment9.fc.weight");
    pinion_train_options options = tiny_options(NULL);
    tiny_open(&t, NULL, 1);
    tiny_open(&start, NULL, 1);
    assert_int_equal(tiny_train(&t, &options, tiny_path("W.safetensors"), 0, NULL), PINION_EFORMAT);
    assert_memory_equal(t.network->block, start.network->block, t.network->block_bytes);
    tiny_close(&t);
    tiny_close(&start);
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
        cmocka_unit_test_teardown(other_options_are_refused, clean),
        cmocka_unit_test_teardown(other_data_are_refused, clean),
        cmocka_unit_test_teardown(other_networks_are_refused, clean),
        cmocka_unit_test_teardown(damaged_checkpoints_are_refused, clean),
        cmocka_unit_test_teardown(refusal_changes_nothing, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
