/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d forward, 3x3 with stride 1, by Winograd's algorithm.
 */
#include "kernel/cpu/winograd.h"

static pinion__winograd_conv conv_of(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    return (pinion__winograd_conv){.source = args->operand[PINION__CONV_FORWARD_X],
                                   .target = args->operand[PINION__CONV_FORWARD_Y],
                                   .w = args->operand[PINION__CONV_FORWARD_W],
                                   .pad_h = conv.pad_h,
                                   .pad_w = conv.pad_w,
                                   .bias = args->operand[PINION__CONV_FORWARD_B].data,
                                   .scratch = args->scratch};
}

static bool applicable(const pinion__args *args)
{
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y];
    return pinion__winograd_pays(args, y, args->operand[PINION__CONV_FORWARD_X].c, y->c);
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion__winograd_conv conv = conv_of(args);
    return PINION__CPU_SHARED(winograd_conv_scratch)(&conv, pinion__threads(args));
}

static void run(const pinion__args *args)
{
    const pinion__winograd_conv conv = conv_of(args);
    PINION__CPU_SHARED(winograd_conv)(&conv, args->workers);
}

PINION__CPU_KERNEL(conv2d_forward_winograd) = {.applicable = applicable, .scratch_bytes = scratch_bytes, .run = run};
