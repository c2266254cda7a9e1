/* SPDX-License-Identifier: Apache-2.0
 *
 * A stage of a training while it runs: run.c walks through its steps, epoch.c ends its epochs.
 */
#ifndef PINION_LEARN_SESSION_H
#define PINION_LEARN_SESSION_H

#include "data/loader.h"
#include "learn/pace.h"
#include "learn/trainer.h"

/* A stage in one call of pinion_trainer_run. */
typedef struct pinion__session {
    pinion_trainer *trainer;
    const pinion_train_callbacks *callbacks; /* never NULL */
    pinion__loader *loader;                  /* NULL: no step is left */
    double *step_ms;                         /* ring of timings */
    int64_t timed;                           /* its length */
    int64_t steps;                           /* done in this run */
    double total_ms, wait_ms;
    double epoch_ms, epoch_wait_ms; /* of the epoch's steps in this run */
    int64_t begin_ns, epoch_begin_ns;
    pinion_eval_result test; /* of the present weights; top1 NaN: not evaluated */
    pinion__pace pace;
    bool pace_lost; /* by the last step */
} pinion__session;

/* The steps of an epoch are done, its end is not. */
bool pinion__epoch_is_due(const pinion_trainer *trainer);

/* Checks and evaluates the weights, reports, saves. */
int pinion__epoch_end(pinion__session *run);

/* Evaluates on the test part, if there is one and the present weights are not evaluated yet. */
int pinion__epoch_evaluate_test(pinion__session *run);

/* After a failure between two steps, where the weights are good: saves what was done since the last save. Returns the
 * failure's code, with its sentence. */
int pinion__trainer_rescue(pinion_trainer *trainer, int code);

#endif
