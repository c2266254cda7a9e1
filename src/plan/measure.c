/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing candidates (plan/measure.h). One block of memory holds the operands and scratch of the task that is timed; it
 * is as large as the largest of them wants, and less than the plan's own memory, which is not there yet. Tasks that
 * leave a choice come first, the heaviest before others, so that the time there is goes where it decides something.
 */
#include "plan/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "plan/wisdom.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    NORMALS = 65521, /* a prime: rows of no tensor repeat in step with it */
    MAX_SAMPLES = 15,
    MAX_CANDIDATES = 32 /* of a task; further ones are not timed */
};

/* What a level of patience means. */
typedef struct effort {
    double limit_ms;        /* for all tasks together; a run that has begun is finished */
    int min_runs, max_runs; /* timed, of each candidate */
    double enough_ms;       /* no further run of a candidate (patient: a task) when its runs took so long */
    double hopeless;        /* a candidate so many times slower than the best is given up */
} effort;

static const effort efforts[] = {
    [PINION_PATIENCE_MEASURE] = {10e3, 2, 5, 6, 1.5},
    [PINION_PATIENCE_PATIENT] = {120e3, 5, MAX_SAMPLES, 600, 1.5},
};

typedef struct bench {
    pinion_plan *plan;
    pinion__wisdom *wisdom;
    enum pinion_patience patience;
    unsigned char *block;
    size_t bytes;
    float *normals;
    int64_t begin_ns;
    int left_out; /* records that were not timed */
} bench;

/* A candidate that is being timed. */
typedef struct contest {
    pinion__candidate *candidate;
    pinion__args args;
    double samples[MAX_SAMPLES];
    int count;
    bool given_up;
} contest;

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static double elapsed_ms(const bench *b)
{
    return (double)(pinion__now_ns() - b->begin_ns) * 1e-6;
}

/* Operands that lie in the same bytes do so here. */
static bool same_bytes(const pinion_plan *plan, int a, int b)
{
    const pinion__tensor *left = &plan->tensors[a], *right = &plan->tensors[b];
    return left->storage == right->storage && left->offset == right->offset;
}

static size_t operand_bytes(const pinion__tensor *tensor)
{
    return round_up(tensor->offset % ALIGNMENT + pinion__tensor_bytes(tensor));
}

/* Offsets of a task's operands in the block; returns where they end. */
static size_t place_operands(const pinion_plan *plan, const pinion__task *task, size_t offsets[PINION__MAX_OPERANDS])
{
    size_t end = 0;
    for (int i = 0; i < task->op->pass[task->pass].count; i++) {
        if (task->operand[i] < 0)
            continue;
        int twin = 0;
        while (twin < i && (task->operand[twin] < 0 || !same_bytes(plan, task->operand[twin], task->operand[i])))
            twin++;
        const pinion__tensor *tensor = &plan->tensors[task->operand[i]];
        offsets[i] = twin < i ? offsets[twin] : end + tensor->offset % ALIGNMENT;
        end += twin < i ? 0 : operand_bytes(tensor);
    }
    return end;
}

/* Bytes behind the operands that a kernel wants: its scratch, and before that the weights it prepares. */
static size_t extra_bytes(const pinion_plan *plan, const pinion__task *task, const pinion__kernel *kernel,
                          pinion__args *args, size_t *prepared)
{
    *prepared = round_up(pinion__candidates_prepared_bytes(plan, task, kernel, args));
    args->prepared = *prepared > 0 ? plan : NULL; /* only whether it is there counts */
    return *prepared + round_up(kernel->body->scratch_bytes ? kernel->body->scratch_bytes(args) : 0);
}

static size_t record_bytes(const pinion_plan *plan, const pinion__record *record)
{
    const pinion__task *task = &plan->tasks[record->task];
    size_t offsets[PINION__MAX_OPERANDS], prepared, most = 0;
    for (int i = 0; i < record->count; i++) {
        pinion__args args = pinion__plan_task_args(plan, task);
        size_t bytes = extra_bytes(plan, task, plan->candidates[record->first + i].kernel, &args, &prepared);
        most = bytes > most ? bytes : most;
    }
    return place_operands(plan, task, offsets) + most;
}

static void fill_floats(const bench *b, float *to, size_t count, size_t start, bool positive)
{
    for (size_t at = 0; at < count;) {
        size_t from = (start + at) % NORMALS, part = NORMALS - from < count - at ? NORMALS - from : count - at;
        memcpy(to + at, b->normals + from, part * sizeof *to);
        at += part;
    }
    for (size_t i = 0; positive && i < count; i++)
        to[i] = fabsf(to[i]);
}

/* Values that an operand of that role may have: variances are positive, labels and positions valid. */
static void fill_operand(const bench *b, const pinion__operand *operand, const pinion__tensor *tensor, void *to)
{
    size_t elements = pinion__tensor_bytes(tensor) / (size_t)tensor->element_bytes;
    unsigned char *bytes = to;
    double *doubles = to;
    if (operand->role == PINION__LABELS) {
        memset(to, 0, pinion__tensor_bytes(tensor));
    } else if (tensor->element_bytes == 1) {
        for (size_t i = 0; i < elements; i++)
            bytes[i] = i & 3;
    } else if (tensor->element_bytes == sizeof(double)) {
        for (size_t i = 0; i < elements; i++)
            doubles[i] = 1.0;
    } else {
        bool positive = operand->role == PINION__STATE || operand->role == PINION__SAVED ||
                        operand->role == PINION__STATS || operand->role == PINION__MOMENT ||
                        operand->role == PINION__SCALE;
        fill_floats(b, to, elements, 1000 * ((size_t)operand->role + operand->index), positive);
    }
}

typedef struct job {
    const pinion__kernel *kernel;
    const pinion__args *args;
    void *prepare;
} job;

static void run_job(const void *argument)
{
    const job *work = argument;
    if (work->prepare)
        work->kernel->body->prepare(work->args, work->prepare);
    else
        work->kernel->body->run(work->args);
}

static double run_ms(pinion__processor *processor, const contest *at, void *prepare)
{
    job work = {.kernel = at->candidate->kernel, .args = &at->args, .prepare = prepare};
    int64_t start = pinion__now_ns();
    processor->class_->run(processor, run_job, &work);
    return (double)(pinion__now_ns() - start) * 1e-6;
}

/* Binds a candidate's arguments to the block; weights are prepared where the kernel does so. */
static void enter(const bench *b, const pinion__task *task, const pinion__step *step, contest *at)
{
    const pinion_plan *plan = b->plan;
    size_t offsets[PINION__MAX_OPERANDS], prepared;
    size_t end = place_operands(plan, task, offsets);
    at->args = pinion__plan_task_args(plan, task);
    extra_bytes(plan, task, at->candidate->kernel, &at->args, &prepared);
    at->args.step = step;
    for (int i = 0; i < task->op->pass[task->pass].count; i++)
        if (task->operand[i] >= 0)
            at->args.operand[i].data = b->block + offsets[i];
    at->args.scratch = b->block + end + prepared;
    at->args.prepared = NULL;
    if (prepared > 0)
        run_ms(plan->processors[task->processor], at, b->block + end);
    at->args.prepared = prepared > 0 ? b->block + end : NULL;
}

static double best_sample(const contest *at)
{
    double best = (double)INFINITY;
    for (int i = 0; i < at->count; i++)
        best = at->samples[i] < best ? at->samples[i] : best;
    return best;
}

static double best_of(const contest *contests, int count)
{
    double best = (double)INFINITY;
    for (int i = 0; i < count; i++)
        best = fmin(best, best_sample(&contests[i]));
    return best;
}

/* One candidate after the other, a few runs each. The first run warms up; it is not counted, but tells the hopeless,
 * where it takes long enough to mean anything. */
static void measure_in_turn(const bench *b, pinion__processor *processor, const pinion__task *task,
                            const pinion__step *step, contest *contests, int count)
{
    const effort *how = &efforts[b->patience];
    for (int i = 0; i < count && elapsed_ms(b) < how->limit_ms; i++) {
        contest *at = &contests[i];
        enter(b, task, step, at);
        double first = run_ms(processor, at, NULL), best = best_of(contests, i), spent = 0;
        if (first > 2 * best + 0.2) {
            double second = run_ms(processor, at, NULL); /* the first may have been disturbed */
            at->samples[at->count++] = first < second ? first : second;
            if (at->samples[0] > 2 * best)
                continue;
        }
        while (at->count < how->max_runs && (at->count < how->min_runs || spent < how->enough_ms)) {
            double ms = run_ms(processor, at, NULL);
            at->samples[at->count++] = ms;
            spent += ms;
            if (ms > how->hopeless * best)
                break;
        }
    }
    for (int i = 0; i < count; i++)
        if (contests[i].count > 0)
            contests[i].candidate->ms = best_sample(&contests[i]);
}

/* Round by round through all that are not hopeless, so that what disturbs the machine disturbs all alike. */
static void measure_alternately(const bench *b, pinion__processor *processor, const pinion__task *task,
                                const pinion__step *step, contest *contests, int count)
{
    const effort *how = &efforts[b->patience];
    double spent = 0;
    for (int round = -1; round < how->max_runs && elapsed_ms(b) < how->limit_ms; round++) {
        for (int i = 0; i < count; i++) {
            contest *at = &contests[i];
            if (at->given_up)
                continue;
            if (round < 0 || count > 1)
                enter(b, task, step, at); /* the scratch and prepared weights of another were there */
            double ms = run_ms(processor, at, NULL);
            if (round >= 0)
                at->samples[at->count++] = ms;
            spent += ms;
        }
        if (round + 1 < how->min_runs)
            continue;
        for (int i = 0; i < count; i++)
            contests[i].given_up = best_sample(&contests[i]) > how->hopeless * best_of(contests, count);
        if (spent > how->enough_ms)
            break;
    }
    for (int i = 0; i < count; i++)
        if (contests[i].count > 0)
            contests[i].candidate->ms = pinion__summarise(contests[i].samples, (size_t)contests[i].count).median;
}

static int measure_record(bench *b, pinion__record *record)
{
    pinion_plan *plan = b->plan;
    const pinion__task *task = &plan->tasks[record->task];
    const pinion__operands *operands = &task->op->pass[task->pass];
    const pinion__step step = {.seed = 1, .learning_rate = 1e-6f, .clip_norm = 1.0f, .loss_batch = plan->options.batch};
    contest contests[MAX_CANDIDATES];
    size_t offsets[PINION__MAX_OPERANDS] = {0};
    int count = record->count < MAX_CANDIDATES ? record->count : MAX_CANDIDATES;
    memset(contests, 0, sizeof contests);
    for (int i = 0; i < count; i++)
        contests[i].candidate = &plan->candidates[record->first + i];
    place_operands(plan, task, offsets);
    for (int i = 0; i < operands->count; i++)
        if (task->operand[i] >= 0)
            fill_operand(b, &operands->at[i], &plan->tensors[task->operand[i]], b->block + offsets[i]);
    (b->patience == PINION_PATIENCE_PATIENT ? measure_alternately : measure_in_turn)(
        b, plan->processors[task->processor], task, &step, contests, count);
    for (int i = 0; i < count; i++)
        contests[i].candidate->repetitions = contests[i].count;
    plan->measured_tasks++;
    return pinion__wisdom_keep(b->wisdom, plan, record, b->patience);
}

/* A record that waits to be measured. */
typedef struct waiting {
    int record;
    bool choice;
    double macs;
    size_t bytes;
} waiting;

static int compare(const void *left, const void *right)
{
    const waiting *a = left, *b = right;
    if (a->choice != b->choice)
        return a->choice ? -1 : 1;
    if (a->macs != b->macs)
        return a->macs > b->macs ? -1 : 1;
    return a->record - b->record;
}

/* The records whose times are not known well enough, in the order in which they are measured. */
static size_t list_waiting(bench *b, waiting *list)
{
    const pinion_plan *plan = b->plan;
    size_t count = 0;
    for (int r = 0; r < (int)plan->record_count; r++) {
        const pinion__record *record = &plan->records[r];
        if (record->level >= b->patience)
            continue;
        list[count++] = (waiting){.record = r,
                                  .choice = record->count > 1,
                                  .macs = plan->tasks[record->task].macs,
                                  .bytes = record_bytes(plan, record)};
    }
    qsort(list, count, sizeof *list, compare);
    return count;
}

/* The block for all records that fit into half of the memory there is. */
static int make_block(bench *b, const waiting *list, size_t count)
{
    pinion_context *ctx = b->plan->ctx;
    int status = PINION_OK;
    uint64_t most = ctx->system_memory ? pinion__memory_available_bytes() / 2 : UINT64_MAX;
    for (size_t i = 0; i < count; i++)
        if (list[i].bytes <= most && list[i].bytes > b->bytes)
            b->bytes = list[i].bytes;
    PINION_TRY(pinion__alloc(ctx, NORMALS, sizeof *b->normals, "random numbers", &b->normals));
    PINION_TRY(pinion__alloc_aligned(ctx, b->bytes + ALIGNMENT, ALIGNMENT, "tasks that are timed", &b->block));
    pinion__random_normal(1, PINION__RANDOM_MEASURE, 0, NORMALS, b->normals);
fail:
    return status;
}

static void report(const bench *b, int measured)
{
    char rest[96] = "";
    if (b->left_out > 0)
        snprintf(rest, sizeof rest, "; %d are not measured: %s", b->left_out,
                 elapsed_ms(b) < efforts[b->patience].limit_ms ? "too little memory" : "it would take too long");
    pinion__log(b->plan->ctx, PINION_LOG_INFO, "measured %d task%s in %.1f s%s", measured, measured == 1 ? "" : "s",
                elapsed_ms(b) * 1e-3, rest);
}

static int measure_all(bench *b, waiting *list)
{
    pinion_context *ctx = b->plan->ctx;
    int status = PINION_OK;
    size_t count = list_waiting(b, list);
    int before = b->plan->measured_tasks;
    if (count == 0)
        return PINION_OK;
    b->begin_ns = pinion__now_ns();
    if (make_block(b, list, count) < 0) {
        pinion__log(ctx, PINION_LOG_WARNING, "%s: nothing is measured", pinion_context_error(ctx));
        return PINION_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].bytes <= b->bytes && elapsed_ms(b) < efforts[b->patience].limit_ms)
            PINION_TRY(measure_record(b, &b->plan->records[list[i].record]));
        else
            b->left_out++;
    }
    b->plan->measuring_ms += elapsed_ms(b);
    report(b, b->plan->measured_tasks - before);
    pinion__wisdom_save(b->wisdom);
fail:
    return status;
}

int pinion__measure(pinion_plan *plan, enum pinion_patience patience)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    waiting *list = NULL;
    bench b = {.plan = plan, .patience = patience};
    PINION_TRY(pinion__wisdom_open(ctx, patience > PINION_PATIENCE_ESTIMATE, &b.wisdom));
    for (size_t r = 0; b.wisdom && r < plan->record_count; r++)
        pinion__wisdom_look_up(b.wisdom, plan, &plan->records[r]);
    if (patience > PINION_PATIENCE_ESTIMATE) {
        PINION_TRY(pinion__alloc(ctx, plan->record_count + 1, sizeof *list, "tasks that are timed", &list));
        PINION_TRY(measure_all(&b, list));
    }
fail:
    pinion__release(ctx, b.block);
    pinion__release(ctx, b.normals);
    pinion__release(ctx, list);
    return status;
}
