/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch normalisation by the running statistics, which are constants here (inference, frozen layers):
 *
 *     y  = gamma * (x - running_mean) / sqrt(running_var + epsilon) + beta
 *     dx = dy * gamma / sqrt(running_var + epsilon)
 *
 * What is stored is activation(y + addend), as asked for. Source: torch.nn.BatchNorm2d in eval mode.
 */
#include "kernel/ref/ref.h"

static double scale_of(const pinion__args *args, const pinion__view *gamma, const pinion__view *variance, int c)
{
    double epsilon = (double)((const pinion_batchnorm *)args->attributes)->epsilon;
    return pinion__element(gamma, c) / sqrt(pinion__element(variance, c) + epsilon);
}

static void run_batchnorm_stored_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__BATCHNORM_STORED_FORWARD_X];
    for (int c = 0; c < x->c; c++) {
        double scale = scale_of(args, &args->operand[PINION__BATCHNORM_STORED_FORWARD_GAMMA],
                                &args->operand[PINION__BATCHNORM_STORED_FORWARD_RUNNING_VAR], c);
        double mean = pinion__element(&args->operand[PINION__BATCHNORM_STORED_FORWARD_RUNNING_MEAN], c);
        double beta = pinion__element(&args->operand[PINION__BATCHNORM_STORED_FORWARD_BETA], c);
        for (size_t i = 0; i < pinion__view_pixels(x); i++)
            pinion__put_output(args, PINION__BATCHNORM_STORED_FORWARD_Y, PINION__BATCHNORM_STORED_FORWARD_ADDEND, i, c,
                               ((double)pinion__nth_pixel(x, i)[c] - mean) * scale + beta);
    }
}

static void run_batchnorm_stored_backward_data(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_DY];
    const pinion__view *dx = &args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_DX];
    for (int c = 0; c < dx->c; c++) {
        double scale = scale_of(args, &args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_GAMMA],
                                &args->operand[PINION__BATCHNORM_STORED_BACKWARD_DATA_RUNNING_VAR], c);
        for (size_t i = 0; i < pinion__view_pixels(dx); i++)
            pinion__put(&pinion__nth_pixel(dx, i)[c], (double)pinion__nth_pixel(dy, i)[c] * scale, args->accumulate);
    }
}

PINION__REF_KERNEL(batchnorm_stored_forward);
PINION__REF_KERNEL(batchnorm_stored_backward_data);
