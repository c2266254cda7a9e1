/* SPDX-License-Identifier: Apache-2.0
 *
 * Clipping of all gradients by their common norm, in two steps. The slots are doubles, one a gradient:
 *
 *     slot  = sum dw^2
 *     norm  = sqrt(sum of the slots, in order)
 *     scale = min(1, step->clip_norm / (norm + 1e-6))      (1 where clip_norm is 0: no clipping)
 *
 * A norm that is NaN gives a scale that is NaN, so that a diverged training is seen. Source: Pascanu, Mikolov, Bengio
 * (ICML 2013), algorithm 1; torch.nn.utils.clip_grad_norm_.
 */
#include "kernel/ref/ref.h"
#include <math.h>

static void run_grad_square_update(const pinion__args *args)
{
    const pinion__view *dw = &args->operand[PINION__GRAD_SQUARE_UPDATE_DW];
    double sum = 0;
    for (size_t i = 0; i < pinion__view_pixels(dw); i++)
        for (int c = 0; c < dw->c; c++)
            sum += (double)pinion__nth_pixel(dw, i)[c] * (double)pinion__nth_pixel(dw, i)[c];
    *(double *)args->operand[PINION__GRAD_SQUARE_UPDATE_SLOT].data = sum;
}

static void run_clip_scale_update(const pinion__args *args)
{
    const pinion__view *slots = &args->operand[PINION__CLIP_SCALE_UPDATE_SLOTS];
    double sum = 0;
    for (int i = 0; i < slots->c; i++)
        sum += ((const double *)slots->data)[i];
    double wanted = (double)args->step->clip_norm;
    double scale = wanted / (sqrt(sum) + 1e-6);
    *(float *)args->operand[PINION__CLIP_SCALE_UPDATE_SCALE].data = wanted > 0 && !(scale > 1) ? (float)scale : 1.0f;
}

PINION__REF_KERNEL(grad_square_update);
PINION__REF_KERNEL(clip_scale_update);
