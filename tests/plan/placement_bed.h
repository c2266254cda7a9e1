/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of placement share: a problem with mock processors that is put together task by task, each with the
 * storages that it reads and writes.
 */
#ifndef TESTS_PLAN_PLACEMENT_BED_H
#define TESTS_PLAN_PLACEMENT_BED_H

#include "plan/placement.h"

#include "base/context.h"
#include "support/quick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

enum {
    MAX_TASKS = 1600,
    MAX_STORAGES = 4000,
    MAX_USES = 20000,
    MAX_PROCESSORS = 16,
    MAX_CLASSES = 3,
    MAX_EDGES = 64,
    MAX_READERS = 1000
};

typedef struct bed {
    pinion__placement_problem problem;
    double ms[MAX_TASKS * MAX_PROCESSORS], times[MAX_TASKS], slowdown[MAX_CLASSES * MAX_PROCESSORS * MAX_PROCESSORS];
    int work_class[MAX_TASKS];
    int unit[MAX_TASKS], edges[MAX_EDGES][2];
    bool device[MAX_PROCESSORS];
    uint32_t rivals[MAX_PROCESSORS];
    pinion__hand_over_costs costs;
    pinion__placement_storage storages[MAX_STORAGES];
    pinion__placement_use uses[MAX_USES];
    /* Uses as they are made, in the order of tasks. */
    struct made_use {
        int storage;
        pinion__placement_use use;
    } made[MAX_USES];
    int made_count;
    uint64_t state; /* of its random numbers */
    char names[MAX_TASKS][32];
} bed;

static inline uint32_t bed_draw(bed *b, uint32_t below)
{
    b->state = b->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint32_t x = (uint32_t)(b->state >> 33) ^ (uint32_t)(b->state >> 47);
    return x % below;
}

/* In [low, high), on a grid so coarse that ties are common where `coarse` says so. */
static inline double bed_uniform(bed *b, double low, double high)
{
    return low + (high - low) * bed_draw(b, 1 << 20) / (1 << 20);
}

static inline bed *bed_create(pinion_context *ctx, uint64_t seed, int processors)
{
    bed *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int i = 0; i < 4; i++)
        (void)bed_draw(b, 2);
    b->problem = (pinion__placement_problem){.ctx = ctx,
                                             .processor_count = processors,
                                             .ms = b->ms,
                                             .storages = b->storages,
                                             .uses = b->uses,
                                             .device = b->device,
                                             .costs = &b->costs,
                                             .unit = b->unit,
                                             .edges = (const int(*)[2])b->edges,
                                             .rivals = b->rivals};
    return b;
}

static inline int bed_storage(bed *b, size_t bytes)
{
    assert_true(b->problem.storage_count < MAX_STORAGES);
    b->storages[b->problem.storage_count].bytes = bytes;
    return b->problem.storage_count++;
}

static inline int bed_task(bed *b, const char *name, int unit)
{
    assert_true(b->problem.task_count < MAX_TASKS);
    b->unit[b->problem.task_count] = unit;
    snprintf(b->names[b->problem.task_count], sizeof b->names[0], "%s", name);
    return b->problem.task_count++;
}

/* A use by the task made last; two of one storage become one. */
static inline void bed_use(bed *b, int storage, bool reads, bool writes)
{
    int task = b->problem.task_count - 1;
    for (int i = b->made_count - 1; i >= 0 && b->made[i].use.task == task; i--)
        if (b->made[i].storage == storage) {
            b->made[i].use.reads |= reads;
            b->made[i].use.writes |= writes;
            return;
        }
    assert_true(b->made_count < MAX_USES);
    b->made[b->made_count].storage = storage;
    b->made[b->made_count++].use = (pinion__placement_use){.task = task, .reads = reads, .writes = writes};
}

static inline void bed_read(bed *b, int storage)
{
    bed_use(b, storage, true, false);
}

static inline void bed_write(bed *b, int storage)
{
    bed_use(b, storage, false, true);
}

/* Sorts the uses by storage. */
static inline void bed_finish(bed *b)
{
    int count = 0;
    for (int s = 0; s < b->problem.storage_count; s++) {
        b->storages[s].first_use = count;
        for (int i = 0; i < b->made_count; i++)
            if (b->made[i].storage == s)
                b->uses[count++] = b->made[i].use;
        b->storages[s].use_count = count - b->storages[s].first_use;
    }
}

/* Hand-overs of the reference board: 100 us + bytes / 2 GB/s. */
static inline void bed_costs(bed *b, bool copies, double fixed_ms, double ms_per_byte)
{
    b->costs.copies = copies;
    for (int from = 0; from < PINION__HOLDERS; from++)
        for (int to = 0; to < PINION__HOLDERS; to++)
            b->costs.at[from][to] = (pinion__hand_over_cost){fixed_ms, ms_per_byte};
}

enum { BOARD_BYTES_PER_MS = 2000000 };

static inline void bed_board(bed *b, bool copies)
{
    bed_costs(b, copies, 0.1, 1.0 / BOARD_BYTES_PER_MS);
}

static inline pinion_context *open_context(void)
{
    pinion_context *ctx = NULL;
    pinion_context_options options = pinion_context_options_default();
    options.log = NULL;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    return ctx;
}

static inline void close_context(pinion_context *ctx)
{
    assert_int_equal(atomic_load(&ctx->live_bytes), 0);
    pinion_context_destroy(ctx);
}

static inline void expect_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-9 * (1 + fabs(a) + fabs(b))))
        fail_msg("%.12g is not %.12g", a, b);
}

#endif
