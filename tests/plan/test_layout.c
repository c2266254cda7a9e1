/* SPDX-License-Identifier: Apache-2.0
 *
 * Layouts and edges of random graphs and of the zoo against a brute-force check, and how close arenas come to the most
 * that is live.
 */
#include "op/in_place.h"
#include "plan/networks.h"

#include <stdlib.h>

/* The bytes that task t uses as operand i (PINION__MAX_OPERANDS: its scratch), in one numbering of arena, weights and
 * moments. */
typedef struct range {
    int place;
    size_t begin, end;
    bool write;
} range;

static bool find_range(const pinion_plan *plan, int t, int i, range *out)
{
    const pinion__task *task = &plan->tasks[t];
    if (i == PINION__MAX_OPERANDS) {
        if (task->scratch < 0)
            return false;
        const pinion__storage *storage = &plan->storages[task->scratch];
        *out = (range){PINION__PLACE_ARENA, storage->offset, storage->offset + storage->bytes, true};
        return true;
    }
    if (task->operand[i] < 0)
        return false;
    const pinion__tensor *tensor = &plan->tensors[task->operand[i]];
    const pinion__storage *storage = &plan->storages[tensor->storage];
    size_t begin = storage->offset + tensor->offset;
    bool write = (task->op->pass[task->pass].at[i].access & PINION__WRITE) != 0;
    *out = (range){(int)storage->place, begin, begin + pinion__tensor_bytes(tensor), write};
    assert_true(tensor->offset + pinion__tensor_bytes(tensor) <= storage->bytes);
    return true;
}

static bool conflict(const pinion_plan *plan, int t, int u)
{
    range a, b;
    for (int i = 0; i <= PINION__MAX_OPERANDS; i++)
        for (int k = 0; k <= PINION__MAX_OPERANDS; k++)
            if (find_range(plan, t, i, &a) && find_range(plan, u, k, &b) && a.place == b.place && a.begin < b.end &&
                b.begin < a.end && (a.write || b.write))
                return true;
    return false;
}

/* Every pair of tasks of which one writes what the other uses is ordered by a path of edges, and so is everything
 * behind the gate. */
static void check_edges(const pinion_plan *plan)
{
    int count = (int)plan->task_count;
    bool *path = calloc((size_t)(count * count), sizeof *path);
    assert_non_null(path);
    for (int t = 0; t < count; t++) {
        const pinion__task *task = &plan->tasks[t];
        for (int i = 0; i < task->after_count; i++) {
            int before = task->after[i];
            assert_true(before >= 0 && before < t);
            assert_true(i == 0 || before > task->after[i - 1]);
            assert_false(path[t * count + before]); /* no edge that others imply */
            for (int other = 0; other < i; other++)
                assert_false(path[before * count + task->after[other]]);
        }
        for (int i = 0; i < task->after_count; i++) {
            int before = task->after[i];
            path[t * count + before] = true;
            for (int other = 0; other < before; other++)
                path[t * count + other] = path[t * count + other] || path[before * count + other];
        }
        for (int before = 0; before < t; before++)
            if (conflict(plan, before, t) || (plan->gate >= 0 && before == plan->gate))
                assert_true(path[t * count + before]);
    }
    free(path);
}

/* May the task's operand i be the very bytes of operand k? */
static bool in_place(const pinion__task *task, int i, int k)
{
    bool may = false;
    for (int r = 0; r < PINION__IN_PLACE_ROWS; r++) {
        const pinion__in_place *row = &pinion__in_place_table[r];
        bool operands = (row->output == i && row->input == k) || (row->output == k && row->input == i);
        may = may || (row->op == task->op->id && row->pass == task->pass && operands && !task->accumulate);
    }
    return may;
}

/* Storages whose lives meet do not share bytes; a task's operands that it writes share bytes with none of its others,
 * unless its pass works in place. */
static void check_layout(const pinion_plan *plan)
{
    for (size_t i = 0; i < plan->storage_count; i++) {
        const pinion__storage *a = &plan->storages[i];
        if (a->place != PINION__PLACE_ARENA || a->first < 0)
            continue;
        assert_int_equal(a->offset % 64, 0);
        assert_true(a->offset + a->bytes <= plan->arena_bytes);
        for (size_t k = 0; k < i; k++) {
            const pinion__storage *b = &plan->storages[k];
            bool meet = a->first <= b->last && b->first <= a->last;
            if (b->place == PINION__PLACE_ARENA && b->first >= 0 && meet)
                assert_true(a->offset >= b->offset + b->bytes || b->offset >= a->offset + a->bytes);
        }
    }
    range a, b;
    for (int t = 0; t < (int)plan->task_count; t++)
        for (int i = 0; i <= PINION__MAX_OPERANDS; i++)
            for (int k = 0; k < i; k++)
                if (find_range(plan, t, i, &a) && find_range(plan, t, k, &b) && a.place == b.place &&
                    (a.write || b.write))
                    assert_true(a.end <= b.begin || b.end <= a.begin ||
                                (in_place(&plan->tasks[t], i, k) && a.begin == b.begin && a.end == b.end));
}

/* A simulated user with two processors of the same kind. */
static int every_third(void *user, int index)
{
    (void)user;
    return index % 3 == 0;
}

static void test_random_graphs(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__processor *processors[2] = {make_ref(ctx), make_ref(ctx)};
    double worst = 0, sum = 0;
    const int graphs = 150;
    for (uint64_t seed = 0; seed < (uint64_t)graphs; seed++) {
        pinion_network *network = make_random_network(ctx, seed, 4 + (int)(seed % 29), false);
        pinion_plan_options options = training_options(2);
        options.clip = seed % 3 == 0;
        options.mode = seed % 5 == 0 ? PINION_INFER : PINION_TRAIN;
        pinion__plan_tuning tuning = {.processor_of = every_third};
        pinion_plan *plan = NULL;
        assert_int_equal(pinion__plan_create_tuned(network, &options, &tuning, processors, 2, &plan), PINION_OK);
        check_layout(plan);
        check_edges(plan);
        double ratio = (double)plan->arena_bytes / (double)pinion__plan_live_bytes(plan);
        assert_true(ratio >= 1.0);
        worst = ratio > worst ? ratio : worst;
        sum += ratio;
        pinion_plan_destroy(plan);
        pinion_network_destroy(network);
    }
    print_message("arena: %.3f of the most that is live on average, %.3f at worst\n", sum / graphs, worst);
    assert_true(worst < 1.25 && sum / graphs < 1.05);
    pinion__processor_destroy(processors[0]);
    pinion__processor_destroy(processors[1]);
    pinion_context_destroy(ctx);
}

static void test_zoo_arena(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int i = 0; pinion_network_zoo_name(i); i++)
        for (int mode = 0; mode < 2; mode++) {
            pinion_network *network = NULL;
            assert_int_equal(pinion_network_open(ctx, pinion_network_zoo_name(i), NULL, &network), PINION_OK);
            pinion_plan_options options = training_options(8);
            options.mode = mode ? PINION_TRAIN : PINION_INFER;
            pinion__processor *ref = make_ref(ctx);
            pinion_plan *plan = NULL;
            assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &plan), PINION_OK);
            check_layout(plan);
            double ratio = (double)plan->arena_bytes / (double)pinion__plan_live_bytes(plan);
            print_message("%s %s: %.1f MiB, %.3f of the most that is live\n", network->name,
                          mode ? "training" : "inference", (double)plan->arena_bytes / 1048576, ratio);
            assert_true(ratio >= 1.0 && ratio <= 1.03);
            pinion_plan_destroy(plan);
            pinion__processor_destroy(ref);
            pinion_network_destroy(network);
        }
    pinion_context_destroy(ctx);
}

/* Same network and options: same plan, whatever the number of threads. */
static void test_same_plan(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_network *network = make_random_network(ctx, 7, 30, false);
    pinion_plan_options options = training_options(2);
    pinion__processor *ref = make_ref(ctx);
    pinion_plan *plans[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pinion__plan_create(network, &options, &ref, 1, &plans[i]), PINION_OK);
    assert_int_equal(plans[0]->storage_count, plans[1]->storage_count);
    for (size_t s = 0; s < plans[0]->storage_count; s++)
        assert_int_equal(plans[0]->storages[s].offset, plans[1]->storages[s].offset);
    for (int i = 0; i < 2; i++)
        pinion_plan_destroy(plans[i]);
    pinion__processor_destroy(ref);
    pinion_network_destroy(network);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_zoo_arena),
        cmocka_unit_test(test_same_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
