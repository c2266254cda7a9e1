/* SPDX-License-Identifier: Apache-2.0
 *
 * Stochastic gradient descent, one parameter, with the gradient dw * scale (scale 1 where the operand is absent); the
 * formula stands in update.h.
 */
#include "kernel/ref/update.h"

static void run_sgd_update(const pinion__args *args)
{
    const pinion__view *w = &args->operand[PINION__SGD_UPDATE_W];
    const pinion__view *dw = &args->operand[PINION__SGD_UPDATE_DW];
    const pinion__view *velocity = &args->operand[PINION__SGD_UPDATE_VELOCITY];
    const float *factor = args->operand[PINION__SGD_UPDATE_SCALE].data;
    double scale = factor ? (double)*factor : 1;
    const pinion__view *further = &args->operand[PINION__SGD_UPDATE_FURTHER_0];
    for (size_t i = 0; i < pinion__view_pixels(w); i++)
        for (int c = 0; c < w->c; c++)
            pinion__sgd_weight(args->attributes, args->step, pinion__whole_gradient(dw, further, i, c) * scale,
                               &pinion__nth_pixel(w, i)[c], &pinion__nth_pixel(velocity, i)[c]);
}

PINION__REF_KERNEL(sgd_update);
