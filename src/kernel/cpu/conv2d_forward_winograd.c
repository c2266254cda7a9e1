/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d forward, 3x3 with stride 1, by Winograd's algorithm: F(4x4, 3x3), and as a row of its own F(2x2, 3x3).
 */
#include "kernel/cpu/winograd.h"

static pinion__winograd_conv conv_of(const pinion__args *args, int out)
{
    const pinion__conv conv = pinion__conv_of(args);
    return (pinion__winograd_conv){.out = out,
                                   .source = args->operand[PINION__CONV_FORWARD_X],
                                   .target = args->operand[PINION__CONV_FORWARD_Y],
                                   .w = args->operand[PINION__CONV_FORWARD_W],
                                   .pad_h = conv.pad_h,
                                   .pad_w = conv.pad_w,
                                   .bias = args->operand[PINION__CONV_FORWARD_B].data,
                                   .addend = args->operand[PINION__CONV_FORWARD_ADDEND],
                                   .stats = args->operand[PINION__CONV_FORWARD_STATS],
                                   .bounds = pinion__bounds_of(args->activation),
                                   .scratch = args->scratch};
}

static bool applicable(const pinion__args *args, int out)
{
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y];
    return pinion__winograd_applies(args, y, args->operand[PINION__CONV_FORWARD_X].c, y->c, out);
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

PINION__WINOGRAD_KERNEL(conv2d_forward_winograd, 4);
PINION__WINOGRAD_KERNEL(conv2d_forward_winograd_f2, 2);
