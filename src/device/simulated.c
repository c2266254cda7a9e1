/* SPDX-License-Identifier: Apache-2.0
 *
 * Processors that exist for tests: CPU kernels without workers, each task after a delay that is a function of the seed
 * and of how many tasks it has run, so that tasks of several processors interleave in ever other ways. One that works
 * in a domain has a thread of its own that serves a queue in order, as a device does.
 */
#include "base/random.h"
#include "device/memory.h"
#include "device/processor.h"

#include <time.h>

typedef struct submission submission;
struct submission {
    submission *next;
    bool further; /* one more than the processor was made with */
    pinion__body *body;
    const void *args;
    void (*done)(void *user, int status);
    void *user;
};

enum { SUBMISSIONS = 512 }; /* at once: steps allocate nothing */

typedef struct simulated {
    pinion__processor processor; /* first: a simulated is a processor */
    uint64_t seed;
    uint64_t tasks; /* run so far; the thread that runs them only */
    int64_t max_delay_ns;
    /* With a domain: */
    bool serving;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool stopping;
    submission *first, *last, *free;
    submission submissions[SUBMISSIONS];
} simulated;

static void delay(simulated *self)
{
    if (self->max_delay_ns <= 0)
        return;
    float part = pinion__random_uniform(self->seed, PINION__RANDOM_TEST, 0, self->tasks++);
    int64_t ns = (int64_t)((double)part * (double)self->max_delay_ns);
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&time, NULL);
}

static int run_body(simulated *self, pinion__body *body, const void *args)
{
    if (!atomic_load(&self->processor.failure)) {
        delay(self);
        body(args);
    }
    return atomic_load(&self->processor.failure);
}

static int run(pinion__processor *processor, pinion__body *body, const void *args)
{
    return run_body((simulated *)(void *)processor, body, args);
}

static void *serve(void *argument)
{
    simulated *self = argument;
    pthread_mutex_lock(&self->lock);
    for (;;) {
        submission *next = self->first;
        if (!next && self->stopping)
            break;
        if (!next) {
            pthread_cond_wait(&self->changed, &self->lock);
            continue;
        }
        self->first = next->next;
        const submission work = *next;
        next->next = self->free;
        self->free = next;
        pthread_mutex_unlock(&self->lock);
        work.done(work.user, run_body(self, work.body, work.args));
        pthread_mutex_lock(&self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void submit(pinion__processor *processor, pinion__body *body, const void *args,
                   void (*done)(void *user, int status), void *user)
{
    simulated *self = (simulated *)(void *)processor;
    pthread_mutex_lock(&self->lock);
    submission *work = self->free;
    if (work)
        self->free = work->next;
    else if (pinion__alloc(processor->ctx, 1, sizeof *work, "a submission", &work) < 0) {
        pthread_mutex_unlock(&self->lock);
        pinion__processor_fail(processor, PINION_ENOMEM, "out of memory for a submission");
        done(user, PINION_ENOMEM);
        return;
    }
    const bool further = work < self->submissions || work >= self->submissions + SUBMISSIONS;
    *work = (submission){.further = further, .body = body, .args = args, .done = done, .user = user};
    *(self->first ? &self->last->next : &self->first) = work;
    self->last = work;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

/* The end of one submission that somebody waits for. */
typedef struct end {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool come;
    int status;
} end;

static void announce(void *user, int status)
{
    end *of = user;
    pthread_mutex_lock(&of->lock);
    of->come = true;
    of->status = status;
    pthread_cond_signal(&of->changed);
    pthread_mutex_unlock(&of->lock);
}

static int run_queued(pinion__processor *processor, pinion__body *body, const void *args)
{
    end of = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    submit(processor, body, args, announce, &of);
    pthread_mutex_lock(&of.lock);
    while (!of.come)
        pthread_cond_wait(&of.changed, &of.lock);
    pthread_mutex_unlock(&of.lock);
    pthread_mutex_destroy(&of.lock);
    pthread_cond_destroy(&of.changed);
    return of.status;
}

static void destroy(pinion__processor *processor)
{
    simulated *self = (simulated *)(void *)processor;
    if (self->serving) {
        pthread_mutex_lock(&self->lock);
        self->stopping = true;
        pthread_cond_signal(&self->changed);
        pthread_mutex_unlock(&self->lock);
        pthread_join(self->thread, NULL);
        pthread_mutex_destroy(&self->lock);
        pthread_cond_destroy(&self->changed);
    }
    for (submission *next; self->free; self->free = next) {
        next = self->free->next;
        if (self->free->further)
            pinion__release(processor->ctx, self->free);
    }
    pinion__release(processor->ctx, processor);
}

static const pinion__processor_class simulated_class = {.kind = "simulated", .run = run, .destroy = destroy};
static const pinion__processor_class queued_class = {
    .kind = "simulated", .run = run_queued, .submit = submit, .destroy = destroy};

static int create(pinion_context *ctx, const char *name, const pinion__processor_class *class_, uint64_t seed,
                  int64_t max_delay_ns, simulated **out)
{
    int status = PINION_OK;
    simulated *self = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *self, "a processor", &self));
    PINION_TRY(pinion__processor_init(ctx, &self->processor, class_, name));
    self->seed = seed;
    self->max_delay_ns = max_delay_ns;
    memcpy(self->processor.description, "simulated", sizeof "simulated");
    *out = self;
    return PINION_OK;
fail:
    pinion__release(ctx, self);
    return status;
}

int pinion__processor_create_simulated(pinion_context *ctx, const char *name, uint64_t seed, int64_t max_delay_ns,
                                       pinion__processor **out)
{
    simulated *self;
    int status = create(ctx, name, &simulated_class, seed, max_delay_ns, &self);
    if (status == PINION_OK)
        *out = &self->processor;
    return status;
}

int pinion__processor_create_simulated_in(pinion_context *ctx, const char *name, pinion__domain *domain, uint64_t seed,
                                          int64_t max_delay_ns, pinion__processor **out)
{
    int status = PINION_OK;
    simulated *self = NULL;
    PINION_TRY(create(ctx, name, &queued_class, seed, max_delay_ns, &self));
    self->processor.domain = domain;
    self->processor.alignment = domain->alignment;
    for (int i = 0; i < SUBMISSIONS; i++) {
        self->submissions[i].next = self->free;
        self->free = &self->submissions[i];
    }
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    PINION_FAIL_IF(pthread_create(&self->thread, NULL, serve, self) != 0, PINION_ENOMEM,
                   "out of memory: a thread for processor '%s' could not be started", name);
    self->serving = true;
    *out = &self->processor;
    return PINION_OK;
fail:
    pinion__release(ctx, self);
    return status;
}
