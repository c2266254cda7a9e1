/* SPDX-License-Identifier: Apache-2.0
 *
 * Max and average pooling by OpenCL.
 */
#include "kernel/opencl/channels.h"
#include "op/operands.h"

static void launch_window(pinion__launch *launch, const pinion_pool *pool)
{
    pinion__launch_window(launch, pool->r, pool->s, pool->stride_h, pool->stride_w, pool->pad_h, pool->pad_w);
}

/* The last argument, and the launch: an item is a row of pixels and a run of vectors. */
static void run_rows(pinion__launch *launch, size_t vectors, int rows)
{
    enum { GROUP = 4 };
    const int run = pinion__channels_run(launch->args, vectors);
    pinion__launch_int(launch, run);
    pinion__launch_run_loops(launch, (vectors + (size_t)run - 1) / (size_t)run * (size_t)rows, GROUP);
}

/* "-DWIN_R=2 -DWIN_S=2" */
static void window_options(char options[PINION__OPTIONS_BYTES], const pinion_pool *pool)
{
    enum { SMALL = 3 };
    options[0] = '\0';
    if (pool->r == pool->s && pool->r <= SMALL)
        snprintf(options, PINION__OPTIONS_BYTES, "-DWIN_R=%d -DWIN_S=%d", pool->r, pool->s);
}

static void run_maxpool_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__MAXPOOL_FORWARD_X];
    const pinion__view *y = &args->operand[PINION__MAXPOOL_FORWARD_Y];
    pinion__launch launch;
    char options[PINION__OPTIONS_BYTES];
    window_options(options, args->attributes);
    size_t vectors = pinion__channels_begin(&launch, args, "pool", "maxpool_forward", y->c, options);
    pinion__launch_view(&launch, PINION__MAXPOOL_FORWARD_X);
    pinion__launch_view(&launch, PINION__MAXPOOL_FORWARD_Y);
    pinion__launch_operand_of(&launch, PINION__MAXPOOL_FORWARD_INDEX, 1);
    pinion__launch_int(&launch, (int)args->operand[PINION__MAXPOOL_FORWARD_INDEX].ld);
    pinion__launch_extents(&launch, x, y);
    launch_window(&launch, args->attributes);
    run_rows(&launch, vectors, y->n * y->h);
}

static void run_maxpool_backward_data(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__MAXPOOL_BACKWARD_DATA_DY];
    const pinion__view *dx = &args->operand[PINION__MAXPOOL_BACKWARD_DATA_DX];
    pinion__launch launch;
    size_t vectors = pinion__channels_begin(&launch, args, "pool", "maxpool_backward_data", dx->c, "");
    pinion__launch_view(&launch, PINION__MAXPOOL_BACKWARD_DATA_DY);
    pinion__launch_operand_of(&launch, PINION__MAXPOOL_BACKWARD_DATA_INDEX, 1);
    pinion__launch_int(&launch, (int)args->operand[PINION__MAXPOOL_BACKWARD_DATA_INDEX].ld);
    pinion__launch_view(&launch, PINION__MAXPOOL_BACKWARD_DATA_DX);
    pinion__launch_extents(&launch, dx, dy);
    launch_window(&launch, args->attributes);
    pinion__launch_int(&launch, args->accumulate);
    run_rows(&launch, vectors, dx->n * dx->h);
}

static void run_avgpool_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__AVGPOOL_FORWARD_X];
    const pinion__view *y = &args->operand[PINION__AVGPOOL_FORWARD_Y];
    pinion__launch launch;
    size_t vectors = pinion__channels_begin(&launch, args, "pool", "avgpool_forward", y->c, "");
    pinion__launch_view(&launch, PINION__AVGPOOL_FORWARD_X);
    pinion__launch_view(&launch, PINION__AVGPOOL_FORWARD_Y);
    pinion__launch_extents(&launch, x, y);
    launch_window(&launch, args->attributes);
    run_rows(&launch, vectors, y->n * y->h);
}

static void run_avgpool_backward_data(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__AVGPOOL_BACKWARD_DATA_DY];
    const pinion__view *dx = &args->operand[PINION__AVGPOOL_BACKWARD_DATA_DX];
    pinion__launch launch;
    size_t vectors = pinion__channels_begin(&launch, args, "pool", "avgpool_backward_data", dx->c, "");
    pinion__launch_view(&launch, PINION__AVGPOOL_BACKWARD_DATA_DY);
    pinion__launch_view(&launch, PINION__AVGPOOL_BACKWARD_DATA_DX);
    pinion__launch_extents(&launch, dx, dy);
    launch_window(&launch, args->attributes);
    pinion__launch_int(&launch, args->accumulate);
    run_rows(&launch, vectors, dx->n * dx->h);
}

PINION__OPENCL_KERNEL(maxpool_forward) = {.run = run_maxpool_forward};
PINION__OPENCL_KERNEL(maxpool_backward_data) = {.run = run_maxpool_backward_data};
PINION__OPENCL_KERNEL(avgpool_forward) = {.run = run_avgpool_forward};
PINION__OPENCL_KERNEL(avgpool_backward_data) = {.run = run_avgpool_backward_data};
