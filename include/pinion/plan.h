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
    PINION_PATIENCE_MEASURE, /* times what is not known, a few repetitions each: at most about 20 seconds a processor */
    PINION_PATIENCE_PATIENT  /* times candidates in turn, medians of more repetitions: at most about 2 minutes */
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
     * those of a part, and running statistics move with every part. In inference cutting the batch changes only the
     * time, and last bits where parts run by other kernels than the whole. */
    size_t memory_limit;

    /* Training: within the limit, activations are computed once more also without need, up to so much of a step's time
     * (as far as times are known, else estimated), where that saves at least a tenth of all bytes. 0: never. The
     * command's --mem-limit auto is PINION_RECOMPUTE_SHARE_AUTO. */
    float recompute_share;

    /* 1: every pass of every layer is a task of its own, which writes all of its result to memory. 0: neighbouring
     * tasks are fused where kernels can (docs/fusion.md). Both give the same result up to rounding. */
    int unfused;

    /* The processors that tasks may run on, as --processors has them: "cpu", "cpu:0", "opencl:0", each optionally "/N"
     * (at most N cores), separated by commas. NULL: "cpu". */
    const char *processors;

    /* Which of them runs each task (docs/placement.md): "auto" (the best predicted plan), "serial" (one task at a time,
     * the exact minimum of the measured times), "concurrent" (several at once), "unsliced" (the same, but no batch is
     * cut between processors), "greedy", "layerwise", a processor's name, or a file that pinion_plan_save wrote, whose
     * kernels and processors are used. NULL: "auto". */
    const char *place;

    /* Told, while tasks are timed, how many of how many are done; from the caller's thread. NULL: nobody. */
    void (*measuring)(void *user, int done, int count);
    void *measuring_user;

    /* 1: every way of placing is predicted, for pinion_plan_get_comparison, also where that takes a second. */
    int compare;

    /* Dynamic networks (docs/dynamic.md): only groups 1 … width are planned; 0: all, in inference those that have
     * weights. A runner of a plan for inference can be set to any width up to it. */
    int width;
    /* Training of a dynamic network. stage k: group k alone is trained, at width k, behind groups 1 … k-1, which are
     * frozen. joint: all groups are trained for all widths at once: the logits of the full width learn from the labels,
     * those of the others from the full width's probabilities (the sandwich rule with in-place distillation, Yu and
     * Huang: "Universally Slimmable Networks", ICCV 2019, where one forward pass gives all widths). Neither: all
     * groups are trained for the full width. */
    int stage;
    int joint;
    float distillation_weight; /* joint: of each narrower width's loss beside that of the full width, which counts 1 */
    /* With a stage: the logits of the frozen groups are the caller's (pinion_runner_step_options.prior) and not
     * computed. For towers, in one micro-batch. */
    int prior;

    /* Training only. */
    enum pinion_optimizer optimizer;
    float momentum;     /* sgd: Nesterov momentum; adamw: beta1 */
    float weight_decay; /* convolution and linear weights only */
    float label_smoothing;
    int clip;           /* 1: gradients are kept until the global norm is known */
    const char *freeze; /* layers that are not trained, as --freeze; NULL: none */
} pinion_plan_options;

/* Inference at batch 1; sgd, momentum 0.9, weight decay 5e-4, distillation weight 0.3. */
pinion_plan_options pinion_plan_options_default(void);

/* Plans a step of `network` (borrowed, must outlive the plan) on this machine's processors. PINION_EINVAL: a batch out
 * of range, a pattern that matches nothing, everything frozen, a network without layers or whose last layer is not
 * 1 x 1 x classes; a list of processors or a place that is not understood. PINION_EUNSUPPORTED: a processor that is not
 * there, or none that can run some task. PINION_EFORMAT: `place` is neither a way nor a processor nor a plan file that
 * can be used. PINION_ENOMEM: no plan is within the memory limit; the sentence says the smallest limit that works.
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
    double predicted_ms;  /* a step; NaN: the time of some task is not known */
    int processors;       /* that tasks may run on */
    int hand_overs;       /* tasks of the pass "hand_over" */
    int concurrent;       /* 1: tasks of several processors run at once; 0: one after another */
    int width;            /* groups that it runs; 0: the network is not cut */
} pinion_plan_info;

pinion_plan_info pinion_plan_get_info(const pinion_plan *plan); /* NULL: zeros */

/* What the tasks of the plan would take, placed in other ways; all NaN in a plan of one processor. NaN: not possible,
 * not asked for (concurrent_ms: see `compare`), or some time is not known. */
typedef struct pinion_comparison {
    double greedy_ms;     /* each task where it is fastest by itself */
    double layerwise_ms;  /* a processor for each layer and direction */
    double serial_ms;     /* the best of one task at a time */
    double concurrent_ms; /* of several at once, as found */
    double uncut_ms;      /* the same with no batch cut between processors */
    double bound_ms;      /* no plan is faster */
} pinion_comparison;

pinion_comparison pinion_plan_get_comparison(const pinion_plan *plan); /* NULL: all NaN */

typedef struct pinion_plan_processor {
    const char *name, *description;
    double single_ms; /* the whole step on it alone; NaN: it cannot, or some time is not known */
} pinion_plan_processor;

int pinion_plan_get_processor(const pinion_plan *plan, int index, pinion_plan_processor *out); /* PINION_EINVAL past the
                                                                                                   last */

enum { PINION_MAX_FUSED = 3 };

typedef struct pinion_task_info {
    const char *layer;     /* "" for tasks of no single layer */
    const char *op, *pass; /* "conv2d", "backward_weights"; a fused task: "batchnorm+add+relu". Pass "recompute": a
                              forward pass done once more for the backward pass; "prepare": done once for many
                              inferences, when weights have changed */
    const char *fused[PINION_MAX_FUSED]; /* further layers whose work the task does; NULL past the last */
    int slice[2]; /* first and last sample where the batch is cut between processors; -1: it does the whole batch */
    const char *processor, *kernel; /* of a hand-over, pass "hand_over": kernel is "" */
    int64_t macs;
    size_t scratch_bytes;
    double ms;               /* of the kernel by itself, measured now or before; NaN: not known */
    double start_ms, end_ms; /* on the predicted timeline of a step, longer where others slow it; NaN: not known */
} pinion_task_info;

int pinion_plan_get_task(const pinion_plan *plan, int index, pinion_task_info *out); /* PINION_EINVAL past the last */

/* A task on a processor of the plan: its best kernel there and the time. PINION_EINVAL past the last. */
typedef struct pinion_task_time {
    const char *kernel; /* NULL: the processor cannot run it (or it is none that is placed) */
    double ms;          /* NaN: not known */
} pinion_task_time;

int pinion_plan_get_time(const pinion_plan *plan, int task, int processor, pinion_task_time *out);

/* The kernels that can run a task on its processor, in the library's order of preference. */
typedef struct pinion_candidate_info {
    const char *kernel;
    double ms;       /* NaN: not known */
    int repetitions; /* that the time comes from; 0: not known */
    int chosen;      /* 1: it is the task's kernel */
} pinion_candidate_info;

/* PINION_EINVAL past the last task or its last candidate. Tasks that only prepare weights have none. */
int pinion_plan_get_candidate(const pinion_plan *plan, int task, int index, pinion_candidate_info *out);

/* Writes which processor and kernel runs each task (JSON, docs/placement.md): a file for options.place. PINION_EIO. */
int pinion_plan_save(const pinion_plan *plan, const char *path);

/* Allocates what the plan needs to run (the plan is borrowed). PINION_ENOMEM says how much was needed. A runner is used
 * by one thread at a time. */
int pinion_runner_create(const pinion_plan *plan, pinion_runner **out);
void pinion_runner_destroy(pinion_runner *runner);

/* Memory for a batch where the processors of the plan read it without a copy: a device that shares the host's memory
 * reads what the caller wrote, a device with memory of its own fetches it from here. Images anywhere else are copied
 * first if a device reads them. The memory is the runner's and lives as long as it. There are PINION_INPUT_SLOTS slots,
 * 0 … PINION_INPUT_SLOTS - 1, each allocated when it is first asked for, and at the same address ever after: room for a
 * whole batch of images (batch, h, w, c) fp32 and of labels (batch); labels may be NULL. Bytes that the caller has not
 * written may have any value.
 *
 * A step that is given a slot's `images` (its first address) takes that slot: from the call of pinion_runner_train or
 * pinion_runner_infer until it returns, nobody else reads or writes there. Meanwhile other threads may write the other
 * slots. Steps leave what the caller has written, but an inference of fewer images than the batch sets those behind
 * them to zero; labels that lie elsewhere than the slot's are copied, over those in it.
 *
 * Like steps, this is called by one thread at a time. PINION_EINVAL: no such slot; PINION_ENOMEM, PINION_EDEVICE: it
 * could not be allocated. On failure *images and *labels are untouched. */
enum { PINION_INPUT_SLOTS = 8 };
int pinion_runner_input(pinion_runner *runner, int slot, float **images, int32_t **labels);

/* Steps and inferences return PINION_EDEVICE when a device fails: weights are then lost or half updated, and the runner
 * refuses to go on.
 *
 * Inference: images (count, h, w, c) fp32 normalised, count <= batch; logits (count, classes). */
int pinion_runner_infer(pinion_runner *runner, const float *images, int count, float *logits);

/* One training step on a full batch: forward, backward, update of the network's weights in place. *loss is the mean.
 * PINION_ENONFINITE: the loss is not finite; weights are those before the step and the sentence names the first layer
 * with a non-finite value. */
typedef struct pinion_runner_step_options {
    float learning_rate;
    float clip_norm;       /* > 0 with plan option `clip` */
    uint64_t seed, number; /* for dropout: the training's seed, steps done before */
    const float *prior;    /* with plan option `prior`: (batch, classes), the logits of the groups before the stage */
} pinion_runner_step_options;

int pinion_runner_train(pinion_runner *runner, const float *images, const int32_t *labels,
                        const pinion_runner_step_options *options, float *loss);

/* ---- dynamic networks: runners of plans for inference ---- */

/* How many groups the next inference runs, 1 … the plan's width (at first: the plan's). It costs nothing and may be
 * called by any thread at any time; an inference that runs keeps the width that it began with. PINION_EINVAL: the
 * network is not cut, no such width, or a group of it has no memory or no weights at the moment. */
int pinion_runner_set_width(pinion_runner *runner, int width);
int pinion_runner_get_width(const pinion_runner *runner); /* 0: the network is not cut */

/* What releasing or restoring did. */
typedef struct pinion_residence {
    size_t bytes; /* that were given back to the system, or taken again */
    double ms;
} pinion_residence;

/* Gives back to the system what the groups beyond `width` take: their prepared weights and, where the network was
 * loaded from a file, their weights. The width becomes at most `width`. Between inferences only. out may be NULL.
 * PINION_EINVAL as for pinion_runner_set_width. */
int pinion_runner_release(pinion_runner *runner, int width, pinion_residence *out);

/* Brings groups up to `width` back: reads their weights again, checks that they are those that were loaded, prepares
 * them. It does not change the width. PINION_EIO, PINION_EFORMAT: the file cannot be read or is another one; the groups
 * that were there still are. */
int pinion_runner_restore(pinion_runner *runner, int width, pinion_residence *out);

/* Inference that improves its answer group by group, until the next group would end behind the deadline, the answer is
 * sure enough, or the runner's width is reached. */
typedef struct pinion_anytime_options {
    double deadline_ms; /* from the call on; 0: none. Group 1 always runs: there is always an answer */
    float margin;       /* > 0: stops when, for every image, the most probable class is so much more probable than the
                           second (0 … 1) */
    void (*answer)(void *user, int width, const float *logits); /* after each group (in micro-batches: of the last),
                           from the caller's thread: the answer of this width, (count, classes), valid until it returns.
                           NULL: nobody */
    void *user;
} pinion_anytime_options;

enum pinion_stop { PINION_STOP_WIDTH, PINION_STOP_DEADLINE, PINION_STOP_MARGIN };

typedef struct pinion_anytime_result {
    int width; /* of the answer: its logits are, bit for bit, those of an inference at that width */
    enum pinion_stop stopped;
    double ms; /* from the call on until it returns, with what `answer` takes */
    int late;  /* 1: that is behind the deadline */
} pinion_anytime_result;

/* As pinion_runner_infer; result may be NULL. How long a group takes is known from the times of its tasks (wisdom) and
 * from the inferences before. The first inference after weights have changed prepares all groups up to the runner's
 * width, which counts; after pinion_runner_restore they are prepared. PINION_EINVAL: the network is not cut; a deadline
 * or margin out of range. */
int pinion_runner_infer_anytime(pinion_runner *runner, const float *images, int count,
                                const pinion_anytime_options *options, float *logits, pinion_anytime_result *result);

/* What a runner has done. */
typedef struct pinion_runner_info {
    int64_t copied_bytes; /* between host and devices, by the last step or inference; 0 where they share memory and
                             the batch lies in a slot of pinion_runner_input */
} pinion_runner_info;

pinion_runner_info pinion_runner_get_info(const pinion_runner *runner); /* NULL: zeros */

/* Writes a Chrome trace (JSON, opens in Perfetto) of all steps and inferences from now on: a row a processor, an event
 * a task or hand-over. path NULL, another path or the runner's end closes it. PINION_EIO: the file cannot be made, or
 * the one before was not written completely. */
int pinion_runner_set_trace(pinion_runner *runner, const char *path);

#ifdef __cplusplus
}
#endif
#endif
