/* SPDX-License-Identifier: Apache-2.0
 *
 * The executor. Every processor has a queue of tasks that may start, of which
 * it takes the first in the plan's order; finishing a task lowers the counters
 * of its successors and queues those that reach zero. Threads sleep on a
 * condition, nobody polls. One mutex guards queues and counters: a step has
 * some hundred tasks of some hundred microseconds, so it is hardly ever
 * contended.
 *
 * A processor that takes submissions runs them in their order. So a task may be
 * submitted to it as soon as each of its predecessors is done or has been
 * submitted there before: for edges within such a processor the counters go
 * down at submission, for all others, and for those of the gate, at the end.
 *
 * Processors that share cores never run at once: a queue is also held back
 * while such a processor is busy. A plan that runs one task at a time, or has
 * one processor, needs none of this: it is a loop, which waits where another
 * processor's submissions are not done yet.
 */
#include "run/queues.h"

#include "base/clock.h"
#include "device/cores.h"

typedef pinion__queue queue;
typedef pinion__job job;

static void run_job(const void *argument)
{
    const job *work = argument;
    const pinion__executor *executor = work->executor;
    const pinion__task *task = &executor->plan->tasks[work->task];
    const pinion__args *args = &executor->args[work->task];
    if (task->hand_over.present)
        pinion__hand_over(&executor->hand_overs[work->task]);
    else if (task->prepare)
        task->kernel->body->prepare(args, args->scratch);
    else
        task->kernel->body->run(args);
}

static pinion__processor *processor_of(const pinion__executor *executor, int t)
{
    return executor->plan->processors[executor->plan->tasks[t].processor];
}

static void note_begin(const pinion__executor *executor, int t)
{
    if (executor->times)
        executor->times[t].begin = pinion__now_ns();
}

static void note_end(const pinion__executor *executor, int t)
{
    if (executor->times)
        executor->times[t].end = pinion__now_ns();
}

int pinion__executor_run_task(pinion__executor *executor, int t)
{
    pinion__processor *processor = processor_of(executor, t);
    note_begin(executor, t);
    int status = processor->class_->run(processor, run_job, &executor->jobs[t]);
    note_end(executor, t);
    return status;
}

/* Everything from here to run_in_order is called under the lock. */

static void push(pinion__executor *executor, int t)
{
    queue *to = &executor->queues[executor->plan->tasks[t].processor];
    to->ready[t / 64] |= UINT64_C(1) << (t % 64);
    to->count++;
    pthread_cond_signal(&to->changed);
}

static int pop(queue *from)
{
    int word = 0;
    while (!from->ready[word])
        word++;
    int bit = __builtin_ctzll(from->ready[word]);
    from->ready[word] &= from->ready[word] - 1;
    from->count--;
    return 64 * word + bit;
}

static bool may_start(const pinion__executor *executor, const queue *at)
{
    if (at->count == 0 || executor->status < 0)
        return false;
    for (int q = 0; q < executor->plan->processor_count; q++)
        if ((at->rivals >> q & 1) && executor->queues[q].active > 0)
            return false;
    return true;
}

/* Is an edge between them followed once both are submitted in order? */
static bool is_kept_by_order(const pinion__executor *executor, int t, int successor)
{
    int processor = executor->plan->tasks[t].processor;
    return executor->queues[processor].submits && processor == executor->plan->tasks[successor].processor &&
           t != executor->plan->gate;
}

/* Lowers the counters of those successors that wait for t's submission, or for
 * its end. */
static void release(pinion__executor *executor, int t, bool submitted)
{
    for (int i = executor->first_successor[t]; i < executor->first_successor[t + 1]; i++) {
        int next = executor->successors[i];
        if (next < executor->end && is_kept_by_order(executor, t, next) == submitted && --executor->waiting[next] == 0)
            push(executor, next);
    }
}

static bool is_over(const pinion__executor *executor)
{
    return executor->finished == executor->target || (executor->status < 0 && executor->active == 0);
}

static void wake_rivals(pinion__executor *executor, const queue *of)
{
    for (int q = 0; q < executor->plan->processor_count; q++)
        if (of->rivals >> q & 1)
            pthread_cond_signal(&executor->queues[q].changed);
}

static void finish(pinion__executor *executor, int t, int status, bool passed)
{
    queue *at = &executor->queues[executor->plan->tasks[t].processor];
    at->active--;
    executor->active--;
    executor->finished++;
    executor->passed = executor->passed && passed;
    if (status < 0 && executor->status == PINION_OK)
        executor->status = status;
    if (!executor->passed && t == executor->plan->gate)
        executor->target = t + 1; /* every task behind the gate has an edge from it,
                                     so none has started */
    else if (executor->status == PINION_OK)
        release(executor, t, false);
    if (is_over(executor))
        pthread_cond_signal(&executor->queues[0].changed);
    wake_rivals(executor, at);
}

/* The end of a task, outside of the lock: the gate is asked here. */
static void end_task(pinion__executor *executor, int t, int status)
{
    bool passed = status < 0 || t != executor->plan->gate || executor->gate(executor->gate_user);
    pthread_mutex_lock(&executor->lock);
    finish(executor, t, status, passed);
    pthread_mutex_unlock(&executor->lock);
}

static void on_done(void *user, int status)
{
    const job *work = user;
    note_end(work->executor, work->task);
    end_task(work->executor, work->task, status);
}

static void run_next(pinion__executor *executor, queue *at)
{
    int t = pop(at);
    at->active++;
    executor->active++;
    if (at->submits)
        release(executor, t, true);
    pthread_mutex_unlock(&executor->lock);
    if (at->submits) {
        pinion__processor *processor = processor_of(executor, t);
        note_begin(executor, t);
        processor->class_->submit(processor, run_job, &executor->jobs[t], on_done, &executor->jobs[t]);
    } else {
        end_task(executor, t, pinion__executor_run_task(executor, t));
    }
    pthread_mutex_lock(&executor->lock);
}

void *pinion__queue_serve(void *argument)
{
    queue *at = argument;
    pinion__executor *executor = at->executor;
    cpu_set_t before;
    pinion__processor_enter(executor->plan->processors[at - executor->queues], &before);
    pthread_mutex_lock(&executor->lock);
    while (!executor->stopping) {
        if (may_start(executor, at))
            run_next(executor, at);
        else
            pthread_cond_wait(&at->changed, &executor->lock);
    }
    pthread_mutex_unlock(&executor->lock);
    return NULL;
}

/* Edges from tasks before `first` count as followed. */
static void start_tasks(pinion__executor *executor, int first, int end)
{
    for (int t = first; t < end; t++) {
        const pinion__task *task = &executor->plan->tasks[t];
        executor->waiting[t] = 0;
        for (int i = 0; i < task->after_count; i++)
            executor->waiting[t] += task->after[i] >= first;
    }
    for (int t = first; t < end; t++)
        if (executor->waiting[t] == 0)
            push(executor, t);
}

/* A task that failed leaves others behind. */
static void forget_tasks(pinion__executor *executor)
{
    for (int q = 0; q < executor->plan->processor_count; q++) {
        queue *at = &executor->queues[q];
        for (int word = 0; word < at->words; word++)
            at->ready[word] = 0;
        at->count = 0;
    }
}

static void run_queues(pinion__executor *executor, int first, int end)
{
    start_tasks(executor, first, end);
    queue *own = &executor->queues[0];
    while (!is_over(executor)) {
        if (may_start(executor, own))
            run_next(executor, own);
        else
            pthread_cond_wait(&own->changed, &executor->lock);
    }
    forget_tasks(executor);
}

static void wait_for_all(pinion__executor *executor)
{
    while (executor->active > 0)
        pthread_cond_wait(&executor->queues[0].changed, &executor->lock);
}

static void begin_in_order(pinion__executor *executor, int t)
{
    queue *at = &executor->queues[executor->plan->tasks[t].processor];
    at->active++;
    at->kernels += !executor->plan->tasks[t].hand_over.present;
    executor->active++;
}

static void end_in_order(pinion__executor *executor, int t, int status)
{
    queue *at = &executor->queues[executor->plan->tasks[t].processor];
    at->active--;
    at->kernels -= !executor->plan->tasks[t].hand_over.present;
    executor->active--;
    executor->done[t] = true;
    executor->status = executor->status < 0 ? executor->status : status;
    pthread_cond_signal(&executor->queues[0].changed);
}

/* The end of a task that was submitted by run_in_order. */
static void on_done_in_order(void *user, int status)
{
    const job *work = user;
    note_end(work->executor, work->task);
    pthread_mutex_lock(&work->executor->lock);
    end_in_order(work->executor, work->task, status);
    pthread_mutex_unlock(&work->executor->lock);
}

/* One kernel at a time; but what a device passes on holds up only those who
 * wait for it. */
static bool may_follow(const pinion__executor *executor, int first, int t)
{
    const pinion__task *task = &executor->plan->tasks[t];
    const queue *own = &executor->queues[task->processor];
    for (int q = 0; q < executor->plan->processor_count; q++) {
        const queue *at = &executor->queues[q];
        if (at != own && (at->kernels > 0 || ((own->rivals >> q & 1) && at->active > 0)))
            return false;
    }
    for (int i = 0; i < task->after_count; i++) {
        int before = task->after[i];
        bool queued = own->submits && executor->plan->tasks[before].processor == task->processor;
        if (before >= first && !executor->done[before] && !queued)
            return false;
    }
    return true;
}

static void start_in_order(pinion__executor *executor, int t)
{
    pinion__processor *processor = processor_of(executor, t);
    bool submits = executor->queues[executor->plan->tasks[t].processor].submits;
    int status = PINION_OK;
    begin_in_order(executor, t);
    pthread_mutex_unlock(&executor->lock);
    note_begin(executor, t);
    if (submits)
        processor->class_->submit(processor, run_job, &executor->jobs[t], on_done_in_order, &executor->jobs[t]);
    else
        status = pinion__executor_run_task(executor, t);
    pthread_mutex_lock(&executor->lock);
    if (!submits)
        end_in_order(executor, t, status);
}

static void run_in_order(pinion__executor *executor, int first, int end)
{
    for (int t = first; t < end; t++)
        executor->done[t] = false;
    for (int t = first; t < end && executor->passed; t++) {
        while (executor->status == PINION_OK && !may_follow(executor, first, t))
            pthread_cond_wait(&executor->queues[0].changed, &executor->lock);
        if (executor->status < 0)
            break;
        start_in_order(executor, t);
        if (t != executor->plan->gate)
            continue;
        wait_for_all(executor);
        executor->passed = executor->status < 0 || executor->gate(executor->gate_user);
    }
    wait_for_all(executor);
}

/* ---- from here on without it ---- */

/* The processor whose tasks the caller's thread runs: the first, or in order
 * the first of the host. */
static const pinion__processor *callers(const pinion__executor *executor)
{
    const pinion_plan *plan = executor->plan;
    int first = 0;
    while (executor->in_order && first + 1 < plan->processor_count && executor->queues[first].submits)
        first++;
    return plan->processors[first];
}

/* Where processors wait for each other, threads that wait by turning would take
 * each other's cores. */
void pinion__executor_keep_awake(pinion__executor *executor, bool awake)
{
    const pinion_plan *plan = executor->plan;
    for (int i = 0; i < plan->processor_count && !plan->domain; i++)
        pinion__workers_keep_awake(plan->processors[i]->workers, awake);
}

int pinion__executor_run(pinion__executor *executor, int first, int end, bool (*gate)(void *user), void *user,
                         bool *passed)
{
    cpu_set_t before;
    pinion__processor_enter(callers(executor), &before);
    pinion__executor_keep_awake(executor, true);
    pthread_mutex_lock(&executor->lock);
    executor->end = end;
    executor->gate = gate;
    executor->gate_user = user;
    executor->passed = true;
    executor->finished = first;
    executor->target = end;
    executor->status = PINION_OK;
    if (executor->in_order)
        run_in_order(executor, first, end);
    else
        run_queues(executor, first, end);
    *passed = executor->passed;
    int status = executor->status;
    pthread_mutex_unlock(&executor->lock);
    pinion__executor_keep_awake(executor, false);
    pinion__thread_restore(&before);
    return status;
}

void pinion__executor_time(pinion__executor *executor, pinion__interval *times)
{
    executor->times = times;
}
