/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rows by oneDNN share (built with PINION_ONEDNN only; oneDNN 2, C interface).
 *
 * Threads. oneDNN's own OpenMP threads would spin beside Pinion's workers and cut reductions by their number. So they
 * are not used: a pass is cut along the batch into items of equal size, by shape alone, and an item is one call of
 * oneDNN on one worker with OpenMP limited to one thread there. Results are the same bits for any number of threads, no
 * second pool exists, and a batch of one is one thread's work.
 *
 * Memory. Activations are read and written in place as NHWC; oneDNN has only its reference for ld > c, which is
 * refused. Weights want a format of oneDNN's choice: each run brings them into it (or out of it) in scratch, in blocks
 * of filters on all workers, unless they were prepared. oneDNN's scratchpad lies in scratch too, one a worker.
 *
 * Objects. A run makes engine, descriptors and memory objects anew and destroys them: some small allocations of
 * oneDNN's and about 50 microseconds. The compiled kernels, which cost milliseconds, stay in oneDNN's own cache, which
 * is bounded and keyed by shape and number of threads.
 */
#ifndef PINION_KERNEL_ONEDNN_ONEDNN_H
#define PINION_KERNEL_ONEDNN_ONEDNN_H

#include "kernel/kernel.h"
#include "op/operands.h"

#include <oneapi/dnnl/dnnl.h>

/* Declares and begins the definition of the body of a row of kernels.def. */
#define PINION__ONEDNN_KERNEL(name)                                                                                    \
    extern const pinion__kernel_body pinion__onednn_##name;                                                            \
    const pinion__kernel_body pinion__onednn_##name

/* A row of kernels.def in a file whose applicable, scratch_bytes and run take last whether the op is depthwise_conv2d:
 * the arguments of a kernel do not name it. Further members of the body may follow. */
#define PINION__ONEDNN_ROW(name, depthwise, ...)                                                                       \
    static bool name##_applicable(const pinion__args *args)                                                            \
    {                                                                                                                  \
        return applicable(args, depthwise);                                                                            \
    }                                                                                                                  \
    static size_t name##_scratch_bytes(const pinion__args *args)                                                       \
    {                                                                                                                  \
        return scratch_bytes(args, depthwise);                                                                         \
    }                                                                                                                  \
    static void name##_run(const pinion__args *args)                                                                   \
    {                                                                                                                  \
        run(args, depthwise);                                                                                          \
    }                                                                                                                  \
    PINION__ONEDNN_KERNEL(name) = {                                                                                    \
        .applicable = name##_applicable, .scratch_bytes = name##_scratch_bytes, .run = name##_run, __VA_ARGS__}

enum { PINION__ONEDNN_FILTERS = 64 }; /* of a block of weights: a multiple of every block of oneDNN's formats */

/* A pass of a convolution: its tensors by what they are, gradients in the place of what they belong to. */
typedef struct pinion__onednn_pass {
    enum pinion__pass pass;
    bool depthwise;
    pinion__view x, w, y, b, addend;
    const pinion_conv2d *conv;
    enum pinion__activation activation;
    int items, samples; /* the batch's cut */
} pinion__onednn_pass;

/* One item of the pass, ready to run. */
typedef struct pinion__onednn {
    const pinion__onednn_pass *what;
    dnnl_engine_t engine;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive; /* NULL until pinion__onednn_compile */
    dnnl_memory_desc_t x, w, y, b, plain, scratchpad;
    size_t weight_bytes, scratchpad_bytes; /* multiples of 64 */
    bool plain_weights;                    /* oneDNN wants them as they are */
} pinion__onednn;

/* How many items at most `most` a batch is cut into: a divisor of it. */
int pinion__onednn_items(int batch, int most);

/* Descriptors of one item. False: oneDNN has nothing but its reference for it (or no memory). */
bool pinion__onednn_open(const pinion__onednn_pass *what, pinion__onednn *out);
/* Activations are dense and oneDNN has more than its reference. */
bool pinion__onednn_can(const pinion__onednn_pass *what);
bool pinion__onednn_compile(pinion__onednn *item);
void pinion__onednn_close(pinion__onednn *item); /* accepts one that could not be opened */

/* One call on this thread alone. */
enum { PINION__ONEDNN_ARGUMENTS = 5 };
typedef struct pinion__onednn_argument {
    int name; /* DNNL_ARG_… */
    const dnnl_memory_desc_t *desc;
    void *data;
} pinion__onednn_argument;

bool pinion__onednn_execute(dnnl_engine_t engine, dnnl_primitive_t primitive, const pinion__onednn_argument *arguments,
                            int count);

/* Weights from KRSC (depthwise RSC) into oneDNN's format, or back. Adds to the target with `accumulate`. */
bool pinion__onednn_reorder(const pinion__onednn *item, pinion__workers *workers, void *plain, void *formatted,
                            bool back, bool accumulate);

/* Operands of one call; NULL bias: none. */
typedef struct pinion__onednn_operands {
    void *x, *w, *y, *b, *scratchpad;
} pinion__onednn_operands;

bool pinion__onednn_run(const pinion__onednn *item, const pinion__onednn_operands *operands);

/* One thread for OpenMP on this thread; what it was, for the second. */
int pinion__onednn_enter(void);
void pinion__onednn_leave(int threads);

/* A run that oneDNN could not do for lack of memory leaves NaN, which the step finds in the loss. */
void pinion__onednn_spoil(const pinion__view *view);

static inline size_t pinion__onednn_round64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* The first element of item i of an activation. */
static inline float *pinion__onednn_item(const pinion__onednn_pass *what, const pinion__view *view, size_t i)
{
    return (float *)view->data + i * (size_t)what->samples * (size_t)view->h * (size_t)view->w * (size_t)view->ld;
}

#endif
