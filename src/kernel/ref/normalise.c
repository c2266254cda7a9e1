/* SPDX-License-Identifier: Apache-2.0
 *
 * The output of a batch normalisation from the constants that its forward pass kept:
 *
 *     y = activation((x - mean) * scale + shift + addend)        (activation and addend as asked for)
 *
 * Source: the formula in batchnorm_forward.c with scale = gamma * invstd.
 */
#include "kernel/ref/ref.h"

static void run_normalise_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__NORMALISE_FORWARD_X];
    const pinion__view *constants = &args->operand[PINION__NORMALISE_FORWARD_CONSTANTS];
    for (int c = 0; c < x->c; c++) {
        double mean = (double)pinion__pixel(constants, 0, 0, 0)[c];
        double scale = (double)pinion__pixel(constants, 0, 1, 0)[c];
        double shift = (double)pinion__pixel(constants, 0, 2, 0)[c];
        for (size_t i = 0; i < pinion__view_pixels(x); i++)
            pinion__put_output(args, PINION__NORMALISE_FORWARD_Y, PINION__NORMALISE_FORWARD_ADDEND, i, c,
                               ((double)pinion__nth_pixel(x, i)[c] - mean) * scale + shift);
    }
}

PINION__REF_KERNEL(normalise_forward);
