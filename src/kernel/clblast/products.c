/* SPDX-License-Identifier: Apache-2.0
 *
 * linear, and conv2d with 1x1 filters, stride 1 and no padding, by CLBlast: in all three passes one matrix product over
 * the pixels. What a product cannot do stands in launches behind it: bias, addend and activation function in one, the
 * statistics, the update of weights, the gradient of the bias.
 *
 * Scratch: CLBlast's copies; with an update the gradient; sums of blocks of pixels for the bias.
 */
#include "kernel/clblast/clblast.h"
#include "kernel/opencl/activation.h"
#include "kernel/opencl/bias.h"
#include "kernel/opencl/rows.h"
#include "kernel/opencl/stats.h"
#include "kernel/opencl/update.h"
#include "op/operands.h"

#define PINION__CLBLAST_KERNEL(name) const pinion__kernel_body pinion__clblast_##name

static bool is_pointwise(const pinion__args *args)
{
    const pinion_conv2d *conv = args->attributes;
    return conv->r == 1 && conv->s == 1 && conv->stride_h <= 1 && conv->stride_w <= 1 && conv->pad_h == 0 &&
           conv->pad_w == 0;
}

/* ---- forward ---- */

/* An addend that is the output's bytes is what the product adds to. */
static bool adds_in_place(const pinion__args *args)
{
    const pinion__span *y = &args->memory[PINION__CONV_FORWARD_Y], *addend = &args->memory[PINION__CONV_FORWARD_ADDEND];
    return args->operand[PINION__CONV_FORWARD_ADDEND].data && y->object == addend->object &&
           y->offset == addend->offset;
}

static pinion__clblast_product forward_product(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__CONV_FORWARD_X];
    return (pinion__clblast_product){.a = PINION__CONV_FORWARD_X,
                                     .b = PINION__CONV_FORWARD_W,
                                     .into = PINION__CONV_FORWARD_Y,
                                     .b_turned = true,
                                     .add = adds_in_place(args),
                                     .rows = pinion__view_pixels(x),
                                     .columns = (size_t)args->operand[PINION__CONV_FORWARD_Y].c,
                                     .terms = (size_t)x->c};
}

static bool forward_applicable(const pinion__args *args)
{
    const pinion__clblast_product product = forward_product(args);
    return pinion__clblast_can(args, &product);
}

static bool forward_pointwise(const pinion__args *args)
{
    return is_pointwise(args) && forward_applicable(args);
}

static size_t forward_scratch(const pinion__args *args)
{
    const pinion__clblast_product product = forward_product(args);
    return pinion__clblast_copies(&product);
}

/* y = activation(y + bias + addend) */
static void finish(const pinion__args *args, bool addend)
{
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y];
    const pinion__rows walk = pinion__rows_over(args, (int)pinion__view_pixels(y), y->c);
    pinion__launch launch;
    pinion__launch_begin(&launch, args, "elementwise", "finish_product", walk.options);
    pinion__launch_view(&launch, PINION__CONV_FORWARD_Y);
    pinion__launch_operand(&launch, PINION__CONV_FORWARD_B);
    pinion__launch_view(&launch, PINION__CONV_FORWARD_ADDEND);
    pinion__launch_int(&launch, args->operand[PINION__CONV_FORWARD_B].data != NULL);
    pinion__launch_int(&launch, addend);
    pinion__launch_rows(&launch, &walk);
    pinion__launch_bounds(&launch, args->activation);
    pinion__launch_run_rows(&launch, &walk);
}

static void forward_run(const pinion__args *args)
{
    const pinion__clblast_product product = forward_product(args);
    const bool addend = args->operand[PINION__CONV_FORWARD_ADDEND].data && !product.add;
    pinion__clblast_multiply(args, &product);
    if (addend || args->operand[PINION__CONV_FORWARD_B].data || args->activation != PINION__ACTIVATION_NONE)
        finish(args, addend);
    pinion__launch_stats(args, PINION__CONV_FORWARD_Y, PINION__CONV_FORWARD_STATS);
}

/* ---- backward_data ---- */

static pinion__clblast_product backward_data_product(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_DATA_DY];
    return (pinion__clblast_product){.a = PINION__CONV_BACKWARD_DATA_DY,
                                     .b = PINION__CONV_BACKWARD_DATA_W,
                                     .into = PINION__CONV_BACKWARD_DATA_DX,
                                     .add = args->accumulate,
                                     .rows = pinion__view_pixels(dy),
                                     .columns = (size_t)args->operand[PINION__CONV_BACKWARD_DATA_DX].c,
                                     .terms = (size_t)dy->c};
}

static bool backward_data_applicable(const pinion__args *args)
{
    const pinion__clblast_product product = backward_data_product(args);
    return pinion__clblast_can(args, &product);
}

static bool backward_data_pointwise(const pinion__args *args)
{
    return is_pointwise(args) && backward_data_applicable(args);
}

static size_t backward_data_scratch(const pinion__args *args)
{
    const pinion__clblast_product product = backward_data_product(args);
    return pinion__clblast_copies(&product);
}

static void backward_data_run(const pinion__args *args)
{
    const pinion__clblast_product product = backward_data_product(args);
    pinion__clblast_multiply(args, &product);
}

/* ---- backward_weights ---- */

static pinion__clblast_product backward_weights_product(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    return (pinion__clblast_product){.a = PINION__CONV_BACKWARD_WEIGHTS_DY,
                                     .b = PINION__CONV_BACKWARD_WEIGHTS_X,
                                     .into = args->update ? PINION__CONV_BACKWARD_WEIGHTS_W
                                                          : PINION__CONV_BACKWARD_WEIGHTS_DW,
                                     .a_turned = true,
                                     .add = args->accumulate && !args->update,
                                     .scratched = args->update != NULL,
                                     .rows = (size_t)dy->c,
                                     .columns = (size_t)args->operand[PINION__CONV_BACKWARD_WEIGHTS_X].c,
                                     .terms = pinion__view_pixels(dy)};
}

/* Bytes of the gradient in scratch. */
static size_t gradient_bytes(const pinion__clblast_product *product)
{
    return product->scratched ? (product->rows * product->columns * sizeof(float) + 63) & ~(size_t)63 : 0;
}

static bool backward_weights_applicable(const pinion__args *args)
{
    const pinion__clblast_product product = backward_weights_product(args);
    return pinion__clblast_can(args, &product);
}

static bool backward_weights_pointwise(const pinion__args *args)
{
    return is_pointwise(args) && backward_weights_applicable(args);
}

static size_t backward_weights_scratch(const pinion__args *args)
{
    const pinion__clblast_product product = backward_weights_product(args);
    return pinion__clblast_copies(&product) + gradient_bytes(&product) + pinion__bias_scratch(args);
}

static void backward_weights_run(const pinion__args *args)
{
    const pinion__clblast_product product = backward_weights_product(args);
    const size_t copies = pinion__clblast_copies(&product);
    pinion__clblast_multiply(args, &product);
    if (product.scratched)
        pinion__launch_put_gradient(args, copies);
    pinion__launch_bias_gradient(args, copies + gradient_bytes(&product));
}

/* ---- rows ---- */

PINION__CLBLAST_KERNEL(linear_forward_clblast) = {
    .applicable = forward_applicable, .scratch_bytes = forward_scratch, .run = forward_run};
PINION__CLBLAST_KERNEL(linear_backward_data_clblast) = {
    .applicable = backward_data_applicable, .scratch_bytes = backward_data_scratch, .run = backward_data_run};
PINION__CLBLAST_KERNEL(linear_backward_weights_clblast) = {
    .applicable = backward_weights_applicable, .scratch_bytes = backward_weights_scratch, .run = backward_weights_run};
PINION__CLBLAST_KERNEL(conv2d_forward_clblast) = {
    .applicable = forward_pointwise, .scratch_bytes = forward_scratch, .run = forward_run};
PINION__CLBLAST_KERNEL(conv2d_backward_data_clblast) = {
    .applicable = backward_data_pointwise, .scratch_bytes = backward_data_scratch, .run = backward_data_run};
PINION__CLBLAST_KERNEL(conv2d_backward_weights_clblast) = {
    .applicable = backward_weights_pointwise, .scratch_bytes = backward_weights_scratch, .run = backward_weights_run};
