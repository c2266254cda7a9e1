/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks over pixels with constants for each channel (channel_item of batchnorm.cl): an item is some pixels of a strip
 * of channels, which share what it loads or computes once.
 */
#ifndef PINION_KERNEL_OPENCL_WALK_H
#define PINION_KERNEL_OPENCL_WALK_H

#include "kernel/opencl/strips.h"

typedef struct pinion__walk {
    size_t items;
    char options[PINION__STRIPS_OPTIONS + 40]; /* those of the strips, "-DPIXELS=8", and what the kernel adds */
} pinion__walk;

/* Over the pixels of an operand. `option` is an int for the name that the program asks for, "ADDEND". */
static inline pinion__walk pinion__walk_of(const pinion__args *args, int operand, const char *name, int option)
{
    enum { FEW = 8, MANY = 32 };
    const pinion__view *view = &args->operand[operand];
    const pinion__strips strips = pinion__strips_of(args, view->c);
    const int pixels = strips.vectors > 1 ? MANY : FEW;
    const size_t blocks = (pinion__view_pixels(view) + (size_t)pixels - 1) / (size_t)pixels;
    pinion__walk walk = {.items = blocks * (size_t)strips.count};
    snprintf(walk.options, sizeof walk.options, "%s -DPIXELS=%d -D%s=%d", strips.options, pixels, name, option);
    return walk;
}

/* The arguments `int channels, int pixels`. */
static inline void pinion__launch_walk(pinion__launch *launch, int operand)
{
    const pinion__view *view = &launch->args->operand[operand];
    pinion__launch_int(launch, view->c);
    pinion__launch_int(launch, (int)pinion__view_pixels(view));
}

static inline void pinion__launch_run_walk(pinion__launch *launch, const pinion__walk *walk)
{
    enum { GROUP = 8 };
    pinion__launch_run_loops(launch, walk->items, GROUP);
}

#endif
