/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d backward_data, 3x3 with stride 1, by Winograd's algorithm, F(4x4, 3x3), and as a row of its own F(2x2, 3x3):
 * the convolution of dy, padded by 2 - pad, with the filters turned round and input and output channels exchanged.
 */
#include "kernel/cpu/winograd.h"

static pinion__winograd_conv conv_of(const pinion__args *args, int out)
{
    const pinion__conv conv = pinion__conv_of(args);
    return (pinion__winograd_conv){.out = out,
                                   .source = args->operand[PINION__CONV_BACKWARD_DATA_DY],
                                   .target = args->operand[PINION__CONV_BACKWARD_DATA_DX],
                                   .w = args->operand[PINION__CONV_BACKWARD_DATA_W],
                                   .pad_h = 2 - conv.pad_h,
                                   .pad_w = 2 - conv.pad_w,
                                   .backward = true,
                                   .accumulate = args->accumulate,
                                   .bounds = pinion__bounds_of(PINION__ACTIVATION_NONE),
                                   .scratch = args->scratch};
}

static bool applicable(const pinion__args *args, int out)
{
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    return pinion__winograd_applies(args, dx, args->operand[PINION__CONV_BACKWARD_DATA_DY].c, dx->c, out);
}

static size_t scratch_bytes(const pinion__args *args, int out)
{
    const pinion__winograd_conv conv = conv_of(args, out);
    return PINION__CPU_SHARED(winograd_conv_scratch)(&conv, pinion__threads(args));
}

static void run(const pinion__args *args, int out)
{
    const pinion__winograd_conv conv = conv_of(args, out);
    PINION__CPU_SHARED(winograd_conv)(&conv, args->workers);
}

PINION__WINOGRAD_KERNEL(conv2d_backward_data_winograd, 4);
PINION__WINOGRAD_KERNEL(conv2d_backward_data_winograd_f2, 2);
