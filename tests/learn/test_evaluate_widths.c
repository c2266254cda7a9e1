/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation of a dynamic network at all widths in one pass: what the logits of each width give by themselves, and what
 * an evaluation of that width alone gives.
 */
#include "learn/grown.h"

#include <math.h>
#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "learn/evaluate.h"
#include "net/network.h"

typedef struct bed {
    tiny t;
    pinion__processors processors;
} bed;

static bed make_bed(int groups, enum pinion_connect connect)
{
    bed b = {0};
    grown_open(&b.t, NULL, 1, groups, connect);
    assert_int_equal(pinion__processors_choose(b.t.ctx, NULL, &b.processors), PINION_OK);
    return b;
}

static void end_bed(bed *b)
{
    pinion__processors_fini(&b->processors);
    tiny_close(&b->t);
}

static pinion__evaluator *make_evaluator(const bed *b, const pinion_plan_options *like)
{
    pinion__evaluator *evaluator = NULL;
    if (pinion__evaluator_create(b->t.network, &b->processors, like, NULL, NULL, &evaluator) < 0)
        fail_msg("%s", pinion_context_error(b->t.ctx));
    return evaluator;
}

/* Top-1, loss and confidence from logits of the test part. */
static void expect_scores(const bed *b, const float *logits, const pinion_eval_result *found, int width)
{
    int right = 0;
    double confidence = 0, loss = 0;
    for (int64_t i = 0; i < found->count; i++) {
        unsigned char pixels[TINY_SIDE * TINY_SIDE * 3];
        const float *row = logits + i * TINY_CLASSES;
        int label, best = 0;
        double sum = 0;
        assert_int_equal(pinion_dataset_read(b->t.dataset, PINION_PART_TEST, i, pixels, &label), PINION_OK);
        for (int k = 0; k < TINY_CLASSES; k++) {
            best = row[k] > row[best] ? k : best;
            sum += exp((double)row[k]);
        }
        right += best == label;
        confidence += exp((double)row[label]) / sum;
        loss -= log(exp((double)row[label]) / sum);
    }
    const double count = (double)found->count;
    assert_true(fabs(found->top1_per_width[width - 1] - 100.0 * right / count) < 1e-9);
    assert_true(fabs(found->loss_per_width[width - 1] - loss / count) < 1e-6 * loss);
    assert_true(fabs(found->confidence_per_width[width - 1] - confidence) < 1e-6 * confidence);
}

static void check(enum pinion_connect connect, int batch)
{
    bed b = make_bed(GROWN_GROUPS, connect);
    pinion_plan_options like = {.batch = batch, .patience = PINION_PATIENCE_ESTIMATE};
    pinion__evaluator *all = make_evaluator(&b, &like);
    pinion_eval_result found, alone;
    float logits[TINY_TEST * TINY_CLASSES];
    assert_int_equal(pinion__evaluator_run(all, b.t.dataset, PINION_PART_TEST, NULL, 0, &found), PINION_OK);
    assert_int_equal(found.widths, GROWN_GROUPS);
    assert_int_equal(found.count, TINY_TEST);
    assert_true(found.top1 == found.top1_per_width[GROWN_GROUPS - 1]);
    assert_true(found.loss == found.loss_per_width[GROWN_GROUPS - 1]);
    for (int width = 1; width <= GROWN_GROUPS; width++) {
        assert_int_equal(pinion__evaluator_logits(all, b.t.dataset, PINION_PART_TEST, width, logits), PINION_OK);
        expect_scores(&b, logits, &found, width);
        like.width = width % 2 ? width : 0; /* a stage says it as well */
        like.stage = width % 2 ? 0 : width;
        pinion__evaluator *narrow = make_evaluator(&b, &like);
        assert_int_equal(pinion__evaluator_run(narrow, b.t.dataset, PINION_PART_TEST, NULL, 0, &alone), PINION_OK);
        assert_int_equal(alone.widths, width);
        assert_true(alone.loss == found.loss_per_width[width - 1]);
        assert_true(alone.top1 == found.top1_per_width[width - 1]);
        pinion__evaluator_destroy(narrow);
    }
    pinion__evaluator_destroy(all);
    end_bed(&b);
}

static void test_all_widths(void **state)
{
    (void)state;
    for (int connect = PINION_TOWERS; connect <= PINION_NESTED; connect++) {
        check((enum pinion_connect)connect, TINY_BATCH);
        check((enum pinion_connect)connect, 5);
    }
}

/* pinion_evaluate: as many widths as there are groups with weights; a network that is not cut has none. */
static void test_public(void **state)
{
    (void)state;
    pinion_eval_result found;
    bed b = make_bed(GROWN_GROUPS, PINION_TOWERS);
    assert_int_equal(pinion_evaluate(b.t.network, b.t.dataset, PINION_PART_TEST, 0, NULL, NULL, &found), PINION_OK);
    assert_int_equal(found.widths, GROWN_GROUPS);
    const double loss = found.loss_per_width[1];
    b.t.network->width = 2;
    assert_int_equal(pinion_evaluate(b.t.network, b.t.dataset, PINION_PART_TEST, 0, NULL, NULL, &found), PINION_OK);
    assert_int_equal(found.widths, 2);
    assert_true(found.loss == loss);
    end_bed(&b);
    b = make_bed(0, PINION_TOWERS);
    assert_int_equal(pinion_evaluate(b.t.network, b.t.dataset, PINION_PART_TEST, 0, NULL, NULL, &found), PINION_OK);
    assert_int_equal(found.widths, 0);
    assert_true(found.loss > 0);
    end_bed(&b);
}

/* A value that is not finite is found at whatever width. */
static void test_not_finite(void **state)
{
    (void)state;
    pinion_eval_result found;
    bed b = make_bed(GROWN_GROUPS, PINION_TOWERS);
    for (int p = 0; p < (int)b.t.network->param_count; p++)
        if (strcmp(b.t.network->params[p].name, "fc.g3.weight") == 0)
            pinion__param_data(b.t.network, p)[0] = NAN;
    pinion__network_changed(b.t.network);
    assert_int_equal(pinion_evaluate(b.t.network, b.t.dataset, PINION_PART_TEST, 0, NULL, NULL, &found),
                     PINION_ENONFINITE);
    assert_non_null(strstr(pinion_context_error(b.t.ctx), "sample 0 of the test part"));
    b.t.network->width = 2;
    assert_int_equal(pinion_evaluate(b.t.network, b.t.dataset, PINION_PART_TEST, 0, NULL, NULL, &found), PINION_OK);
    end_bed(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_widths),
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
