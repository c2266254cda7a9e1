/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors, primitives and reorders; onednn.h says how threads, memory and objects are dealt with.
 */
#include "kernel/onednn/onednn.h"
#include <math.h>
#include <string.h>

/* Of libgomp, which oneDNN brings with it; clang has no omp.h of its own. */
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);

int pinion__onednn_enter(void)
{
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    return threads;
}

void pinion__onednn_leave(int threads)
{
    omp_set_num_threads(threads);
}

int pinion__onednn_items(int batch, int most)
{
    int items = batch < most ? batch : most;
    while (batch % items != 0)
        items--;
    return items;
}

void pinion__onednn_spoil(const pinion__view *view)
{
    const size_t pixels = pinion__view_pixels(view);
    for (size_t i = 0; view->data && i < pixels; i++)
        for (int c = 0; c < view->c; c++)
            ((float *)view->data)[i * (size_t)view->ld + (size_t)c] = NAN;
}

/* NHWC with the view's distance between pixels. */
static dnnl_status_t describe_activation(const pinion__view *view, int samples, dnnl_memory_desc_t *out)
{
    const dnnl_dims_t dims = {samples, view->c, view->h, view->w};
    const dnnl_dims_t strides = {view->h * view->w * view->ld, 1, view->w * view->ld, view->ld};
    return dnnl_memory_desc_init_by_strides(out, 4, dims, dnnl_f32, strides);
}

/* Weights as Pinion holds them (plain), or any format. */
static dnnl_status_t describe_weights(const pinion__onednn_pass *what, bool plain, dnnl_memory_desc_t *out)
{
    const pinion__view *w = &what->w;
    const dnnl_dim_t r = w->h, s = w->w, ld = w->ld;
    const dnnl_dims_t dims = {w->n, w->c, r, s}, strides = {r * s * ld, 1, s * ld, ld};
    const dnnl_dims_t groups = {w->c, 1, 1, r, s}, group_strides = {1, 1, 1, s * ld, ld};
    const int count = what->depthwise ? 5 : 4;
    if (plain)
        return dnnl_memory_desc_init_by_strides(out, count, what->depthwise ? groups : dims, dnnl_f32,
                                                what->depthwise ? group_strides : strides);
    return dnnl_memory_desc_init_by_tag(out, count, what->depthwise ? groups : dims, dnnl_f32, dnnl_format_tag_any);
}

/* What forward does behind the sum: add what stands in y, the activation function. */
static bool append_operations(const pinion__onednn_pass *what, dnnl_primitive_attr_t attributes)
{
    dnnl_post_ops_t operations;
    if (dnnl_post_ops_create(&operations) != dnnl_success)
        return false;
    bool good = !what->addend.data || dnnl_post_ops_append_sum(operations, 1.0F) == dnnl_success;
    if (what->activation == PINION__ACTIVATION_RELU)
        good = good && dnnl_post_ops_append_eltwise(operations, 1.0F, dnnl_eltwise_relu, 0.0F, 0.0F) == dnnl_success;
    else if (what->activation == PINION__ACTIVATION_RELU6)
        good = good && dnnl_post_ops_append_eltwise(operations, 1.0F, dnnl_eltwise_clip, 0.0F, 6.0F) == dnnl_success;
    good = good && dnnl_primitive_attr_set_post_ops(attributes, operations) == dnnl_success;
    dnnl_post_ops_destroy(operations);
    return good;
}

static dnnl_status_t describe_pass(const pinion__onednn_pass *what, enum pinion__pass pass, const pinion__onednn *with,
                                   dnnl_convolution_desc_t *out)
{
    const pinion_conv2d *conv = what->conv;
    const dnnl_dims_t strides = {conv->stride_h, conv->stride_w}, before = {conv->pad_h, conv->pad_w};
    /* What the last output row and column read past the input; less than nothing where some input is not read. */
    const dnnl_dims_t after = {(what->y.h - 1) * conv->stride_h + what->w.h - what->x.h - conv->pad_h,
                               (what->y.w - 1) * conv->stride_w + what->w.w - what->x.w - conv->pad_w};
    const dnnl_memory_desc_t *bias = what->b.data ? &with->b : NULL;
    if (pass == PINION__FORWARD)
        return dnnl_convolution_forward_desc_init(out, dnnl_forward_training, dnnl_convolution_direct, &with->x,
                                                  &with->w, bias, &with->y, strides, before, after);
    if (pass == PINION__BACKWARD_DATA)
        return dnnl_convolution_backward_data_desc_init(out, dnnl_convolution_direct, &with->x, &with->w, &with->y,
                                                        strides, before, after);
    return dnnl_convolution_backward_weights_desc_init(out, dnnl_convolution_direct, &with->x, &with->w, bias, &with->y,
                                                       strides, before, after);
}

/* The descriptor of a pass; backward passes want that of the forward pass as a hint. */
static bool describe(pinion__onednn *item, dnnl_primitive_attr_t attributes)
{
    const enum pinion__pass pass = item->what->pass;
    dnnl_convolution_desc_t conv;
    dnnl_primitive_desc_t hint = NULL;
    bool good = true;
    if (pass != PINION__FORWARD)
        good = describe_pass(item->what, PINION__FORWARD, item, &conv) == dnnl_success &&
               dnnl_primitive_desc_create(&hint, &conv, attributes, item->engine, NULL) == dnnl_success;
    good = good && describe_pass(item->what, pass, item, &conv) == dnnl_success &&
           dnnl_primitive_desc_create(&item->description, &conv, attributes, item->engine, hint) == dnnl_success;
    dnnl_primitive_desc_destroy(hint);
    return good;
}

/* Reads what oneDNN chose. */
static bool inspect(pinion__onednn *item)
{
    const bool gradient = item->what->pass == PINION__BACKWARD_WEIGHTS;
    const char *implementation = NULL;
    const dnnl_query_t query = gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
    const dnnl_memory_desc_t *weights = dnnl_primitive_desc_query_md(item->description, query, 0);
    const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md(item->description, dnnl_query_scratchpad_md, 0);
    if (!weights || !scratchpad ||
        dnnl_primitive_desc_query(item->description, dnnl_query_impl_info_str, 0, (void *)&implementation) !=
            dnnl_success ||
        strncmp(implementation, "ref", 3) == 0)
        return false;
    item->w = *weights;
    item->scratchpad = *scratchpad;
    item->plain_weights = dnnl_memory_desc_equal(&item->w, &item->plain) == 1;
    item->weight_bytes = pinion__onednn_round64(dnnl_memory_desc_get_size(weights));
    item->scratchpad_bytes = pinion__onednn_round64(dnnl_memory_desc_get_size(scratchpad));
    return true;
}

bool pinion__onednn_open(const pinion__onednn_pass *what, pinion__onednn *out)
{
    *out = (pinion__onednn){.what = what};
    dnnl_primitive_attr_t attributes = NULL;
    const dnnl_dims_t filters = {what->y.c};
    const int threads = pinion__onednn_enter();
    bool good = dnnl_engine_create(&out->engine, dnnl_cpu, 0) == dnnl_success &&
                describe_activation(&what->x, what->samples, &out->x) == dnnl_success &&
                describe_activation(&what->y, what->samples, &out->y) == dnnl_success &&
                describe_weights(what, false, &out->w) == dnnl_success &&
                describe_weights(what, true, &out->plain) == dnnl_success &&
                dnnl_memory_desc_init_by_tag(&out->b, 1, filters, dnnl_f32, dnnl_a) == dnnl_success &&
                dnnl_primitive_attr_create(&attributes) == dnnl_success &&
                dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user) == dnnl_success;
    good = good && (what->pass != PINION__FORWARD || append_operations(what, attributes));
    good = good && describe(out, attributes) && inspect(out);
    dnnl_primitive_attr_destroy(attributes);
    pinion__onednn_leave(threads);
    if (!good)
        pinion__onednn_close(out);
    return good;
}

bool pinion__onednn_can(const pinion__onednn_pass *what)
{
    pinion__onednn item;
    if (!pinion__view_dense(&what->x) || !pinion__view_dense(&what->y) ||
        (what->addend.data && !pinion__view_dense(&what->addend)))
        return false;
    const bool found = pinion__onednn_open(what, &item);
    pinion__onednn_close(&item);
    return found;
}

bool pinion__onednn_compile(pinion__onednn *item)
{
    const int threads = pinion__onednn_enter();
    const bool good = dnnl_primitive_create(&item->primitive, item->description) == dnnl_success;
    pinion__onednn_leave(threads);
    return good;
}

void pinion__onednn_close(pinion__onednn *item)
{
    if (item->primitive)
        dnnl_primitive_destroy(item->primitive);
    if (item->description)
        dnnl_primitive_desc_destroy(item->description);
    if (item->engine)
        dnnl_engine_destroy(item->engine);
    *item = (pinion__onednn){0};
}

/* -- calls ---------------------------------------------------------------------------------------------------------*/

bool pinion__onednn_execute(dnnl_engine_t engine, dnnl_primitive_t primitive, const pinion__onednn_argument *arguments,
                            int count)
{
    dnnl_exec_arg_t args[PINION__ONEDNN_ARGUMENTS];
    dnnl_stream_t stream = NULL; /* belongs to one thread */
    int made = 0;
    const int threads = pinion__onednn_enter();
    bool good = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success;
    for (int i = 0; i < count && good; i++) {
        const pinion__onednn_argument *from = &arguments[i];
        args[i].arg = from->name;
        good = dnnl_memory_create(&args[i].memory, from->desc, engine, from->data) == dnnl_success;
        made += good;
    }
    good = good && dnnl_primitive_execute(primitive, stream, count, args) == dnnl_success &&
           dnnl_stream_wait(stream) == dnnl_success;
    pinion__onednn_leave(threads);
    for (int i = 0; i < made; i++)
        dnnl_memory_destroy(args[i].memory);
    if (stream)
        dnnl_stream_destroy(stream);
    return good;
}

bool pinion__onednn_run(const pinion__onednn *item, const pinion__onednn_operands *operands)
{
    const enum pinion__pass pass = item->what->pass;
    const bool forward = pass == PINION__FORWARD, data = pass == PINION__BACKWARD_DATA;
    pinion__onednn_argument args[PINION__ONEDNN_ARGUMENTS] = {
        {data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, &item->x, operands->x},
        {forward || data ? DNNL_ARG_WEIGHTS : DNNL_ARG_DIFF_WEIGHTS, &item->w, operands->w},
        {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, &item->y, operands->y}};
    int count = 3;
    if (operands->b)
        args[count++] = (pinion__onednn_argument){forward ? DNNL_ARG_BIAS : DNNL_ARG_DIFF_BIAS, &item->b, operands->b};
    if (item->scratchpad_bytes)
        args[count++] = (pinion__onednn_argument){DNNL_ARG_SCRATCHPAD, &item->scratchpad, operands->scratchpad};
    return pinion__onednn_execute(item->engine, item->primitive, args, count);
}
