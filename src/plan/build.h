/* SPDX-License-Identifier: Apache-2.0
 *
 * What the stages of planning share while a plan is being built. Layers are numbered as in the network; losses are
 * further layers behind all of them. The first one's input is the plan's output; in joint training of a dynamic network
 * each narrower width has one more, whose input are its logits.
 */
#ifndef PINION_PLAN_BUILD_H
#define PINION_PLAN_BUILD_H

#include "plan/plan.h"

typedef struct pinion__layer_build {
    const pinion__op *op; /* the layer's op or its stored variant */
    bool planned;         /* the plan's output depends on it */
    bool trained;         /* its parameters change */
    bool needed;          /* the gradient of its output is needed: a trained parameter lies at or below it */
    bool whole;           /* the batch is cut, but not where the gradients of its parameters are made */
    bool finished;        /* its backward tasks are emitted: nobody reads the gradient of its output any more */
    int within;           /* the concat in whose output its own lies; -1: none */
    int channel;          /* ... from this channel on */
    int output;           /* tensors; -1: none */
    int gradient;
    int saved[PINION__MAX_SAVED];
    int d_params[PINION__MAX_PARAMS];
} pinion__layer_build;

typedef struct pinion__builder {
    pinion_context *ctx;
    pinion_plan *plan;
    const pinion_network *network;
    pinion__plan_tuning tuning;
    pinion__layer losses[PINION_MAX_GROUPS];
    int loss_count;
    int output_layer;            /* whose output is the plan's */
    int prior_layer;             /* whose output is the caller's; -1: none */
    pinion__layer_build *layers; /* network->layer_count, then those of losses */
    int *params;                 /* tensors of network->params */
    int input, labels;           /* tensors */
    int squares, scale;          /* clipping: tensors, -1: none */
    int slots_used;
    pinion__task *prologue; /* tasks that will stand in front of all others (fold.c) */
    size_t prologue_count, prologue_capacity;
} pinion__builder;

/* One task to be: what emit looks operands up by. */
typedef struct pinion__emission {
    const pinion__op *op;
    const pinion__attributes *attributes;
    enum pinion__pass pass;
    int layer; /* as numbered here; -1: none */
    int param; /* update tasks; else -1 */
    int input; /* backward_data: which input's gradient */
    bool accumulate;
} pinion__emission;

static inline const pinion__layer *pinion__build_layer(const pinion__builder *b, int layer)
{
    const int count = (int)b->network->layer_count;
    return layer >= count ? &b->losses[layer - count] : &b->network->layers[layer];
}

/* A storage of its own for `shape` (layer, index, role, n, h, w, c, element_bytes) and the tensor that fills it. */
int pinion__build_tensor(pinion__builder *b, enum pinion__place place, size_t offset, const pinion__tensor *shape,
                         int *out);
/* A further tensor over a storage that is there; ld 0 stands for c. */
int pinion__build_alias(pinion__builder *b, const pinion__tensor *tensor, int *out);
/* Appends a task with its operands. */
int pinion__build_emit(pinion__builder *b, const pinion__emission *emission);
/* Appends a task with given operands. */
int pinion__build_task(pinion__builder *b, const pinion__emission *emission, const int operand[PINION__MAX_OPERANDS]);

/* widths.c: refuses what the network's groups do not allow. */
int pinion__plan_check_widths(const pinion_network *network, const pinion_plan_options *options);
/* Finds out which groups and layers are planned. */
void pinion__build_widths(pinion__builder *b);
/* Inference of a dynamic network: the tasks of a group behind those of the groups before it, their order kept, also
 * where a schedule has mixed them. */
int pinion__plan_sort_groups(pinion_plan *plan);
/* Where each group's tasks end. */
void pinion__plan_find_ends(pinion_plan *plan);

/* concat.c: chooses which outputs are made where concats want them. */
void pinion__build_embed(pinion__builder *b);
/* The tensor of a layer's output, unless it is there. */
int pinion__build_output(pinion__builder *b, int layer);
/* Copies what does not lie in the concat's output into it. */
int pinion__build_concat(pinion__builder *b, int layer);
/* The channels of `from`, a tensor of a concat's shape, that are those of its input: a tensor. */
int pinion__build_concat_slice(pinion__builder *b, int layer, int input, int from, int *out);
/* Where only some channels of a concat's output want a gradient and they are the output of one layer: that layer, and
 * the first of the channels; else the layer itself, as for any other. */
int pinion__concat_part(const pinion__builder *b, int layer, int *channel);

/* The stages, in this order. */
int pinion__build_forward(pinion__builder *b);
int pinion__build_backward(pinion__builder *b);
int pinion__build_updates(pinion__builder *b, int layer); /* called by backward, after each layer */
int pinion__build_clipping(pinion__builder *b);           /* called by backward, at the end */
int pinion__build_whole(pinion__builder *b);              /* where plan->cut says so: marks layers, calls the next */
int pinion__build_joined(pinion__builder *b);             /* finds plan->joined */
int pinion__build_fuse(pinion__builder *b);               /* unless options.unfused */
int pinion__build_slices(pinion__builder *b);             /* where plan->cut says so */
int pinion__build_in_place(pinion_plan *plan);            /* nor this; nor with tuning.separate */
int pinion__plan_select(pinion_plan *plan, const pinion__plan_tuning *tuning);
int pinion__plan_prologue(pinion__builder *b);
int pinion__plan_fit(pinion_plan *plan, const pinion__plan_tuning *tuning); /* layout, within the limit if it can */
int pinion__plan_hand_over(pinion_plan *plan);                              /* called by fit, before the last layout */
int pinion__plan_layout(pinion_plan *plan, bool separate);
int pinion__plan_order(pinion_plan *plan);

/* A run of bytes to be placed: it shares none with others that live at the same time. */
typedef struct pinion__block {
    size_t bytes;    /* a multiple of the alignment */
    int first, last; /* tasks */
    int storage;     /* ties are broken by it */
    size_t best;     /* out: its offset */
    size_t offset;   /* scratch of the packing, as the next */
    double key;
} pinion__block;

/* Places blocks, which it reorders; *total is where the last of them ends. */
int pinion__layout_pack(pinion_context *ctx, pinion__block *blocks, size_t count, size_t *total);
size_t pinion__plan_alignment(const pinion_plan *plan);

/* A plan whose batch is cut into `micro_batches` parts, with as little recomputation as its limit asks for. Where no
 * recomputation suffices it is the smallest found. lean: see pinion_plan. Arguments are checked. */
int pinion__plan_create_parts(const pinion_network *network, const pinion_plan_options *options,
                              const pinion__plan_tuning *tuning, pinion__processor *const *processors,
                              int processor_count, int micro_batches, bool lean, pinion_plan **out);
/* The first plan within the limit, by rising number of parts, then lean; PINION_ENOMEM says which limit would do. */
int pinion__plan_create_within(const pinion_network *network, const pinion_plan_options *options,
                               const pinion__plan_tuning *tuning, pinion__processor *const *processors,
                               int processor_count, pinion_plan **out);
/* Rewrites the plan so that its arena is at most arena_bytes, or as small as recomputation makes it; layout follows. */
int pinion__plan_recompute(pinion_plan *plan, size_t arena_bytes);
/* Rewrites the plan so that its arena is as small as recomputation makes it that takes at most `share` of a step,
 * unless the arena stays above arena_bytes. */
int pinion__plan_recompute_cheaply(pinion_plan *plan, double share, size_t arena_bytes);

/* Arguments of a task whose operands are of the right shape but lie nowhere: what kernels are asked with. */
pinion__args pinion__plan_task_args(const pinion_plan *plan, const pinion__task *task);
/* Gives one task its first applicable kernel and makes its scratch. */
int pinion__plan_select_task(pinion_plan *plan, pinion__task *task);

/* Can the batch normalisation be folded into the weights of the convolution (or linear layer) in front of it? */
bool pinion__plan_can_fold(const pinion__builder *b, const pinion__task *conv, const pinion__task *batchnorm);
/* Does so: the convolution's weights and bias become folded ones that a task of the prologue makes. The caller
 * redirects its output and removes the batch normalisation. */
int pinion__plan_fold(pinion__builder *b, pinion__task *conv, const pinion__task *batchnorm);
/* Will the weights of the task be prepared by this kernel, where its prepared_bytes are not 0? */
bool pinion__plan_prepares(const pinion_plan *plan, const pinion__task *task, const pinion__kernel *kernel);

/* "layer1.0.conv1" or "" for tasks of no single layer. */
const char *pinion__task_layer_name(const pinion_plan *plan, const pinion__task *task);
/* "conv2d", "conv2d+sgd": the op, and what is fused into it. */
const char *pinion__task_what(const pinion__task *task);

#endif
