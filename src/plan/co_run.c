/* SPDX-License-Identifier: Apache-2.0
 *
 * Pairs of processors side by side (plan/co_run.h): one runs the task over and over in a thread of its own while it is
 * timed on the other, in turn with runs while the first one rests. Wisdom keeps both times, for each class of work: how
 * much a task suffers depends on whether the processors share arithmetic units, caches or memory. Where a batch is cut,
 * processors do the same layers at about the same time, so work is measured beside its like.
 */
#include "plan/co_run.h"

#include "base/clock.h"
#include "net/text.h"
#include "plan/candidates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 9, MOST_TIMES = 10000, MOST_ROUNDS = 8 };

static const char alone[] = "alone", beside[] = "beside"; /* in the place of kernels */
static const double most = 4;                             /* a factor beyond it is a disturbance */
static const double enough_ms = 3;                        /* work shorter than that is repeated */
static const double heavier = 4;     /* work that takes so many times as long as what was measured is measured anew */
static const double macs_a_byte = 4; /* with fewer multiply-adds for each byte of its operands a task is about bytes */

static const char *const class_names[PINION__WORK_CLASSES] = {
    [PINION__WORK_FORWARD] = "forward",
    [PINION__WORK_BACKWARD_DATA] = "backward_data",
    [PINION__WORK_BACKWARD_WEIGHTS] = "backward_weights",
    [PINION__WORK_BYTES] = "bytes",
};

enum pinion__work_class pinion__work_class_of(const pinion_plan *plan, const pinion__task *task)
{
    static const enum pinion__work_class classes[] = {
        [PINION__FORWARD] = PINION__WORK_FORWARD,
        [PINION__BACKWARD_DATA] = PINION__WORK_BACKWARD_DATA,
        [PINION__BACKWARD_WEIGHTS] = PINION__WORK_BACKWARD_WEIGHTS,
        [PINION__UPDATE] = PINION__WORK_BYTES,
    };
    double bytes = 0;
    for (int i = 0; i < task->op->pass[task->pass].count; i++)
        if (task->operand[i] >= 0)
            bytes += (double)pinion__tensor_bytes(&plan->tensors[task->operand[i]]);
    return task->macs < macs_a_byte * bytes ? PINION__WORK_BYTES : classes[task->pass];
}

static bool may_co_run(const pinion_plan *plan, int p, int q)
{
    return p != q && !pinion__processors_share_cores(plan->processors[p], plan->processors[q]) &&
           !atomic_load(&plan->processors[p]->failure) && !atomic_load(&plan->processors[q]->failure);
}

/* Work of a class on one processor while another does the same. */
typedef struct pair {
    enum pinion__work_class work_class;
    int p, q;
} pair;

/* "co-run forward cpu avx512 threads=1 beside opencl '…' cores=1" */
static int make_key(const pinion_plan *plan, const pair *of, char **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__text text = {.ctx = ctx};
    PINION_TRY(pinion__text_add(&text, "co-run %s ", class_names[of->work_class]));
    PINION_TRY(pinion__candidates_add_processor(plan->processors[of->p], &text));
    PINION_TRY(pinion__text_add(&text, " beside "));
    PINION_TRY(pinion__candidates_add_processor(plan->processors[of->q], &text));
    *out = text.bytes;
    return PINION_OK;
fail:
    pinion__release(ctx, text.bytes);
    return status;
}

/* Alone and beside the other; NaN: not known, or out of memory. */
static void look_up(const pinion_plan *plan, pinion__wisdom *wisdom, const pair *of, double times[2])
{
    char *key = NULL;
    times[0] = times[1] = (double)NAN;
    if (make_key(plan, of, &key) < 0)
        return;
    times[0] = pinion__wisdom_get(wisdom, key, alone);
    times[1] = pinion__wisdom_get(wisdom, key, beside);
    pinion__release(plan->ctx, key);
}

void pinion__co_run_look_up(pinion_plan *plan, pinion__wisdom *wisdom)
{
    pair of;
    double times[2];
    memset(plan->slowdown, 0, sizeof plan->slowdown);
    for (int c = 0; wisdom && c < PINION__WORK_CLASSES; c++)
        for (of.p = 0; of.p < plan->processor_count; of.p++)
            for (of.q = 0; of.q < plan->processor_count; of.q++) {
                if (!may_co_run(plan, of.p, of.q))
                    continue;
                of.work_class = (enum pinion__work_class)c;
                look_up(plan, wisdom, &of, times);
                double factor = times[1] / times[0];
                plan->slowdown[c][of.p][of.q] = isnan(factor) ? 0 : fmin(fmax(factor, 1), most);
            }
}

void pinion__co_run_factors(const pinion_plan *plan, double *out)
{
    const int count = plan->processor_count;
    for (int c = 0; c < PINION__WORK_CLASSES; c++)
        for (int p = 0; p < count; p++)
            for (int q = 0; q < count; q++)
                *out++ = fmax(plan->slowdown[c][p][q], 1);
}

/* ---- measuring ---- */

static double best_ms(const pinion_plan *plan, const pinion__record *record)
{
    return record->count > 0 ? pinion__candidates_best(plan, record)->ms : (double)NAN;
}

/* The first processor's record of the heaviest work of that class that both have times of; -1: none. */
static int find_work(const pinion_plan *plan, const pair *of)
{
    int best = -1;
    double most_ms = 0;
    for (int r = 0; r < (int)plan->record_count; r += plan->processor_count) {
        const double left = best_ms(plan, &plan->records[r + of->p]), right = best_ms(plan, &plan->records[r + of->q]);
        const pinion__task *task = &plan->tasks[plan->records[r].task];
        if (!isfinite(left) || !isfinite(right) || left <= most_ms ||
            pinion__work_class_of(plan, task) != of->work_class)
            continue;
        best = r;
        most_ms = left;
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

/* The time of a run, on average over so many. Those that are too short for it are repeated within the caches. */
static double run(const pinion__trial *trial, int runs)
{
    const int rounds = runs < MOST_ROUNDS ? runs : MOST_ROUNDS;
    double sum = 0;
    for (int i = 0; i < rounds; i++)
        sum += pinion__trial_run(trial, runs / rounds);
    return sum / rounds;
}

static double run_beside(const pinion__trial *trial, other *it, int runs)
{
    pthread_t thread;
    atomic_store(&it->stop, false);
    atomic_store(&it->started, false);
    if (pthread_create(&thread, NULL, keep_busy, it) != 0)
        return (double)NAN;
    while (!atomic_load(&it->started))
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    double ms = run(trial, runs);
    atomic_store(&it->stop, true);
    pthread_join(thread, NULL);
    return ms;
}

static int compare(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* The lower quartile: what else goes on in the machine only makes runs longer. */
static double quartile(double samples[RUNS])
{
    qsort(samples, RUNS, sizeof *samples, compare);
    return samples[RUNS / 4];
}

static void time_pair(const pinion__trial *trial, other *it, double times[2])
{
    double single[RUNS], both[RUNS];
    const double first = fmin(pinion__trial_run(trial, 1), pinion__trial_run(trial, 1));
    const int runs = (int)fmin(fmax(ceil(enough_ms / first), 1), MOST_TIMES);
    for (int i = 0; i < RUNS; i++) {
        single[i] = run(trial, runs);
        both[i] = run_beside(trial, it, runs);
    }
    times[0] = quartile(single);
    times[1] = quartile(both);
}

static int keep(pinion_plan *plan, pinion__wisdom *wisdom, const pair *of, const double times[2])
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    char *key = NULL;
    if (!(times[0] > 0 && times[1] > 0 && isfinite(times[0]) && isfinite(times[1])))
        return PINION_OK;
    PINION_TRY(make_key(plan, of, &key));
    PINION_TRY(pinion__wisdom_note(wisdom, key, alone, times[0], RUNS));
    PINION_TRY(pinion__wisdom_note(wisdom, key, beside, times[1], RUNS));
fail:
    pinion__release(ctx, key);
    return status;
}

/* The first runs `left`, the other one `right`. */
static int measure_on(pinion__wisdom *wisdom, pinion__bench *bench, pinion__bench *second, const pair *of,
                      const pinion__record *left, const pinion__record *right)
{
    pinion_plan *plan = bench->plan;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__trial trial = {0};
    other it;
    double times[2];
    memset(&it, 0, sizeof it);
    PINION_TRY(pinion__bench_put(bench, left));
    PINION_TRY(pinion__bench_put(second, right));
    PINION_TRY(pinion__trial_enter(&trial, bench, pinion__candidates_best(plan, left)->kernel));
    PINION_TRY(pinion__trial_enter(&it.trial, second, pinion__candidates_best(plan, right)->kernel));
    time_pair(&trial, &it, times);
    PINION_TRY(keep(plan, wisdom, of, times));
fail:
    pinion__trial_leave(&trial);
    pinion__trial_leave(&it.trial);
    return status;
}

static int measure_pair(pinion_plan *plan, pinion__wisdom *wisdom, const pair *of, int work)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__bench bench = {.plan = plan}, second = {.plan = plan};
    const pinion__record *left = &plan->records[work + of->p], *right = &plan->records[work + of->q];
    PINION_TRY(pinion__bench_init(&bench, plan, pinion__bench_bytes(plan, left)));
    PINION_TRY(pinion__bench_init(&second, plan, pinion__bench_bytes(plan, right)));
    PINION_TRY(measure_on(wisdom, &bench, &second, of, left, right));
fail:
    pinion__bench_fini(&bench);
    pinion__bench_fini(&second);
    return status;
}

/* The work to measure a pair with; -1: none. */
static int find_wanted(const pinion_plan *plan, pinion__wisdom *wisdom, const pair *of, size_t most_bytes)
{
    double times[2];
    int work = may_co_run(plan, of->p, of->q) ? find_work(plan, of) : -1;
    if (work < 0)
        return -1;
    look_up(plan, wisdom, of, times);
    const pinion__record *left = &plan->records[work + of->p], *right = &plan->records[work + of->q];
    bool known = !isnan(times[0]) && !isnan(times[1]) && best_ms(plan, left) <= heavier * times[0];
    size_t bytes = pinion__bench_bytes(plan, left);
    return known || bytes > most_bytes || pinion__bench_bytes(plan, right) > most_bytes - bytes ? -1 : work;
}

int pinion__co_run_measure(pinion_plan *plan, pinion__wisdom *wisdom, size_t most_bytes, int64_t until_ns,
                           int *measured)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pair of;
    *measured = 0;
    for (of.p = 0; of.p < plan->processor_count; of.p++)
        for (of.q = 0; of.q < plan->processor_count; of.q++)
            for (int c = 0; c < PINION__WORK_CLASSES && pinion__now_ns() < until_ns; c++) {
                of.work_class = (enum pinion__work_class)c;
                int work = find_wanted(plan, wisdom, &of, most_bytes);
                if (work < 0)
                    continue;
                PINION_TRY(measure_pair(plan, wisdom, &of, work));
                ++*measured;
            }
    pinion__co_run_look_up(plan, wisdom);
fail:
    return status;
}
