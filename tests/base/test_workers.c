/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of base/workers: every item once, whoever calls; helpers that are late; denormals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/workers.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static pinion_context *make_context(void)
{
    pinion_context *ctx = NULL;
    assert_int_equal(pinion_context_create(NULL, &ctx), PINION_OK);
    return ctx;
}

static void nap(void)
{
    usleep(2000); /* helpers go to sleep */
}

typedef struct counted {
    atomic_int visits[1000];
    atomic_int bad_lane;
    int threads;
} counted;

static void visit(void *user, size_t item, int lane)
{
    counted *count = user;
    atomic_fetch_add(&count->visits[item], 1);
    if (lane < 0 || lane >= count->threads)
        atomic_store(&count->bad_lane, 1);
}

static void test_parallel(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int threads = 1; threads <= 4; threads++) {
        pinion__workers *workers;
        assert_int_equal(pinion__workers_create(ctx, threads, &workers), PINION_OK);
        for (size_t items = 0; items <= 1000; items += 333) {
            static counted count;
            memset(&count, 0, sizeof count);
            count.threads = threads;
            pinion__parallel(workers, items, visit, &count);
            for (size_t i = 0; i < 1000; i++)
                assert_int_equal(atomic_load(&count.visits[i]), i < items);
            assert_int_equal(atomic_load(&count.bad_lane), 0);
        }
        pinion__workers_destroy(workers);
    }
    pinion_context_destroy(ctx);
}

typedef struct caller {
    pinion__workers *workers;
    counted *count;
    bool wrong;
} caller;

static void *call_often(void *user)
{
    caller *at = user;
    for (int round = 1; round <= 200; round++) {
        pinion__parallel(at->workers, 100, visit, at->count);
        for (int i = 0; i < 100; i++)
            at->wrong = at->wrong || atomic_load(&at->count->visits[i]) != round;
    }
    return NULL;
}

/* Loops of two callers on one set of workers: each is done when its call returns, each item once. */
static void test_parallel_callers(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__workers *workers;
    static counted counts[2];
    pthread_t threads[2];
    caller callers[2];
    assert_int_equal(pinion__workers_create(ctx, 2, &workers), PINION_OK);
    for (int i = 0; i < 2; i++) {
        counts[i].threads = 2;
        callers[i] = (caller){.workers = workers, .count = &counts[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_false(callers[i].wrong);
        assert_int_equal(atomic_load(&counts[i].bad_lane), 0);
    }
    pinion__workers_destroy(workers);
    pinion_context_destroy(ctx);
}

/* Calls with true and false may lie within each other; between them and behind them loops are whole. */
static void test_keep_awake(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__workers *workers;
    static counted count;
    memset(&count, 0, sizeof count);
    count.threads = 2;
    assert_int_equal(pinion__workers_create(ctx, 2, &workers), PINION_OK);
    int rounds = 0;
    for (int depth = 0; depth < 4; depth++) {
        for (int i = 0; i < depth; i++)
            pinion__workers_keep_awake(workers, true);
        for (int i = 0; i <= depth; i++) {
            for (int loops = 0; loops < 50; loops++, rounds++)
                pinion__parallel(workers, 1000, visit, &count);
            if (i < depth)
                pinion__workers_keep_awake(workers, false);
            nap();
        }
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(atomic_load(&count.visits[i]), rounds);
    pinion__workers_destroy(workers);
    pinion_context_destroy(ctx);
}

/* Items that stay until each thread of the set has one: lane by lane, every thread takes part. */
typedef struct meeting {
    atomic_int present, threads, finished;
    pthread_t thread[8];
    int core[8];
} meeting;

static void meet(void *user, size_t item, int lane)
{
    (void)item;
    meeting *at = user;
    at->thread[lane] = pthread_self();
    at->core[lane] = sched_getcpu();
    atomic_fetch_add(&at->present, 1);
    while (atomic_load(&at->present) < atomic_load(&at->threads))
        usleep(100);
}

/* All threads come, also where there are more of them than cores. */
static void test_all_take_part(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int threads = 2; threads <= 8; threads *= 2) {
        pinion__workers *workers;
        assert_int_equal(pinion__workers_create(ctx, threads, &workers), PINION_OK);
        for (int round = 0; round < 5; round++) {
            meeting at = {.threads = threads};
            pinion__parallel(workers, (size_t)threads, meet, &at);
            for (int i = 0; i < threads; i++)
                for (int j = 0; j < i; j++)
                    assert_false(pthread_equal(at.thread[i], at.thread[j]));
            nap();
        }
        pinion__workers_destroy(workers);
    }
    pinion_context_destroy(ctx);
}

static void dawdle(void *user, size_t item, int lane)
{
    meeting *at = user;
    meet(at, item, lane);
    if (lane > 0)
        usleep(3000);
    atomic_fetch_add(&at->finished, 1);
}

/* The caller returns when the last helper has finished its item, also where it has to wait long for that. */
static void test_slow_helpers(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    for (int threads = 2; threads <= 4; threads++) {
        pinion__workers *workers;
        assert_int_equal(pinion__workers_create(ctx, threads, &workers), PINION_OK);
        for (int round = 0; round < 5; round++) {
            meeting at = {.threads = threads};
            pinion__parallel(workers, (size_t)threads, dawdle, &at);
            assert_int_equal(atomic_load(&at.finished), threads);
        }
        pinion__workers_destroy(workers);
    }
    pinion_context_destroy(ctx);
}

static int gate[2]; /* a pipe */
static atomic_int held;

static void hold(int number)
{
    (void)number;
    char byte;
    atomic_store(&held, 1);
    while (read(gate[0], &byte, 1) != 1)
        continue;
    atomic_store(&held, 2);
}

/* A helper that does not come is not waited for: here a signal holds it. */
static void test_late_helper(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__workers *workers;
    meeting at = {.threads = 2};
    static counted count;
    memset(&count, 0, sizeof count);
    count.threads = 1; /* lane 0 must do everything */
    assert_int_equal(pipe(gate), 0);
    assert_int_equal(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = hold}, NULL), 0);
    assert_int_equal(pinion__workers_create(ctx, 2, &workers), PINION_OK);
    pinion__parallel(workers, 2, meet, &at);
    nap();
    assert_int_equal(pthread_kill(at.thread[1], SIGUSR1), 0);
    while (atomic_load(&held) != 1)
        usleep(100);
    pinion__workers_keep_awake(workers, true);
    pinion__parallel(workers, 1000, visit, &count);
    pinion__workers_keep_awake(workers, false);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(atomic_load(&count.visits[i]), 1);
    assert_int_equal(atomic_load(&count.bad_lane), 0);
    assert_int_equal(atomic_load(&held), 1);
    assert_int_equal(write(gate[1], "", 1), 1);
    atomic_store(&at.present, 0);
    pinion__parallel(workers, 2, meet, &at); /* and now it comes again */
    assert_int_equal(atomic_load(&held), 2);
    pinion__workers_destroy(workers);
    close(gate[0]);
    close(gate[1]);
    pinion_context_destroy(ctx);
}

/* A helper that is woken does not come to the core of its caller. */
static void test_other_core(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2)
        skip();
    pinion_context *ctx = make_context();
    pinion__workers *workers;
    assert_int_equal(pinion__workers_create(ctx, 2, &workers), PINION_OK);
    for (int core = 0, rounds = 0; core < CPU_SETSIZE && rounds < 8; core++) {
        if (!CPU_ISSET((size_t)core, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET((size_t)core, &one);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        usleep(50000); /* the helper sleeps, however busy the machine is */
        meeting at = {.threads = 2};
        pinion__parallel(workers, 2, meet, &at);
        assert_int_equal(at.core[0], core);
        assert_int_not_equal(at.core[1], core);
        rounds++;
    }
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    pinion__workers_destroy(workers);
    pinion_context_destroy(ctx);
}

typedef struct products {
    meeting at;
    volatile float factor, out[2];
} products;

static void multiply(void *user, size_t item, int lane)
{
    products *of = user;
    of->out[lane] = of->factor * 0.5F;
    meet(&of->at, item, lane);
}

/* Denormals are zero in every lane, and afterwards the caller's arithmetic is as it was. */
static void test_denormals(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion__workers *workers;
    products of = {.at = {.threads = 2}, .factor = 0x1p-126F, .out = {1, 1}};
    assert_int_equal(pinion__workers_create(ctx, 2, &workers), PINION_OK);
    pinion__parallel(workers, 2, multiply, &of);
#if defined(__SSE__) || defined(__aarch64__)
    assert_true(of.out[0] == 0 && of.out[1] == 0);
#endif
    assert_true(of.factor * 0.5F > 0);
    pinion__workers_destroy(workers);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parallel),     cmocka_unit_test(test_parallel_callers),
        cmocka_unit_test(test_keep_awake),   cmocka_unit_test(test_all_take_part),
        cmocka_unit_test(test_slow_helpers), cmocka_unit_test(test_late_helper),
        cmocka_unit_test(test_other_core),   cmocka_unit_test(test_denormals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
