/* SPDX-License-Identifier: Apache-2.0
 *
 * Adam with decoupled weight decay, one parameter, with the gradient dw * scale (scale 1 where the operand is absent);
 * the formula stands in update.h.
 */
#include "kernel/ref/update.h"

static void run_adamw_update(const pinion__args *args)
{
    const pinion__view *w = &args->operand[PINION__ADAMW_UPDATE_W];
    const pinion__view *dw = &args->operand[PINION__ADAMW_UPDATE_DW];
    const pinion__view *first = &args->operand[PINION__ADAMW_UPDATE_M];
    const pinion__view *second = &args->operand[PINION__ADAMW_UPDATE_V];
    const float *factor = args->operand[PINION__ADAMW_UPDATE_SCALE].data;
    double scale = factor ? (double)*factor : 1;
    const pinion__view *further = &args->operand[PINION__ADAMW_UPDATE_FURTHER_0];
    for (size_t i = 0; i < pinion__view_pixels(w); i++)
        for (int c = 0; c < w->c; c++)
            pinion__adamw_weight(args->attributes, args->step, pinion__whole_gradient(dw, further, i, c) * scale,
                                 &pinion__nth_pixel(w, i)[c], &pinion__nth_pixel(first, i)[c],
                                 &pinion__nth_pixel(second, i)[c]);
}

PINION__REF_KERNEL(adamw_update);
