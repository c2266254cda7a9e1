/* SPDX-License-Identifier: Apache-2.0
 *
 * Parallel loops over pthreadpool. The pool runs one lane a thread; lanes claim items from a shared counter, so that a
 * lane can have scratch memory of its own and uneven items balance.
 */
#include "base/workers.h"

#include <pthreadpool.h>
#include <sched.h>

typedef struct loop {
    void (*body)(void *user, size_t item, int lane);
    void *user;
    size_t count;
    atomic_size_t next;
    /* Orders what the caller wrote before the loop, the lanes, and what the caller reads after it. The pool does so
     * too, but a pool that was built without ThreadSanitizer does not tell it. */
    atomic_size_t order;
} loop;

/* The record of the running loop lies here, not on the caller's stack: the pool's threads may look at it once more
 * after the caller has returned, or so it seems to a ThreadSanitizer that does not see the pool's own synchronisation.
 */
struct pinion__workers {
    pinion_context *ctx;
    pthreadpool_t pool; /* NULL: one thread, the caller's */
    int threads, cores;
    atomic_bool awake;    /* threads wait for the next loop without sleeping */
    pthread_mutex_t turn; /* held by the caller whose loop runs: others wait, as they would in the pool */
    loop work;            /* the loop that runs */
};

/* Hardware threads that this process may use. */
static int count_cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void run_lane(void *context, size_t lane)
{
    loop *work = context;
    atomic_load_explicit(&work->order, memory_order_acquire);
    for (;;) {
        size_t item = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (item >= work->count)
            break;
        work->body(work->user, item, (int)lane);
    }
    atomic_fetch_add_explicit(&work->order, 1, memory_order_release);
}

static void run_loop(loop *work, pthreadpool_t pool, size_t lanes, bool awake)
{
    uint32_t flags = PTHREADPOOL_FLAG_DISABLE_DENORMALS | (awake ? 0 : PTHREADPOOL_FLAG_YIELD_WORKERS);
    atomic_store_explicit(&work->next, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&work->order, 1, memory_order_release);
    pthreadpool_parallelize_1d(pool, run_lane, work, lanes, flags);
    atomic_load_explicit(&work->order, memory_order_acquire);
}

/* Threads notice at the end of a loop whether they may sleep: here is one with nothing in it. */
static void fall_asleep(pinion__workers *workers)
{
    workers->work.count = 0;
    run_loop(&workers->work, workers->pool, (size_t)workers->threads, false);
}

int pinion__workers_create(pinion_context *ctx, int threads, pinion__workers **out)
{
    int status = PINION_OK;
    pinion__workers *workers = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *workers, "a pool of threads", &workers));
    workers->ctx = ctx;
    workers->threads = threads;
    workers->cores = count_cpus();
    pthread_mutex_init(&workers->turn, NULL);
    if (threads > 1) {
        workers->pool = pthreadpool_create((size_t)threads);
        PINION_FAIL_IF(!workers->pool, PINION_ENOMEM, "out of memory: a pool of %d threads could not be started",
                       threads);
        fall_asleep(workers); /* new threads wait awake for their first loop */
    }
    *out = workers;
    return PINION_OK;
fail:
    pinion__workers_destroy(workers);
    return status;
}

void pinion__workers_destroy(pinion__workers *workers)
{
    if (!workers)
        return;
    if (workers->pool)
        pthreadpool_destroy(workers->pool);
    pthread_mutex_destroy(&workers->turn);
    pinion__release(workers->ctx, workers);
}

int pinion__workers_threads(const pinion__workers *workers)
{
    return workers ? workers->threads : 1;
}

void pinion__parallel(pinion__workers *workers, size_t count, void (*body)(void *user, size_t item, int lane),
                      void *user)
{
    if (!workers || !workers->pool || count <= 1) {
        loop alone = {.body = body, .user = user, .count = count};
        run_loop(&alone, NULL, count < 1 ? count : 1, false);
        return;
    }
    pthread_mutex_lock(&workers->turn);
    workers->work.body = body;
    workers->work.user = user;
    workers->work.count = count;
    size_t threads = (size_t)workers->threads;
    run_loop(&workers->work, workers->pool, threads < count ? threads : count, atomic_load(&workers->awake));
    pthread_mutex_unlock(&workers->turn);
}

void pinion__workers_keep_awake(pinion__workers *workers, bool awake)
{
    if (!workers || !workers->pool || workers->threads > workers->cores)
        return;
    pthread_mutex_lock(&workers->turn);
    atomic_store(&workers->awake, awake);
    if (!awake)
        fall_asleep(workers);
    pthread_mutex_unlock(&workers->turn);
}
