/* SPDX-License-Identifier: Apache-2.0
 *
 * What the op files share: attribute ranges, window arithmetic and the limits on sizes. No tensor may have more than
 * 2^31 - 1 elements (per sample for activations), so that every size of a layer fits in 64 bits whatever a description
 * says.
 */
#ifndef PINION_OP_COMMON_H
#define PINION_OP_COMMON_H

#include "op/op.h"

enum {
    PINION__MAX_CHANNELS = 1 << 20,
    PINION__MAX_EXTENT = 1 << 16, /* rows or columns of a network's input */
    PINION__MAX_WINDOW = 255,     /* rows or columns of a filter or window, strides, padding */
};

#define PINION__OP(name) extern const pinion__op pinion__op_##name;
#include "op/ops.def"
#undef PINION__OP

/* PINION_EINVAL: a field of the attributes lies outside its range. Defaults are filled in before. */
int pinion__attributes_check(pinion_context *ctx, const char *layer, const pinion__op *op, const void *attributes);

/* PINION_EINVAL: h*w*c elements of `what` ("output") are more than a tensor may have. */
int pinion__elements_check(pinion_context *ctx, const char *layer, const pinion__op *op, const char *what, int64_t n,
                           int64_t h, int64_t w, int64_t c);

/* A window that slides over rows and columns: a filter or a pool. */
typedef struct pinion__window {
    const char *word; /* "filter" */
    int r, s, stride_h, stride_w, pad_h, pad_w;
} pinion__window;

/* Rows and columns of the output, and the check of its elements. PINION_EINVAL: the window is larger than the padded
 * input. */
int pinion__window_output(pinion_context *ctx, const char *layer, const pinion__op *op, const pinion__window *window,
                          pinion_shape input, int channels, pinion_shape *output);

/* The output of ops that keep the shape of their first input. */
int pinion__infer_same(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                       pinion_shape *output);

/* The parts that conv2d and depthwise_conv2d have in common. */
enum { PINION__CONV2D_FIELDS = 5 };
extern const pinion__attr_field pinion__conv2d_fields[PINION__CONV2D_FIELDS]; /* the channels first */
void pinion__conv2d_defaults(pinion_conv2d *attributes);
int pinion__conv2d_bias(const pinion_conv2d *attributes, int channels, pinion__param_spec *spec);

/* The passes that conv2d, depthwise_conv2d and linear have in common: see the CONV rows of op/operands.h. */
/* clang-format off */
#define PINION__WEIGHTED_PASSES \
    {                                                                                                         \
        [PINION__FORWARD] = {6, {{PINION__INPUT, 0, PINION__READ}, {PINION__PARAM, 0, PINION__READ},          \
                                 {PINION__PARAM, 1, PINION__READ}, {PINION__OUTPUT, 0, PINION__WRITE},        \
                                 {PINION__ADDEND, 0, PINION__READ | PINION__FUSED},                           \
                                 {PINION__STATS, 0, PINION__WRITE | PINION__FUSED}}},                         \
        [PINION__BACKWARD_DATA] = {3, {{PINION__D_OUTPUT, 0, PINION__READ}, {PINION__PARAM, 0, PINION__READ}, \
                                       {PINION__D_INPUT, 0, PINION__WRITE}}},                                 \
        [PINION__BACKWARD_WEIGHTS] = {7, {{PINION__INPUT, 0, PINION__READ}, {PINION__D_OUTPUT, 0, PINION__READ}, \
                                          {PINION__D_PARAM, 0, PINION__WRITE}, {PINION__D_PARAM, 1, PINION__WRITE}, \
                                          {PINION__PARAM, 0, PINION__READ_WRITE | PINION__FUSED},             \
                                          {PINION__MOMENT, 0, PINION__READ_WRITE | PINION__FUSED},            \
                                          {PINION__MOMENT, 1, PINION__READ_WRITE | PINION__FUSED}}},          \
    }
/* clang-format on */

/* The parts that batchnorm and batchnorm_stored have in common. */
int pinion__batchnorm_infer(pinion_context *ctx, const char *layer, void *attributes, const pinion_shape *inputs,
                            pinion_shape *output);
int pinion__batchnorm_params(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                             pinion__param_spec specs[PINION__MAX_PARAMS]);
int pinion__batchnorm_states(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                             pinion__param_spec specs[PINION__MAX_STATES]);

/* The parts that losses of logits have in common. */
int pinion__loss_infer(pinion_context *ctx, const char *layer, const pinion__op *op, pinion_shape input,
                       pinion_shape *output);
int pinion__loss_saved(const void *attributes, const pinion_shape *inputs, const pinion_shape *output,
                       pinion__saved_spec specs[PINION__MAX_SAVED]);

/* The parts that maxpool and avgpool have in common: fields and shape. */
enum { PINION__POOL_FIELDS = 3 };
extern const pinion__attr_field pinion__pool_fields[PINION__POOL_FIELDS];
int pinion__pool_infer(pinion_context *ctx, const char *layer, const pinion__op *op, pinion_pool *attributes,
                       pinion_shape input, pinion_shape *output);

#endif
