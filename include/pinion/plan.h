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

typedef struct pinion_plan_options {
    enum pinion_mode mode;
    int batch; /* 1 … 65536 */

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
 * 1 x 1 x classes. The first plan of a network that has no weights yet gives it zeros and thereby ends its building
 * (see network.h): not thread-safe between two first plans of one network. */
int pinion_plan_create(const pinion_network *network, const pinion_plan_options *options, pinion_plan **out);
void pinion_plan_destroy(pinion_plan *plan);

typedef struct pinion_plan_info {
    int tasks;
    size_t arena_bytes;   /* activations, gradients, scratch */
    size_t moments_bytes; /* optimiser state */
    int64_t macs;         /* multiply-adds of one step through convolutions and linear layers, all passes */
} pinion_plan_info;

pinion_plan_info pinion_plan_get_info(const pinion_plan *plan); /* NULL: zeros */

typedef struct pinion_task_info {
    const char *layer;     /* "" for tasks of no single layer */
    const char *op, *pass; /* "conv2d", "backward_weights" */
    const char *processor, *kernel;
    int64_t macs;
    size_t scratch_bytes;
} pinion_task_info;

int pinion_plan_get_task(const pinion_plan *plan, int index, pinion_task_info *out); /* PINION_EINVAL past the last */

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
