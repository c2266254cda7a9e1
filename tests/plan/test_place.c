/* SPDX-License-Identifier: Apache-2.0
 *
 * From a plan with given times to its placement: every way of placing, ways that are not possible, processors that
 * cannot or have failed, times that are not known.
 */
#include "plan/place_bed.h"

#include "plan/place.h"

static double sum_on(const pinion_plan *plan, int processor) /* -1: the fastest of each task */
{
    double sum = 0;
    for (int t = 0; t < (int)plan->task_count; t++)
        sum += ms_on(plan, t, processor < 0 ? fastest(plan, t) : processor) *
               (t < plan->part_end ? plan->micro_batches : 1);
    return sum;
}

static void expect_equal(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-9 * expected))
        fail_msg("%.12g; expected %.12g", found, expected);
}

/* What all ways are compared by, on processors that hand nothing over. */
static void expect_comparison(const pinion_plan *plan)
{
    const pinion__comparison *of = &plan->comparison;
    for (int p = 0; p < PROCESSORS; p++)
        expect_equal(of->single_ms[p], sum_on(plan, p));
    expect_equal(of->greedy_ms, sum_on(plan, -1));
    expect_equal(of->serial_ms, sum_on(plan, -1));
    expect_equal(of->serial_bound_ms, sum_on(plan, -1));
    assert_true(of->layerwise_ms >= of->serial_ms - 1e-9);
    for (int p = 0; p < PROCESSORS; p++)
        assert_true(of->layerwise_ms <= of->single_ms[p] + 1e-9);
    pinion__problem problem;
    assert_int_equal(pinion__problem_build(plan, &problem), PINION_OK);
    assert_true(of->bound_ms > 0 && of->bound_ms < of->serial_ms);
    expect_equal(of->bound_ms, plan->micro_batches == 1 ? pinion__placement_cut_bound(&problem.of)
                                                        : pinion__placement_bound(&problem.of, false));
    pinion__problem_fini(plan->ctx, &problem);
}

static void place(desk *d)
{
    if (pinion__plan_place(d->plan, false) < 0)
        fail_msg("%s", pinion_context_error(d->ctx));
}

static void test_greedy_and_serial(void **state)
{
    (void)state;
    static const char *const ways[] = {"greedy", "serial"};
    for (int way = 0; way < 2; way++)
        for (uint64_t seed = 0; seed < 5; seed++) {
            desk d = open_desk(ways[way], 1, false);
            set_times(&d, seed);
            place(&d);
            expect_comparison(d.plan);
            assert_true(d.plan->serial);
            assert_true(isnan(d.plan->comparison.concurrent_ms));
            for (int t = 0; t < (int)d.plan->task_count; t++)
                assert_int_equal(d.plan->tasks[t].processor, fastest(d.plan, t));
            close_desk(&d);
        }
}

/* Where hand-overs cost nothing, a unit goes where its tasks are fastest in all. */
static void test_layerwise(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        desk d = open_desk("layerwise", 1, false);
        set_times(&d, seed);
        place(&d);
        expect_comparison(d.plan);
        double sum = 0;
        for (int t = 0; t < (int)d.plan->task_count; t++) {
            const pinion__task *task = &d.plan->tasks[t];
            double unit[PROCESSORS] = {0};
            for (int other = 0; other < (int)d.plan->task_count; other++) {
                const pinion__task *of = &d.plan->tasks[other];
                bool same = other == t || (task->layer >= 0 && of->layer == task->layer &&
                                           (of->pass == PINION__FORWARD) == (task->pass == PINION__FORWARD));
                for (int p = 0; p < PROCESSORS && same; p++)
                    unit[p] += ms_on(d.plan, other, p);
            }
            for (int p = 0; p < PROCESSORS; p++)
                assert_true(unit[task->processor] <= unit[p] + 1e-9);
            sum += ms_on(d.plan, t, task->processor);
        }
        expect_equal(d.plan->comparison.layerwise_ms, sum);
        close_desk(&d);
    }
}

static void test_single(void **state)
{
    (void)state;
    desk d = open_desk("b", 1, false);
    set_times(&d, 1);
    place(&d);
    expect_comparison(d.plan);
    assert_true(d.plan->serial && isnan(d.plan->comparison.concurrent_ms));
    for (int t = 0; t < (int)d.plan->task_count; t++)
        assert_int_equal(d.plan->tasks[t].processor, 1);

    d.plan->records[d.plan->tasks[5].record - 1 + 1].count = 0; /* b cannot do this one */
    assert_int_equal(pinion__plan_place(d.plan, false), PINION_EUNSUPPORTED);
    assert_string_equal(pinion_context_error(d.ctx),
                        "place 'b': processor 'b' has no kernel for some task of network 'random'");
    assert_true(isnan(d.plan->comparison.single_ms[1]));
    expect_equal(d.plan->comparison.single_ms[2], sum_on(d.plan, 2));
    close_desk(&d);
}

/* A schedule obeys the processors and what the tasks read and write, and is in the order of its starts. */
static void expect_schedule(const desk *d)
{
    const pinion_plan *plan = d->plan;
    pinion__problem problem;
    double last = 0;
    assert_int_equal(pinion__problem_build(plan, &problem), PINION_OK);
    for (int t = 0; t < (int)plan->task_count; t++) {
        const pinion__task *task = &plan->tasks[t];
        expect_equal(task->end_ms - task->start_ms, ms_on(plan, t, task->processor));
        assert_true(t == 0 || task->start_ms >= plan->tasks[t - 1].start_ms);
        for (int before = 0; before < t; before++)
            assert_true(plan->tasks[before].processor != task->processor ||
                        plan->tasks[before].end_ms <= task->start_ms + 1e-9);
        last = fmax(last, task->end_ms);
    }
    for (int s = 0; s < problem.of.storage_count; s++) {
        const pinion__placement_use *use = problem.uses + problem.storages[s].first_use;
        for (int b = 1; b < problem.storages[s].use_count; b++)
            for (int a = 0; a < b; a++)
                assert_true(!(use[a].writes || use[b].writes) ||
                            plan->tasks[use[a].task].end_ms <= plan->tasks[use[b].task].start_ms + 1e-9);
    }
    pinion__problem_fini(d->ctx, &problem);
    expect_equal(plan->comparison.concurrent_ms, last);
    assert_true(plan->tasks[plan->gate].op->flags & PINION__OP_LOSS && plan->tasks[plan->gate].pass == PINION__FORWARD);
    for (int t = plan->gate + 1; t < (int)plan->task_count; t++)
        assert_true(plan->tasks[t].start_ms >= plan->tasks[plan->gate].end_ms - 1e-9);
    for (size_t r = 0; r < plan->record_count; r++)
        assert_int_equal(plan->tasks[plan->records[r].task].record, r - r % PROCESSORS + 1);
}

static void test_concurrent(void **state)
{
    (void)state;
    static const char *const ways[] = {"concurrent", "unsliced", "auto", NULL};
    for (int way = 0; way < 4; way++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            desk d = open_desk(ways[way], 1, false);
            set_times(&d, seed);
            place(&d);
            expect_comparison(d.plan);
            assert_false(d.plan->serial);
            assert_true(d.plan->comparison.concurrent_ms < d.plan->comparison.serial_ms);
            assert_true(d.plan->comparison.concurrent_ms >= d.plan->comparison.bound_ms - 1e-9);
            expect_equal(d.plan->comparison.uncut_ms, d.plan->comparison.concurrent_ms);
            expect_schedule(&d);
            close_desk(&d);
        }
}

/* Processors on the same cores gain nothing by turns: auto stays serial. */
static void test_rivals(void **state)
{
    (void)state;
    desk d = open_desk("auto", 1, false);
    set_times(&d, 2);
    for (int p = 0; p < PROCESSORS; p++)
        d.processors[p]->core_mask[0] = 1;
    place(&d);
    assert_true(d.plan->serial);
    expect_equal(d.plan->comparison.concurrent_ms, d.plan->comparison.serial_ms);
    for (int t = 0; t < (int)d.plan->task_count; t++)
        assert_int_equal(d.plan->tasks[t].processor, fastest(d.plan, t));
    close_desk(&d);
}

static void test_compared_only(void **state)
{
    (void)state;
    desk d = open_desk("serial", 1, true);
    set_times(&d, 3);
    place(&d);
    assert_true(d.plan->serial);
    assert_true(d.plan->comparison.concurrent_ms < d.plan->comparison.serial_ms);
    /* Given placements stay; they are compared all the same. */
    for (int t = 0; t < (int)d.plan->task_count; t++)
        d.plan->tasks[t].processor = 2;
    assert_int_equal(pinion__plan_place(d.plan, true), PINION_OK);
    expect_comparison(d.plan);
    for (int t = 0; t < (int)d.plan->task_count; t++)
        assert_int_equal(d.plan->tasks[t].processor, 2);
    close_desk(&d);
}

/* A host and a device between which nothing passes cheaply: the rule decides, not what would cost less. */
static void test_dear_hand_overs(void **state)
{
    (void)state;
    static const char *const ways[] = {"greedy", "layerwise", "serial"};
    double ms[3];
    for (int way = 0; way < 3; way++) {
        desk d = open_desk(ways[way], 1, false);
        pinion__domain *domain;
        int changes = 0;
        assert_int_equal(pinion__domain_create_simulated(d.ctx, false, &domain), PINION_OK);
        set_times(&d, 8);
        d.processors[1]->domain = domain;
        atomic_store(&d.processors[2]->failure, PINION_EDEVICE);
        for (int from = 0; from < 3; from++)
            for (int to = 0; to < 3; to++)
                d.plan->hand_over_costs.at[from][to] = (pinion__hand_over_cost){.fixed_ms = from == to ? 0 : 50};
        place(&d);
        for (int t = 1; t < (int)d.plan->task_count; t++)
            changes += d.plan->tasks[t].processor != d.plan->tasks[t - 1].processor;
        const pinion__comparison *of = &d.plan->comparison;
        ms[way] = way == 0 ? of->greedy_ms : way == 1 ? of->layerwise_ms : of->serial_ms;
        assert_true(of->greedy_ms > of->single_ms[0] && isnan(of->single_ms[2]));
        assert_true(way == 0 ? changes > 3 : way == 1 || changes == 0);
        assert_true(of->serial_ms <= of->layerwise_ms && of->serial_ms <= of->single_ms[0] + 1e-9);
        d.processors[1]->domain = NULL;
        pinion__domain_destroy_simulated(domain);
        close_desk(&d);
    }
    assert_true(ms[0] > ms[2]);
}

/* Parts of a batch run one after the other: updates count once, all else as often as there are parts. */
static void test_micro_batches(void **state)
{
    (void)state;
    desk d = open_desk("auto", 2, true);
    assert_int_equal(d.plan->micro_batches, 2);
    assert_true(d.plan->part_end < (int)d.plan->task_count);
    set_times(&d, 4);
    place(&d);
    expect_comparison(d.plan);
    assert_true(d.plan->serial && isnan(d.plan->comparison.concurrent_ms));
    close_desk(&d);
}

static void expect_no_prediction(const pinion_plan *plan)
{
    const pinion__comparison *of = &plan->comparison;
    for (int p = 0; p < PROCESSORS; p++)
        assert_true(isnan(of->single_ms[p]));
    assert_true(isnan(of->greedy_ms) && isnan(of->layerwise_ms) && isnan(of->serial_ms) && isnan(of->concurrent_ms));
    assert_true(isnan(of->uncut_ms) && isnan(of->bound_ms) && isnan(of->serial_bound_ms));
}

/* One time that is not known, or all: nothing is predicted; what is not known at all stays on the first processor. */
static void test_unknown_times(void **state)
{
    (void)state;
    static const char *const ways[] = {"greedy", "layerwise", "serial"};
    for (int way = 0; way < 3; way++) {
        desk d = open_desk(ways[way], 1, true);
        expect_no_prediction(d.plan);
        for (int t = 0; t < (int)d.plan->task_count; t++)
            assert_int_equal(d.plan->tasks[t].processor, 0);
        set_times(&d, 5);
        const pinion__record *record = &d.plan->records[d.plan->tasks[3].record - 1 + 2];
        for (int i = 0; i < record->count; i++)
            d.plan->candidates[record->first + i].ms = (double)NAN;
        place(&d);
        expect_no_prediction(d.plan);
        assert_int_equal(pinion__plan_place(d.plan, true), PINION_OK);
        expect_no_prediction(d.plan);
        close_desk(&d);
    }
}

/* A processor that cannot do some task is not asked to; one that failed does nothing; none at all is refused. */
static void test_cannot(void **state)
{
    (void)state;
    desk d = open_desk("auto", 1, false);
    set_times(&d, 6);
    const pinion__task *task = &d.plan->tasks[4];
    const int record = task->record - 1, first = fastest(d.plan, 4);
    d.plan->records[record + first].count = 0;
    place(&d);
    for (int t = 0; t < (int)d.plan->task_count; t++)
        if (d.plan->tasks[t].record == record + 1)
            assert_int_not_equal(d.plan->tasks[t].processor, first);
    assert_true(isnan(d.plan->comparison.single_ms[first]));

    atomic_store(&d.processors[(first + 1) % PROCESSORS]->failure, PINION_EDEVICE);
    place(&d);
    for (int t = 0; t < (int)d.plan->task_count; t++) {
        assert_int_not_equal(d.plan->tasks[t].processor, (first + 1) % PROCESSORS);
        if (d.plan->tasks[t].record == record + 1)
            assert_int_equal(d.plan->tasks[t].processor, (first + 2) % PROCESSORS);
    }
    d.plan->records[record + (first + 2) % PROCESSORS].count = 0;
    assert_int_equal(pinion__plan_place(d.plan, false), PINION_EUNSUPPORTED);
    assert_non_null(strstr(pinion_context_error(d.ctx), "no processor that works has a kernel for"));
    atomic_store(&d.processors[(first + 2) % PROCESSORS]->failure, PINION_EDEVICE);
    assert_int_equal(pinion__plan_place(d.plan, false), PINION_EUNSUPPORTED);
    assert_non_null(strstr(pinion_context_error(d.ctx), "no processor that works has a kernel for"));
    close_desk(&d);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const ways[] = {"auto",      "serial", "concurrent", "unsliced", "greedy",
                                       "layerwise", "a",      "b",          "c"};
    desk d = open_desk(NULL, 1, false);
    assert_true(pinion__place_is_way(NULL, d.processors, PROCESSORS));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        assert_true(pinion__place_is_way(ways[i], d.processors, PROCESSORS));
    assert_false(pinion__place_is_way("c", d.processors, 2));
    assert_false(pinion__place_is_way("", d.processors, PROCESSORS));
    assert_false(pinion__place_is_way("Serial", d.processors, PROCESSORS));
    close_desk(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy_and_serial),
        cmocka_unit_test(test_layerwise),
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_concurrent),
        cmocka_unit_test(test_rivals),
        cmocka_unit_test(test_compared_only),
        cmocka_unit_test(test_micro_batches),
        cmocka_unit_test(test_unknown_times),
        cmocka_unit_test(test_cannot),
        cmocka_unit_test(test_dear_hand_overs),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
