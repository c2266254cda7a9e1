/* SPDX-License-Identifier: Apache-2.0
 *
 * Concurrent placements of few tasks against all their schedules: problems without hand-overs, in which no processor
 * waits while it has a task.
 */
#include "plan/placement_random.h"
#include "plan/placement_review.h"

typedef struct trial {
    const bed *b;
    int processor[8];
    bool before[8][8];
    double end[8], free_at[MAX_PROCESSORS], least;
    bool done[8];
} trial;

/* When a task can start; INFINITY: not before others are placed. */
static double find_start(const trial *at, int t)
{
    double begin = at->free_at[at->processor[t]];
    if (at->done[t])
        return HUGE_VAL;
    for (int u = 0; u < at->b->problem.task_count; u++)
        if (at->before[u][t])
            begin = at->done[u] ? fmax(begin, at->end[u]) : HUGE_VAL;
    return begin;
}

static void try_orders(trial *at, int count, double so_far)
{
    const bed *b = at->b;
    if (count == b->problem.task_count)
        at->least = fmin(at->least, so_far);
    if (count == b->problem.task_count || so_far >= at->least)
        return;
    double first = HUGE_VAL;
    for (int t = 0; t < b->problem.task_count; t++)
        first = fmin(first, find_start(at, t));
    for (int t = 0; t < b->problem.task_count; t++) {
        if (find_start(at, t) > first)
            continue;
        const int p = at->processor[t];
        const double was = at->free_at[p];
        at->done[t] = true;
        at->end[t] = at->free_at[p] = first + b->ms[t * b->problem.processor_count + p];
        try_orders(at, count + 1, fmax(so_far, at->end[t]));
        at->done[t] = false;
        at->free_at[p] = was;
    }
}

static void try_all(trial *at, int t)
{
    if (t == at->b->problem.task_count) {
        try_orders(at, 0, 0);
        return;
    }
    for (at->processor[t] = 0; at->processor[t] < at->b->problem.processor_count; at->processor[t]++)
        try_all(at, t + 1);
}

static double fastest_of_all(const bed *b)
{
    trial at = {.b = b, .least = HUGE_VAL};
    for (int s = 0; s < b->problem.storage_count; s++)
        for (int i = 0; i < b->storages[s].use_count; i++)
            for (int k = 0; k < i; k++) {
                const pinion__placement_use *uses = &b->uses[b->storages[s].first_use];
                if (uses[i].writes || uses[k].writes)
                    at.before[uses[k].task][uses[i].task] = true;
            }
    try_all(&at, 0);
    return at.least;
}

static void small_problems_come_close_to_the_optimum(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    int count = 0, best = 0;
    double worst = 1;
    for (uint64_t seed = 1; seed <= seeds(300); seed++) {
        bed *b = bed_create(ctx, seed, 2 + (int)(seed % 2));
        draw_tangle(b, 7 - (int)(seed % 2), 3);
        draw_board(b, true);
        b->problem.times = NULL;
        bed_costs(b, false, 0, 0);
        memset(b->device, 0, sizeof b->device);
        pinion__schedule schedule;
        assert_int_equal(pinion__place_concurrent(&b->problem, &schedule), PINION_OK);
        double least = fastest_of_all(b);
        assert_true(not_before(schedule.placement.ms, least));
        assert_true(not_before(least, pinion__placement_bound(&b->problem, false)));
        count++;
        best += schedule.placement.ms <= least * (1 + 1e-9);
        worst = fmax(worst, schedule.placement.ms / least);
        pinion__schedule_fini(ctx, &schedule);
        free(b);
    }
    print_message("%d of %d are the optimum, the worst takes %.3f of it\n", best, count, worst);
    assert_true(best > 9 * count / 10 && worst < 1.25);
    close_context(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_problems_come_close_to_the_optimum),
    };
    return cmocka_run_group_tests_name("placement_optimum", tests, NULL, NULL);
}
