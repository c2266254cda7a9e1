/* SPDX-License-Identifier: Apache-2.0
 *
 * Adam with decoupled weight decay, one parameter, at step t = step->number + 1:
 *
 *     g = dw * scale                                     (scale 1 where the operand is absent)
 *     w = w * (1 - rate * weight_decay)
 *     m = beta1 * m + (1 - beta1) * g                    v = beta2 * v + (1 - beta2) * g^2
 *     w = w - rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
 *
 * Source: Loshchilov, Hutter: Decoupled Weight Decay Regularization (ICLR 2019), algorithm 2, with the decay times the
 * rate as torch.optim.AdamW has it.
 */
#include "kernel/ref/ref.h"
#include <math.h>

static void run_adamw_update(const pinion__args *args)
{
    const pinion__adamw *adamw = args->attributes;
    const pinion__view *w = &args->operand[PINION__ADAMW_UPDATE_W];
    const pinion__view *dw = &args->operand[PINION__ADAMW_UPDATE_DW];
    const pinion__view *first = &args->operand[PINION__ADAMW_UPDATE_M];
    const pinion__view *second = &args->operand[PINION__ADAMW_UPDATE_V];
    const float *factor = args->operand[PINION__ADAMW_UPDATE_SCALE].data;
    double scale = factor ? (double)*factor : 1;
    double beta1 = (double)adamw->beta1, beta2 = (double)adamw->beta2, t = (double)args->step->number + 1;
    double rate = (double)args->step->learning_rate;
    double correction1 = 1 - pow(beta1, t), correction2 = 1 - pow(beta2, t);
    for (size_t i = 0; i < pinion__view_pixels(w); i++) {
        for (int c = 0; c < w->c; c++) {
            float *weight = &pinion__nth_pixel(w, i)[c];
            double g = (double)pinion__nth_pixel(dw, i)[c] * scale;
            double m = beta1 * (double)pinion__nth_pixel(first, i)[c] + (1 - beta1) * g;
            double v = beta2 * (double)pinion__nth_pixel(second, i)[c] + (1 - beta2) * g * g;
            double decayed = (double)*weight * (1 - rate * (double)adamw->weight_decay);
            pinion__nth_pixel(first, i)[c] = (float)m;
            pinion__nth_pixel(second, i)[c] = (float)v;
            *weight = (float)(decayed - rate * (m / correction1) / (sqrt(v / correction2) + (double)adamw->epsilon));
        }
    }
}

PINION__REF_KERNEL(adamw_update);
