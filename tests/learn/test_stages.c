/* SPDX-License-Identifier: Apache-2.0
 *
 * Dynamic networks: groups trained one after another. What is frozen stays, in memory and in files, to the byte; a file
 * has the groups that were trained; a stage alone is the stage behind others; joint training changes all groups; what
 * is out of order is refused before anything happens.
 */
#include "learn/grown.h"

#include <math.h>
#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "learn/trainer.h"

typedef struct variant {
    const char *name;
    enum pinion_connect connect;
    int augment;
} variant;

static const variant variants[] = {
    {"towers", PINION_TOWERS, -1},
    {"towers whose logits are computed once", PINION_TOWERS, PINION_AUGMENT_NONE},
    {"nested", PINION_NESTED, -1},
};

/* What a training in stages leaves behind: per stage a copy of the files, and of group 1 as it was in memory. */
typedef struct record {
    tiny *t;
    int begun, ended;
    float *first[GROWN_GROUPS + 1]; /* group 1 at the end of each stage */
    size_t bytes;
    int cached[GROWN_GROUPS + 1];
    pinion_train_result results[GROWN_GROUPS + 1];
} record;

static const char *stage_path(const char *ending, int stage)
{
    char name[64];
    snprintf(name, sizeof name, "stage%d%s", stage, ending);
    return tiny_path(name);
}

static void on_stage(void *user, const pinion_stage_report *report)
{
    record *of = user;
    assert_int_equal(report->stages, GROWN_GROUPS + 1);
    assert_int_equal(report->group, report->stage % (GROWN_GROUPS + 1));
    assert_int_equal(report->joint, report->stage == GROWN_GROUPS + 1);
    assert_int_equal(report->width, report->joint ? GROWN_GROUPS : report->stage);
    if (!report->result) {
        assert_int_equal(report->stage, ++of->begun);
        of->cached[of->begun - 1] = report->cached;
        return;
    }
    of->first[of->ended] = grown_copy_group(of->t->network, 1, &of->bytes);
    of->results[of->ended] = *report->result;
    assert_int_equal(report->stage, ++of->ended);
    tiny_copy(tiny_path("all.safetensors"), stage_path(".safetensors", of->ended));
    tiny_copy(tiny_path("all.best.safetensors"), stage_path(".best.safetensors", of->ended));
}

static void check_step(void *user, const pinion_step_report *report)
{
    const record *of = user;
    static const int64_t before[] = {0, 8, 13, 23}, steps[] = {8, 5, 10, 4};
    assert_int_equal(report->stage, of->begun);
    assert_int_equal(report->done, before[report->stage - 1] + report->step);
    assert_int_equal(report->steps, steps[report->stage - 1]);
}

static void train_all(const variant *with, record *of)
{
    const pinion_train_options options = grown_options(tiny_path("all.safetensors"), with->augment);
    const pinion_train_callbacks callbacks = {.step = check_step, .stage = on_stage, .user = of};
    pinion_train_result result;
    grown_open(of->t, NULL, 1, GROWN_GROUPS, with->connect);
    assert_int_equal(pinion_trainer_create(of->t->network, of->t->dataset, &options, &of->t->trainer), PINION_OK);
    assert_int_equal(pinion_network_get_info(of->t->network).width, 1);
    int status = pinion_trainer_run(of->t->trainer, &callbacks, &result);
    if (status < 0)
        fail_msg("%s: %s", with->name, pinion_context_error(of->t->ctx));
    assert_int_equal(of->ended, GROWN_GROUPS + 1);
    assert_int_equal(result.widths, GROWN_GROUPS);
    assert_true(result.top1 == result.top1_per_width[GROWN_GROUPS - 1]);
}

static void record_fini(record *of)
{
    for (int i = 0; i < of->ended; i++)
        free(of->first[i]);
    tiny_close(of->t);
}

static void earlier_groups_stay(void **state)
{
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        tiny t;
        record of = {.t = &t};
        (void)state;
        train_all(&variants[v], &of);
        for (int stage = 1; stage <= GROWN_GROUPS; stage++) {
            assert_int_equal(grown_width_of(t.ctx, stage_path(".safetensors", stage)), stage);
            assert_int_equal(grown_width_of(t.ctx, stage_path(".best.safetensors", stage)), stage);
            assert_int_equal(of.results[stage - 1].widths, stage);
        }
        /* Stages 2 and 3 do not touch group 1, which is the best one of stage 1; neither stage 3 group 2. */
        assert_memory_equal(of.first[1], of.first[2], of.bytes);
        for (int stage = 2; stage <= GROWN_GROUPS; stage++)
            for (int group = 1; group < stage; group++) {
                const char *best = stage_path(".best.safetensors", group);
                grown_assert_same_group(t.ctx, best, stage_path(".safetensors", stage), group);
                grown_assert_same_group(t.ctx, best, stage_path(".best.safetensors", stage), group);
            }
        /* Nor do they change what its width says, up to the last digit. */
        assert_true(of.results[1].top1_per_width[0] == of.results[2].top1_per_width[0]);
        /* Joint training does. */
        assert_memory_not_equal(of.first[2], of.first[3], of.bytes);
        bool once = variants[v].connect == PINION_TOWERS && variants[v].augment == PINION_AUGMENT_NONE;
        const int cached[] = {0, once, once, 0};
        assert_memory_equal(of.cached, cached, sizeof cached);
        record_fini(&of);
    }
}

/* A stage that begins from the file that the one before left gives the same files as the stage behind it. */
static void a_stage_alone(void **state)
{
    (void)state;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        tiny t;
        record of = {.t = &t};
        train_all(&variants[v], &of);
        record_fini(&of);
        for (int index = 1; index <= GROWN_GROUPS; index++) {
            const pinion_train_options all = grown_options(tiny_path("alone.safetensors"), variants[v].augment);
            const pinion_train_options options = grown_stage(&all, index);
            pinion_weights_file *file;
            grown_open(&t, NULL, 7, GROWN_GROUPS, variants[v].connect); /* other weights than those of the file */
            assert_int_equal(pinion_weights_open(t.ctx, stage_path(".best.safetensors", index), &file), PINION_OK);
            assert_int_equal(pinion_weights_load(t.network, file, NULL), PINION_OK);
            pinion_weights_close(file);
            assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
            tiny_assert_same(stage_path(".safetensors", index + 1), tiny_path("alone.safetensors"));
            tiny_assert_same(stage_path(".best.safetensors", index + 1), tiny_path("alone.best.safetensors"));
            tiny_close(&t);
        }
    }
}

/* Without samples held back the next stage begins from the last weights of the one before. */
static void without_validation(void **state)
{
    (void)state;
    tiny t;
    pinion_train_options options = grown_options(tiny_path("all.safetensors"), -1);
    options.validation = 0;
    options.stage_count = 1;
    grown_open(&t, NULL, 1, GROWN_GROUPS, PINION_TOWERS);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);
    tiny_copy(tiny_path("all.safetensors"), tiny_path("one.safetensors"));
    options.stage_count = 2;
    grown_open(&t, NULL, 1, GROWN_GROUPS, PINION_TOWERS);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    grown_assert_same_group(t.ctx, tiny_path("one.safetensors"), tiny_path("all.safetensors"), 1);
    tiny_close(&t);
}

/* Accuracies of widths are in the file while they are those of its weights. */
static void accuracies_in_the_file(void **state)
{
    (void)state;
    tiny t;
    pinion_train_result result;
    pinion_weights_file *file;
    pinion_train_options options = grown_options(tiny_path("all.safetensors"), -1);
    options.validation = 0; /* so that every epoch ends with the test part, the first of stage 3, too */
    grown_open(&t, NULL, 1, GROWN_GROUPS, PINION_NESTED);
    assert_int_equal(tiny_train(&t, &options, NULL, 22, NULL), PINION_EINTERRUPTED);
    assert_int_equal(pinion_weights_open(t.ctx, options.out, &file), PINION_OK);
    assert_int_equal(pinion_weights_get_metadata(file)->known_widths, 0);
    pinion_weights_close(file);
    tiny_close(&t);
    options.validation = 3; /* where it is only the end of the training that does */
    grown_open(&t, NULL, 1, GROWN_GROUPS, PINION_NESTED);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, &result), PINION_OK);
    assert_int_equal(pinion_weights_open(t.ctx, options.out, &file), PINION_OK);
    const pinion_weights_metadata *metadata = pinion_weights_get_metadata(file);
    assert_int_equal(metadata->known_widths, GROWN_GROUPS);
    for (int i = 0; i < GROWN_GROUPS; i++)
        assert_true(fabs(metadata->top1_per_width[i] - result.top1_per_width[i]) < 1e-4);
    pinion_weights_close(file);
    tiny_close(&t);
}

/* ---- what is refused ---- */

typedef struct refusal {
    int groups, width; /* of the network, and groups that have weights */
    int stage, joint;
    int stages[4], count;
    const char *sentence;
} refusal;

static const refusal refusals[] = {
    {0, 0, 1, 0, {0}, 0, "network 'grown' is not cut into groups: stages and joint training are for those that are"},
    {0, 0, 0, 1, {0}, 0, "network 'grown' is not cut into groups: stages and joint training are for those that are"},
    {3, 3, 4, 0, {0}, 0, "there is no stage 4: network 'grown' is cut into 3 groups"},
    {3, 3, 9, 0, {0}, 0, "stage is 9; expected 1 to 8, or 0"},
    {3, 3, -1, 0, {0}, 0, "stage is -1; expected 1 to 8, or 0"},
    {3, 3, 2, 1, {0}, 0, "stage 2 and joint: a stage trains one group, joint training all of them"},
    {3, 3, 0, 2, {0}, 0, "joint is 2; expected 0 or 1"},
    {3,
     1,
     3,
     0,
     {0},
     0,
     "stage 3 is out of order: it needs the weights of groups 1 to 2, but network 'grown' has those of 1"},
    {3, 2, 0, 1, {0}, 0, "joint training needs the weights of all 3 groups, but network 'grown' has those of 2"},
    {3,
     2,
     0,
     0,
     {0},
     0,
     "training without a stage needs the weights of all 3 groups, but network 'grown' has those of 2"},
    {3,
     1,
     0,
     0,
     {3, 0},
     2,
     "stage 3 is out of order: it needs the weights of groups 1 to 2, but network 'grown' has those of 1"},
    {3,
     3,
     0,
     0,
     {1, 3},
     2,
     "stages: number 2 trains group 3; expected one group after another, and all (0) last at most"},
    {3,
     3,
     0,
     0,
     {1, 0, 2},
     3,
     "stages: number 2 trains group 0; expected one group after another, and all (0) last at most"},
    {3, 3, 0, 0, {1, 2, 0}, 3, "joint training cannot follow group 2: network 'grown' is cut into 3 groups"},
    {3, 3, 1, 0, {1, 2}, 2, "there are 2 stages, and stage or joint is given; expected one of them"},
    {3, 3, 0, 0, {0}, 10, "there are 10 stages; expected at most 9"},
};

static void out_of_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *at = &refusals[i];
        tiny t;
        grown_open(&t, NULL, 1, at->groups, PINION_TOWERS);
        t.network->width = at->width;
        pinion_train_options options = tiny_options(tiny_path("none.safetensors"));
        options.stage = at->stage;
        options.joint = at->joint;
        options.stage_count = at->count;
        for (int s = 0; s < at->count && s < 4; s++)
            options.stages[s].group = at->stages[s];
        assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_EINVAL);
        assert_string_equal(pinion_context_error(t.ctx), at->sentence);
        assert_int_equal(pinion_network_get_info(t.network).width, at->width);
        assert_int_equal(tiny_folder_count("none"), 0);
        tiny_close(&t);
    }
}

/* A limit that is enough for the first stage but not for a later one is refused at once. */
static void later_stages_within_the_limit(void **state)
{
    (void)state;
    tiny t;
    pinion_train_options options = grown_options(NULL, -1);
    grown_open(&t, NULL, 1, GROWN_GROUPS, PINION_NESTED);
    pinion_train_options first = grown_stage(&options, 0);
    first.memory_limit = 1;
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &first, &t.trainer), PINION_ENOMEM);
    while (pinion_trainer_create(t.network, t.dataset, &first, &t.trainer) == PINION_ENOMEM)
        first.memory_limit += 256;
    pinion_trainer_destroy(t.trainer);
    t.trainer = NULL;
    options.memory_limit = first.memory_limit;
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_ENOMEM);
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
        cmocka_unit_test_teardown(earlier_groups_stay, clean),
        cmocka_unit_test_teardown(a_stage_alone, clean),
        cmocka_unit_test_teardown(without_validation, clean),
        cmocka_unit_test_teardown(accuracies_in_the_file, clean),
        cmocka_unit_test_teardown(out_of_order, clean),
        cmocka_unit_test_teardown(later_stages_within_the_limit, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
