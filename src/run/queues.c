/* SPDX-License-Identifier: Apache-2.0
 *
 * Making an executor: counters from the plan's edges, a queue for each processor and a thread for all but the first,
 * whose queue the caller of run serves.
 */
#include "run/queues.h"

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

static int make_queues(pinion__executor *executor)
{
    pinion_context *ctx = executor->ctx;
    const pinion_plan *plan = executor->plan;
    int status = PINION_OK;
    int words = executor->count / 64 + 1;
    PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)plan->processor_count, sizeof *executor->queues, "the executor",
                                    &executor->queues));
    pthread_mutex_init(&executor->lock, NULL);
    executor->has_lock = true;
    for (int q = 0; q < plan->processor_count; q++)
        pthread_cond_init(&executor->queues[q].changed, NULL);
    for (int q = 0; q < plan->processor_count; q++) {
        pinion__queue *at = &executor->queues[q];
        at->executor = executor;
        at->rivals = find_rivals(plan, q);
        at->submits = plan->processors[q]->class_->submit != NULL;
        at->words = words;
        PINION_TRY(pinion__alloc_zeroed(ctx, (size_t)words, sizeof *at->ready, "the executor", &at->ready));
    }
fail:
    return status;
}

/* The first processor's is the thread of the caller. */
static int start_threads(pinion__executor *executor)
{
    pinion_context *ctx = executor->ctx;
    int status = PINION_OK;
    for (int q = 1; q < executor->plan->processor_count; q++) {
        pinion__queue *at = &executor->queues[q];
        PINION_FAIL_IF(pthread_create(&at->thread, NULL, pinion__queue_serve, at) != 0, PINION_ENOMEM,
                       "out of memory: a thread for processor '%s' could not be started",
                       executor->plan->processors[q]->name);
        at->started = true;
    }
fail:
    return status;
}

/* One task at a time: as the plan says, or because one processor has them all. */
static bool is_in_order(const pinion_plan *plan)
{
    bool alone = true;
    for (size_t t = 1; t < plan->task_count; t++)
        alone = alone && plan->tasks[t].processor == plan->tasks[0].processor;
    return plan->serial || alone;
}

int pinion__executor_create(const pinion_plan *plan, const pinion__args *args, const pinion__hand_over_args *hand_overs,
                            pinion__executor **out)
{
    pinion_context *ctx = plan->ctx;
    int status = PINION_OK;
    pinion__executor *executor = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *executor, "the executor", &executor));
    executor->ctx = ctx;
    executor->plan = plan;
    executor->args = args;
    executor->hand_overs = hand_overs;
    executor->count = (int)plan->task_count;
    executor->in_order = is_in_order(plan);
    PINION_TRY(pinion__alloc(ctx, plan->task_count + 1, sizeof *executor->jobs, "the executor", &executor->jobs));
    for (int t = 0; t < executor->count; t++)
        executor->jobs[t] = (pinion__job){executor, t};
    PINION_TRY(
        pinion__alloc_zeroed(ctx, plan->task_count + 1, sizeof *executor->done, "the executor", &executor->done));
    PINION_TRY(make_queues(executor));
    if (!executor->in_order) {
        PINION_TRY(link_tasks(executor));
        PINION_TRY(start_threads(executor));
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
        pinion__release(executor->ctx, executor->queues[q].ready);
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
    pinion__release(ctx, executor->jobs);
    pinion__release(ctx, executor->done);
    pinion__release(ctx, executor->waiting);
    pinion__release(ctx, executor->successors);
    pinion__release(ctx, executor->first_successor);
    pinion__release(ctx, executor);
}
