/* SPDX-License-Identifier: Apache-2.0
 *
 * The fully connected layer by OpenCL, all passes: register tiles whose rows follow the batch, so that a batch of one
 * computes nothing twice.
 */
#include "kernel/opencl/activation.h"
#include "kernel/opencl/channels.h"
#include "kernel/opencl/stats.h"
#include "kernel/opencl/update.h"
#include "op/operands.h"

/* Rows of a tile: a power of two. */
static int tile_rows(int rows, int most)
{
    while (most > 1 && most / 2 >= rows)
        most /= 2;
    return most;
}

static size_t tiles(int count, int tile)
{
    return (size_t)((count + tile - 1) / tile);
}

static void run_forward(const pinion__args *args)
{
    enum { ROWS = 4, COLUMNS = 4 };
    const pinion__view *x = &args->operand[PINION__CONV_FORWARD_X], *y = &args->operand[PINION__CONV_FORWARD_Y];
    const int rows = tile_rows(x->n, ROWS);
    char options[PINION__OPTIONS_BYTES];
    pinion__launch launch;
    snprintf(options, sizeof options, "-DROWS=%d -DCOLUMNS=%d", rows, COLUMNS);
    pinion__channels_begin(&launch, args, "linear_forward", "linear_forward", x->c, options);
    pinion__launch_view(&launch, PINION__CONV_FORWARD_X);
    pinion__launch_view(&launch, PINION__CONV_FORWARD_W);
    pinion__launch_operand(&launch, PINION__CONV_FORWARD_B);
    pinion__launch_view(&launch, PINION__CONV_FORWARD_Y);
    pinion__launch_view(&launch, PINION__CONV_FORWARD_ADDEND);
    pinion__launch_int(&launch, x->n);
    pinion__launch_int(&launch, x->c);
    pinion__launch_int(&launch, y->c);
    pinion__launch_bounds(&launch, args->activation);
    pinion__launch_run_flat(&launch, tiles(x->n, rows) * tiles(y->c, COLUMNS));
    pinion__launch_stats(args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_STATS);
}

/* A gradient: rows x channels of sums of `terms` products; sink: what update.cl is to do, or "". */
typedef struct product {
    int a, b, rows, terms, channels;
    ptrdiff_t a_row, a_term, ld;
    const char *sink;
} product;

/* Begins its launch up to the arguments of the output; the number of items. */
static size_t begin_product(pinion__launch *launch, const pinion__args *args, const product *of)
{
    enum { ROWS = 8, VECTORS = 2 };
    const int vector = pinion__channels_vector(args, of->channels), rows = tile_rows(of->rows, ROWS);
    const int vectors = of->channels > vector ? VECTORS : 1;
    char options[PINION__OPTIONS_BYTES];
    snprintf(options, sizeof options, "-DROWS=%d -DVECTORS=%d %s", rows, vectors, of->sink);
    pinion__channels_begin(launch, args, "linear_backward", "linear_backward", of->channels, options);
    pinion__launch_operand(launch, of->a);
    pinion__launch_int(launch, (int)of->a_row);
    pinion__launch_int(launch, (int)of->a_term);
    pinion__launch_view(launch, of->b);
    pinion__launch_int(launch, of->rows);
    pinion__launch_int(launch, of->terms);
    pinion__launch_int(launch, of->channels);
    pinion__launch_int(launch, (int)of->ld);
    return tiles(of->rows, rows) * tiles(of->channels, vector * vectors);
}

static void run_backward_data(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_DATA_DY];
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    const product of = {.a = PINION__CONV_BACKWARD_DATA_DY,
                        .b = PINION__CONV_BACKWARD_DATA_W,
                        .rows = dx->n,
                        .terms = dy->c,
                        .channels = dx->c,
                        .a_row = dy->ld,
                        .a_term = 1,
                        .ld = dx->ld,
                        .sink = ""};
    pinion__launch launch;
    size_t items = begin_product(&launch, args, &of);
    pinion__launch_operand(&launch, PINION__CONV_BACKWARD_DATA_DX);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_flat(&launch, items);
}

static void run_bias_gradient(const pinion__args *args, const pinion__view *dy)
{
    pinion__launch launch;
    size_t vectors =
        pinion__channels_begin(&launch, args, "linear_backward", "bias_gradient", dy->c, "-DROWS=1 -DVECTORS=1");
    pinion__launch_view(&launch, PINION__CONV_BACKWARD_WEIGHTS_DY);
    pinion__launch_operand(&launch, PINION__CONV_BACKWARD_WEIGHTS_DB);
    pinion__launch_int(&launch, dy->n);
    pinion__launch_int(&launch, dy->c);
    pinion__launch_int(&launch, args->accumulate);
    pinion__launch_run_flat(&launch, vectors);
}

static void run_backward_weights(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_X];
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    const product of = {.a = PINION__CONV_BACKWARD_WEIGHTS_DY,
                        .b = PINION__CONV_BACKWARD_WEIGHTS_X,
                        .rows = dy->c,
                        .terms = dy->n,
                        .channels = x->c,
                        .a_row = 1,
                        .a_term = dy->ld,
                        .ld = pinion__launch_sink_view(args)->ld,
                        .sink = pinion__sink_options(args)};
    pinion__launch launch;
    size_t items = begin_product(&launch, args, &of);
    pinion__launch_sink(&launch, args);
    pinion__launch_run_flat(&launch, items);
    if (args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB].data)
        run_bias_gradient(args, dy);
}

PINION__OPENCL_KERNEL(linear_forward) = {.run = run_forward};
PINION__OPENCL_KERNEL(linear_backward_data) = {.run = run_backward_data};
PINION__OPENCL_KERNEL(linear_backward_weights) = {.run = run_backward_weights};
