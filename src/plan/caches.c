/* SPDX-License-Identifier: Apache-2.0
 *
 * Emptying and filling caches by additions (plan/caches.h).
 */
#include "plan/caches.h"

#include "base/cache.h"
#include "base/clock.h"
#include "op/operands.h"

#include <string.h>

enum {
    PIXEL = 64,          /* channels of the arrays' pixels */
    MIN_BYTES = 1 << 20, /* of each of the three arrays */
    MAX_BYTES = 32 << 20,
    TINY = 64, /* floats of an addition that is nothing but its start */
    LATENCIES = 15,
    SUBMISSIONS = 32
};

/* Together they are as large as the largest cache. More would be too much: what a task writes takes over bytes of the
 * arena that others have used not long ago, so some of that is there in a step. */
static size_t array_bytes(const pinion_context *ctx)
{
    size_t third = (ctx->cache_bytes ? ctx->cache_bytes : pinion__cache_bytes()) / 3;
    return third < MIN_BYTES ? MIN_BYTES : third > MAX_BYTES ? MAX_BYTES : third;
}

static pinion__view row_of(void *data, size_t count)
{
    return (pinion__view){.data = data, .n = 1, .h = 1, .w = (int)(count / PIXEL), .c = PIXEL, .ld = PIXEL};
}

static void set_count(pinion__args *args, size_t count)
{
    for (int i = 0; i < 3; i++)
        args->operand[i] = row_of(args->operand[i].data, count);
}

typedef struct addition {
    const pinion__kernel *kernel;
    pinion__args args;
} addition;

static void add(const void *argument)
{
    const addition *what = argument;
    what->kernel->body->run(&what->args);
}

static void run(const pinion__caches *caches, const addition *what)
{
    (void)caches->processor->class_->run(caches->processor, add, what);
}

/* ---- what waiting for one run costs ---- */

typedef struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int open, status;
} tally;

static void note_done(void *user, int status)
{
    tally *count = user;
    pthread_mutex_lock(&count->lock);
    count->open--;
    count->status = count->status < 0 ? count->status : status;
    pthread_cond_signal(&count->changed);
    pthread_mutex_unlock(&count->lock);
}

static int submit_all(pinion__processor *processor, pinion__body *body, const void *args, int times)
{
    tally count = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, times, PINION_OK};
    for (int i = 0; i < times; i++)
        processor->class_->submit(processor, body, args, note_done, &count);
    pthread_mutex_lock(&count.lock);
    while (count.open > 0)
        pthread_cond_wait(&count.changed, &count.lock);
    pthread_mutex_unlock(&count.lock);
    return count.status;
}

static double time_submissions(const pinion__caches *caches, const addition *what, int times)
{
    int64_t start = pinion__now_ns();
    (void)submit_all(caches->processor, add, what, times);
    return (double)(pinion__now_ns() - start) * 1e-6 / times;
}

static double time_run(const pinion__caches *caches, const addition *what)
{
    int64_t start = pinion__now_ns();
    run(caches, what);
    return (double)(pinion__now_ns() - start) * 1e-6;
}

static double find_latency(const pinion__caches *caches)
{
    double alone[LATENCIES], among[LATENCIES];
    addition what = {.kernel = caches->kernel, .args = caches->staged.args};
    if (!caches->processor->class_->submit)
        return 0;
    set_count(&what.args, TINY);
    for (int i = -1; i < LATENCIES; i++) {
        double first = time_run(caches, &what), second = time_submissions(caches, &what, SUBMISSIONS);
        if (i >= 0)
            alone[i] = first, among[i] = second;
    }
    double latency = pinion__summarise(alone, LATENCIES).median - pinion__summarise(among, LATENCIES).median;
    return latency > 0 ? latency : 0;
}

int pinion__caches_init(pinion__caches *caches, pinion__processor *processor)
{
    pinion_context *ctx = processor->ctx;
    int status = PINION_OK, cursor = 0;
    pinion__args args = {.processor = processor, .workers = processor->workers};
    *caches = (pinion__caches){.processor = processor, .count = array_bytes(ctx) / sizeof(float)};
    PINION_TRY(
        pinion__alloc_aligned(ctx, 3 * caches->count * sizeof(float), 64, "tasks that are timed", &caches->block));
    memset(caches->block, 0, 3 * caches->count * sizeof(float));
    for (int i = 0; i < 3; i++)
        args.operand[i] = row_of(caches->block + (size_t)i * caches->count, caches->count);
    caches->kernel =
        pinion__kernel_next(PINION__OP_add, PINION__FORWARD, processor->kernel_kind, processor->isa, &args, &cursor);
    if (!caches->kernel)
        return PINION_OK;
    PINION_TRY(pinion__staged_begin(&caches->staged, processor, caches->kernel, &args, 0));
    caches->latency_ms = find_latency(caches);
fail:
    return status;
}

void pinion__caches_fini(pinion__caches *caches)
{
    if (!caches->processor)
        return;
    if (caches->kernel)
        (void)pinion__staged_end(&caches->staged, false);
    pinion__release(caches->processor->ctx, caches->block);
    *caches = (pinion__caches){0};
}

/* A tenth of the arrays: enough for the other side to fall asleep. */
static addition task_of(const pinion__caches *caches)
{
    addition what = {.kernel = caches->kernel, .args = caches->staged.args};
    set_count(&what.args, caches->count / 10 / PIXEL * PIXEL);
    return what;
}

void pinion__caches_add(const pinion__caches *caches)
{
    const addition what = task_of(caches);
    if (caches->kernel)
        add(&what);
}

double pinion__caches_task_ms(const pinion__caches *caches)
{
    double samples[LATENCIES];
    const addition what = task_of(caches);
    if (!caches->kernel)
        return 0;
    for (int i = -1; i < LATENCIES; i++) {
        double ms = caches->processor->class_->submit ? time_submissions(caches, &what, 4) : time_run(caches, &what);
        if (i >= 0)
            samples[i] = ms;
    }
    return pinion__summarise(samples, LATENCIES).median;
}

int pinion__caches_submit(const pinion__caches *caches, pinion__body *body, const void *args)
{
    pinion__processor *processor = caches->processor;
    return processor->class_->submit ? submit_all(processor, body, args, 1)
                                     : processor->class_->run(processor, body, args);
}

void pinion__caches_evict(pinion__caches *caches)
{
    if (!caches->kernel)
        return;
    const addition what = {.kernel = caches->kernel, .args = caches->staged.args};
    run(caches, &what);
}

/* What is written in turn is as large, as a predecessor's output is beside its input. */
void pinion__caches_read(pinion__caches *caches, const pinion__args *args, int operand, size_t bytes)
{
    size_t count = bytes / sizeof(float) / PIXEL * PIXEL;
    if (!caches->kernel || count == 0)
        return;
    addition what = {.kernel = caches->kernel, .args = caches->staged.args};
    count = count < caches->count ? count : caches->count;
    set_count(&what.args, count);
    for (int i = 0; i < 2; i++) {
        what.args.operand[i].data = args->operand[operand].data;
        what.args.memory[i] = args->memory[operand];
    }
    run(caches, &what);
}
