/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of finished gradients of weights. The formulas of the optimisers stand here once, on one vector, for the
 * update tasks (sgd.c, adamw.c) and for the backward_weights passes that do the update themselves, so both give the
 * same bits. With g the gradient (times `scale`):
 *
 *     sgd      g = g + decay*w    v = momentum*v + g    w = w - rate*(nesterov ? g + momentum*v : v)
 *     adamw    m = beta1*m + (1-beta1)*g    v = beta2*v + (1-beta2)*g^2
 *              w = w*(1 - rate*decay) - rate/(1-beta1^t) * m / (sqrt(v / (1-beta2^t)) + epsilon)    t = step->number +
 * 1
 *
 * A sink is the place where a backward_weights pass puts its gradients: it stores them, adds them to what is there, or
 * updates the weights.
 *
 *     const pinion__sink sink = pinion__sink_of(args);                    once a run
 *     pinion__sink_row(&sink, offset, gradients, count);                  each gradient once, complete
 *
 * An element's offset is that of its place in sink.view, which is dw's or, with an update, w's; weights, gradient and
 * moments are laid out alike (same shape, same ld).
 */
#ifndef PINION_KERNEL_CPU_UPDATE_H
#define PINION_KERNEL_CPU_UPDATE_H

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/vec.h"

#include <math.h>

/* The step along the direction of both kinds: w - rate*(look*g + ahead*v), (look, ahead) = (1, momentum) or (0, 1). */
typedef struct pinion__sgd_constants {
    float scale, decay, momentum, look, ahead;
} pinion__sgd_constants;

static inline pinion__sgd_constants pinion__sgd_constants_of(const pinion__sgd *sgd, const pinion__step *step,
                                                             float scale)
{
    const float rate = step->learning_rate;
    return (pinion__sgd_constants){
        .scale = scale,
        .decay = sgd->weight_decay,
        .momentum = sgd->momentum,
        .look = sgd->nesterov ? -rate : 0.0F,
        .ahead = sgd->nesterov ? -rate * sgd->momentum : -rate,
    };
}

/* `count` weights, at most a vector of them, from their gradients. */
PINION__INLINE void pinion__sgd_vector(const pinion__sgd_constants *with, pinion__vf gradient, float *weights,
                                       float *velocity, int count)
{
    pinion__vf w = pinion__vf_load_some(weights, count);
    pinion__vf g = pinion__vf_mul(gradient, pinion__vf_set1(with->scale));
    g = pinion__vf_fma(pinion__vf_set1(with->decay), w, g);
    pinion__vf v = pinion__vf_load_some(velocity, count);
    v = pinion__vf_fma(pinion__vf_set1(with->momentum), v, g);
    w = pinion__vf_fma(pinion__vf_set1(with->look), g, w);
    w = pinion__vf_fma(pinion__vf_set1(with->ahead), v, w);
    pinion__vf_store_some(velocity, v, count);
    pinion__vf_store_some(weights, w, count);
}

typedef struct pinion__adamw_constants {
    float scale, keep, beta1, new1, beta2, new2, epsilon;
    float rate;  /* -rate / (1 - beta1^t) */
    float widen; /* 1 / (1 - beta2^t) */
} pinion__adamw_constants;

/* The corrections are computed once a call, in double: 1 - beta2^t has three digits at t = 1. */
static inline pinion__adamw_constants pinion__adamw_constants_of(const pinion__adamw *adamw, const pinion__step *step,
                                                                 float scale)
{
    const double rate = (double)step->learning_rate, t = (double)step->number + 1.0;
    const double beta1 = (double)adamw->beta1, beta2 = (double)adamw->beta2;
    return (pinion__adamw_constants){
        .scale = scale,
        .keep = (float)(1.0 - rate * (double)adamw->weight_decay),
        .beta1 = adamw->beta1,
        .new1 = (float)(1.0 - beta1),
        .beta2 = adamw->beta2,
        .new2 = (float)(1.0 - beta2),
        .epsilon = adamw->epsilon,
        .rate = (float)(-rate / (1.0 - pow(beta1, t))),
        .widen = (float)(1.0 / (1.0 - pow(beta2, t))),
    };
}

PINION__INLINE void pinion__adamw_vector(const pinion__adamw_constants *with, pinion__vf gradient, float *weights,
                                         float *m_at, float *v_at, int count)
{
    pinion__vf g = pinion__vf_mul(gradient, pinion__vf_set1(with->scale));
    pinion__vf m = pinion__vf_mul(pinion__vf_load_some(m_at, count), pinion__vf_set1(with->beta1));
    m = pinion__vf_fma(pinion__vf_set1(with->new1), g, m);
    pinion__vf v = pinion__vf_mul(pinion__vf_load_some(v_at, count), pinion__vf_set1(with->beta2));
    v = pinion__vf_fma(pinion__vf_mul(pinion__vf_set1(with->new2), g), g, v);
    pinion__vf root = pinion__vf_sqrt(pinion__vf_mul(v, pinion__vf_set1(with->widen)));
    pinion__vf direction = pinion__vf_div(m, pinion__vf_add(root, pinion__vf_set1(with->epsilon)));
    pinion__vf w = pinion__vf_mul(pinion__vf_load_some(weights, count), pinion__vf_set1(with->keep));
    pinion__vf_store_some(m_at, m, count);
    pinion__vf_store_some(v_at, v, count);
    pinion__vf_store_some(weights, pinion__vf_fma(pinion__vf_set1(with->rate), direction, w), count);
}

/* ---- gradients of slices of a batch ---- */

enum { PINION__FURTHER_GRADIENTS = 3 };

/* The views of those further gradients, `first` and the next operands, that are present. */
static inline __attribute__((unused)) int pinion__further_gradients(const pinion__args *args, int first,
                                                                    const pinion__view *views[])
{
    int count = 0;
    while (count < PINION__FURTHER_GRADIENTS && args->operand[first + count].data) {
        views[count] = &args->operand[first + count];
        count++;
    }
    return count;
}

/* Gradient at[0] plus the further ones behind it, in their order. */
PINION__INLINE pinion__vf pinion__whole_gradient(float *const at[], const int further, int count)
{
    pinion__vf sum = pinion__vf_load_some(at[0], count);
#pragma GCC unroll 3
    for (int i = 1; i <= further; i++)
        sum = pinion__vf_add(sum, pinion__vf_load_some(at[i], count));
    return sum;
}

/* ---- the sink of a backward_weights pass of conv2d, depthwise_conv2d, linear ---- */

enum pinion__sink_mode { PINION__SINK_STORE, PINION__SINK_ADD, PINION__SINK_SGD, PINION__SINK_ADAMW };

typedef struct pinion__sink {
    enum pinion__sink_mode mode;
    pinion__view view; /* dw, or w where the pass updates */
    float *moment_0, *moment_1;
    union {
        pinion__sgd_constants sgd;
        pinion__adamw_constants adamw;
    } with;
} pinion__sink;

static inline pinion__sink pinion__sink_of(const pinion__args *args)
{
    if (!args->update)
        return (pinion__sink){.mode = args->accumulate ? PINION__SINK_ADD : PINION__SINK_STORE,
                              .view = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DW]};
    pinion__sink sink = {.mode = args->update->op == PINION__OP_sgd ? PINION__SINK_SGD : PINION__SINK_ADAMW,
                         .view = args->operand[PINION__CONV_BACKWARD_WEIGHTS_W],
                         .moment_0 = args->operand[PINION__CONV_BACKWARD_WEIGHTS_MOMENT_0].data,
                         .moment_1 = args->operand[PINION__CONV_BACKWARD_WEIGHTS_MOMENT_1].data};
    if (sink.mode == PINION__SINK_SGD)
        sink.with.sgd = pinion__sgd_constants_of(&args->update->attributes.as.sgd, args->step, 1.0F);
    else
        sink.with.adamw = pinion__adamw_constants_of(&args->update->attributes.as.adamw, args->step, 1.0F);
    return sink;
}

/* The view whose shape and ld the gradients have: for scratch_bytes and applicable, where there may be no step. */
static inline const pinion__view *pinion__sink_view(const pinion__args *args)
{
    return &args->operand[args->update ? PINION__CONV_BACKWARD_WEIGHTS_W : PINION__CONV_BACKWARD_WEIGHTS_DW];
}

/* A vector of gradients, or the first few of one. `mode` is the sink's, a constant where it saves a branch a vector. */
PINION__INLINE void pinion__sink_one(const pinion__sink *sink, const enum pinion__sink_mode mode, ptrdiff_t offset,
                                     pinion__vf gradient, int count)
{
    float *at = (float *)sink->view.data + offset;
    switch (mode) {
    case PINION__SINK_STORE:
        pinion__vf_store_some(at, gradient, count);
        break;
    case PINION__SINK_ADD:
        pinion__vf_store_some(at, pinion__vf_add(pinion__vf_load_some(at, count), gradient), count);
        break;
    case PINION__SINK_SGD:
        pinion__sgd_vector(&sink->with.sgd, gradient, at, sink->moment_0 + offset, count);
        break;
    case PINION__SINK_ADAMW:
        pinion__adamw_vector(&sink->with.adamw, gradient, at, sink->moment_0 + offset, sink->moment_1 + offset, count);
        break;
    }
}

PINION__INLINE void pinion__sink_vector(const pinion__sink *sink, ptrdiff_t offset, pinion__vf gradient, int count)
{
    pinion__sink_one(sink, sink->mode, offset, gradient, count);
}

PINION__INLINE void pinion__sink_run(const pinion__sink *sink, const enum pinion__sink_mode mode, ptrdiff_t offset,
                                     const float *gradients, int count)
{
    int i = 0;
    for (; i + PINION__LANES <= count; i += PINION__LANES)
        pinion__sink_one(sink, mode, offset + i, pinion__vf_load(gradients + i), PINION__LANES);
    if (i < count)
        pinion__sink_one(sink, mode, offset + i, pinion__vf_load_part(gradients + i, count - i), count - i);
}

/* `count` gradients, any number of them, of weights that stand side by side. */
static inline __attribute__((unused)) void pinion__sink_row(const pinion__sink *sink, ptrdiff_t offset,
                                                            const float *gradients, int count)
{
    switch (sink->mode) {
    case PINION__SINK_STORE:
        pinion__sink_run(sink, PINION__SINK_STORE, offset, gradients, count);
        break;
    case PINION__SINK_ADD:
        pinion__sink_run(sink, PINION__SINK_ADD, offset, gradients, count);
        break;
    case PINION__SINK_SGD:
        pinion__sink_run(sink, PINION__SINK_SGD, offset, gradients, count);
        break;
    case PINION__SINK_ADAMW:
        pinion__sink_run(sink, PINION__SINK_ADAMW, offset, gradients, count);
        break;
    }
}

#endif
