/* SPDX-License-Identifier: Apache-2.0
 *
 * oneDNN 2 through its C interface. Trials: direct and winograd with every format left to the library ("any"), and
 * direct with activations in NHWC. A trial owns an engine, a stream, the primitive and memory in the primitive's own
 * formats, filled with random numbers. The number of threads is OpenMP's, set before the primitive is made and before
 * each run, since a primitive belongs to a number of threads.
 */
#include "onednn.h"
#include "base/random.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of libgomp, which oneDNN brings; clang has no omp.h of its own. */
void omp_set_num_threads(int threads);

enum { OPERANDS = 3, DIMS = 5 };

struct bench_onednn {
    int threads;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[OPERANDS];
    dnnl_exec_arg_t args[OPERANDS];
    char name[96];
};

/* The descriptors of source, weights and destination that a pass is asked for with. */
typedef struct formats {
    dnnl_memory_desc_t x, w, y;
} formats;

static const char *const trial_names[BENCH_ONEDNN_TRIALS] = {"direct", "winograd", "direct nhwc"};

const char *bench_onednn_version(void)
{
    static char text[32];
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", version->major, version->minor, version->patch);
    return text;
}

static formats formats_of(const bench_onednn_layer *layer, bool nhwc)
{
    const pinion_conv2d *conv = &layer->conv;
    const bool depthwise = layer->op == PINION__OP_depthwise_conv2d, linear = layer->op == PINION__OP_linear;
    const dnnl_dims_t x = {layer->n, layer->c, layer->h, layer->w}, y = {layer->n, conv->k, layer->p, layer->q};
    const dnnl_dims_t w = {conv->k, layer->c, conv->r, conv->s}, groups = {layer->c, 1, 1, conv->r, conv->s};
    const dnnl_format_tag_t tag = nhwc && !linear ? dnnl_nhwc : dnnl_format_tag_any;
    const int dims = linear ? 2 : 4;
    formats made;
    dnnl_memory_desc_init_by_tag(&made.x, dims, x, dnnl_f32, tag);
    dnnl_memory_desc_init_by_tag(&made.y, dims, y, dnnl_f32, tag);
    dnnl_memory_desc_init_by_tag(&made.w, depthwise ? DIMS : dims, depthwise ? groups : w, dnnl_f32,
                                 dnnl_format_tag_any);
    return made;
}

static dnnl_status_t describe_linear(const bench_onednn_layer *layer, const formats *f, dnnl_inner_product_desc_t *desc)
{
    if (layer->pass == PINION__FORWARD)
        return dnnl_inner_product_forward_desc_init(desc, dnnl_forward_training, &f->x, &f->w, NULL, &f->y);
    if (layer->pass == PINION__BACKWARD_DATA)
        return dnnl_inner_product_backward_data_desc_init(desc, &f->x, &f->w, &f->y);
    return dnnl_inner_product_backward_weights_desc_init(desc, &f->x, &f->w, NULL, &f->y);
}

static dnnl_status_t describe_conv(const bench_onednn_layer *layer, dnnl_alg_kind_t algorithm, const formats *f,
                                   dnnl_convolution_desc_t *desc)
{
    const pinion_conv2d *conv = &layer->conv;
    const dnnl_dims_t strides = {conv->stride_h, conv->stride_w}, before = {conv->pad_h, conv->pad_w};
    /* What is left below and to the right, so that oneDNN sees the same number of outputs. */
    const dnnl_dims_t after = {(layer->p - 1) * conv->stride_h + conv->r - layer->h - conv->pad_h,
                               (layer->q - 1) * conv->stride_w + conv->s - layer->w - conv->pad_w};
    if (layer->pass == PINION__FORWARD)
        return dnnl_convolution_forward_desc_init(desc, dnnl_forward_training, algorithm, &f->x, &f->w, NULL, &f->y,
                                                  strides, before, after);
    if (layer->pass == PINION__BACKWARD_DATA)
        return dnnl_convolution_backward_data_desc_init(desc, algorithm, &f->x, &f->w, &f->y, strides, before, after);
    return dnnl_convolution_backward_weights_desc_init(desc, algorithm, &f->x, &f->w, NULL, &f->y, strides, before,
                                                       after);
}

/* A primitive descriptor of the pass; backward passes want a hint, the forward one of the same layer. */
static dnnl_status_t create_description(const bench_onednn_layer *layer, int index, dnnl_engine_t engine,
                                        const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    const formats f = formats_of(layer, index == 2);
    dnnl_inner_product_desc_t product;
    dnnl_convolution_desc_t conv;
    const dnnl_alg_kind_t algorithm = index == 1 ? dnnl_convolution_winograd : dnnl_convolution_direct;
    const bool linear = layer->op == PINION__OP_linear;
    if (linear && index > 0)
        return dnnl_unimplemented;
    const dnnl_status_t status =
        linear ? describe_linear(layer, &f, &product) : describe_conv(layer, algorithm, &f, &conv);
    const void *described = linear ? (const void *)&product : (const void *)&conv;
    return status != dnnl_success ? status : dnnl_primitive_desc_create(out, described, NULL, engine, hint);
}

static bool add_memory(bench_onednn *trial, int at, int argument, const_dnnl_primitive_desc_t description,
                       dnnl_query_t query)
{
    const dnnl_memory_desc_t *desc = dnnl_primitive_desc_query_md(description, query, 0);
    void *values = NULL;
    if (!desc || dnnl_memory_create(&trial->memory[at], desc, trial->engine, DNNL_MEMORY_ALLOCATE) != dnnl_success ||
        dnnl_memory_get_data_handle(trial->memory[at], &values) != dnnl_success)
        return false;
    pinion__random_normal(1, PINION__RANDOM_TEST, 0, dnnl_memory_desc_get_size(desc) / sizeof(float), values);
    trial->args[at] = (dnnl_exec_arg_t){.arg = argument, .memory = trial->memory[at]};
    return true;
}

static bool add_operands(bench_onednn *trial, enum pinion__pass pass, const_dnnl_primitive_desc_t description)
{
    const bool forward = pass == PINION__FORWARD, data = pass == PINION__BACKWARD_DATA;
    return add_memory(trial, 0, data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, description,
                      data ? dnnl_query_diff_src_md : dnnl_query_src_md) &&
           add_memory(trial, 1, forward || data ? DNNL_ARG_WEIGHTS : DNNL_ARG_DIFF_WEIGHTS, description,
                      forward || data ? dnnl_query_weights_md : dnnl_query_diff_weights_md) &&
           add_memory(trial, 2, forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, description,
                      forward ? dnnl_query_dst_md : dnnl_query_diff_dst_md);
}

bench_onednn *bench_onednn_open(const bench_onednn_layer *layer, int index, int threads)
{
    bench_onednn *trial = calloc(1, sizeof *trial);
    dnnl_primitive_desc_t hint = NULL, description = NULL;
    bench_onednn_layer forward = *layer;
    const char *implementation = "";
    bool good = trial != NULL;
    forward.pass = PINION__FORWARD;
    omp_set_num_threads(threads);
    good = good && dnnl_engine_create(&trial->engine, dnnl_cpu, 0) == dnnl_success &&
           dnnl_stream_create(&trial->stream, trial->engine, dnnl_stream_default_flags) == dnnl_success;
    /* A hint of the direct algorithm serves where the forward pass has no winograd. */
    good = good && (create_description(&forward, index, trial->engine, NULL, &hint) == dnnl_success ||
                    create_description(&forward, 0, trial->engine, NULL, &hint) == dnnl_success);
    good = good && create_description(layer, index, trial->engine, hint, &description) == dnnl_success;
    good =
        good &&
        dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, (void *)&implementation) == dnnl_success &&
        strncmp(implementation, "ref", 3) != 0;
    good = good && dnnl_primitive_create(&trial->primitive, description) == dnnl_success &&
           add_operands(trial, layer->pass, description);
    if (good) {
        trial->threads = threads;
        snprintf(trial->name, sizeof trial->name, "%s %s", trial_names[index], implementation);
    }
    dnnl_primitive_desc_destroy(description);
    dnnl_primitive_desc_destroy(hint);
    if (good)
        return trial;
    bench_onednn_close(trial);
    return NULL;
}

const char *bench_onednn_name(const bench_onednn *trial)
{
    return trial->name;
}

void bench_onednn_run(const bench_onednn *trial)
{
    omp_set_num_threads(trial->threads);
    dnnl_primitive_execute(trial->primitive, trial->stream, OPERANDS, trial->args);
    dnnl_stream_wait(trial->stream);
}

void bench_onednn_close(bench_onednn *trial)
{
    if (!trial)
        return;
    for (int i = 0; i < OPERANDS; i++)
        dnnl_memory_destroy(trial->memory[i]);
    dnnl_primitive_destroy(trial->primitive);
    dnnl_stream_destroy(trial->stream);
    dnnl_engine_destroy(trial->engine);
    free(trial);
}
