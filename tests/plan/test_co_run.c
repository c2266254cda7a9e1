/* SPDX-License-Identifier: Apache-2.0
 *
 * How processors slow each other: what is measured and kept for which class of work, and what is made of it.
 */
#include "plan/pair_bed.h"

static const char *const classes[PINION__WORK_CLASSES] = {"forward", "backward_data", "backward_weights", "bytes"};

static void test_classes(void **state)
{
    (void)state;
    pair_bed b = open_pair();
    pinion_plan *plan = plan_pair(&b, "serial", PINION_PATIENCE_ESTIMATE, NULL);
    int count[PINION__WORK_CLASSES] = {0};
    for (int t = 0; t < (int)plan->task_count; t++) {
        const pinion__task *task = &plan->tasks[t];
        const bool conv = task->op->id == PINION__OP_conv2d && task->pass != PINION__UPDATE;
        const enum pinion__work_class of = pinion__work_class_of(plan, task);
        assert_int_equal(of, !conv                                 ? PINION__WORK_BYTES
                             : task->pass == PINION__FORWARD       ? PINION__WORK_FORWARD
                             : task->pass == PINION__BACKWARD_DATA ? PINION__WORK_BACKWARD_DATA
                                                                   : PINION__WORK_BACKWARD_WEIGHTS);
        count[of]++;
    }
    assert_int_equal(count[PINION__WORK_FORWARD], 3);
    assert_int_equal(count[PINION__WORK_BACKWARD_DATA], 2);
    assert_int_equal(count[PINION__WORK_BACKWARD_WEIGHTS], 3);
    assert_true(count[PINION__WORK_BYTES] >= 4);
    pinion_plan_destroy(plan);
    close_pair(&b);
}

static void expect_factor(const pinion_plan *plan, enum pinion__work_class of, int p, double known, double used)
{
    double factors[PINION__WORK_CLASSES][PAIR][PAIR];
    pinion__co_run_factors(plan, &factors[0][0][0]);
    assert_true(fabs(plan->slowdown[of][p][1 - p] - known) < 1e-9);
    assert_true(fabs(factors[of][p][1 - p] - used) < 1e-9);
    assert_true(plan->slowdown[of][p][p] == 0 && factors[of][p][p] == 1);
}

/* Less than 1 is noise, more than 4 a disturbance; an entry without its class, as files once had it, says nothing. */
static void test_factors(void **state)
{
    (void)state;
    pair_bed b = open_pair();
    const char *isa = pinion__isa_name(b.processors[0]->isa);
    char old[256];
    snprintf(old, sizeof old, "co-run simulated:0 %s threads=1 beside simulated:1 %s threads=1", isa, isa);
    note(&b, old, "alone", 1);
    note(&b, old, "beside", 3);
    note(&b, co_run_key(&b, "forward", 1), "alone", 2);
    note(&b, co_run_key(&b, "forward", 1), "beside", 3);
    note(&b, co_run_key(&b, "bytes", 0), "alone", 2);
    note(&b, co_run_key(&b, "bytes", 0), "beside", 1.5);
    note(&b, co_run_key(&b, "backward_data", 0), "alone", 1);
    note(&b, co_run_key(&b, "backward_data", 0), "beside", 9);
    note(&b, co_run_key(&b, "backward_weights", 0), "beside", 9);
    pinion_plan *plan = plan_pair(&b, "serial", PINION_PATIENCE_ESTIMATE, NULL);
    expect_factor(plan, PINION__WORK_FORWARD, 0, 0, 1);
    expect_factor(plan, PINION__WORK_FORWARD, 1, 1.5, 1.5);
    expect_factor(plan, PINION__WORK_BYTES, 0, 1, 1);
    expect_factor(plan, PINION__WORK_BACKWARD_DATA, 0, 4, 4);
    expect_factor(plan, PINION__WORK_BACKWARD_WEIGHTS, 0, 0, 1);
    pinion_plan_destroy(plan);

    b.processors[0]->core_mask[0] = b.processors[1]->core_mask[0] = 1; /* they never run at once */
    plan = plan_pair(&b, "serial", PINION_PATIENCE_ESTIMATE, NULL);
    expect_factor(plan, PINION__WORK_FORWARD, 1, 0, 1);
    pinion_plan_destroy(plan);
    close_pair(&b);
}

static double get(const pair_bed *b, int work_class, int p, const char *name)
{
    return pinion__wisdom_get(b->wisdom, co_run_key(b, classes[work_class], p), name);
}

/* Everything is measured once; again where what was measured is much lighter than the work of this plan; but not on
 * processors that never run at once. */
static void test_measuring(void **state)
{
    (void)state;
    pair_bed b = open_pair();
    double alone[PINION__WORK_CLASSES][PAIR];
    pinion_plan_destroy(plan_pair(&b, "concurrent", PINION_PATIENCE_MEASURE, NULL));
    for (int c = 0; c < PINION__WORK_CLASSES; c++)
        for (int p = 0; p < PAIR; p++) {
            alone[c][p] = get(&b, c, p, "alone");
            assert_true(alone[c][p] > 0 && get(&b, c, p, "beside") > 0);
            note(&b, co_run_key(&b, classes[c], p), "alone", 100);
        }
    note(&b, co_run_key(&b, "backward_data", 1), "alone", 1e-6);
    pinion_plan_destroy(plan_pair(&b, "concurrent", PINION_PATIENCE_ESTIMATE, NULL));
    assert_true(get(&b, PINION__WORK_BACKWARD_DATA, 1, "alone") == 1e-6); /* it measures nothing */
    pinion_plan *plan = plan_pair(&b, "concurrent", PINION_PATIENCE_MEASURE, NULL);
    for (int c = 0; c < PINION__WORK_CLASSES; c++)
        for (int p = 0; p < PAIR; p++) {
            bool again = c == PINION__WORK_BACKWARD_DATA && p == 1;
            assert_true(again ? get(&b, c, p, "alone") > 1e-4 : get(&b, c, p, "alone") == 100);
            double factor = get(&b, c, p, "beside") / get(&b, c, p, "alone");
            assert_true(fabs(plan->slowdown[c][p][1 - p] - fmin(fmax(factor, 1), 4)) < 1e-9);
        }
    pinion_plan_destroy(plan);
    close_pair(&b);

    b = open_pair();
    b.processors[0]->core_mask[0] = b.processors[1]->core_mask[0] = 1;
    pinion_plan_destroy(plan_pair(&b, "concurrent", PINION_PATIENCE_MEASURE, NULL));
    assert_true(isnan(get(&b, PINION__WORK_FORWARD, 0, "alone")));
    close_pair(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_factors),
        cmocka_unit_test(test_measuring),
    };
    return cmocka_run_group_tests_name("co_run", tests, NULL, NULL);
}
