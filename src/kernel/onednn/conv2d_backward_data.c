/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d and depthwise_conv2d backward_data by oneDNN. oneDNN cannot add to what is there: with `accumulate` an item's
 * gradient goes to scratch and is added from there.
 *
 * Scratch: the weights in oneDNN's format, unless they are wanted as they are; for each worker a scratchpad and, with
 * `accumulate`, the input gradient of one item.
 */
#include "kernel/onednn/onednn.h"
#include <stdatomic.h>

enum { ITEMS = 8 };

static pinion__onednn_pass pass_of(const pinion__args *args, bool depthwise)
{
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    const int items = pinion__onednn_items(dx->n, ITEMS);
    return (pinion__onednn_pass){.pass = PINION__BACKWARD_DATA,
                                 .depthwise = depthwise,
                                 .x = *dx,
                                 .w = args->operand[PINION__CONV_BACKWARD_DATA_W],
                                 .y = args->operand[PINION__CONV_BACKWARD_DATA_DY],
                                 .conv = args->attributes,
                                 .items = items,
                                 .samples = dx->n / items};
}

static bool applicable(const pinion__args *args, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    return args->activation == PINION__ACTIVATION_NONE && !args->update && pinion__onednn_can(&what);
}

static size_t weight_scratch(const pinion__onednn *item)
{
    return item->plain_weights ? 0 : item->weight_bytes;
}

static size_t item_elements(const pinion__onednn_pass *what)
{
    return pinion__view_elements(&what->x) / (size_t)what->items;
}

/* Of one worker: the scratchpad, then the gradient. */
static size_t lane_bytes(const pinion__args *args, const pinion__onednn *item)
{
    return item->scratchpad_bytes +
           (args->accumulate ? pinion__onednn_round64(item_elements(item->what) * sizeof(float)) : 0);
}

static size_t scratch_bytes(const pinion__args *args, bool depthwise)
{
    const pinion__onednn_pass what = pass_of(args, depthwise);
    pinion__onednn item;
    size_t bytes = 0;
    if (pinion__onednn_open(&what, &item))
        bytes = weight_scratch(&item) + (size_t)pinion__workers_threads(args->workers) * lane_bytes(args, &item);
    pinion__onednn_close(&item);
    return bytes;
}

typedef struct backward {
    const pinion__args *args;
    const pinion__onednn *item;
    void *weights;
    char *lanes;
    atomic_bool failed;
} backward;

static void run_item(void *user, size_t index, int lane)
{
    backward *work = user;
    const pinion__onednn *item = work->item;
    const pinion__onednn_pass *what = item->what;
    char *own = work->lanes + (size_t)lane * lane_bytes(work->args, item);
    float *dx = pinion__onednn_item(what, &what->x, index);
    float *gradient = work->args->accumulate ? (float *)(void *)(own + item->scratchpad_bytes) : dx;
    const pinion__onednn_operands operands = {
        .x = gradient, .w = work->weights, .y = pinion__onednn_item(what, &what->y, index), .scratchpad = own};
    if (!pinion__onednn_run(item, &operands))
        atomic_store(&work->failed, true);
    for (size_t i = 0; work->args->accumulate && i < item_elements(what); i++)
        dx[i] += gradient[i];
}

static bool run_items(const pinion__args *args, pinion__onednn *item)
{
    char *scratch = args->scratch;
    backward work = {
        .args = args, .item = item, .weights = item->what->w.data, .lanes = scratch + weight_scratch(item)};
    if (!item->plain_weights) {
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
        pinion__onednn_spoil(&what.x);
    pinion__onednn_close(&item);
}

PINION__ONEDNN_ROW(conv2d_backward_data_onednn, false, .prepare = NULL);
PINION__ONEDNN_ROW(depthwise_conv2d_backward_data_onednn, true, .prepare = NULL);
