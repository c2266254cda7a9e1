/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of processors that work side by side share: a network on two simulated processors of the host, and times
 * for its tasks, which are put into the context's wisdom.
 */
#ifndef TESTS_PLAN_PAIR_BED_H
#define TESTS_PLAN_PAIR_BED_H

#include "plan/networks.h"

#include "plan/candidates.h"
#include "plan/co_run.h"
#include "plan/wisdom.h"

#include <math.h>
#include <stdlib.h>

enum { PAIR = 2, PAIR_BATCH = 4 };

typedef struct pair_bed {
    pinion_context *ctx;
    pinion_network *network;
    pinion__processor *processors[PAIR];
    pinion__wisdom *wisdom;
} pair_bed;

static inline pair_bed open_pair(void)
{
    static const char *const names[PAIR] = {"s:0", "s:1"};
    pair_bed b = {.ctx = make_context()};
    b.ctx->cache_bytes = 1; /* the least that is emptied before a task is timed */
    pinion_layer at = PINION_INPUT;
    pinion_shape input = {16, 16, 16};
    pinion_conv2d conv = {.k = 16, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
    pinion_linear linear = {.k = 5, .bias = 1};
    assert_int_equal(pinion_network_create(b.ctx, "pair", input, &b.network), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(b.network, "conv1", at, &conv, &at), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(b.network, "conv2", at, &conv, &at), PINION_OK);
    assert_int_equal(pinion_network_add_conv2d(b.network, "conv3", at, &conv, &at), PINION_OK);
    assert_int_equal(pinion_network_add_global_avgpool(b.network, "pool", at, &at), PINION_OK);
    assert_int_equal(pinion_network_add_linear(b.network, "fc", at, &linear, NULL), PINION_OK);
    for (int i = 0; i < PAIR; i++)
        assert_int_equal(pinion__processor_create_simulated(b.ctx, names[i], 0, 0, &b.processors[i]), PINION_OK);
    assert_int_equal(pinion__wisdom_open(b.ctx, true, &b.wisdom), PINION_OK);
    return b;
}

static inline void close_pair(pair_bed *b)
{
    for (int i = 0; i < PAIR; i++)
        pinion__processor_destroy(b->processors[i]);
    pinion_network_destroy(b->network);
    pinion_context_destroy(b->ctx);
}

static inline pinion_plan *plan_pair(const pair_bed *b, const char *place, enum pinion_patience patience,
                                     const pinion__plan_tuning *tuning)
{
    pinion_plan *plan = NULL;
    pinion_plan_options options = training_options(PAIR_BATCH);
    options.place = place;
    options.patience = patience;
    if (pinion__plan_create_tuned(b->network, &options, tuning, (pinion__processor *const *)b->processors, PAIR,
                                  &plan) < 0)
        fail_msg("%s", pinion_context_error(b->ctx));
    return plan;
}

/* "co-run forward simulated:0 avx512 threads=1 beside simulated:1 avx512 threads=1" */
static inline const char *co_run_key(const pair_bed *b, const char *work_class, int p)
{
    static char key[256];
    const char *isa = pinion__isa_name(b->processors[p]->isa);
    snprintf(key, sizeof key, "co-run %s simulated:%d %s threads=1 beside simulated:%d %s threads=1", work_class, p,
             isa, 1 - p, isa);
    return key;
}

static inline void note(const pair_bed *b, const char *key, const char *name, double ms)
{
    assert_int_equal(pinion__wisdom_note(b->wisdom, key, name, ms, 1), PINION_OK);
}

#endif
