/* SPDX-License-Identifier: Apache-2.0
 *
 * Serial placements against brute force, with costs from the ledger of placement_ledger.h.
 */
#include "plan/placement_ledger.h"
#include "plan/placement_random.h"

/* The next placement of all; false: that was the last. */
static bool next_placement(const bed *b, int *processor)
{
    for (int t = 0; t < b->problem.task_count; t++) {
        if (++processor[t] < b->problem.processor_count)
            return true;
        processor[t] = 0;
    }
    return false;
}

static double brute_force(const bed *b)
{
    int processor[MAX_TASKS] = {0};
    double least = HUGE_VAL;
    do
        least = fmin(least, ledger_cost(b, processor));
    while (next_placement(b, processor));
    return least;
}

static bool small_enough(const bed *b)
{
    return pow(b->problem.processor_count, b->problem.task_count) <= 3000;
}

static void place_serial_is_the_minimum(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    int done = 0, mixed = 0, later = 0;
    for (uint64_t seed = 1; seed <= seeds(8000); seed++) {
        bed *b = bed_draw_problem(ctx, seed, 1 + (int)(seed % 4), 2 + (int)(seed % 2));
        pinion__placement out;
        if (small_enough(b)) {
            assert_int_equal(pinion__place_serial(&b->problem, &out), PINION_OK);
            expect_near(out.ms, ledger_cost(b, out.processor));
            expect_near(out.ms, brute_force(b));
            bool host = false, device = false;
            for (int t = 0; t < b->problem.task_count; t++)
                *(b->device[out.processor[t]] ? &device : &host) = true;
            mixed += host && device;
            later += b->problem.times != NULL;
            done++;
            pinion__placement_fini(ctx, &out);
        }
        free(b);
    }
    print_message("%d problems, %d of them placed on both sides, %d with parts that repeat\n", done, mixed, later);
    assert_true(done > (int)seeds(4000) && mixed > (int)seeds(500) && later > (int)seeds(500));
    close_context(ctx);
}

static void draw_placement(bed *b, int *processor)
{
    const int processors = b->problem.processor_count;
    for (int t = 0; t < b->problem.task_count; t++)
        do
            processor[t] = (int)bed_draw(b, (uint32_t)processors);
        while (!isfinite(b->ms[t * processors + processor[t]]));
}

static void cost_is_that_of_the_ledger(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    for (uint64_t seed = 1; seed <= seeds(3000); seed++) {
        bed *b = bed_draw_problem(ctx, seed, 2 + (int)(seed % 15), 8);
        int processor[MAX_TASKS];
        draw_placement(b, processor);
        expect_near(pinion__placement_cost(&b->problem, processor), ledger_cost(b, processor));
        for (int s = 0; s < b->problem.storage_count; s++) {
            double ms = (double)NAN, host = ledger_storage(b, s, processor, false);
            double device = b->storages[s].host_home ? HUGE_VAL : ledger_storage(b, s, processor, true);
            enum pinion__holder home = pinion__placement_home(&b->problem, s, processor, &ms);
            expect_near(ms, fmin(host, device));
            if (fabs(host - device) > 1e-9)
                assert_int_equal(home, device < host ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_HOST);
        }
        free(b);
    }
    close_context(ctx);
}

static void ties_go_home_to_the_host(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    bed *b = bed_create(ctx, 1, 2);
    b->device[1] = true;
    int s = bed_storage(b, 1000);
    (void)bed_task(b, "write", -1);
    bed_write(b, s);
    (void)bed_task(b, "read", -1);
    bed_read(b, s);
    bed_finish(b);
    bed_board(b, false);
    double ms = 0;
    assert_int_equal(pinion__placement_home(&b->problem, s, (int[]){0, 1}, &ms), PINION__HELD_BY_HOST);
    expect_near(ms, 0.201);
    assert_int_equal(pinion__placement_home(&b->problem, s, (int[]){0, 0}, &ms), PINION__HELD_BY_HOST);
    assert_int_equal(pinion__placement_home(&b->problem, s, (int[]){1, 1}, NULL), PINION__HELD_BY_DEVICE);
    bed_costs(b, false, 0, 0);
    assert_int_equal(pinion__placement_home(&b->problem, s, (int[]){1, 1}, NULL), PINION__HELD_BY_HOST);
    free(b);
    close_context(ctx);
}

/* The other rules give what they say they give, and never less than the minimum; nor does moving any one task. */
static void nothing_is_below_the_minimum(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    int strictly = 0;
    for (uint64_t seed = 1; seed <= seeds(600); seed++) {
        bed *b = bed_draw_problem(ctx, seed, 2 + (int)(seed % 4), 12);
        const int processors = b->problem.processor_count;
        pinion__placement out, other;
        int status = pinion__place_serial(&b->problem, &out);
        if (status == PINION_EUNSUPPORTED) {
            pinion__placement_fini(ctx, &out);
            free(b);
            continue;
        }
        assert_int_equal(status, PINION_OK);
        assert_true(pinion__placement_bound(&b->problem, true) <= out.ms + 1e-9);
        for (int rule = 0; rule < 2; rule++) {
            assert_int_equal((rule ? pinion__place_layerwise : pinion__place_greedy)(&b->problem, &other), PINION_OK);
            expect_near(other.ms, ledger_cost(b, other.processor));
            assert_true(other.ms >= out.ms - 1e-9);
            strictly += other.ms > out.ms + 1e-6;
            pinion__placement_fini(ctx, &other);
        }
        for (int p = 0; p < processors; p++) {
            bool can = true;
            for (int t = 0; t < b->problem.task_count; t++)
                can = can && isfinite(b->ms[t * processors + p]);
            status = pinion__place_single(&b->problem, p, &other);
            assert_int_equal(status, can ? PINION_OK : PINION_EUNSUPPORTED);
            if (can) {
                expect_near(other.ms, ledger_cost(b, other.processor));
                assert_true(other.ms >= out.ms - 1e-9);
            } else {
                assert_true(isnan(other.ms));
            }
            pinion__placement_fini(ctx, &other);
        }
        for (int t = 0; t < b->problem.task_count; t++) {
            int own = out.processor[t];
            for (out.processor[t] = 0; out.processor[t] < processors; out.processor[t]++)
                assert_true(ledger_cost(b, out.processor) >= out.ms - 1e-9);
            out.processor[t] = own;
        }
        pinion__placement_fini(ctx, &out);
        free(b);
    }
    assert_true(strictly > (int)seeds(300));
    close_context(ctx);
}

static void greedy_takes_the_fastest(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    for (uint64_t seed = 1; seed <= 300; seed++) {
        bed *b = bed_draw_problem(ctx, seed, 1 + (int)(seed % 16), 6);
        pinion__placement out;
        assert_int_equal(pinion__place_greedy(&b->problem, &out), PINION_OK);
        for (int t = 0; t < b->problem.task_count; t++)
            for (int p = 0; p < b->problem.processor_count; p++) {
                double ms = b->ms[t * b->problem.processor_count + p];
                double own = b->ms[t * b->problem.processor_count + out.processor[t]];
                assert_true(p < out.processor[t] ? ms > own : ms >= own);
            }
        pinion__placement_fini(ctx, &out);
        free(b);
    }
    close_context(ctx);
}

/* ms of the tasks placed so far, where `trial` says, and of hand-overs between them; a storage begins on the side that
 * uses it first, or on the host where that is its home. */
static double cost_so_far(const bed *b, const int *trial)
{
    double sum = 0;
    for (int t = 0; t < b->problem.task_count; t++)
        if (trial[t] >= 0)
            sum += b->ms[t * b->problem.processor_count + trial[t]] * ledger_times(b, t);
    for (int s = 0; s < b->problem.storage_count; s++) {
        hands now = {.host = b->storages[s].host_home, .device = false};
        for (int t = 0; t < b->problem.task_count; t++) {
            const pinion__placement_use *use = ledger_use(b, s, t);
            if (!use || trial[t] < 0)
                continue;
            const bool device = b->device[trial[t]];
            if (!now.host && !now.device)
                now = (hands){.host = !device, .device = device};
            hands next = hands_after(now, device, use->writes, b->costs.copies);
            sum += ledger_move(b, s, now, next, use->reads) * ledger_times(b, t);
            now = next;
        }
    }
    return sum;
}

/* Unit by unit, each processor is tried. */
static void layerwise_follows_its_rule(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    for (uint64_t seed = 1; seed <= 500; seed++) {
        bed *b = bed_draw_problem(ctx, seed, 2 + (int)(seed % 3), 5);
        const int tasks = b->problem.task_count, processors = b->problem.processor_count;
        pinion__placement out;
        assert_int_equal(pinion__place_layerwise(&b->problem, &out), PINION_OK);
        int chosen[MAX_TASKS];
        memset(chosen, -1, sizeof chosen);
        for (int leader = 0; leader < tasks; leader++) {
            double least = HUGE_VAL, own = HUGE_VAL;
            if (chosen[leader] >= 0)
                continue;
            for (int p = 0; p < processors; p++) {
                bool is_own = true;
                for (int t = leader; t < tasks; t++) {
                    if (t != leader && (b->unit[t] < 0 || b->unit[t] != b->unit[leader]))
                        continue;
                    chosen[t] = p;
                    for (int q = 0; q < processors && !isfinite(b->ms[t * processors + p]); q++)
                        if (b->ms[t * processors + q] < b->ms[t * processors + chosen[t]])
                            chosen[t] = q;
                    is_own = is_own && chosen[t] == out.processor[t];
                }
                double ms = cost_so_far(b, chosen);
                least = fmin(least, ms);
                own = is_own ? fmin(own, ms) : own;
            }
            expect_near(own, least);
            for (int t = leader; t < tasks; t++)
                chosen[t] = chosen[t] >= 0 ? out.processor[t] : -1;
        }
        pinion__placement_fini(ctx, &out);
        free(b);
    }
    close_context(ctx);
}

/* Many storages that couple all tasks with all others. */
static void tangled_problems_are_refused(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    int refused = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        bed *b = bed_create(ctx, seed, 2);
        draw_tangle(b, 60, 120);
        draw_board(b, true);
        b->device[0] = false, b->device[1] = true;
        pinion__placement out;
        int status = pinion__place_serial(&b->problem, &out);
        if (status != PINION_OK) {
            assert_int_equal(status, PINION_EUNSUPPORTED);
            assert_true(strstr(pinion_context_error(ctx), "too entangled") != NULL);
            assert_true(isnan(out.ms));
            refused++;
        }
        pinion__placement_fini(ctx, &out);
        assert_int_equal(pinion__place_greedy(&b->problem, &out), PINION_OK);
        expect_near(out.ms, ledger_cost(b, out.processor));
        pinion__placement_fini(ctx, &out);
        free(b);
    }
    assert_int_equal(refused, 10);
    close_context(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(place_serial_is_the_minimum),  cmocka_unit_test(cost_is_that_of_the_ledger),
        cmocka_unit_test(ties_go_home_to_the_host),     cmocka_unit_test(nothing_is_below_the_minimum),
        cmocka_unit_test(greedy_takes_the_fastest),     cmocka_unit_test(layerwise_follows_its_rule),
        cmocka_unit_test(tangled_problems_are_refused),
    };
    return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
