/* SPDX-License-Identifier: Apache-2.0
 *
 * Random problems: tasks of networks as training steps have them (chains, residuals, towers, diamonds) or in a tangle,
 * with random times and hand-overs.
 */
#ifndef TESTS_PLAN_PLACEMENT_RANDOM_H
#define TESTS_PLAN_PLACEMENT_RANDOM_H

#include "plan/placement_networks.h"

enum bed_kind { BED_CHAIN, BED_RESIDUAL, BED_TOWERS, BED_DIAMOND, BED_RANDOM, BED_KINDS };

static inline void draw_network(bed *b, enum bed_kind kind, mock_network *net, int size)
{
    *net = (mock_network){.separate_updates = bed_draw(b, 3) == 0, .clips = bed_draw(b, 2) == 0};
    add_layer(net, -1, NONE, true);
    for (int i = 0; i < size; i++) {
        int at = net->count - 1;
        if (kind == BED_CHAIN) {
            add_layer(net, at, NONE, bed_draw(b, 3) > 0);
        } else if (kind == BED_RESIDUAL) { /* the tensor before has several readers */
            add_layer(net, at, NONE, bed_draw(b, 3) > 0);
            add_layer(net, at + 1, at, false);
        } else if (kind == BED_TOWERS) { /* two chains */
            add_layer(net, i == 0 ? -1 : at - 1, NONE, true);
        } else {
            add_layer(net, at, NONE, bed_draw(b, 2) > 0);
            add_layer(net, at, NONE, bed_draw(b, 2) > 0);
            add_layer(net, at + 1, at + 2, false);
        }
    }
    if (kind == BED_TOWERS && net->count > 1)
        add_layer(net, net->count - 2, net->count - 1, false);
    for (int l = 0; l < net->count; l++) {
        net->layers[l].activation_bytes = (size_t)(1 + bed_draw(b, 8)) * 100000;
        net->layers[l].weight_bytes = (size_t)(1 + bed_draw(b, 8)) * 50000;
    }
}

static inline void draw_tangle(bed *b, int tasks, int storages)
{
    for (int s = 0; s < storages; s++)
        (void)bed_storage(b, (size_t)(1 + bed_draw(b, 10)) * 100000);
    for (int t = 0; t < tasks; t++) {
        (void)bed_task(b, "task", (int)bed_draw(b, 4) - 1);
        for (int s = 0; s < storages; s++)
            if (bed_draw(b, 2) == 0)
                bed_use(b, s, bed_draw(b, 4) > 0, bed_draw(b, 3) == 0);
    }
    for (int i = 0; i < b->made_count; i++)
        b->made[i].use.reads |= !b->made[i].use.writes;
    bed_finish(b);
}

static inline void draw_times(bed *b)
{
    int tasks = b->problem.task_count;
    int prologue = (int)bed_draw(b, (uint32_t)tasks / 2 + 1), end = tasks - (int)bed_draw(b, (uint32_t)tasks / 2 + 1);
    int parts = 2 + (int)bed_draw(b, 3);
    bool once = bed_draw(b, 2);
    for (int t = 0; t < tasks; t++)
        b->times[t] = t < prologue ? (once ? 0 : 1) : t < end ? parts : 1;
    b->problem.times = b->times;
}

/* ms of all tasks on all processors, hand-over costs, some impossible entries. Coarse numbers, so that ties occur. */
static inline void draw_board(bed *b, bool free_of_holes)
{
    const int processors = b->problem.processor_count;
    const bool coarse = bed_draw(b, 2), holes = !free_of_holes && bed_draw(b, 2) == 0;
    for (int p = 0; p < processors; p++)
        b->device[p] = bed_draw(b, 2);
    if (processors > 1 && bed_draw(b, 4))
        b->device[1] = !b->device[0];
    for (int t = 0; t < b->problem.task_count; t++) {
        double work = coarse ? 1 + bed_draw(b, 3) : bed_uniform(b, 0.05, 3);
        int sure = (int)bed_draw(b, (uint32_t)processors);
        for (int p = 0; p < processors; p++) {
            double *ms = &b->ms[t * processors + p];
            *ms = coarse ? work + 0.5 * bed_draw(b, 3) : work * bed_uniform(b, 0.6, 1.7);
            if (holes && p != sure && bed_draw(b, 4) == 0)
                *ms = HUGE_VAL;
        }
    }
    bed_board(b, bed_draw(b, 2));
    for (int from = 0; from < PINION__HOLDERS; from++)
        for (int to = 0; to < PINION__HOLDERS; to++) {
            b->costs.at[from][to].fixed_ms = coarse ? 0.25 * bed_draw(b, 4) : bed_uniform(b, 0, 0.3);
            b->costs.at[from][to].ms_per_byte = coarse ? 0 : bed_uniform(b, 0, 2.0 / BOARD_BYTES_PER_MS);
        }
    for (int s = 0; s < b->problem.storage_count; s++)
        b->storages[s].host_home |= bed_draw(b, 8) == 0;
    if (bed_draw(b, 3) == 0 && b->problem.task_count > 1)
        draw_times(b);
}

static inline bed *bed_draw_problem(pinion_context *ctx, uint64_t seed, int processors, int size)
{
    bed *b = bed_create(ctx, seed, processors);
    enum bed_kind kind = (enum bed_kind)bed_draw(b, BED_KINDS);
    if (kind == BED_RANDOM) {
        draw_tangle(b, 2 + (int)bed_draw(b, (uint32_t)(3 * size)), 1 + (int)bed_draw(b, (uint32_t)(2 * size)));
    } else {
        mock_network net;
        double work[MAX_TASKS];
        draw_network(b, kind, &net, (int)bed_draw(b, (uint32_t)size + 1));
        bed_train(b, &net, work);
    }
    draw_board(b, false);
    return b;
}

#endif
