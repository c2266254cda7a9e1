/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions on OpenCL: the register tiles that their rows of kernels.def are made for, and the geometry of a
 * convolution, read from its attributes once for all passes.
 */
#ifndef PINION_KERNEL_OPENCL_CONV2D_H
#define PINION_KERNEL_OPENCL_CONV2D_H

#include "kernel/opencl/launch.h"
#include "op/operands.h"

#include <limits.h>

/* A row's tile: ROWS x VECTORS vectors of VECTOR floats. */
typedef struct pinion__opencl_tile {
    int rows, vectors, vector;
    int tiles;           /* of output channels that an item of backward_weights takes one after the other */
    int items;           /* of backward_weights, at least, where there is work for them */
    const size_t *local; /* NULL: the driver chooses groups */
    const char *options; /* of the programs */
} pinion__opencl_tile;

/* For processors that run an item on a core, with vectors of 16 or 8 floats: an item alone is a group. And for GPUs
 * with vectors of 4 floats or none. */
extern const pinion__opencl_tile pinion__tile_8x2x16, pinion__tile_4x2x8, pinion__tile_4x2x4;

/* Is a vector of the tile at least as wide as those of the arguments' device? Narrower ones leave most of it idle. */
bool pinion__tile_suits(const pinion__args *args, const pinion__opencl_tile *tile);

/* Have the work groups of the arguments' device so much local memory? */
bool pinion__local_suits(const pinion__args *args, size_t bytes);

static inline int pinion__tile_columns(const pinion__opencl_tile *tile)
{
    return tile->vectors * tile->vector;
}

typedef struct pinion__opencl_conv {
    int r, s, taps, stride_h, stride_w, pad_h, pad_w;
} pinion__opencl_conv;

static inline pinion__opencl_conv pinion__opencl_conv_of(const pinion__args *args)
{
    const pinion_conv2d *attributes = args->attributes;
    return (pinion__opencl_conv){.r = attributes->r,
                                 .s = attributes->s,
                                 .taps = attributes->r * attributes->s,
                                 .stride_h = attributes->stride_h > 0 ? attributes->stride_h : 1,
                                 .stride_w = attributes->stride_w > 0 ? attributes->stride_w : 1,
                                 .pad_h = attributes->pad_h,
                                 .pad_w = attributes->pad_w};
}

static inline int pinion__opencl_ceil(int a, int b)
{
    return (a + b - 1) / b;
}

/* Indices in programs are ints. */
static inline bool pinion__opencl_indexable(size_t floats)
{
    return floats <= INT_MAX;
}

static inline bool pinion__opencl_view_indexable(const pinion__view *view)
{
    return pinion__opencl_indexable(pinion__view_pixels(view) * (size_t)view->ld);
}

static inline void pinion__launch_ints(pinion__launch *launch, const int *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pinion__launch_int(launch, values[i]);
}
#define PINION__LAUNCH_INTS(launch, ...)                                                                               \
    pinion__launch_ints(launch, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

/* The bodies of rows NAME_8x2x16, … from NAME_applicable, NAME_scratch_bytes and NAME_run, which take the tile. */
#define PINION__OPENCL_TILE_ROW(name, tile)                                                                            \
    static bool applicable_##name##_##tile(const pinion__args *args)                                                   \
    {                                                                                                                  \
        return pinion__tile_suits(args, &pinion__tile_##tile) && name##_applicable(args, &pinion__tile_##tile);        \
    }                                                                                                                  \
    static size_t scratch_bytes_##name##_##tile(const pinion__args *args)                                              \
    {                                                                                                                  \
        return name##_scratch_bytes(args, &pinion__tile_##tile);                                                       \
    }                                                                                                                  \
    static void run_##name##_##tile(const pinion__args *args)                                                          \
    {                                                                                                                  \
        name##_run(args, &pinion__tile_##tile);                                                                        \
    }                                                                                                                  \
    PINION__OPENCL_KERNEL(name##_##tile) = {.applicable = applicable_##name##_##tile,                                  \
                                            .scratch_bytes = scratch_bytes_##name##_##tile,                            \
                                            .run = run_##name##_##tile};
#define PINION__OPENCL_TILE_ROWS(name)                                                                                 \
    PINION__OPENCL_TILE_ROW(name, 8x2x16)                                                                              \
    PINION__OPENCL_TILE_ROW(name, 4x2x8)                                                                               \
    PINION__OPENCL_TILE_ROW(name, 4x2x4)

/* An implicit matrix product (conv2d_product.c): target = activation(bias + filters of source + addend). Operands are
 * positions, PINION__OPENCL_ABSENT one that no pass has. */
enum { PINION__OPENCL_ABSENT = PINION__MAX_OPERANDS - 1 };

typedef struct pinion__opencl_product {
    const pinion__args *args;
    const pinion__opencl_tile *tile;
    pinion__opencl_conv conv;
    int source, weights, target, bias, addend;
    bool transposed; /* backward_data: from outputs to inputs */
} pinion__opencl_product;

static inline pinion__opencl_product pinion__opencl_forward(const pinion__args *args, const pinion__opencl_tile *tile)
{
    return (pinion__opencl_product){.args = args,
                                    .tile = tile,
                                    .conv = pinion__opencl_conv_of(args),
                                    .source = PINION__CONV_FORWARD_X,
                                    .weights = PINION__CONV_FORWARD_W,
                                    .target = PINION__CONV_FORWARD_Y,
                                    .bias = PINION__CONV_FORWARD_B,
                                    .addend = PINION__CONV_FORWARD_ADDEND};
}

static inline pinion__opencl_product pinion__opencl_backward_data(const pinion__args *args,
                                                                  const pinion__opencl_tile *tile)
{
    return (pinion__opencl_product){.args = args,
                                    .tile = tile,
                                    .conv = pinion__opencl_conv_of(args),
                                    .source = PINION__CONV_BACKWARD_DATA_DY,
                                    .weights = PINION__CONV_BACKWARD_DATA_W,
                                    .target = PINION__CONV_BACKWARD_DATA_DX,
                                    .bias = PINION__OPENCL_ABSENT,
                                    .addend = PINION__OPENCL_ABSENT,
                                    .transposed = true};
}

bool pinion__opencl_product_applicable(const pinion__opencl_product *product);
size_t pinion__opencl_product_scratch(const pinion__opencl_product *product);
/* The launch that packs the filters into panels [panel][tap][row][column], behind a row of zeros at `offset` of the
 * scratch, product_scratch bytes in all; where they begin. */
size_t pinion__opencl_product_pack(const pinion__opencl_product *product, size_t offset);
void pinion__opencl_product_run(const pinion__opencl_product *product);

#endif
