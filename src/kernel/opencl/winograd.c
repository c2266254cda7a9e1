/* SPDX-License-Identifier: Apache-2.0
 *
 * What the passes by Winograd's algorithm share.
 */
#include "kernel/opencl/winograd.h"

#include <stdio.h>

enum { LEAST_TILES = 64 };

bool pinion__winograd_suits(const pinion__args *args, const pinion__opencl_tile *tile, int inputs, int outputs)
{
    const pinion__opencl_conv conv = pinion__opencl_conv_of(args);
    const int vector = tile->vector;
    return conv.r == 3 && conv.s == 3 && conv.stride_h == 1 && conv.stride_w == 1 && inputs % vector == 0 &&
           outputs % vector == 0 && outputs % tile->rows == 0;
}

int pinion__winograd_batch(const pinion__opencl_tile *tile, int tiles, int floats, int most)
{
    const int fit = most / (PINION__WINOGRAD_FREQUENCIES * floats);
    const int batches = pinion__opencl_ceil(tiles, fit > LEAST_TILES ? fit : LEAST_TILES);
    return pinion__round_to(pinion__opencl_ceil(tiles, batches), tile->rows);
}

void pinion__winograd_begin(pinion__launch *launch, const pinion__args *args, const pinion__opencl_tile *tile,
                            const char *program, const char *function, const char *more)
{
    char options[PINION__WINOGRAD_OPTIONS];
    snprintf(options, sizeof options, "%s%s%s", tile->options, *more ? " " : "", more);
    pinion__launch_begin(launch, args, program, function, options);
}

void pinion__launch_plane(pinion__launch *launch, const pinion__winograd_plane *plane)
{
    pinion__launch_scratch(launch, plane->offset);
    PINION__LAUNCH_INTS(launch, plane->ld, plane->plane);
}

void pinion__winograd_patches(const pinion__args *args, const pinion__opencl_tile *tile, const char *program,
                              const char *more, int x, const pinion__view *grid, int pad_h, int pad_w, int first,
                              int count, const pinion__winograd_plane *to)
{
    const pinion__view *view = &args->operand[x];
    const int strips = view->c / tile->vector;
    pinion__launch launch;
    pinion__winograd_begin(&launch, args, tile, program, "patches", more);
    pinion__launch_operand(&launch, x);
    PINION__LAUNCH_INTS(&launch, (int)view->ld, view->h, view->w, pad_h, pad_w,
                        pinion__opencl_ceil(grid->h, PINION__WINOGRAD_OUT),
                        pinion__opencl_ceil(grid->w, PINION__WINOGRAD_OUT), first, count, strips);
    pinion__launch_plane(&launch, to);
    pinion__launch_run_flat(&launch, (size_t)count * (size_t)strips);
}
