/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds which storage while a step is simulated: storages change hands in the order in which tasks start, which may
 * be another than the problem's.
 */
#ifndef PINION_PLAN_PLACEMENT_STOCKS_H
#define PINION_PLAN_PLACEMENT_STOCKS_H

#include "plan/placement_graph.h"

typedef struct pinion__stock {
    enum pinion__holder holder, home;
    enum pinion__holder natural; /* home that suits the order of the problem */
    int mover;                   /* the task whose hand-over of it is going on; -1: none */
    int running[2];              /* users that have started and not ended, per side */
    int started;                 /* users so far */
    int left;                    /* of this run of tasks */
    bool permuted;               /* its users did not start in the order of the problem */
} pinion__stock;

typedef struct pinion__stocks {
    const pinion__placement_problem *problem;
    const pinion__placement_graph *graph;
    pinion__placement_problem permuted; /* the problem with uses in the order of starts */
    pinion__placement_use *uses;        /* of permuted */
    pinion__stock *at;
} pinion__stocks;

/* Both are borrowed. */
int pinion__stocks_init(const pinion__placement_problem *problem, const pinion__placement_graph *graph,
                        pinion__stocks *out);
void pinion__stocks_fini(pinion__stocks *stocks);

/* The best homes in the order of the problem. */
void pinion__stocks_find_homes(pinion__stocks *stocks, const int *processor);
/* The best homes in the order in which tasks have started; how many were others. */
int pinion__stocks_correct_homes(pinion__stocks *stocks, const int *processor);
/* All at home, no task has started. */
void pinion__stocks_reset(pinion__stocks *stocks);

/* The hand-overs before a task on this side: how many, and their ms. -1: one of them cannot be made now, since the
 * storage is on its way or in use by the side that would lose it. */
int pinion__stocks_look(const pinion__stocks *stocks, int task, bool device, double *ms);
/* The task starts; its hand-overs go on until pinion__stocks_arrive. */
void pinion__stocks_take(pinion__stocks *stocks, int task, bool device);
void pinion__stocks_arrive(pinion__stocks *stocks, int task);
/* The task has ended: ms of what goes home now. */
double pinion__stocks_let_go(pinion__stocks *stocks, int task, bool device);

#endif
