/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share: the runner's memory and the executor.
 */
#ifndef PINION_RUN_STATE_H
#define PINION_RUN_STATE_H

#include "run/runner.h"

typedef struct pinion__executor pinion__executor;

/* An operand that lies in the caller's memory and is bound anew at each step. */
typedef struct pinion__patch {
    int task, operand;
    enum pinion__place place;
    size_t offset; /* bytes into the caller's block */
} pinion__patch;

struct pinion_runner {
    pinion_context *ctx;
    const pinion_plan *plan;
    unsigned char *arena;
    bool borrowed; /* arena, prepared and padded lie in another runner's arena */
    unsigned char *moments;
    unsigned char *prepared; /* inference: folded and prepared weights, made from the network's at its version */
    uint64_t prepared_version;
    bool is_prepared;
    unsigned char *states; /* training: running statistics as before the step */
    size_t state_bytes;
    float *padded;       /* inference: a batch of which only a part is the caller's */
    const float *images; /* of the micro-batch run last */
    pinion__args *args;  /* per task */
    pinion__patch *patches;
    size_t patch_count, patch_capacity;
    pinion__step step;
    double loss; /* sum over the samples of the step so far; written at the gate */
    pinion__executor *executor;
};

/* Binds the arguments of all tasks; counts what lies in the caller's memory. */
int pinion__runner_bind(pinion_runner *runner);
/* Points the tasks at a micro-batch of the caller's batch. labels is NULL in inference. */
void pinion__runner_set_batch(pinion_runner *runner, const float *images, const int32_t *labels, int part);
/* Where a tensor lies; the caller's memory counts as of the last step. */
const void *pinion__runner_tensor(const pinion_runner *runner, int tensor);

/* Copies the running statistics aside, and back. */
void pinion__runner_save_states(pinion_runner *runner);
void pinion__runner_restore_states(pinion_runner *runner);

/* After a step whose loss is not finite: restores the states, runs the forward tasks once more, one by one, and records
 * the sentence that names the first layer with a non-finite value. Returns PINION_ENONFINITE. */
int pinion__runner_diagnose(pinion_runner *runner);

/* Runs the tasks of a plan with the given arguments (one a task, borrowed), each on its processor. Processors beyond
 * the first have a thread of their own; the caller of run serves the first. */
int pinion__executor_create(const pinion_plan *plan, const pinion__args *args, pinion__executor **out);
void pinion__executor_destroy(pinion__executor *executor);

/* Equals: for (t = first; t < end; t++) { run task t; if (t == plan->gate && !gate(user)) return false; } return true.
 */
bool pinion__executor_run(pinion__executor *executor, int first, int end, bool (*gate)(void *user), void *user);

#endif
