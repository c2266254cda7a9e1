/* SPDX-License-Identifier: Apache-2.0
 *
 * linear: the three passes of a 1x1 convolution on samples instead of pixels; operands stand in the same order and
 * layout.
 */
#include "kernel/cpu/conv2d.h"

extern const pinion__kernel_body PINION__CPU_NAME(conv2d_forward_gemm);
extern const pinion__kernel_body PINION__CPU_NAME(conv2d_backward_data_gemm);
extern const pinion__kernel_body PINION__CPU_NAME(conv2d_backward_weights_gemm);

static const pinion_conv2d pointwise = {.r = 1, .s = 1, .stride_h = 1, .stride_w = 1};

static pinion__args as_conv(const pinion__args *args)
{
    pinion__args conv = *args;
    conv.attributes = &pointwise;
    return conv;
}

static size_t forward_scratch(const pinion__args *args)
{
    const pinion__args conv = as_conv(args);
    return PINION__CPU_NAME(conv2d_forward_gemm).scratch_bytes(&conv);
}

static size_t forward_prepared(const pinion__args *args)
{
    const pinion__args conv = as_conv(args);
    return PINION__CPU_NAME(conv2d_forward_gemm).prepared_bytes(&conv);
}

static void forward_prepare(const pinion__args *args, void *into)
{
    const pinion__args conv = as_conv(args);
    PINION__CPU_NAME(conv2d_forward_gemm).prepare(&conv, into);
}

static void forward(const pinion__args *args)
{
    const pinion__args conv = as_conv(args);
    PINION__CPU_NAME(conv2d_forward_gemm).run(&conv);
}

static size_t backward_data_scratch(const pinion__args *args)
{
    const pinion__args conv = as_conv(args);
    return PINION__CPU_NAME(conv2d_backward_data_gemm).scratch_bytes(&conv);
}

static void backward_data(const pinion__args *args)
{
    const pinion__args conv = as_conv(args);
    PINION__CPU_NAME(conv2d_backward_data_gemm).run(&conv);
}

static size_t backward_weights_scratch(const pinion__args *args)
{
    const pinion__args conv = as_conv(args);
    return PINION__CPU_NAME(conv2d_backward_weights_gemm).scratch_bytes(&conv);
}

static void backward_weights(const pinion__args *args)
{
    const pinion__args conv = as_conv(args);
    PINION__CPU_NAME(conv2d_backward_weights_gemm).run(&conv);
}

PINION__CPU_KERNEL(linear_forward) = {
    .scratch_bytes = forward_scratch, .run = forward, .prepared_bytes = forward_prepared, .prepare = forward_prepare};
PINION__CPU_KERNEL(linear_backward_data) = {.scratch_bytes = backward_data_scratch, .run = backward_data};
PINION__CPU_KERNEL(linear_backward_weights) = {.scratch_bytes = backward_weights_scratch, .run = backward_weights};
