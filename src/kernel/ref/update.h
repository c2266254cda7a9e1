/* SPDX-License-Identifier: Apache-2.0
 *
 * The formulas of the optimisers for one weight, for the update tasks and for the backward_weights passes that update
 * themselves (args->update).
 *
 * sgd, stochastic gradient descent with momentum and L2 weight decay, g the gradient:
 *
 *     g = g + weight_decay * w
 *     v = momentum * v + g                       (v starts at 0, so the first step sets v = g)
 *     w = w - rate * (g + momentum * v)          with Nesterov's momentum
 *     w = w - rate * v                           without
 *
 * Source: torch.optim.SGD with dampening 0 (Sutskever, Martens, Dahl, Hinton, ICML 2013, with the learning rate outside
 * v).
 *
 * adamw, Adam with decoupled weight decay, at step t = step->number + 1:
 *
 *     w = w * (1 - rate * weight_decay)
 *     m = beta1 * m + (1 - beta1) * g                    v = beta2 * v + (1 - beta2) * g^2
 *     w = w - rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
 *
 * Source: Loshchilov, Hutter: Decoupled Weight Decay Regularization (ICLR 2019), algorithm 2, with the decay times the
 * rate as torch.optim.AdamW has it.
 */
#ifndef PINION_KERNEL_REF_UPDATE_H
#define PINION_KERNEL_REF_UPDATE_H

#include "kernel/ref/ref.h"

/* The gradient of the whole batch at element c of pixel i: dw, and those of further slices where they are present. */
static inline double pinion__whole_gradient(const pinion__view *dw, const pinion__view further[3], size_t i, int c)
{
    double sum = (double)pinion__nth_pixel(dw, i)[c];
    for (int slice = 0; slice < 3; slice++)
        if (further[slice].data)
            sum += (double)pinion__nth_pixel(&further[slice], i)[c];
    return sum;
}

static inline void pinion__sgd_weight(const pinion__sgd *sgd, const pinion__step *step, double gradient, float *w,
                                      float *velocity)
{
    double momentum = (double)sgd->momentum, rate = (double)step->learning_rate;
    double g = gradient + (double)sgd->weight_decay * (double)*w;
    double v = momentum * (double)*velocity + g;
    *velocity = (float)v;
    *w = (float)((double)*w - rate * (sgd->nesterov ? g + momentum * v : v));
}

static inline void pinion__adamw_weight(const pinion__adamw *adamw, const pinion__step *step, double gradient, float *w,
                                        float *first, float *second)
{
    double beta1 = (double)adamw->beta1, beta2 = (double)adamw->beta2, t = (double)step->number + 1;
    double rate = (double)step->learning_rate;
    double m = beta1 * (double)*first + (1 - beta1) * gradient;
    double v = beta2 * (double)*second + (1 - beta2) * gradient * gradient;
    double decayed = (double)*w * (1 - rate * (double)adamw->weight_decay);
    *first = (float)m;
    *second = (float)v;
    *w = (float)(decayed - rate * (m / (1 - pow(beta1, t))) / (sqrt(v / (1 - pow(beta2, t))) + (double)adamw->epsilon));
}

/* Element c of pixel i of dw is complete: stores it, or updates the weight with it. For conv2d, depthwise_conv2d and
 * linear. */
static inline void pinion__put_weight_gradient(const pinion__args *args, size_t i, int c, double gradient)
{
    const pinion__view *w = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_W];
    const pinion__view *first = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_MOMENT_0];
    const pinion__view *second = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_MOMENT_1];
    if (!args->update)
        pinion__put(&pinion__nth_pixel(&args->operand[PINION__CONV_BACKWARD_WEIGHTS_DW], i)[c], gradient,
                    args->accumulate);
    else if (args->update->op == PINION__OP_sgd)
        pinion__sgd_weight(&args->update->attributes.as.sgd, args->step, gradient, &pinion__nth_pixel(w, i)[c],
                           &pinion__nth_pixel(first, i)[c]);
    else
        pinion__adamw_weight(&args->update->attributes.as.adamw, args->step, gradient, &pinion__nth_pixel(w, i)[c],
                             &pinion__nth_pixel(first, i)[c], &pinion__nth_pixel(second, i)[c]);
}

/* The view whose shape dw has. */
static inline const pinion__view *pinion__weights_view(const pinion__args *args)
{
    return &args->operand[args->update ? PINION__CONV_BACKWARD_WEIGHTS_W : PINION__CONV_BACKWARD_WEIGHTS_DW];
}

#endif
