/* SPDX-License-Identifier: Apache-2.0
 *
 * Where storages are at home between steps: what a plan does is what placement counted with, for random costs of
 * hand-overs and tasks dealt out at random to the host and a device.
 */
#include "plan/networks.h"

#include "device/memory.h"
#include "plan/hand_over.h"
#include "plan/problem.h"
#include "support/quick.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLES = 4 };

static int at_random(void *user, int index)
{
    const uint64_t *seed = user;
    return pinion__random_uniform(*seed, DRAWS_NETWORK, 6, (uint64_t)index) < 0.5f;
}

static void draw_costs(pinion__hand_over_costs *costs, uint64_t seed)
{
    draws from = {.seed = seed + 900};
    for (int i = 0; i < PINION__HOLDERS * PINION__HOLDERS; i++) {
        const int a = i / PINION__HOLDERS, b = i % PINION__HOLDERS;
        if (a != b)
            costs->at[a][b] = (pinion__hand_over_cost){.fixed_ms = 1 + draw(&from, 100) / 50.0,
                                                       .ms_per_byte = draw(&from, 100) / 20000.0};
    }
}

/* Homes that differ. Not compared are those of the losses, which the host looks at behind the gate, and of what is
 * kept: it leaves the device when somebody asks for it, and placement counts with its home at the host; and of the
 * squares for clipping, which are filled in parts: for placement the first part comes with what was there. */
static int compare_homes(pinion_plan *plan, int *on_device)
{
    pinion__problem problem;
    int count = 0;
    int *processor = malloc(plan->task_count * sizeof *processor);
    assert_non_null(processor);
    for (size_t t = 0; t < plan->task_count; t++)
        processor[t] = plan->tasks[t].processor;
    assert_int_equal(pinion__plan_choose_homes(plan), PINION_OK);
    assert_int_equal(pinion__problem_build(plan, &problem), PINION_OK);
    for (size_t s = 0; s < plan->storage_count; s++) {
        const pinion__placement_use *first = &problem.uses[problem.storages[s].first_use];
        bool in_parts = plan->storages[s].place == PINION__PLACE_ARENA && first->reads;
        if (problem.storages[s].use_count == 0 || plan->storages[s].kept || in_parts ||
            (int)s == plan->tensors[plan->loss].storage)
            continue;
        enum pinion__holder expected = pinion__placement_home(&problem.of, (int)s, processor, NULL);
        *on_device += expected == PINION__HELD_BY_DEVICE;
        count += plan->storages[s].home != expected;
    }
    pinion__problem_fini(plan->ctx, &problem);
    free(processor);
    return count;
}

static void test_random_costs(void **state)
{
    (void)state;
    int on_device = 0, differ = 0;
    for (uint64_t seed = 0; seed < seeds(200); seed++) {
        pinion_context *ctx = make_context();
        pinion__domain *domain;
        pinion__processor *processors[2];
        pinion_network *network = make_random_network(ctx, seed, 3 + (int)(seed % 12), false);
        assert_int_equal(pinion__domain_create_simulated(ctx, seed % 2 == 0, &domain), PINION_OK);
        assert_int_equal(pinion__processor_create_simulated(ctx, "host", 0, 0, &processors[0]), PINION_OK);
        assert_int_equal(pinion__processor_create_simulated_in(ctx, "device", domain, 0, 0, &processors[1]), PINION_OK);
        pinion_plan_options options = training_options(SAMPLES);
        options.clip = seed % 3 == 0;
        uint64_t by = seed;
        const pinion__plan_tuning tuning = {.processor_of = at_random, .user = &by, .separate = true};
        pinion_plan *plan = NULL;
        if (pinion__plan_create_tuned(network, &options, &tuning, processors, 2, &plan) < 0)
            fail_msg("%s", pinion_context_error(ctx));
        plan->hand_over_costs.copies = domain->copies;
        draw_costs(&plan->hand_over_costs, seed);
        if (plan->domain)
            differ += compare_homes(plan, &on_device);
        pinion_plan_destroy(plan);
        for (int p = 0; p < 2; p++)
            pinion__processor_destroy(processors[p]);
        pinion_network_destroy(network);
        pinion__domain_destroy_simulated(domain);
        pinion_context_destroy(ctx);
    }
    print_message("%d storages are at home on the device\n", on_device);
    assert_int_equal(differ, 0);
    assert_true(on_device > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_costs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
