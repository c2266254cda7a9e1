/* SPDX-License-Identifier: Apache-2.0
 *
 * Towers on two processors at once: neither waits for the other but where logits add up, also not for memory, and the
 * list still stands group by group.
 */
#include "plan/pair_bed.h"

#include "net/groups.h"

/* Two towers of three convolutions each. */
static pair_bed open_towers(int groups)
{
    pair_bed b = open_pair();
    pinion_network *cut = NULL;
    if (pinion__network_cut_take(b.network, groups, PINION_TOWERS, &cut) < 0 || pinion_network_init_weights(cut, 1) < 0)
        fail_msg("%s", pinion_context_error(b.ctx));
    b.network = cut;
    return b;
}

static pinion_plan *plan_towers(const pair_bed *b, enum pinion_mode mode, const char *place)
{
    pinion_plan *plan = NULL;
    pinion_plan_options options = training_options(PAIR_BATCH);
    options.mode = mode;
    options.place = place;
    if (pinion__plan_create(b->network, &options, (pinion__processor *const *)b->processors, PAIR, &plan) < 0)
        fail_msg("%s", pinion_context_error(b->ctx));
    return plan;
}

/* Everything takes a millisecond. */
static void note_times(const pair_bed *b, enum pinion_mode mode)
{
    pinion_plan *plan = plan_towers(b, mode, "serial");
    for (size_t r = 0; r < plan->record_count; r++)
        for (int i = 0; i < plan->records[r].count; i++)
            note(b, plan->records[r].key, plan->candidates[plan->records[r].first + i].kernel->name, 1);
    pinion_plan_destroy(plan);
}

static int group_of(const pinion_plan *plan, int t)
{
    return pinion__task_group(plan, &plan->tasks[t]);
}

static bool adds_logits(const pinion_plan *plan, int t)
{
    const pinion__tensor *tensors = plan->tensors;
    for (int i = 0; i < PINION__MAX_OPERANDS; i++)
        for (int width = 0; width < plan->width && plan->tasks[t].operand[i] >= 0; width++)
            if (tensors[plan->tasks[t].operand[i]].storage == tensors[plan->width_output[width]].storage)
                return true;
    return false;
}

static void test_inference(void **state)
{
    (void)state;
    for (int groups = 2; groups <= 4; groups++) {
        pair_bed b = open_towers(groups);
        note_times(&b, PINION_INFER);
        pinion_plan *plan = plan_towers(&b, PINION_INFER, "unsliced"),
                    *serial = plan_towers(&b, PINION_INFER, "serial");
        bool beside = false;
        assert_false(plan->serial);
        assert_true(plan->predicted_ms < (groups == 3 ? 0.75 : 0.65) * serial->predicted_ms);
        for (int t = plan->prologue; t < (int)plan->task_count; t++) {
            const pinion__task *task = &plan->tasks[t];
            assert_true(t == plan->prologue || group_of(plan, t) >= group_of(plan, t - 1));
            for (int i = 0; i < task->after_count && task->after[i] >= plan->prologue; i++)
                assert_true(group_of(plan, task->after[i]) == group_of(plan, t) || adds_logits(plan, t) ||
                            plan->tasks[task->after[i]].end_ms <= task->start_ms);
            for (int other = plan->prologue; other < t; other++)
                beside = beside ||
                         (group_of(plan, other) != group_of(plan, t) && plan->tasks[other].start_ms < task->end_ms &&
                          task->start_ms < plan->tasks[other].end_ms);
        }
        assert_true(beside);
        pinion_plan_destroy(plan);
        pinion_plan_destroy(serial);
        close_pair(&b);
    }
}

static void test_training(void **state)
{
    (void)state;
    pair_bed b = open_towers(2);
    note_times(&b, PINION_TRAIN);
    pinion_plan *plan = plan_towers(&b, PINION_TRAIN, "unsliced"), *serial = plan_towers(&b, PINION_TRAIN, "serial");
    assert_false(plan->serial);
    assert_true(plan->predicted_ms < 0.65 * serial->predicted_ms);
    pinion_plan_destroy(plan);
    pinion_plan_destroy(serial);
    close_pair(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_inference), cmocka_unit_test(test_training)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
