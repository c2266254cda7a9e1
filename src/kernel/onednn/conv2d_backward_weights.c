/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d and depthwise_conv2d backward_weights by oneDNN. An item's gradient, in oneDNN's format, goes to a block of
 * its own in scratch; the blocks are added up in the order of items, then brought back into KRSC. So the fewer items,
 * the less memory: there are as many as fit into PARTIAL_BYTES.
 *
 * Scratch: for each item its partial gradients of weights and bias; a scratchpad for each worker.
 */
#include "kernel/onednn/onednn.h"
#include <stdatomic.h>

enum { ITEMS = 8, LEAST_ITEMS = 2, PARTIAL_BYTES = 16 << 20, SUM_ELEMENTS = 16384 };

static pinion__onednn_pass pass_of(const pinion__args *args, bool depthwise)
{
    const pinion__view *x = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_X];
    const pinion__view *dw = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DW];
    const size_t fit = PARTIAL_BYTES / (pinion__view_elements(dw) * sizeof(float) + 1);
    const int most = fit > ITEMS ? ITEMS : fit < LEAST_ITEMS ? LEAST_ITEMS : (int)fit;
    const int items = pinion__onednn_items(x->n, most);
    return (pinion__onednn_pass){.pass = PINION__BACKWARD_WEIGHTS,
                                 .depthwise = depthwise,
                                 .x = *x,
                                 .w = *dw,
                                 .y = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY],
                                 .b = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB],
                                 .conv = args->attributes,
                                 .items = items,
                                 .samples = x->n / items};
}

static bool applicable(const pinion__args *args, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    return args->activation == PINION__ACTIVATION_NONE && !args->update && pinion__onednn_can(&what);
}

static size_t bias_bytes(const pinion__onednn_pass *what)
{
    return what->b.data ? pinion__onednn_round64((size_t)what->y.c * sizeof(float)) : 0;
}

/* Of one item: weights, then bias. */
static size_t partial_bytes(const pinion__onednn *item)
{
    return item->weight_bytes + bias_bytes(item->what);
}

static size_t scratch_bytes(const pinion__args *args, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    pinion__onednn item;
    size_t bytes = 0;
    if (pinion__onednn_open(&what, &item))
        bytes = (size_t)what.items * partial_bytes(&item) +
                (size_t)pinion__workers_threads(args->workers) * item.scratchpad_bytes;
    pinion__onednn_close(&item);
    return bytes;
}

typedef struct backward {
    const pinion__onednn *item;
    char *partials, *scratchpads;
    atomic_bool failed;
} backward;

static void run_item(void *user, size_t index, int lane)
{
    backward *work = user;
    const pinion__onednn *item = work->item;
    const pinion__onednn_pass *what = item->what;
    char *own = work->partials + index * partial_bytes(item);
    const pinion__onednn_operands operands = {.x = pinion__onednn_item(what, &what->x, index),
                                              .w = own,
                                              .y = pinion__onednn_item(what, &what->y, index),
                                              .b = what->b.data ? own + item->weight_bytes : NULL,
                                              .scratchpad = work->scratchpads + (size_t)lane * item->scratchpad_bytes};
    if (!pinion__onednn_run(item, &operands))
        atomic_store(&work->failed, true);
}

/* A stretch of the first item's block becomes the sum over items, weights and bias alike. */
static void sum_stretch(void *user, size_t index, int lane)
{
    (void)lane;
    const backward *work = user;
    const size_t elements = partial_bytes(work->item) / sizeof(float), first = index * SUM_ELEMENTS;
    const size_t count = elements - first < SUM_ELEMENTS ? elements - first : SUM_ELEMENTS;
    float *sum = (float *)(void *)work->partials + first;
    for (size_t i = 1; i < (size_t)work->item->what->items; i++) {
        const float *part = sum + i * elements;
        for (size_t j = 0; j < count; j++)
            sum[j] += part[j];
    }
}

static void store_bias(const pinion__args *args, const backward *work)
{
    const float *sum = (const float *)(const void *)(work->partials + work->item->weight_bytes);
    float *db = args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB].data;
    for (int k = 0; db && k < work->item->what->y.c; k++)
        db[k] = args->accumulate ? db[k] + sum[k] : sum[k];
}

static bool run_items(const pinion__args *args, pinion__onednn *item)
{
    char *scratch = args->scratch;
    const size_t items = (size_t)item->what->items, elements = partial_bytes(item) / sizeof(float);
    backward work = {.item = item, .partials = scratch, .scratchpads = scratch + items * partial_bytes(item)};
    if (!pinion__onednn_compile(item))
        return false;
    pinion__parallel(args->workers, items, run_item, &work);
    if (items > 1)
        pinion__parallel(args->workers, (elements + SUM_ELEMENTS - 1) / SUM_ELEMENTS, sum_stretch, &work);
    store_bias(args, &work);
    return !atomic_load(&work.failed) &&
           pinion__onednn_reorder(item, args->workers, item->what->w.data, scratch, true, args->accumulate);
}

static void run(const pinion__args *args, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    pinion__onednn item;
    if (!pinion__onednn_open(&what, &item) || !run_items(args, &item))
        pinion__onednn_spoil(&what.w);
    pinion__onednn_close(&item);
}

PINION__ONEDNN_ROW(conv2d_backward_weights_onednn, false, .prepare = NULL);
PINION__ONEDNN_ROW(depthwise_conv2d_backward_weights_onednn, true, .prepare = NULL);
