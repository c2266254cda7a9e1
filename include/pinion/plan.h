/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans: how one step of a network is run - tasks, order, kernels, memory - and runners that run them.
 */
#ifndef PINION_PLAN_H
#define PINION_PLAN_H

#include <pinion/network.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pinion_plan pinion_plan;
typedef struct pinion_runner pinion_runner;

enum pinion_mode { PINION_INFER, PINION_TRAIN };
enum pinion_optimizer { PINION_SGD, PINION_ADAMW };

/* How a plan chooses among the kernels that can run a task. Times that are known, from this context or from the wisdom
 * file (docs/wisdom.md), are used at every level. Which kernels run decides the last bits of results: with ESTIMATE and
 * no known times a plan is a function of network, options, instruction set and library version alone. */
enum pinion_patience {
    PINION_PATIENCE_ESTIMATE, /* times nothing: where no time is known, the first kernel in the library's order */
    PINION_PATIENCE_MEASURE,  /* times what is not known, a few repetitions each: at most about 10 seconds */
    PINION_PATIENCE_PATIENT   /* times candidates in turn, medians of more repetitions: at most about 2 minutes */
};

#define PINION_RECOMPUTE_SHARE_AUTO 0.08f

typedef struct pinion_plan_options {
    enum pinion_mode mode;
    int batch;                     /* 1 … 65536 */
    enum pinion_patience patience; /* default ESTIMATE */

    /* Most bytes that running the plan may take in all, 0: no limit. It counts the network's weights, the optimiser's
     * state, the copy of the running statistics, prepared weights (inference) and the arena: everything that grows with
     * the network or the batch. It does not count the caller's images, a data set's loader, and tables of some hundred
     * bytes a task.
     * Where the plan does not fit, a training plan first computes activations once more in the backward pass, with the
     * same bits as a plan without limit. Then the batch is cut into the smallest number of equal parts
     * ("micro-batches") that fits: forward and backward run part after part, the gradients of parameters add up, and
     * the updates follow the last part. The loss is the mean over the batch, but batch normalisation's statistics are
     * those of a part, and running statistics move with every part. In inference cutting the batch changes nothing but
     * the time. */
    size_t memory_limit;

    /* Training: within the limit, activations are computed once more also without need, up to so much of a step's time
     * (as far as times are known, else estimated), where that saves at least a tenth of all bytes. 0: never. The
     * command's --mem-limit auto is PINION_RECOMPUTE_SHARE_AUTO. */
    float recompute_share;

    /* 1: every pass of every layer is a task of its own, which writes all of its result to memory. 0: neighbouring
     * tasks are fused where kernels can (docs/fusion.md). Both give the same result up to rounding. */
    int unfused;

    /* Training only. */
    enum pinion_optimizer optimizer;
    float momentum;     /* sgd: Nesterov momentum; adamw: beta1 */
    float weight_decay; /* convolution and linear weights only */
    float label_smoothing;
    int clip;           /* 1: gradients are kept until the global norm is known */
    const char *freeze; /* layers that are not trained, as --freeze; NULL: none */
} pinion_plan_options;

/* Inference at batch 1; sgd, momentum 0.9, weight decay 5e-4. */
pinion_plan_options pinion_plan_options_default(void);

/* Plans a step of `network` (borrowed, must outlive the plan) on this machine's processors. PINION_EINVAL: a batch out
 * of range, a pattern that matches nothing, everything frozen, a network without layers or whose last layer is not
 * 1 x 1 x classes. PINION_ENOMEM: no plan is within the memory limit; the sentence says the smallest limit that works.
 * The first plan of a network that has no weights yet gives it zeros and thereby ends its building (see network.h): not
 * thread-safe between two first plans of one network. */
int pinion_plan_create(const pinion_network *network, const pinion_plan_options *options, pinion_plan **out);
void pinion_plan_destroy(pinion_plan *plan);

typedef struct pinion_plan_info {
    int tasks;
    size_t arena_bytes;   /* activations, gradients, scratch */
    size_t moments_bytes; /* optimiser state */
    size_t total_bytes;   /* what memory_limit counts */
    int recomputed;       /* tasks that compute an activation once more */
    int micro_batches;    /* parts that the batch is cut into; 1: it is not cut */
    int64_t macs;         /* multiply-adds of one step through convolutions and linear layers, all passes */
    int measured_tasks;   /* kinds of task that were timed to make this plan; tasks that are the same work are one */
    double measuring_ms;  /* and how long that took */
    double predicted_ms;  /* a step, one task after another; NaN: the time of some task is not known */
} pinion_plan_info;

pinion_plan_info pinion_plan_get_info(const pinion_plan *plan); /* NULL: zeros */

enum { PINION_MAX_FUSED = 3 };

typedef struct pinion_task_info {
    const char *layer;     /* "" for tasks of no single layer */
    const char *op, *pass; /* "conv2d", "backward_weights"; a fused task: "batchnorm+add+relu". Pass "recompute": a
                              forward pass done once more for the backward pass; "prepare": done once for many
                              inferences, when weights have changed */
    const char *fused[PINION_MAX_FUSED]; /* further layers whose work the task does; NULL past the last */
    const char *processor, *kernel;
    int64_t macs;
    size_t scratch_bytes;
    double ms; /* of the kernel, measured now or before; NaN: not known */
} pinion_task_info;

int pinion_plan_get_task(const pinion_plan *plan, int index, pinion_task_info *out); /* PINION_EINVAL past the last */

/* The kernels that can run a task, in the library's order of preference. */
typedef struct pinion_candidate_info {
    const char *kernel;
    double ms;       /* NaN: not known */
    int repetitions; /* that the time comes from; 0: not known */
    int chosen;      /* 1: it is the task's kernel */
} pinion_candidate_info;

/* PINION_EINVAL past the last task or its last candidate. Tasks that only prepare weights have none. */
int pinion_plan_get_candidate(const pinion_plan *plan, int task, int index, pinion_candidate_info *out);

/* Allocates what the plan needs to run (the plan is borrowed). PINION_ENOMEM says how much was needed. A runner is used
 * by one thread at a time. */
int pinion_runner_create(const pinion_plan *plan, pinion_runner **out);
void pinion_runner_destroy(pinion_runner *runner);

/* Inference: images (count, h, w, c) fp32 normalised, count <= batch; logits (count, classes). */
int pinion_runner_infer(pinion_runner *runner, const float *images, int count, float *logits);

/* One training step on a full batch: forward, backward, update of the network's weights in place. *loss is the mean.
 * PINION_ENONFINITE: the loss is not finite; weights are those before the step and the sentence names the first layer
 * with a non-finite value. */
typedef struct pinion_runner_step_options {
    float learning_rate;
    float clip_norm;       /* > 0 with plan option `clip` */
    uint64_t seed, number; /* for dropout: the training's seed, steps done before */
} pinion_runner_step_options;

int pinion_runner_train(pinion_runner *runner, const float *images, const int32_t *labels,
                        const pinion_runner_step_options *options, float *loss);

#ifdef __cplusplus
}
#endif
#endif
