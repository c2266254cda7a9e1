/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_conv2d forward: a row of output pixels is an item; the taps of a pixel are those inside the input.
 *
 * Scratch: a list of taps for each worker.
 */
#include "kernel/cpu/depthwise.h"

typedef struct rows {
    const pinion__args *args;
    pinion__conv conv;
} rows;

static int taps_of(const rows *job, int n, int p, int q, pinion__depthwise_tap *taps)
{
    const pinion__view *x = &job->args->operand[PINION__CONV_FORWARD_X],
                       *w = &job->args->operand[PINION__CONV_FORWARD_W];
    int count = 0;
    for (int r = 0; r < job->conv.r; r++) {
        const int y = p * job->conv.stride_h - job->conv.pad_h + r;
        if (y < 0 || y >= x->h)
            continue;
        for (int s = 0; s < job->conv.s; s++) {
            const int column = q * job->conv.stride_w - job->conv.pad_w + s;
            if (column >= 0 && column < x->w)
                taps[count++] = (pinion__depthwise_tap){.source = (const float *)x->data +
                                                                  (((ptrdiff_t)n * x->h + y) * x->w + column) * x->ld,
                                                        .filter = pinion__tap(w, 0, r, s)};
        }
    }
    return count;
}

static void item(void *user, size_t row, int lane)
{
    const rows *job = user;
    const pinion__view *y = &job->args->operand[PINION__CONV_FORWARD_Y];
    const float *bias = job->args->operand[PINION__CONV_FORWARD_B].data;
    pinion__depthwise_tap *taps =
        (pinion__depthwise_tap *)job->args->scratch + (ptrdiff_t)lane * job->conv.r * job->conv.s;
    const int n = (int)(row / (size_t)y->h), p = (int)(row % (size_t)y->h);
    float *out = (float *)y->data + (ptrdiff_t)row * y->w * y->ld;
    for (int q = 0; q < y->w; q++, out += y->ld)
        PINION__CPU_SHARED(depthwise_pixel)(taps, taps_of(job, n, p, q, taps), y->c, bias, false, out);
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    return (size_t)pinion__threads(args) * (size_t)(conv.r * conv.s) * sizeof(pinion__depthwise_tap);
}

static void run(const pinion__args *args)
{
    rows job = {.args = args, .conv = pinion__conv_of(args)};
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y];
    pinion__parallel(args->workers, (size_t)y->n * (size_t)y->h, item, &job);
}

PINION__CPU_KERNEL(depthwise_conv2d_forward) = {.scratch_bytes = scratch_bytes, .run = run};
