/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution by OpenCL, all passes. Filters of 3x3 get code of their own, by a build option of the same
 * text.
 */
#include "kernel/opencl/activation.h"
#include "kernel/opencl/channels.h"
#include "kernel/opencl/stats.h"
#include "kernel/opencl/update.h"
#include "op/operands.h"

/* Which code of the text there is for a window. */
static const char *special_options(const pinion_depthwise_conv2d *conv)
{
    if (conv->r != 3 || conv->s != 3)
        return "";
    return conv->stride_w == 1 && conv->pad_w <= 2 ? "-DWINDOW3 -DSLIDING" : "-DWINDOW3";
}

static bool window3(const pinion_depthwise_conv2d *conv)
{
    return conv->r == 3 && conv->s == 3;
}

static void launch_window(pinion__launch *launch, const pinion_depthwise_conv2d *conv)
{
    pinion__launch_window(launch, conv->r, conv->s, conv->stride_h, conv->stride_w, conv->pad_h, conv->pad_w);
}

static void run_forward(const pinion__args *args)
{
    const pinion_depthwise_conv2d *conv = args->attributes;
    const pinion__view *x = &args->operand[PINION__CONV_FORWARD_X], *y = &args->operand[PINION__CONV_FORWARD_Y];
    pinion__launch launch;
    size_t vectors =
        pinion__channels_begin(&launch, args, "depthwise_forward", "depthwise_forward", y->c, special_options(conv));
    pinion__launch_view(&launch, PINION__CONV_FORWARD_X);
    pinion__launch_view(&launch, PINION__CONV_FORWARD_W);
    pinion__launch_operand(&launch, PINION__CONV_FORWARD_B);
    pinion__launch_view(&launch, PINION__CONV_FORWARD_Y);
    pinion__launch_view(&launch, PINION__CONV_FORWARD_ADDEND);
    pinion__launch_extents(&launch, x, y);
    launch_window(&launch, conv);
    pinion__launch_bounds(&launch, args->activation);
    pinion__launch_int(&launch, 0);
    pinion__launch_run_flat(&launch, vectors * (size_t)y->n * (size_t)y->h);
    pinion__launch_stats(args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_STATS);
}

/* 3x3 with stride 1: the convolution of dy with the weights in reverse, added to dx where that is wanted. */
static void run_backward_data_3x3(const pinion__args *args)
{
    enum { ABSENT = PINION__MAX_OPERANDS - 1 }; /* no pass of depthwise convolutions has so many */
    const pinion_depthwise_conv2d *conv = args->attributes;
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_DATA_DY];
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    pinion__launch launch;
    size_t vectors =
        pinion__channels_begin(&launch, args, "depthwise_forward", "depthwise_forward", dx->c, "-DWINDOW3 -DSLIDING");
    pinion__launch_view(&launch, PINION__CONV_BACKWARD_DATA_DY);
    pinion__launch_view(&launch, PINION__CONV_BACKWARD_DATA_W);
    pinion__launch_operand(&launch, ABSENT);
    pinion__launch_view(&launch, PINION__CONV_BACKWARD_DATA_DX);
    pinion__launch_view(&launch, args->accumulate ? PINION__CONV_BACKWARD_DATA_DX : ABSENT);
    pinion__launch_extents(&launch, dy, dx);
    pinion__launch_window(&launch, 3, 3, 1, 1, 2 - conv->pad_h, 2 - conv->pad_w);
    pinion__launch_bounds(&launch, PINION__ACTIVATION_NONE);
    pinion__launch_int(&launch, 1);
    pinion__launch_run_flat(&launch, vectors * (size_t)dx->n * (size_t)dx->h);
}

static void run_backward_data(const pinion__args *args)
{
    const pinion_depthwise_conv2d *conv = args->attributes;
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_DATA_DY];
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    if (window3(conv) && conv->stride_h == 1 && conv->stride_w == 1 && conv->pad_w <= 2) {
        run_backward_data_3x3(args);
        return;
    }
    pinion__launch launch;
    bool strided = window3(conv) && conv->stride_h == 2 && conv->stride_w == 2;
    size_t vectors = pinion__channels_begin(&launch, args, "depthwise_backward_data", "depthwise_backward_data", dx->c,
                                            strided ? "-DSTRIDED3" : "");
    pinion__launch_view(&launch, PINION__CONV_BACKWARD_DATA_DY);
    pinion__launch_view(&launch, PINION__CONV_BACKWARD_DATA_W);
    pinion__launch_view(&launch, PINION__CONV_BACKWARD_DATA_DX);
    pinion__launch_extents(&launch, dx, dy);
    launch_window(&launch, conv);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_flat(&launch, vectors * (size_t)dx->n * (size_t)dx->h);
}

/* Into how many pieces the output's rows are cut: enough items for a small device, by shape alone. */
static int chunks_of(const pinion__view *dy)
{
    enum { ITEMS = 128, CHANNELS = 16, MOST = 64 };
    int64_t rows = (int64_t)dy->n * dy->h;
    int chunks = ITEMS * CHANNELS / (dy->c + CHANNELS);
    chunks = chunks < 1 ? 1 : chunks > MOST ? MOST : chunks;
    return rows < chunks ? (int)rows : chunks;
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion_depthwise_conv2d *conv = args->attributes;
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    return (size_t)chunks_of(dy) * ((size_t)conv->r * (size_t)conv->s + 1) * (size_t)dy->c * sizeof(float);
}

static void launch_combine(const pinion__args *args, int channels, int taps, int chunks)
{
    char options[PINION__OPTIONS_BYTES];
    pinion__launch launch;
    snprintf(options, sizeof options, "-DCOMBINE %s", pinion__sink_options(args));
    size_t vectors = pinion__channels_begin(&launch, args, "depthwise_backward_weights", "combine", channels, options);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_int(&launch, chunks);
    pinion__launch_int(&launch, taps);
    pinion__launch_int(&launch, channels);
    pinion__launch_int(&launch, (int)pinion__launch_sink_view(args)->ld);
    pinion__launch_operand(&launch, PINION__CONV_BACKWARD_WEIGHTS_DB);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_sink(&launch, args);
    pinion__launch_run_flat(&launch, vectors * (size_t)(taps + 1));
}

static void run_backward_weights(const pinion__args *args)
{
    const pinion_depthwise_conv2d *conv = args->attributes;
    const pinion__view *x = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_X];
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    int taps = conv->r * conv->s, chunks = chunks_of(dy);
    pinion__launch launch;
    size_t vectors = pinion__channels_begin(&launch, args, "depthwise_backward_weights", "depthwise_backward_weights",
                                            dy->c, window3(conv) ? "-DWINDOW3" : "");
    pinion__launch_view(&launch, PINION__CONV_BACKWARD_WEIGHTS_X);
    pinion__launch_view(&launch, PINION__CONV_BACKWARD_WEIGHTS_DY);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_extents(&launch, x, dy);
    pinion__launch_int(&launch, chunks);
    launch_window(&launch, conv);
    pinion__launch_run_flat(&launch, vectors * (size_t)chunks * (window3(conv) ? 1 : (size_t)taps + 1));
    launch_combine(args, dy->c, taps, chunks);
}

PINION__OPENCL_KERNEL(depthwise_conv2d_forward) = {.run = run_forward};
PINION__OPENCL_KERNEL(depthwise_conv2d_backward_data) = {.run = run_backward_data};
PINION__OPENCL_KERNEL(depthwise_conv2d_backward_weights) = {.scratch_bytes = scratch_bytes,
                                                            .run = run_backward_weights};
