/* SPDX-License-Identifier: Apache-2.0
 *
 * What the stages of planning share while a plan is being built. Layers are numbered as in the network; the loss is one
 * layer more, the last, whose input is the network's output.
 */
#ifndef PINION_PLAN_BUILD_H
#define PINION_PLAN_BUILD_H

#include "plan/plan.h"

typedef struct pinion__layer_build {
    const pinion__op *op; /* the layer's op or its stored variant */
    bool trained;         /* its parameters change */
    bool needed;          /* the gradient of its output is needed: a trained parameter lies at or below it */
    bool finished;        /* its backward tasks are emitted: nobody reads the gradient of its output any more */
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
    pinion__layer loss_layer;
    pinion__layer_build *layers; /* layer_count + 1 */
    int *params;                 /* tensors of network->params */
    int input, labels;           /* tensors */
    int squares, scale;          /* clipping: tensors, -1: none */
    int slots_used;
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
    return layer == (int)b->network->layer_count ? &b->loss_layer : &b->network->layers[layer];
}

/* A storage of its own for `shape` (layer, index, role, n, h, w, c, element_bytes; ld = c) and the tensor that fills
 * it. */
int pinion__build_tensor(pinion__builder *b, enum pinion__place place, size_t offset, const pinion__tensor *shape,
                         int *out);
/* A further tensor over a storage that is there. */
int pinion__build_alias(pinion__builder *b, const pinion__tensor *tensor, int *out);
/* Appends a task with its operands. */
int pinion__build_emit(pinion__builder *b, const pinion__emission *emission);
/* Appends a task with given operands. */
int pinion__build_task(pinion__builder *b, const pinion__emission *emission, const int operand[PINION__MAX_OPERANDS]);

/* The stages, in this order. */
int pinion__build_forward(pinion__builder *b);
int pinion__build_backward(pinion__builder *b);
int pinion__build_updates(pinion__builder *b, int layer); /* called by backward, after each layer */
int pinion__build_clipping(pinion__builder *b);           /* called by backward, at the end */
int pinion__plan_select(pinion_plan *plan, const pinion__plan_tuning *tuning);
int pinion__plan_layout(pinion_plan *plan, bool separate);
int pinion__plan_order(pinion_plan *plan);

/* "layer1.0.conv1" or "" for tasks of no single layer. */
const char *pinion__task_layer_name(const pinion_plan *plan, const pinion__task *task);

#endif
