/* SPDX-License-Identifier: Apache-2.0
 *
 * Parallel loops. A loop is shown at the door, one word: its number, whether
 * helpers may come in, and how many are inside. Who is inside claims items from
 * a shared counter. The caller does so too, and when no items are left it
 * closes the door and waits for those inside, who are at their last items; the
 * record of the loop is written again only after that.
 *
 * Helpers look at the door while they are kept awake and sleep otherwise. Who
 * goes to sleep says so and then looks once more; who shows a loop, or wants
 * helpers awake, looks for sleepers after that: one of the two sees the other.
 */
#include "base/workers.h"

#include "base/clock.h"
#include "base/denormals.h"

#include <sched.h>

enum {
    INSIDE = (1 << 10) - 1, /* of the door: how many helpers are inside, */
    OPEN = 1 << 10,         /* whether they may come in, */
    NUMBER = 1 << 11        /* and from here on the number of the loop */
};
enum {
    LINE = 64,             /* bytes of a cache line */
    LOOKS = 256,           /* between two looks at the clock */
    AWAKE_NS = 4 * 1000000 /* a helper that nobody needs for so long sleeps */
};

typedef struct loop {
    void (*body)(void *user, size_t item, int lane);
    void *user;
    size_t count;
    _Alignas(LINE) atomic_size_t next;
} loop;

typedef struct helper {
    pinion__workers *workers;
    pthread_t thread;
    int lane;
    cpu_set_t cores; /* on which it may run, but for ... */
    int kept_off;    /* ... this one; -1: none. Guarded by the lock, as is: */
    bool sleeps;     /* and has not been called */
} helper;

struct pinion__workers {
    pinion_context *ctx;
    int threads, cores;
    int started;          /* helpers */
    helper *helpers;      /* threads - 1 */
    pthread_mutex_t turn; /* held by the caller whose loop runs */
    loop work;            /* the loop that runs */
    _Alignas(LINE) atomic_uint door;
    _Alignas(LINE) atomic_int awake; /* how many callers want helpers awake */
    atomic_bool stopping;
    atomic_int asleep;      /* helpers that sleep */
    atomic_bool waiting;    /* the caller sleeps until nobody is inside */
    pthread_mutex_t lock;   /* guards what helpers say of their sleep, and changes of `asleep` and `waiting` */
    pthread_cond_t called;  /* helpers wait for it */
    pthread_cond_t emptied; /* the caller waits for it */
};

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__arm__) && __ARM_ARCH >= 7)
    __asm__ volatile("yield" ::: "memory");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

static void run_items(loop *work, int lane)
{
    for (;;) {
        size_t item = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (item >= work->count)
            break;
        work->body(work->user, item, lane);
    }
}

/* ---- helpers ---- */

/* Does the door show a loop that is not the one of this number? */
static bool is_new(unsigned door, unsigned number)
{
    return (door & OPEN) && door / NUMBER != number;
}

/* Sleeps until somebody calls; returns at once where there is a reason not to
 * sleep. */
static void sleep_until_called(helper *self, unsigned number, bool tired)
{
    pinion__workers *workers = self->workers;
    pthread_mutex_lock(&workers->lock);
    atomic_fetch_add(&workers->asleep, 1);
    self->sleeps = !is_new(atomic_load(&workers->door), number) && !atomic_load(&workers->stopping) &&
                   (tired || atomic_load(&workers->awake) == 0);
    if (!self->sleeps)
        atomic_fetch_sub(&workers->asleep, 1);
    while (self->sleeps)
        pthread_cond_wait(&workers->called, &workers->lock);
    pthread_mutex_unlock(&workers->lock);
}

/* Looks at the door, or sleeps. False: no more loops will come. */
static bool wait_for_loop(helper *self, unsigned number)
{
    pinion__workers *workers = self->workers;
    int64_t begin = 0;
    for (unsigned looks = 1; !atomic_load_explicit(&workers->stopping, memory_order_relaxed); looks++) {
        if (is_new(atomic_load_explicit(&workers->door, memory_order_relaxed), number))
            return true;
        bool tired = false;
        if (looks % LOOKS == 0) {
            const int64_t now = pinion__now_ns();
            begin = begin ? begin : now;
            tired = now - begin > AWAKE_NS;
        }
        if (tired || atomic_load_explicit(&workers->awake, memory_order_relaxed) == 0) {
            sleep_until_called(self, number, tired);
            begin = 0;
        } else {
            pause_briefly();
        }
    }
    return false;
}

/* Comes in and notes the number, unless the loop has gone. */
static bool enter(pinion__workers *workers, unsigned *number)
{
    unsigned door = atomic_load_explicit(&workers->door, memory_order_relaxed);
    while (is_new(door, *number)) {
        if (!atomic_compare_exchange_weak_explicit(&workers->door, &door, door + 1, memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        *number = door / NUMBER;
        return true;
    }
    return false;
}

static void leave(pinion__workers *workers)
{
    const unsigned door = atomic_fetch_sub(&workers->door, 1) - 1;
    if ((door & (INSIDE | OPEN)) != 0 || !atomic_load(&workers->waiting))
        return;
    pthread_mutex_lock(&workers->lock);
    pthread_cond_signal(&workers->emptied);
    pthread_mutex_unlock(&workers->lock);
}

static void *help(void *argument)
{
    helper *self = argument;
    pinion__workers *workers = self->workers;
    unsigned number = 0;
    pinion__flush_denormals();
    while (wait_for_loop(self, number)) {
        if (!enter(workers, &number))
            continue;
        run_items(&workers->work, self->lane);
        leave(workers);
    }
    return NULL;
}

/* ---- callers ---- */

/* A thread that wakes up may be put behind the one that woke it, on the same
 * core, and wait there for milliseconds although another is idle: Linux takes an
 * idle core of a virtual machine for one that is not there. So helpers are kept
 * off the core that the caller runs on. */
static void keep_off(helper *one, int core)
{
    cpu_set_t others = one->cores;
    CPU_CLR((size_t)core, &others);
    if (CPU_COUNT(&others) > 0)
        pthread_setaffinity_np(one->thread, sizeof others, &others); /* a failure leaves it where it is */
    one->kept_off = core;
}

static void call_sleepers(pinion__workers *workers)
{
    if (atomic_load(&workers->asleep) == 0)
        return;
    const int core = workers->threads <= workers->cores ? sched_getcpu() : -1;
    pthread_mutex_lock(&workers->lock);
    for (int i = 0; i < workers->started; i++) {
        helper *one = &workers->helpers[i];
        if (one->sleeps && core >= 0 && one->kept_off != core)
            keep_off(one, core);
        one->sleeps = false;
    }
    atomic_store(&workers->asleep, 0);
    pthread_cond_broadcast(&workers->called);
    pthread_mutex_unlock(&workers->lock);
}

static void open_door(pinion__workers *workers)
{
    const unsigned number = atomic_load_explicit(&workers->door, memory_order_relaxed) / NUMBER;
    atomic_store(&workers->door, (number + 1) * NUMBER | OPEN);
    call_sleepers(workers);
}

static bool is_anybody_inside(pinion__workers *workers)
{
    return (atomic_load(&workers->door) & INSIDE) != 0;
}

/* Returns when nobody is inside. */
static void close_door(pinion__workers *workers)
{
    atomic_fetch_and(&workers->door, ~(unsigned)OPEN);
    const bool spin = workers->threads <= workers->cores;
    for (int looks = 0; looks < (spin ? 16 * LOOKS : 1); looks++) {
        if (!is_anybody_inside(workers))
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&workers->lock);
    atomic_store(&workers->waiting, true);
    while (is_anybody_inside(workers))
        pthread_cond_wait(&workers->emptied, &workers->lock);
    atomic_store(&workers->waiting, false);
    pthread_mutex_unlock(&workers->lock);
}

static int start_helpers(pinion__workers *workers, const cpu_set_t *cores)
{
    pinion_context *ctx = workers->ctx;
    int status = PINION_OK;
    for (int i = 0; i < workers->threads - 1; i++) {
        helper *one = &workers->helpers[i];
        *one = (helper){.workers = workers, .lane = i + 1, .cores = *cores, .kept_off = -1};
        PINION_FAIL_IF(pthread_create(&one->thread, NULL, help, one) != 0, PINION_ENOMEM,
                       "out of memory: %d threads could not be started", workers->threads);
        workers->started++;
    }
fail:
    return status;
}

int pinion__workers_create(pinion_context *ctx, int threads, pinion__workers **out)
{
    int status = PINION_OK;
    pinion__workers *workers = NULL;
    cpu_set_t cores; /* that this thread, and so its helpers, may use */
    PINION_FAIL_IF(threads > INSIDE, PINION_EINVAL, "%d threads; expected at most %d", threads, INSIDE);
    PINION_TRY(pinion__alloc_aligned(ctx, sizeof *workers, LINE, "a set of threads", &workers));
    if (sched_getaffinity(0, sizeof cores, &cores) != 0) {
        CPU_ZERO(&cores);
        CPU_SET(0, &cores); /* one, then; threads are not moved */
    }
    *workers = (pinion__workers){.ctx = ctx, .threads = threads, .cores = CPU_COUNT(&cores)};
    pthread_mutex_init(&workers->turn, NULL);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->called, NULL);
    pthread_cond_init(&workers->emptied, NULL);
    if (threads > 1) {
        PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)threads - 1, sizeof *workers->helpers, "a set of threads",
                                        &workers->helpers));
        PINION_TRY(start_helpers(workers, &cores));
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
    atomic_store(&workers->stopping, true);
    call_sleepers(workers);
    for (int i = 0; i < workers->started; i++)
        pthread_join(workers->helpers[i].thread, NULL);
    pthread_cond_destroy(&workers->emptied);
    pthread_cond_destroy(&workers->called);
    pthread_mutex_destroy(&workers->lock);
    pthread_mutex_destroy(&workers->turn);
    pinion__release(workers->ctx, workers->helpers);
    pinion__release(workers->ctx, workers);
}

int pinion__workers_threads(const pinion__workers *workers)
{
    return workers ? workers->threads : 1;
}

void pinion__parallel(pinion__workers *workers, size_t count, void (*body)(void *user, size_t item, int lane),
                      void *user)
{
    const uint64_t mode = pinion__flush_denormals();
    if (!workers || workers->threads == 1 || count <= 1) {
        for (size_t item = 0; item < count; item++)
            body(user, item, 0);
    } else {
        pthread_mutex_lock(&workers->turn);
        workers->work.body = body;
        workers->work.user = user;
        workers->work.count = count;
        atomic_store_explicit(&workers->work.next, 0, memory_order_relaxed);
        open_door(workers);
        run_items(&workers->work, 0);
        close_door(workers);
        pthread_mutex_unlock(&workers->turn);
    }
    pinion__set_arithmetic_mode(mode);
}

void pinion__workers_keep_awake(pinion__workers *workers, bool awake)
{
    if (!workers || workers->threads == 1 || workers->threads > workers->cores)
        return;
    atomic_fetch_add(&workers->awake, awake ? 1 : -1);
    if (awake)
        call_sleepers(workers);
}
