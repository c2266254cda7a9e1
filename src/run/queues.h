/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the executor: its queues and counters (executor.c), and how they are made (queues.c).
 */
#ifndef PINION_RUN_QUEUES_H
#define PINION_RUN_QUEUES_H

#include "run/executor.h"

typedef struct pinion__queue {
    uint64_t *ready; /* bit t: task t may start */
    int words;
    int count;   /* bits that are set */
    int active;  /* tasks that run or are submitted */
    int kernels; /* those of them that are no hand-overs, in a plan that runs in order */
    bool submits;
    bool started;    /* it has a thread */
    uint32_t rivals; /* bit q: processor q occupies a core of this one */
    pthread_cond_t changed;
    pthread_t thread;
    struct pinion__executor *executor;
} pinion__queue;

/* What a processor is given: a kernel with its arguments, or a hand-over. */
typedef struct pinion__job {
    struct pinion__executor *executor;
    int task;
} pinion__job;

struct pinion__executor {
    pinion_context *ctx;
    const pinion_plan *plan;
    const pinion__args *args;
    const pinion__hand_over_args *hand_overs;
    int count; /* tasks */
    pinion__job *jobs;
    bool in_order;                     /* one task at a time */
    bool *done;                        /* per task, in a plan that runs in order */
    int *waiting;                      /* per task: predecessors that are not done */
    int *successors, *first_successor; /* of task t: successors[first_successor[t] … first_successor[t + 1] - 1] */
    pinion__queue *queues;
    pinion__interval *times; /* NULL: not wanted */
    pthread_mutex_t lock;
    bool has_lock;
    bool stopping;
    int end; /* of the tasks of this run */
    int finished, target;
    int active; /* tasks that run or are submitted */
    int status; /* of the first task that failed */
    bool (*gate)(void *user);
    void *gate_user;
    bool passed;
};

/* What the thread of a queue runs until the executor stops. */
void *pinion__queue_serve(void *queue);

#endif
