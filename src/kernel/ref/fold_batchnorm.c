/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights and bias of a convolution and the batch normalisation by stored statistics behind it:
 *
 *     scale[k] = gamma[k] / sqrt(running_var[k] + epsilon)
 *     w'[k,r,s,c] = w[k,r,s,c] * scale[k]          b'[k] = (b[k] - running_mean[k]) * scale[k] + beta[k]
 *
 * so that conv(x; w', b') = batchnorm(conv(x; w, b)). A depthwise w is (1,r,s,k). Source: Jacob et al., CVPR 2018,
 * equation 14, with the bias.
 */
#include "kernel/ref/ref.h"
#include <math.h>

static void run_fold_batchnorm_forward(const pinion__args *args)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    const pinion__view *w = &args->operand[PINION__FOLD_FORWARD_W];
    const pinion__view *folded = &args->operand[PINION__FOLD_FORWARD_FOLDED_W];
    const pinion__view *bias = &args->operand[PINION__FOLD_FORWARD_FOLDED_B];
    bool depthwise = w->n == 1 && w->c == bias->c;
    for (int k = 0; k < bias->c; k++) {
        double variance = pinion__element(&args->operand[PINION__FOLD_FORWARD_VAR], k);
        double scale = pinion__element(&args->operand[PINION__FOLD_FORWARD_GAMMA], k) /
                       sqrt(variance + (double)batchnorm->epsilon);
        double centred = pinion__element(&args->operand[PINION__FOLD_FORWARD_B], k) -
                         pinion__element(&args->operand[PINION__FOLD_FORWARD_MEAN], k);
        double beta = pinion__element(&args->operand[PINION__FOLD_FORWARD_BETA], k);
        ((float *)bias->data)[k] = (float)(centred * scale + beta);
        for (int r = 0; r < w->h; r++)
            for (int s = 0; s < w->w; s++)
                for (int c = depthwise ? k : 0; c < (depthwise ? k + 1 : w->c); c++) {
                    double value = (double)pinion__pixel(w, depthwise ? 0 : k, r, s)[c];
                    pinion__pixel(folded, depthwise ? 0 : k, r, s)[c] = (float)(value * scale);
                }
    }
}

PINION__REF_KERNEL(fold_batchnorm_forward);
