/* SPDX-License-Identifier: Apache-2.0
 *
 * The padded copy of a convolution's input.
 */
#include "kernel/opencl/conv2d_shallow.h"

#include <stdio.h>

pinion__shallow pinion__shallow_of(const pinion__args *args, const pinion__opencl_tile *tile, int x)
{
    const pinion__view *view = &args->operand[x];
    pinion__shallow copy = {
        .args = args, .tile = tile, .conv = pinion__opencl_conv_of(args), .x = x, .channels = view->c};
    copy.run = copy.conv.s * copy.channels;
    copy.rows = view->h + 2 * copy.conv.pad_h;
    copy.row_floats = (view->w + 2 * copy.conv.pad_w) * copy.channels;
    const size_t behind = (size_t)(2 * tile->rows) * (size_t)(copy.conv.stride_w * copy.channels);
    const size_t floats = (size_t)view->n * (size_t)copy.rows * (size_t)copy.row_floats + behind;
    copy.bytes = (floats * sizeof(float) + 63) & ~(size_t)63;
    return copy;
}

bool pinion__shallow_applicable(const pinion__shallow *copy)
{
    return copy->channels <= PINION__SHALLOW_CHANNELS && pinion__opencl_view_indexable(&copy->args->operand[copy->x]) &&
           pinion__opencl_indexable(copy->bytes / sizeof(float));
}

static void begin(pinion__launch *launch, const pinion__shallow *copy, const char *function, int rows)
{
    const pinion__opencl_tile *tile = copy->tile;
    char options[PINION__SHALLOW_OPTIONS];
    snprintf(options, sizeof options, "-DROWS=%d -DVECTORS=%d -DVECTOR=%d", rows, tile->vectors, tile->vector);
    pinion__launch_begin(launch, copy->args, "conv2d_shallow", function, options);
}

void pinion__shallow_pad(const pinion__shallow *copy)
{
    const pinion__view *x = &copy->args->operand[copy->x];
    pinion__launch launch;
    begin(&launch, copy, "pad", copy->tile->rows);
    pinion__launch_operand(&launch, copy->x);
    PINION__LAUNCH_INTS(&launch, (int)x->ld, x->c, x->n, x->h, x->w, copy->conv.pad_h, copy->conv.pad_w * x->c,
                        copy->row_floats);
    pinion__launch_scratch(&launch, 0);
    pinion__launch_run_flat(&launch, (size_t)x->n * (size_t)copy->rows);
}

void pinion__shallow_begin(pinion__launch *launch, const pinion__shallow *copy, const char *function, int rows)
{
    begin(launch, copy, function, rows);
    pinion__launch_scratch(launch, 0);
    PINION__LAUNCH_INTS(launch, copy->row_floats, copy->rows * copy->row_floats, copy->conv.stride_h,
                        copy->conv.stride_w * copy->channels);
}
