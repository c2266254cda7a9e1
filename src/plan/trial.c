/* SPDX-License-Identifier: Apache-2.0
 *
 * One task on a bench (plan/trial.h). What of its operands is in the caches before a run is a guess from their roles,
 * which fits the steps of the model zoo to within some per cent (docs/placement.md has the figures); with all of them
 * there, as repeated runs leave them, the sum of a step's tasks is 15 to 40 % too small.
 */
#include "plan/trial.h"

#include "base/clock.h"
#include "base/random.h"
#include "plan/build.h"
#include "plan/candidates.h"

#include <math.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    NORMALS = 65521 /* a prime: rows of no tensor repeat in step with it */
};

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- where operands lie ---- */

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

static pinion__task task_of(const pinion_plan *plan, const pinion__record *record)
{
    pinion__task task = plan->tasks[record->task];
    task.processor = record->processor;
    return task;
}

size_t pinion__bench_bytes(const pinion_plan *plan, const pinion__record *record)
{
    const pinion__task task = task_of(plan, record);
    size_t offsets[PINION__MAX_OPERANDS], prepared, most = 0;
    for (int i = 0; i < record->count; i++) {
        pinion__args args = pinion__plan_task_args(plan, &task);
        size_t bytes = extra_bytes(plan, &task, plan->candidates[record->first + i].kernel, &args, &prepared);
        most = bytes > most ? bytes : most;
    }
    return place_operands(plan, &task, offsets) + most;
}

int pinion__bench_init(pinion__bench *bench, pinion_plan *plan, size_t bytes)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    *bench = (pinion__bench){.plan = plan};
    PINION_TRY(pinion__alloc(ctx, NORMALS, sizeof *bench->normals, "random numbers", &bench->normals));
    PINION_TRY(pinion__alloc_aligned(ctx, bytes + ALIGNMENT, ALIGNMENT, "tasks that are timed", &bench->block));
    pinion__random_normal(1, PINION__RANDOM_MEASURE, 0, NORMALS, bench->normals);
fail:
    return status;
}

void pinion__bench_fini(pinion__bench *bench)
{
    pinion_context *ctx = bench->plan->ctx;
    pinion__release(ctx, bench->block);
    pinion__release(ctx, bench->normals);
    for (int p = 0; p < PINION__MAX_PROCESSORS; p++)
        pinion__caches_fini(&bench->caches[p]);
}

/* ---- what they hold ---- */

static void fill_floats(const pinion__bench *b, float *to, size_t count, size_t start, bool positive)
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
static void fill_operand(const pinion__bench *b, const pinion__operand *operand, const pinion__tensor *tensor, void *to)
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

int pinion__bench_put(pinion__bench *bench, const pinion__record *record)
{
    pinion_plan *plan = bench->plan;
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__caches *caches = &bench->caches[record->processor];
    size_t offsets[PINION__MAX_OPERANDS] = {0};
    bench->task = task_of(plan, record);
    bench->step =
        (pinion__step){.seed = 1, .learning_rate = 1e-6f, .clip_norm = 1.0f, .loss_batch = plan->options.batch};
    if (!caches->processor)
        PINION_TRY(pinion__caches_init(caches, plan->processors[record->processor]));
    const pinion__operands *operands = &bench->task.op->pass[bench->task.pass];
    place_operands(plan, &bench->task, offsets);
    for (int i = 0; i < operands->count; i++)
        if (bench->task.operand[i] >= 0)
            fill_operand(bench, &operands->at[i], &plan->tensors[bench->task.operand[i]], bench->block + offsets[i]);
fail:
    return status;
}

/* ---- caches ---- */

/* Was it written by the tasks right before, in whatever step? Activations in the forward pass, gradients. */
static bool is_fresh(const pinion__task *task, const pinion__operand *operand)
{
    if (!(operand->access & PINION__READ))
        return false;
    switch (operand->role) {
    case PINION__INPUT:
    case PINION__ADDEND:
    case PINION__STATS:
        return task->pass == PINION__FORWARD;
    case PINION__D_OUTPUT:
    case PINION__D_PARAM:
    case PINION__D_ADDEND:
        return true;
    default:
        return false;
    }
}

static void set_caches(const pinion__trial *trial, const pinion__args *args)
{
    pinion__bench *bench = trial->bench;
    const pinion__task *task = &bench->task;
    const pinion__operands *operands = &task->op->pass[task->pass];
    pinion__caches *caches = &bench->caches[task->processor];
    pinion__caches_evict(caches);
    for (int i = 0; i < operands->count; i++)
        if (task->operand[i] >= 0 && is_fresh(task, &operands->at[i]))
            pinion__caches_read(caches, args, i, pinion__tensor_bytes(&bench->plan->tensors[task->operand[i]]));
}

/* ---- one kernel ---- */

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

static const pinion__args *args_of(const pinion__trial *trial)
{
    return trial->processor->domain ? &trial->staged.args : &trial->args;
}

int pinion__trial_repeat(const pinion__trial *trial)
{
    const job work = {.kernel = trial->kernel, .args = args_of(trial)};
    return trial->processor->class_->run(trial->processor, run_job, &work);
}

double pinion__trial_run(const pinion__trial *trial, int times)
{
    int status = PINION_OK;
    set_caches(trial, args_of(trial));
    int64_t start = pinion__now_ns();
    for (int i = 0; i < times && status == PINION_OK; i++)
        status = pinion__trial_repeat(trial);
    double ms = (double)(pinion__now_ns() - start) * 1e-6 / times;
    double latency = trial->bench->caches[trial->bench->task.processor].latency_ms;
    return status < 0 ? (double)INFINITY : fmax(ms - latency, 0.1 * ms);
}

int pinion__trial_enter(pinion__trial *trial, pinion__bench *bench, const pinion__kernel *kernel)
{
    const pinion_plan *plan = bench->plan;
    const pinion__task *task = &bench->task;
    size_t offsets[PINION__MAX_OPERANDS] = {0}, prepared;
    size_t end = place_operands(plan, task, offsets);
    *trial = (pinion__trial){.bench = bench, .processor = plan->processors[task->processor], .kernel = kernel};
    trial->args = pinion__plan_task_args(plan, task);
    extra_bytes(plan, task, kernel, &trial->args, &prepared);
    trial->args.step = &bench->step;
    for (int i = 0; i < task->op->pass[task->pass].count; i++)
        if (task->operand[i] >= 0)
            trial->args.operand[i].data = bench->block + offsets[i];
    trial->args.scratch = bench->block + end + prepared;
    trial->args.prepared = NULL;
    if (prepared > 0)
        run_job(&(job){.kernel = kernel, .args = &trial->args, .prepare = bench->block + end});
    trial->args.prepared = prepared > 0 ? bench->block + end : NULL;
    if (trial->processor->domain)
        return pinion__staged_begin(&trial->staged, trial->processor, kernel, &trial->args, 0);
    return PINION_OK;
}

void pinion__trial_leave(pinion__trial *trial)
{
    if (trial->processor && trial->processor->domain)
        (void)pinion__staged_end(&trial->staged, false);
}
