/* SPDX-License-Identifier: Apache-2.0
 *
 * Concurrent placements: every schedule obeys the rules and lies between the bound and the serial optimum.
 */
#include "plan/placement_random.h"
#include "plan/placement_review.h"

/* Rivals, edges and slowing each other down for a problem that has none. */
static void draw_concurrency(bed *b)
{
    const int processors = b->problem.processor_count, tasks = b->problem.task_count;
    for (int p = 0; p < processors; p++)
        for (int q = 0; q < p; q++)
            if (bed_draw(b, 4) == 0) {
                b->rivals[p] |= UINT32_C(1) << q;
                b->rivals[q] |= UINT32_C(1) << p;
            }
    b->problem.edge_count = tasks > 1 ? (int)bed_draw(b, 4) : 0;
    for (int i = 0; i < b->problem.edge_count; i++) {
        b->edges[i][0] = (int)bed_draw(b, (uint32_t)tasks - 1);
        b->edges[i][1] = b->edges[i][0] + 1 + (int)bed_draw(b, (uint32_t)(tasks - 1 - b->edges[i][0]));
    }
    for (int i = 0; i < MAX_CLASSES * processors * processors; i++)
        b->slowdown[i] = bed_uniform(b, 1, 1.5);
    for (int t = 0; t < tasks; t++)
        b->work_class[t] = (int)bed_draw(b, MAX_CLASSES);
    b->problem.slowdown = bed_draw(b, 2) ? b->slowdown : NULL;
    b->problem.work_class = bed_draw(b, 2) ? b->work_class : NULL;
}

static void schedules_obey_all_rules(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    int gains = 0, parallel = 0;
    for (uint64_t seed = 1; seed <= seeds(120); seed++) {
        bed *b = bed_draw_problem(ctx, seed, 1 + (int)(seed % 4), 6);
        draw_concurrency(b);
        pinion__placement serial;
        pinion__schedule schedule;
        int status = pinion__place_serial(&b->problem, &serial);
        assert_true(status == PINION_OK || status == PINION_EUNSUPPORTED);
        assert_int_equal(pinion__place_concurrent(&b->problem, &schedule), PINION_OK);
        check_schedule(b, &schedule);
        assert_true(not_before(schedule.placement.ms, pinion__placement_bound(&b->problem, false)));
        assert_true(pinion__placement_cut_bound(&b->problem) <= pinion__placement_bound(&b->problem, false) + 1e-9);
        if (status == PINION_OK) {
            assert_true(not_before(serial.ms, schedule.placement.ms));
            gains += schedule.placement.ms < 0.99 * serial.ms;
        }
        for (int i = 1; i < b->problem.task_count; i++)
            parallel += schedule.start_ms[schedule.order[i]] < schedule.end_ms[schedule.order[i - 1]] - 1e-9;
        pinion__placement_fini(ctx, &serial);
        pinion__schedule_fini(ctx, &schedule);
        free(b);
    }
    print_message("%d are faster than serial, %d tasks start beside another\n", gains, parallel);
    assert_true(gains > (int)seeds(30) && parallel > (int)seeds(200));
    close_context(ctx);
}

static void same_problem_same_schedule(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bed *b = bed_draw_problem(ctx, seed, 3, 6);
        pinion__schedule one, two;
        assert_int_equal(pinion__place_concurrent(&b->problem, &one), PINION_OK);
        assert_int_equal(pinion__place_concurrent(&b->problem, &two), PINION_OK);
        size_t tasks = (size_t)b->problem.task_count;
        assert_memory_equal(one.placement.processor, two.placement.processor, tasks * sizeof(int));
        assert_memory_equal(one.order, two.order, tasks * sizeof(int));
        assert_memory_equal(one.start_ms, two.start_ms, tasks * sizeof(double));
        pinion__schedule_fini(ctx, &one);
        pinion__schedule_fini(ctx, &two);
        free(b);
    }
    close_context(ctx);
}

/* Three tasks that know nothing of each other, one for each processor, which all begin at 0; tasks 0 and 2 slow each
 * other by 1.5, the other pairs by 1.2. Their class decides: all others would be slowed by 3. */
static void running_beside_others_slows(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    bed *b = bed_create(ctx, 1, 3);
    static const double work[3] = {1, 4, 8};
    static const int classes[3] = {1, 2, 0};
    for (int t = 0; t < 3; t++) {
        int storage = bed_storage(b, 8);
        (void)bed_task(b, "task", -1);
        bed_write(b, storage);
        for (int p = 0; p < 3; p++) {
            b->ms[t * 3 + p] = p == t ? work[t] : HUGE_VAL;
            b->work_class[t] = classes[t];
            for (int c = 0; c < MAX_CLASSES; c++)
                b->slowdown[(c * 3 + t) * 3 + p] = p == t ? 1 : c != classes[t] ? 3 : (p + t) % 2 ? 1.2 : 1.5;
        }
    }
    bed_finish(b);
    bed_board(b, false);
    b->problem.slowdown = b->slowdown;
    b->problem.work_class = b->work_class;
    pinion__schedule schedule;
    assert_int_equal(pinion__place_concurrent(&b->problem, &schedule), PINION_OK);
    for (int t = 0; t < 3; t++)
        expect_near(schedule.start_ms[t], 0);
    const double first = 1 * 1.2 * 1.5;                     /* beside 1 and 2 */
    const double second = first + (4 - first / 1.44) * 1.2; /* beside 0 and 2, then 2 */
    const double third = second + 8 - first / 1.8 - (second - first) / 1.2;
    expect_near(schedule.end_ms[0], first);
    expect_near(schedule.end_ms[1], second);
    expect_near(schedule.end_ms[2], third);
    expect_near(schedule.placement.ms, third);
    pinion__schedule_fini(ctx, &schedule);
    free(b);
    close_context(ctx);
}

/* Where it costs more than it gives, one task at a time is what comes out. */
static void serial_stands_where_nothing_is_gained(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    int same = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        bed *b = bed_draw_problem(ctx, seed, 2, 5);
        b->problem.slowdown = b->slowdown;
        for (int i = 0; i < 4; i++)
            b->slowdown[i] = 4;
        pinion__placement serial;
        pinion__schedule schedule;
        assert_int_equal(pinion__place_serial(&b->problem, &serial), PINION_OK);
        assert_int_equal(pinion__place_concurrent(&b->problem, &schedule), PINION_OK);
        check_schedule(b, &schedule);
        assert_true(not_before(serial.ms, schedule.placement.ms));
        same += fabs(serial.ms - schedule.placement.ms) < 1e-6;
        pinion__placement_fini(ctx, &serial);
        pinion__schedule_fini(ctx, &schedule);
        free(b);
    }
    assert_true(same > 10);
    close_context(ctx);
}

/* Ten tasks of 2 ms on two processors: 10 ms; 20 if they share cores; with a third, a rival of both, no less than 10.
 */
static void rivals_are_one_in_the_bound(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    bed *b = bed_create(ctx, 1, 3);
    for (int t = 0; t < 10; t++) {
        int storage = bed_storage(b, 8);
        (void)bed_task(b, "task", -1);
        bed_write(b, storage);
        b->ms[t * 3] = b->ms[t * 3 + 1] = b->ms[t * 3 + 2] = 2;
    }
    bed_finish(b);
    bed_board(b, false);
    b->rivals[2] = 3, b->rivals[0] = b->rivals[1] = 4;
    double two = pinion__placement_bound(&b->problem, false);
    assert_true(two <= 10 + 1e-9 && two > 9.9);
    b->rivals[0] = 6, b->rivals[1] = 5;
    expect_near(pinion__placement_bound(&b->problem, false), 20);
    expect_near(pinion__placement_cut_bound(&b->problem), 20);
    expect_near(pinion__placement_bound(&b->problem, true), 20);
    free(b);
    close_context(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_obey_all_rules),    cmocka_unit_test(same_problem_same_schedule),
        cmocka_unit_test(running_beside_others_slows), cmocka_unit_test(serial_stands_where_nothing_is_gained),
        cmocka_unit_test(rivals_are_one_in_the_bound),
    };
    return cmocka_run_group_tests_name("placement_concurrent", tests, NULL, NULL);
}
