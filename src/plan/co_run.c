/* SPDX-License-Identifier: Apache-2.0
 *
 * Pairs of processors side by side (plan/co_run.h): one runs the task over and over in a thread of its own while it is
 * timed on the other, in turn with runs while the first one rests. Wisdom keeps both times.
 */
#include "plan/co_run.h"

#include "base/clock.h"
#include "net/text.h"
#include "plan/candidates.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum { RUNS = 5 };

static const char alone[] = "alone", beside[] = "beside"; /* in the place of kernels */
static const double most = 4;                             /* a factor beyond it is a disturbance */

static bool may_co_run(const pinion_plan *plan, int p, int q)
{
    return p != q && !pinion__processors_share_cores(plan->processors[p], plan->processors[q]) &&
           !atomic_load(&plan->processors[p]->failure) && !atomic_load(&plan->processors[q]->failure);
}

/* "co-run cpu avx512 threads=1 beside opencl '…' cores=1" */
static int make_key(const pinion_plan *plan, int p, int q, char **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__text text = {.ctx = ctx};
    PINION_TRY(pinion__text_add(&text, "co-run "));
    PINION_TRY(pinion__candidates_add_processor(plan->processors[p], &text));
    PINION_TRY(pinion__text_add(&text, " beside "));
    PINION_TRY(pinion__candidates_add_processor(plan->processors[q], &text));
    *out = text.bytes;
    return PINION_OK;
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

/* Out of memory: not known. */
static double look_up(const pinion_plan *plan, pinion__wisdom *wisdom, int p, int q)
{
    char *key = NULL;
    if (make_key(plan, p, q, &key) < 0)
        return 0;
    double factor = pinion__wisdom_get(wisdom, key, beside) / pinion__wisdom_get(wisdom, key, alone);
    pinion__release(plan->ctx, key);
    return isnan(factor) ? 0 : factor < 1 ? 1 : fmin(factor, most);
}

void pinion__co_run_look_up(pinion_plan *plan, pinion__wisdom *wisdom)
{
    for (int p = 0; p < plan->processor_count; p++)
        for (int q = 0; q < plan->processor_count; q++)
            plan->slowdown[p][q] = wisdom && may_co_run(plan, p, q) ? look_up(plan, wisdom, p, q) : 0;
}

/* ---- measuring ---- */

/* The first processor's record of the heaviest work that both have times of; -1: none. */
static int find_work(const pinion_plan *plan, int p, int q)
{
    int best = -1;
    double macs = 0;
    for (int r = 0; r < (int)plan->record_count; r += plan->processor_count) {
        const pinion__record *left = &plan->records[r + p], *right = &plan->records[r + q];
        double heavy = plan->tasks[left->task].macs;
        if (left->count == 0 || right->count == 0 || heavy <= macs)
            continue;
        if (!isfinite(pinion__candidates_best(plan, left)->ms) || !isfinite(pinion__candidates_best(plan, right)->ms))
            continue;
        best = r;
        macs = heavy;
    }
    return best;
}

/* The thread of the other processor. */
typedef struct other {
    pinion__trial trial;
    atomic_bool stop, started;
} other;

static void *keep_busy(void *argument)
{
    other *it = argument;
    int status = PINION_OK;
    while (status == PINION_OK && !atomic_load(&it->stop)) {
        status = pinion__trial_repeat(&it->trial);
        atomic_store(&it->started, true);
    }
    return NULL;
}

static double run_beside(const pinion__trial *trial, other *it)
{
    pthread_t thread;
    atomic_store(&it->stop, false);
    atomic_store(&it->started, false);
    if (pthread_create(&thread, NULL, keep_busy, it) != 0)
        return (double)NAN;
    while (!atomic_load(&it->started))
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    double ms = pinion__trial_run(trial);
    atomic_store(&it->stop, true);
    pthread_join(thread, NULL);
    return ms;
}

static void time_pair(const pinion__trial *trial, other *it, double times[2])
{
    double single[RUNS], pair[RUNS];
    (void)pinion__trial_run(trial);
    for (int i = 0; i < RUNS; i++) {
        single[i] = pinion__trial_run(trial);
        pair[i] = run_beside(trial, it);
    }
    times[0] = pinion__summarise(single, RUNS).median;
    times[1] = pinion__summarise(pair, RUNS).median;
}

static int keep(pinion_plan *plan, pinion__wisdom *wisdom, int p, int q, const double times[2])
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    char *key = NULL;
    if (!(times[0] > 0 && times[1] > 0 && isfinite(times[0]) && isfinite(times[1])))
        return PINION_OK;
    PINION_TRY(make_key(plan, p, q, &key));
    PINION_TRY(pinion__wisdom_note(wisdom, key, alone, times[0], RUNS));
    PINION_TRY(pinion__wisdom_note(wisdom, key, beside, times[1], RUNS));
fail:
    pinion__release(ctx, key);
    return status;
}

static int measure_pair(pinion_plan *plan, pinion__wisdom *wisdom, pinion__bench *bench, pinion__bench *second, int p,
                        int q)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    int work = find_work(plan, p, q);
    pinion__trial trial = {0};
    other it;
    double times[2];
    memset(&it, 0, sizeof it);
    if (work < 0)
        return PINION_OK;
    const pinion__record *left = &plan->records[work + p], *right = &plan->records[work + q];
    PINION_TRY(pinion__bench_put(bench, left));
    PINION_TRY(pinion__bench_put(second, right));
    PINION_TRY(pinion__trial_enter(&trial, bench, pinion__candidates_best(plan, left)->kernel));
    PINION_TRY(pinion__trial_enter(&it.trial, second, pinion__candidates_best(plan, right)->kernel));
    time_pair(&trial, &it, times);
    PINION_TRY(keep(plan, wisdom, p, q, times));
fail:
    pinion__trial_leave(&trial);
    pinion__trial_leave(&it.trial);
    return status;
}

int pinion__co_run_measure(pinion_plan *plan, pinion__wisdom *wisdom, pinion__bench *bench, size_t bytes,
                           bool *measured)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__bench second = {.plan = plan};
    *measured = false;
    pinion__co_run_look_up(plan, wisdom);
    for (int p = 0; p < plan->processor_count; p++)
        for (int q = 0; q < plan->processor_count; q++) {
            if (plan->slowdown[p][q] > 0 || !may_co_run(plan, p, q))
                continue;
            if (!second.block)
                PINION_TRY(pinion__bench_init(&second, plan, bytes));
            PINION_TRY(measure_pair(plan, wisdom, bench, &second, p, q));
            *measured = true;
        }
    pinion__co_run_look_up(plan, wisdom);
fail:
    pinion__bench_fini(&second);
    return status;
}
