/* SPDX-License-Identifier: Apache-2.0
 *
 * What placement is told of a plan: times or estimates of them, uses of storages, processors that share cores or
 * memory.
 */
#include "plan/place_bed.h"

#include "plan/co_run.h"

static void test_problem(void **state)
{
    (void)state;
    desk d = open_desk("serial", 2, false);
    pinion__problem problem;
    set_times(&d, 7);
    d.processors[0]->core_mask[2] = 6;
    d.processors[2]->core_mask[2] = 2;
    d.plan->slowdown[PINION__WORK_BYTES][0][1] = 1.5;
    d.plan->slowdown[PINION__WORK_BYTES][1][0] = 0.7;
    assert_int_equal(pinion__problem_build(d.plan, &problem), PINION_OK);
    assert_true(problem.known);
    assert_int_equal(problem.rivals[0], 4);
    assert_int_equal(problem.rivals[1], 0);
    assert_int_equal(problem.rivals[2], 1);
    const double *slowdown = problem.of.slowdown + PINION__WORK_BYTES * PROCESSORS * PROCESSORS;
    assert_true(slowdown[0 * PROCESSORS + 1] == 1.5 && slowdown[1 * PROCESSORS + 0] == 1);
    assert_true(slowdown[2 * PROCESSORS + 1] == 1 && problem.of.slowdown[0 * PROCESSORS + 1] == 1);
    int loss = 0;
    for (int t = 0; t < (int)d.plan->task_count; t++) {
        const pinion__task *task = &d.plan->tasks[t];
        assert_int_equal(problem.of.work_class[t], pinion__work_class_of(d.plan, task));
        assert_true(problem.times[t] == (task->pass == PINION__UPDATE ? 1 : 2));
        assert_int_equal(problem.unit[t], task->layer < 0 ? -1 : 2 * task->layer + (task->pass != PINION__FORWARD));
        for (int p = 0; p < PROCESSORS; p++)
            assert_true(problem.ms[t * PROCESSORS + p] == ms_on(d.plan, t, p));
    }
    assert_int_equal(problem.of.edge_count, (int)d.plan->task_count - 1 - d.plan->gate);
    for (int e = 0; e < problem.of.edge_count; e++)
        assert_true(problem.edges[e][0] == d.plan->gate && problem.edges[e][1] == d.plan->gate + 1 + e);
    for (size_t s = 0; s < d.plan->storage_count; s++) {
        const pinion__storage *storage = &d.plan->storages[s];
        const pinion__placement_storage *told = &problem.storages[s];
        assert_int_equal(told->bytes, storage->bytes);
        bool given = storage->place == PINION__PLACE_BATCH || storage->place == PINION__PLACE_LABELS;
        assert_int_equal(told->host_home, storage->kept || given);
        for (int i = 0; i < told->use_count; i++) {
            const pinion__placement_use *use = &problem.uses[told->first_use + i];
            assert_true(i == 0 || use->task > use[-1].task);
            assert_true(use->reads || use->writes);
            assert_true(!given || (use->reads && !use->writes));
            loss += given;
        }
        /* Within the arena nothing is read that was not written; what adds up over the parts is read at once. */
        if (told->use_count > 0 && storage->place == PINION__PLACE_ARENA) {
            assert_true(problem.uses[told->first_use].writes);
            assert_int_equal(problem.uses[told->first_use].reads, storage->carried);
        }
    }
    assert_true(loss >= 3); /* the first layer, the loss and its gradient */
    pinion__problem_fini(d.ctx, &problem);
    close_desk(&d);
}

/* Estimates grow with the work, and hardly with the processor; what runs by itself stays where it is. */
static void test_estimates(void **state)
{
    (void)state;
    desk d = open_desk("serial", 1, false);
    pinion__problem problem;
    int task = d.plan->gate + 1;
    d.plan->tasks[task].record = 0;
    d.plan->tasks[task].processor = 1;
    assert_int_equal(pinion__problem_build(d.plan, &problem), PINION_OK);
    assert_false(problem.known);
    for (int t = 0; t < (int)d.plan->task_count; t++) {
        const double *ms = &problem.ms[t * PROCESSORS];
        const pinion__task *at = &d.plan->tasks[t];
        double bytes = 0;
        for (int i = 0; i < at->op->pass[at->pass].count; i++)
            if (at->operand[i] >= 0)
                bytes += (double)pinion__tensor_bytes(&d.plan->tensors[at->operand[i]]);
        assert_true(ms[1] >= bytes / 20e6 && ms[1] >= at->macs / 200e6 && ms[1] < 0.1);
        assert_true(t == task ? isinf(ms[0]) && isinf(ms[2]) : ms[0] < ms[1] && ms[1] < ms[2] && ms[2] < 1.01 * ms[0]);
    }
    pinion__problem_fini(d.ctx, &problem);
    close_desk(&d);
}

static void test_two_domains(void **state)
{
    (void)state;
    desk d = open_desk("serial", 1, false);
    pinion__domain *domains[2];
    pinion__problem problem;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pinion__domain_create_simulated(d.ctx, false, &domains[i]), PINION_OK);
    d.processors[0]->domain = domains[0];
    d.processors[2]->domain = domains[0];
    assert_int_equal(pinion__problem_build(d.plan, &problem), PINION_OK);
    assert_true(problem.device[0] && !problem.device[1] && problem.device[2]);
    pinion__problem_fini(d.ctx, &problem);
    d.processors[2]->domain = domains[1];
    assert_int_equal(pinion__problem_build(d.plan, &problem), PINION_EUNSUPPORTED);
    assert_string_equal(pinion_context_error(d.ctx),
                        "processors 'a' and 'c' have memories of their own: a plan takes processors of one only");
    d.processors[0]->domain = d.processors[2]->domain = NULL;
    for (int i = 0; i < 2; i++)
        pinion__domain_destroy_simulated(domains[i]);
    close_desk(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problem),
        cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_two_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
