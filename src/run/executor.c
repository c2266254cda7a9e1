/* SPDX-License-Identifier: Apache-2.0
 *
 * The executor. Every processor has a queue of tasks whose predecessors are done; finishing a task lowers the counters
 * of its successors and puts those that reach zero into the queue of their processor. Threads sleep on a condition,
 * nobody polls. One mutex guards queues and counters: a step has some hundred tasks of some hundred microseconds, so it
 * is hardly ever contended. A plan of one processor needs none of this: it is a loop.
 *
 * Processors that share cores never run at once: a queue is also held back while such a processor is busy.
 */
#include "run/state.h"

typedef struct queue {
    int *tasks; /* a ring of task_count */
    int head, count;
    bool busy;
    bool started;    /* it has a thread */
    uint32_t rivals; /* bit q: processor q occupies a core of this one */
    pthread_cond_t changed;
    pthread_t thread;
    struct pinion__executor *executor;
} queue;

struct pinion__executor {
    pinion_context *ctx;
    const pinion_plan *plan;
    const pinion__args *args;
    int count;                         /* tasks */
    int *waiting;                      /* per task: predecessors that are not done */
    int *successors, *first_successor; /* of task t: successors[first_successor[t] … first_successor[t + 1] - 1] */
    queue *queues;
    pthread_mutex_t lock;
    bool has_lock;
    bool stopping;
    int end; /* of the tasks of this run */
    int finished, target;
    bool (*gate)(void *user);
    void *gate_user;
    bool passed;
};

typedef struct job {
    const pinion__kernel *kernel;
    const pinion__args *args;
    void *prepare; /* where prepared weights go; NULL: the kernel runs */
} job;

static void run_job(const void *argument)
{
    const job *work = argument;
    if (work->prepare)
        work->kernel->body->prepare(work->args, work->prepare);
    else
        work->kernel->body->run(work->args);
}

static void run_task(const pinion__executor *executor, int t)
{
    const pinion__task *task = &executor->plan->tasks[t];
    pinion__processor *processor = executor->plan->processors[task->processor];
    job work = {.kernel = task->kernel,
                .args = &executor->args[t],
                .prepare = task->prepare ? executor->args[t].scratch : NULL};
    processor->class_->run(processor, run_job, &work);
}

static bool run_serially(const pinion__executor *executor, int first, int end, bool (*gate)(void *user), void *user)
{
    for (int t = first; t < end; t++) {
        run_task(executor, t);
        if (t == executor->plan->gate && !gate(user))
            return false;
    }
    return true;
}

/* The functions from here to serve are called under the lock. */

static void push(pinion__executor *executor, int t)
{
    queue *to = &executor->queues[executor->plan->tasks[t].processor];
    to->tasks[(to->head + to->count) % executor->count] = t;
    to->count++;
    pthread_cond_signal(&to->changed);
}

static int pop(const pinion__executor *executor, queue *from)
{
    int t = from->tasks[from->head];
    from->head = (from->head + 1) % executor->count;
    from->count--;
    return t;
}

static bool may_start(const pinion__executor *executor, const queue *at)
{
    if (at->count == 0)
        return false;
    for (int q = 0; q < executor->plan->processor_count; q++)
        if ((at->rivals >> q & 1) && executor->queues[q].busy)
            return false;
    return true;
}

static void finish(pinion__executor *executor, int t)
{
    executor->finished++;
    if (t == executor->plan->gate && !executor->passed)
        executor->target = t + 1; /* every task behind the gate has an edge from it, so none has started */
    else
        for (int i = executor->first_successor[t]; i < executor->first_successor[t + 1]; i++)
            if (executor->successors[i] < executor->end && --executor->waiting[executor->successors[i]] == 0)
                push(executor, executor->successors[i]);
    if (executor->finished == executor->target)
        pthread_cond_signal(&executor->queues[0].changed);
}

static void run_next(pinion__executor *executor, queue *at)
{
    int t = pop(executor, at);
    at->busy = true;
    pthread_mutex_unlock(&executor->lock);
    run_task(executor, t);
    bool passed = t != executor->plan->gate || executor->gate(executor->gate_user);
    pthread_mutex_lock(&executor->lock);
    at->busy = false;
    executor->passed = executor->passed && passed;
    finish(executor, t);
    for (int q = 0; q < executor->plan->processor_count; q++)
        if (at->rivals >> q & 1)
            pthread_cond_signal(&executor->queues[q].changed);
}

static void *serve(void *argument)
{
    queue *at = argument;
    pinion__executor *executor = at->executor;
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
    executor->end = end;
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

static bool run_queues(pinion__executor *executor, int first, int end, bool (*gate)(void *user), void *user)
{
    pthread_mutex_lock(&executor->lock);
    executor->gate = gate;
    executor->gate_user = user;
    executor->passed = true;
    executor->finished = first;
    executor->target = end;
    start_tasks(executor, first, end);
    queue *own = &executor->queues[0];
    while (executor->finished < executor->target) {
        if (may_start(executor, own))
            run_next(executor, own);
        else
            pthread_cond_wait(&own->changed, &executor->lock);
    }
    bool passed = executor->passed;
    pthread_mutex_unlock(&executor->lock);
    return passed;
}

bool pinion__executor_run(pinion__executor *executor, int first, int end, bool (*gate)(void *user), void *user)
{
    const pinion_plan *plan = executor->plan;
    for (int i = 0; i < plan->processor_count; i++)
        pinion__workers_keep_awake(plan->processors[i]->workers, true);
    bool passed = plan->processor_count == 1 ? run_serially(executor, first, end, gate, user)
                                             : run_queues(executor, first, end, gate, user);
    for (int i = 0; i < plan->processor_count; i++)
        pinion__workers_keep_awake(plan->processors[i]->workers, false);
    return passed;
}

static int link_tasks(pinion__executor *executor)
{
    pinion_context *ctx = executor->ctx;
    const pinion__task *tasks = executor->plan->tasks;
    int status = PINION_OK;
    size_t count = (size_t)executor->count, edges = 0;
    for (size_t t = 0; t < count; t++)
        edges += (size_t)tasks[t].after_count;
    PINION_TRY(pinion__alloc(ctx, count + 1, sizeof(int), "the executor", &executor->waiting));
    PINION_TRY(pinion__alloc(ctx, edges + 1, sizeof(int), "the executor", &executor->successors));
    PINION_TRY(pinion__alloc_zeroed(ctx, count + 2, sizeof(int), "the executor", &executor->first_successor));
    int *first = executor->first_successor;
    for (size_t t = 0; t < count; t++)
        for (int i = 0; i < tasks[t].after_count; i++)
            first[tasks[t].after[i] + 2]++;
    for (size_t t = 2; t < count + 2; t++)
        first[t] += first[t - 1];
    /* first[t + 1] is where the next successor of t goes; when all are placed it is where those of t + 1 begin. */
    for (int t = 0; t < executor->count; t++)
        for (int i = 0; i < tasks[t].after_count; i++)
            executor->successors[first[tasks[t].after[i] + 1]++] = t;
fail:
    return status;
}

static uint32_t find_rivals(const pinion_plan *plan, int processor)
{
    uint32_t rivals = 0;
    for (int other = 0; other < plan->processor_count; other++)
        if (other != processor && pinion__processors_share_cores(plan->processors[other], plan->processors[processor]))
            rivals |= UINT32_C(1) << other;
    return rivals;
}

static int start_queues(pinion__executor *executor)
{
    pinion_context *ctx = executor->ctx;
    int status = PINION_OK;
    int processors = executor->plan->processor_count;
    PINION_TRY(
        pinion__alloc_zeroed(ctx, (size_t)processors, sizeof *executor->queues, "the executor", &executor->queues));
    pthread_mutex_init(&executor->lock, NULL);
    executor->has_lock = true;
    for (int q = 0; q < processors; q++) {
        executor->queues[q].executor = executor;
        executor->queues[q].rivals = find_rivals(executor->plan, q);
        pthread_cond_init(&executor->queues[q].changed, NULL);
    }
    for (int q = 0; q < processors; q++) {
        queue *at = &executor->queues[q];
        PINION_TRY(pinion__alloc(ctx, (size_t)executor->count + 1, sizeof(int), "the executor", &at->tasks));
        if (q == 0)
            continue; /* the caller's thread */
        PINION_FAIL_IF(pthread_create(&at->thread, NULL, serve, at) != 0, PINION_ENOMEM,
                       "out of memory: a thread for processor '%s' could not be started",
                       executor->plan->processors[q]->name);
        at->started = true;
    }
fail:
    return status;
}

int pinion__executor_create(const pinion_plan *plan, const pinion__args *args, pinion__executor **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__executor *executor = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *executor, "the executor", &executor));
    executor->ctx = ctx;
    executor->plan = plan;
    executor->args = args;
    executor->count = (int)plan->task_count;
    if (plan->processor_count > 1) {
        PINION_TRY(link_tasks(executor));
        PINION_TRY(start_queues(executor));
    }
    *out = executor;
    return PINION_OK;
fail:
    pinion__executor_destroy(executor);
    return status;
}

static void stop_queues(pinion__executor *executor)
{
    int processors = executor->plan->processor_count;
    pthread_mutex_lock(&executor->lock);
    executor->stopping = true;
    for (int q = 0; q < processors; q++)
        pthread_cond_signal(&executor->queues[q].changed);
    pthread_mutex_unlock(&executor->lock);
    for (int q = 0; q < processors; q++)
        if (executor->queues[q].started)
            pthread_join(executor->queues[q].thread, NULL);
    for (int q = 0; q < processors; q++) {
        pthread_cond_destroy(&executor->queues[q].changed);
        pinion__release(executor->ctx, executor->queues[q].tasks);
    }
    pthread_mutex_destroy(&executor->lock);
}

void pinion__executor_destroy(pinion__executor *executor)
{
    if (!executor)
        return;
    pinion_context *ctx = executor->ctx;
    if (executor->has_lock)
        stop_queues(executor);
    pinion__release(ctx, executor->queues);
    pinion__release(ctx, executor->waiting);
    pinion__release(ctx, executor->successors);
    pinion__release(ctx, executor->first_successor);
    pinion__release(ctx, executor);
}
