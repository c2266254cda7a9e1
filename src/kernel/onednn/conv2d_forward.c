/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d and depthwise_conv2d forward by oneDNN. Bias and activation function are oneDNN's; an addend is copied into y,
 * if it is not there, and summed up by oneDNN. Statistics of the output are refused.
 *
 * Scratch: the weights in oneDNN's format, unless they are prepared or wanted as they are; a scratchpad for each
 * worker.
 */
#include "kernel/onednn/onednn.h"
#include <stdatomic.h>
#include <string.h>

enum { ITEMS = 8 };

static pinion__onednn_pass pass_of(const pinion__args *args, bool depthwise)
{
    const pinion__view *x = &args->operand[PINION__CONV_FORWARD_X];
    const int items = pinion__onednn_items(x->n, ITEMS);
    return (pinion__onednn_pass){.pass = PINION__FORWARD,
                                 .depthwise = depthwise,
                                 .x = *x,
                                 .w = args->operand[PINION__CONV_FORWARD_W],
                                 .y = args->operand[PINION__CONV_FORWARD_Y],
                                 .b = args->operand[PINION__CONV_FORWARD_B],
                                 .addend = args->operand[PINION__CONV_FORWARD_ADDEND],
                                 .conv = args->attributes,
                                 .activation = args->activation,
                                 .items = items,
                                 .samples = x->n / items};
}

static bool applicable(const pinion__args *args, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    return !args->update && !args->operand[PINION__CONV_FORWARD_STATS].data && pinion__onednn_can(&what);
}

static size_t weight_scratch(const pinion__args *args, const pinion__onednn *item)
{
    return args->prepared || item->plain_weights ? 0 : item->weight_bytes;
}

static size_t scratch_bytes(const pinion__args *args, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    pinion__onednn item;
    size_t bytes = 0;
    if (pinion__onednn_open(&what, &item))
        bytes = weight_scratch(args, &item) + (size_t)pinion__workers_threads(args->workers) * item.scratchpad_bytes;
    pinion__onednn_close(&item);
    return bytes;
}

typedef struct forward {
    const pinion__onednn *item;
    void *weights;
    char *scratchpads;
    atomic_bool failed;
} forward;

static void run_item(void *user, size_t index, int lane)
{
    forward *work = user;
    const pinion__onednn *item = work->item;
    const pinion__onednn_pass *what = item->what;
    const pinion__onednn_operands operands = {.x = pinion__onednn_item(what, &what->x, index),
                                              .w = work->weights,
                                              .y = pinion__onednn_item(what, &what->y, index),
                                              .b = what->b.data,
                                              .scratchpad = work->scratchpads + (size_t)lane * item->scratchpad_bytes};
    if (what->addend.data && what->addend.data != what->y.data)
        memcpy(operands.y, pinion__onednn_item(what, &what->addend, index),
               pinion__view_elements(&what->y) / (size_t)what->items * sizeof(float));
    if (!pinion__onednn_run(item, &operands))
        atomic_store(&work->failed, true);
}

static bool run_items(const pinion__args *args, pinion__onednn *item)
{
    char *scratch = args->scratch;
    forward work = {.item = item, .weights = item->what->w.data, .scratchpads = scratch + weight_scratch(args, item)};
    if (args->prepared) {
        memcpy(&work.weights, &args->prepared, sizeof work.weights); /* oneDNN's memory is never const */
    } else if (!item->plain_weights) {
        work.weights = scratch;
        if (!pinion__onednn_reorder(item, args->workers, item->what->w.data, scratch, false, false))
            return false;
    }
    if (!pinion__onednn_compile(item))
        return false;
    pinion__parallel(args->workers, (size_t)item->what->items, run_item, &work);
    return !atomic_load(&work.failed);
}

static void run(const pinion__args *args, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    pinion__onednn item;
    if (!pinion__onednn_open(&what, &item) || !run_items(args, &item))
        pinion__onednn_spoil(&what.y);
    pinion__onednn_close(&item);
}

static size_t prepared_bytes(const pinion__args *args, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    pinion__onednn item;
    const size_t bytes = pinion__onednn_open(&what, &item) ? item.weight_bytes : 0;
    pinion__onednn_close(&item);
    return bytes;
}

static void prepare(const pinion__args *args, void *into, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    pinion__onednn item;
    if (!pinion__onednn_open(&what, &item) ||
        !pinion__onednn_reorder(&item, args->workers, what.w.data, into, false, false)) {
        const pinion__view spoilt = {.data = into, .n = 1, .h = 1, .w = 1, .c = 1, .ld = 1};
        pinion__onednn_spoil(&spoilt);
    }
    pinion__onednn_close(&item);
}

static size_t dense_prepared_bytes(const pinion__args *args)
{
    return prepared_bytes(args, false);
}

static void dense_prepare(const pinion__args *args, void *into)
{
    prepare(args, into, false);
}

static size_t depthwise_prepared_bytes(const pinion__args *args)
{
    return prepared_bytes(args, true);
}

static void depthwise_prepare(const pinion__args *args, void *into)
{
    prepare(args, into, true);
}

PINION__ONEDNN_ROW(conv2d_forward_onednn, false, .prepared_bytes = dense_prepared_bytes, .prepare = dense_prepare);
PINION__ONEDNN_ROW(depthwise_conv2d_forward_onednn, true, .prepared_bytes = depthwise_prepared_bytes,
                   .prepare = depthwise_prepare);
