/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout by OpenCL, forward and backward: the mask, bit for bit, and the arithmetic of the CPU kernel.
 */
#include "base/random.h"
#include "kernel/opencl/channels.h"
#include "op/operands.h"

#include <math.h>
#include <string.h>

static void launch_uint(pinion__launch *launch, uint32_t value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    pinion__launch_int(launch, bits);
}

static void run(const pinion__args *args)
{
    enum { X, Y, DRAWS = 4 }; /* operands of both passes */
    const pinion_dropout *dropout = args->attributes;
    const pinion__view *x = &args->operand[X], *y = &args->operand[Y];
    bool dense = pinion__view_dense(x) && pinion__view_dense(y);
    size_t elements = pinion__view_elements(y);
    uint64_t sample = (uint64_t)y->h * (uint64_t)y->w * (uint64_t)y->c;
    uint64_t first = (args->step->number << 40) + (uint64_t)args->first_sample * sample;
    int lanes = pinion__launch_lanes(args), vector = lanes < PINION__VECTOR_LEAST ? PINION__VECTOR_LEAST : lanes;
    char options[PINION__OPTIONS_BYTES];
    pinion__launch launch;
    snprintf(options, sizeof options, "-DVECTOR=%d", vector);
    pinion__launch_begin(&launch, args, "dropout", "dropout", options);
    pinion__launch_view(&launch, X);
    pinion__launch_view(&launch, Y);
    pinion__launch_int(&launch, dense ? 1 : (int)pinion__view_pixels(y));
    pinion__launch_int(&launch, dense ? (int)elements : y->c);
    pinion__launch_ulong(&launch, first / DRAWS);
    pinion__launch_int(&launch, (int)(first % DRAWS));
    launch_uint(&launch, PINION__RANDOM_DROPOUT);
    launch_uint(&launch, (uint32_t)args->layer);
    launch_uint(&launch, (uint32_t)args->step->seed);
    launch_uint(&launch, (uint32_t)(args->step->seed >> 32));
    launch_uint(&launch, (uint32_t)ceil((double)dropout->rate * 0x1p24) << 8);
    pinion__launch_float(&launch, (float)(1.0 / (1.0 - (double)dropout->rate)));
    pinion__launch_int(&launch, args->accumulate);
    size_t draws = DRAWS * (size_t)vector;
    pinion__launch_run_flat(&launch, (elements + first % DRAWS + draws - 1) / draws);
}

PINION__OPENCL_KERNEL(dropout_forward) = {.run = run};
PINION__OPENCL_KERNEL(dropout_backward_data) = {.run = run};
