/* SPDX-License-Identifier: Apache-2.0
 *
 * Stochastic gradient descent with momentum and L2 weight decay, one parameter:
 *
 *     g = dw * scale + weight_decay * w          (scale 1 where the operand is absent)
 *     v = momentum * v + g                       (v starts at 0, so the first step sets v = g)
 *     w = w - rate * (g + momentum * v)          with Nesterov's momentum
 *     w = w - rate * v                           without
 *
 * Source: torch.optim.SGD with dampening 0 (Sutskever, Martens, Dahl, Hinton, ICML 2013, with the learning rate outside
 * v).
 */
#include "kernel/ref/ref.h"

static void run_sgd_update(const pinion__args *args)
{
    const pinion__sgd *sgd = args->attributes;
    const pinion__view *w = &args->operand[PINION__SGD_UPDATE_W];
    const pinion__view *dw = &args->operand[PINION__SGD_UPDATE_DW];
    const pinion__view *velocity = &args->operand[PINION__SGD_UPDATE_VELOCITY];
    const float *factor = args->operand[PINION__SGD_UPDATE_SCALE].data;
    double scale = factor ? (double)*factor : 1;
    double momentum = (double)sgd->momentum, decay = (double)sgd->weight_decay;
    double rate = (double)args->step->learning_rate;
    for (size_t i = 0; i < pinion__view_pixels(w); i++) {
        for (int c = 0; c < w->c; c++) {
            float *weight = &pinion__nth_pixel(w, i)[c];
            float *moving = &pinion__nth_pixel(velocity, i)[c];
            double g = (double)pinion__nth_pixel(dw, i)[c] * scale + decay * (double)*weight;
            double v = momentum * (double)*moving + g;
            *moving = (float)v;
            *weight = (float)((double)*weight - rate * (sgd->nesterov ? g + momentum * v : v));
        }
    }
}

PINION__REF_KERNEL(sgd_update);
