/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan: tasks in a valid serial order with their dependencies, the tensors they touch, where each tensor lies, and
 * which processor and kernel runs each task.
 *
 * Tensors name their bytes through a storage. Several tensors may share a storage (views, gradients that pass through
 * an add unchanged); a storage is either a range of the arena or a persistent block. Task t's edges (`after`) are
 * derived from the serial order: writers of what it reads, readers and writers of what it overwrites, and all users of
 * the bytes that its arena ranges take over. Any execution that respects the edges gives the bits of the serial one.
 */
#ifndef PINION_PLAN_PLAN_H
#define PINION_PLAN_PLAN_H

#include "device/device.h"
#include "kernel/kernel.h"
#include "net/network.h"
#include "plan/holders.h"
#include <pinion/plan.h>

enum pinion__place {
    PINION__PLACE_ARENA,
    PINION__PLACE_WEIGHTS,  /* offset into network->block */
    PINION__PLACE_MOMENTS,  /* offset into the runner's block of optimiser state */
    PINION__PLACE_PREPARED, /* offset into the runner's block of prepared weights */
    PINION__PLACE_BATCH,    /* the caller's images */
    PINION__PLACE_LABELS,   /* the caller's labels */
    PINION__PLACE_PRIOR     /* the caller's logits of the groups before the stage */
};

typedef struct pinion__storage {
    enum pinion__place place;
    size_t bytes;
    size_t offset;
    size_t begin;             /* BATCH, LABELS, PRIOR: bytes into the caller's block */
    bool kept;                /* readable after the step's end */
    bool carried;             /* a gradient that adds up over the micro-batches: it lives as long as the plan */
    enum pinion__holder home; /* who holds it between steps, HOST or DEVICE: see holders.h */
    int first, last; /* tasks that use it first and last in the serial order; -1: none; last = task count: until the
                        step's end */
} pinion__storage;

typedef struct pinion__tensor {
    enum pinion__role role;
    int layer; /* -1: the network's input or labels */
    int index;
    int storage;
    size_t offset; /* bytes into the storage */
    int n, h, w, c;
    ptrdiff_t ld;
    int element_bytes;
} pinion__tensor;

/* What a task of the pass "hand_over" passes on. */
typedef struct pinion__task_hand_over {
    bool present; /* the task is one */
    int storage;
    enum pinion__holder from, to;
    bool contents;
} pinion__task_hand_over;

typedef struct pinion__task {
    int layer; /* -1: belongs to no layer (clip_scale) */
    int param; /* update and grad_square: index into network->params; else -1 */
    const pinion__op *op;
    pinion__attributes attributes;
    enum pinion__pass pass;
    int input;                         /* backward_data: which input's gradient */
    int n0, n1;                        /* slice of the batch */
    int slice;                         /* 1 + its number where the batch is cut; 0: it does the whole batch */
    int samples;                       /* of a slice's task: of the whole batch; else 0 */
    int operand[PINION__MAX_OPERANDS]; /* tensors; -1: absent */
    bool accumulate;
    enum pinion__activation activation;
    pinion__update update; /* of a backward_weights that updates; else op is PINION__OP_COUNT */
    bool prepare;          /* runs the kernel's prepare, into the storage `prepared` */
    bool recomputed;       /* gives an activation once more for the backward pass */
    bool adds_up;          /* accumulates from the second micro-batch on */
    int prepared;          /* storage of prepared weights, -1: none */
    int processor;         /* index into plan->processors */
    int record; /* 1 + index into plan->records of the first of its processor_count ones; 0: none (prologue) */
    const pinion__kernel *kernel;
    size_t scratch_bytes;
    int scratch; /* storage, -1: none */
    int *after;  /* tasks that must be done before it, ascending, within the same step */
    int after_count;
    double macs;
    int fused[PINION_MAX_FUSED]; /* further layers whose work it does (fuse.c) */
    int fused_count;
    char what[64];                    /* "batchnorm+add+relu" of a fused task; "": op's name */
    pinion__task_hand_over hand_over; /* op is then that of the task that waits for it, operands and kernel are none */
    double start_ms, end_ms;          /* when it runs in the schedule of a concurrent plan; both 0: there is none */
} pinion__task;

/* A kernel that could run a task, and its time. */
typedef struct pinion__candidate {
    const pinion__kernel *kernel;
    double ms;       /* NaN: not known */
    int repetitions; /* 0: not known */
} pinion__candidate;

/* What tasks that are the same work share: candidates on one processor in order of preference, and their times. Work
 * has a record for each processor of the plan, one behind the other; one without candidates cannot do it. */
typedef struct pinion__record {
    char *key;                  /* pinion__candidates_key */
    int processor;              /* index into plan->processors */
    bool pinned;                /* slices' work, which one processor has to do: the others have no candidates */
    int first, count;           /* of plan->candidates */
    int task;                   /* one of the tasks, as numbered during selection */
    enum pinion_patience level; /* with which all candidates were timed; ESTIMATE: not all of them were */
} pinion__record;

enum { PINION__CUT_HEAVY = -1 };

/* How a batch is cut between processors: n[i] samples, behind those of the slices before, are processor[i]'s. */
typedef struct pinion__cut {
    int count; /* 0: it is not cut */
    int n[PINION__MAX_SLICES], processor[PINION__MAX_SLICES];
    int whole;   /* so many layers, those with most weights for their activations, have one backward_weights for all
                    slices; PINION__CUT_HEAVY: those whose weights are more than the activations it reads */
    int leading; /* only so many layers with weights, from the front, are cut; 0: all are; -r: those before the layer
                    from which on there are r times as many bytes of weights as of activations */
} pinion__cut;

/* Tasks that suffer alike from what runs beside them (co_run.h): those whose arithmetic decides, by pass, and those
 * that move bytes. */
enum pinion__work_class {
    PINION__WORK_FORWARD,
    PINION__WORK_BACKWARD_DATA,
    PINION__WORK_BACKWARD_WEIGHTS,
    PINION__WORK_BYTES,
    PINION__WORK_CLASSES
};

/* Predictions for ways of placing the tasks of a plan; NaN: not possible, not asked for, or a time is not known. */
typedef struct pinion__comparison {
    double single_ms[16]; /* per processor */
    double greedy_ms, layerwise_ms, serial_ms, concurrent_ms, uncut_ms, bound_ms, serial_bound_ms;
} pinion__comparison;

struct pinion_plan {
    pinion_context *ctx;
    const pinion_network *network; /* borrowed */
    pinion_plan_options options;
    char *freeze;                      /* owned copy behind options.freeze, as the next two */
    char *list, *place;                /* options.processors, options.place */
    pinion__processor *processors[16]; /* borrowed from the caller of pinion__plan_create */
    int processor_count;
    pinion__processors owned; /* those of pinion_plan_create; empty where the caller brought his own */
    bool *frozen;             /* per layer */
    pinion__tensor *tensors;
    size_t tensor_count, tensor_capacity;
    pinion__storage *storages;
    size_t storage_count, storage_capacity;
    pinion__task *tasks;
    size_t task_count, task_capacity;
    pinion__record *records;
    size_t record_count, record_capacity;
    pinion__candidate *candidates;
    size_t candidate_count, candidate_capacity;
    pinion__domain *domain;                  /* that some task's processor works in; NULL: all work on the host */
    bool serial;                             /* its placement is for one task at a time */
    pinion__hand_over_costs hand_over_costs; /* of the domain; zeros where there is none */
    /* [class][p][q]: factor on the times of p's tasks of that class while q is busy too; 0: not known */
    double slowdown[PINION__WORK_CLASSES][PINION__MAX_PROCESSORS][PINION__MAX_PROCESSORS];
    pinion__comparison comparison; /* predictions for other placements of the same tasks */
    double *timeline;              /* starts, then ends of all tasks: timeline.h */
    double predicted_ms;           /* of a step; NaN: not known */
    int measured_tasks;            /* records that were timed for this plan */
    double measuring_ms;
    int prologue; /* so many tasks at the front run only when the weights have changed (inference) */
    int gate;     /* training: the loss' forward task, or the one that hands it to the host; tasks past it wait for the
                     loss to be found finite. -1: none */
    bool anew;    /* as in the tuning */
    bool lean;    /* inference within a tight limit: weights are neither folded nor prepared */
    pinion__cut cut;
    int joined;        /* the first layer whose batch is not cut; 0: none */
    int micro_batches; /* equal parts of the batch that run one after the other; 1: it is not cut */
    int samples;       /* of one part: what n of the activations is */
    int part_end;      /* tasks from here on run once a step, after all parts */
    int recomputed;    /* tasks that give an activation once more */
    int output;        /* tensor of the network's output (logits) */
    int layer_count;   /* of the network's layers, from the first on: those of the groups that are planned */
    int width;         /* groups that are planned; 0: the network is not cut */
    int width_output[PINION_MAX_GROUPS];    /* tensor of the logits of width j+1; -1: not planned */
    int width_end[PINION_MAX_GROUPS];       /* inference: the tasks of groups 1 … j+1 behind the prologue end here */
    int prologue_end[PINION_MAX_GROUPS];    /* and those of the prologue */
    size_t prepared_end[PINION_MAX_GROUPS]; /* bytes of the prepared weights of groups 1 … j+1: whole pages */
    int loss;                               /* tensor of the losses (n,1,1,1); -1 in inference */
    size_t arena_bytes, moments_bytes, prepared_bytes;
    size_t input_bytes; /* images and labels of a micro-batch where devices read them; else 0 */
    int *param_moments; /* per parameter: offset of its first moment in the moments block, in units of
                           PINION__SHARED_ALIGNMENT; -1: none (frozen or a state) */
    int moments_per_param;
    int64_t macs; /* multiply-adds of a whole step */
};

/* What tests may decide about a plan. Zeros: what pinion__plan_create does. */
typedef struct pinion__plan_tuning {
    /* The processor of task `index`, 0 … processor_count-1. NULL: the first. */
    int (*processor_of)(void *user, int index);
    void *user;
    /* Kernels that must be used, as pinion__plan_kernels writes them; no task is timed. Tasks that it does not name get
     * the first applicable kernel. PINION_EUNSUPPORTED: a kernel that is not there or does not apply. NULL: none. */
    const char *kernels;
    pinion__cut cut;   /* whose samples make the batch; then it is in one micro-batch */
    int micro_batches; /* into exactly so many parts the batch is cut; 0: into as many as the limit asks for */
    bool anew;         /* times that are known are not used: with a patience that measures, all is timed once more */
    bool separate; /* no gradient shares the bytes of another, no bytes are used twice: what a shared layout must equal
                    */
} pinion__plan_tuning;

/* Builds tasks (tasks.c, gradients.c, updates.c), chooses kernels (select.c), lays out the arena (layout.c), derives
 * edges (order.c). `tuning` may be NULL. On failure *out is untouched. */
int pinion__plan_create(const pinion_network *network, const pinion_plan_options *options,
                        pinion__processor *const *processors, int processor_count, pinion_plan **out);
int pinion__plan_create_tuned(const pinion_network *network, const pinion_plan_options *options,
                              const pinion__plan_tuning *tuning, pinion__processor *const *processors,
                              int processor_count, pinion_plan **out);

/* One line a task behind the prologue, "LAYER OP PASS KERNEL PROCESSOR", in the order of the plan: what must be the
 * same for the same bits. OP of a fused task is "conv2d+relu"; a plan for one processor does not name it; hand-overs
 * have no line. The caller owns *out. */
int pinion__plan_kernels(const pinion_plan *plan, char **out);

/* Bytes that running the plan needs in all: see pinion_plan_options.memory_limit. */
size_t pinion__plan_total_bytes(const pinion_plan *plan);
/* Without the network's weights and the arena. */
size_t pinion__plan_fixed_bytes(const pinion_plan *plan);

/* The most bytes that are live during one task: no layout is smaller. */
size_t pinion__plan_live_bytes(const pinion_plan *plan);

/* Bytes from the first element of a tensor to behind its last; where it is a slice of channels, with the gaps between,
 * which are others'. */
static inline size_t pinion__tensor_bytes(const pinion__tensor *tensor)
{
    const size_t pixels = (size_t)tensor->n * (size_t)tensor->h * (size_t)tensor->w;
    return pixels ? ((pixels - 1) * (size_t)tensor->ld + (size_t)tensor->c) * (size_t)tensor->element_bytes : 0;
}

/* Bytes from one sample of a tensor to the next. */
static inline size_t pinion__tensor_sample_bytes(const pinion__tensor *tensor)
{
    return (size_t)tensor->h * (size_t)tensor->w * (size_t)tensor->ld * (size_t)tensor->element_bytes;
}

/* Does the caller give what it holds, a batch of images, labels or logits? */
static inline bool pinion__storage_is_given(const pinion__storage *storage)
{
    return storage->place == PINION__PLACE_BATCH || storage->place == PINION__PLACE_LABELS ||
           storage->place == PINION__PLACE_PRIOR;
}

/* The group that a task belongs to; 0: none, or the network is not cut. */
static inline int pinion__task_group(const pinion_plan *plan, const pinion__task *task)
{
    return task->layer < 0 ? 0 : plan->network->layers[task->layer].group;
}

/* The view of a tensor whose storage begins at `base`. */
static inline pinion__view pinion__tensor_view(const pinion__tensor *tensor, void *base)
{
    return (pinion__view){.data = (unsigned char *)base + tensor->offset,
                          .n = tensor->n,
                          .h = tensor->h,
                          .w = tensor->w,
                          .c = tensor->c,
                          .ld = tensor->ld};
}

/* What a task's kernel is called with, but for operands, scratch and what changes from step to step. */
static inline pinion__args pinion__task_args(const pinion_plan *plan, const pinion__task *task)
{
    pinion__processor *processor = plan->processors[task->processor];
    return (pinion__args){.attributes = &task->attributes,
                          .accumulate = task->accumulate,
                          .activation = task->activation,
                          .update = task->update.op != PINION__OP_COUNT ? &task->update : NULL,
                          .layer = task->layer,
                          .first_sample = task->n0,
                          .samples = task->samples,
                          .workers = processor->workers,
                          .processor = processor};
}

#endif
