/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_conv2d backward_data with any window: dx[y] = sum of dy[(y + pad - r) / stride] * w[r] over the taps where
 * the division is exact and the result lies inside dy. A row of dx is an item.
 *
 * Scratch: a list of taps for each worker.
 */
#include "kernel/cpu/depthwise.h"

typedef struct rows {
    const pinion__args *args;
    pinion__conv conv;
} rows;

/* The output position that tap `tap` takes to `position` of the input; -1: none. */
static int origin(int position, int tap, int pad, int stride, int limit)
{
    const int at = position + pad - tap;
    return at >= 0 && at % stride == 0 && at / stride < limit ? at / stride : -1;
}

static int taps_of(const rows *job, int n, int y, int x, pinion__depthwise_tap *taps)
{
    const pinion__conv *conv = &job->conv;
    const pinion__view *dy = &job->args->operand[PINION__CONV_BACKWARD_DATA_DY];
    const pinion__view *w = &job->args->operand[PINION__CONV_BACKWARD_DATA_W];
    int count = 0;
    for (int r = 0; r < conv->r; r++) {
        const int p = origin(y, r, conv->pad_h, conv->stride_h, dy->h);
        if (p < 0)
            continue;
        for (int s = 0; s < conv->s; s++) {
            const int q = origin(x, s, conv->pad_w, conv->stride_w, dy->w);
            if (q >= 0)
                taps[count++] = (pinion__depthwise_tap){.source = (const float *)dy->data +
                                                                  (((ptrdiff_t)n * dy->h + p) * dy->w + q) * dy->ld,
                                                        .filter = pinion__tap(w, 0, r, s)};
        }
    }
    return count;
}

static void item(void *user, size_t row, int lane)
{
    const rows *job = user;
    const pinion__view *dx = &job->args->operand[PINION__CONV_BACKWARD_DATA_DX];
    pinion__depthwise_tap *taps =
        (pinion__depthwise_tap *)job->args->scratch + (ptrdiff_t)lane * job->conv.r * job->conv.s;
    const int n = (int)(row / (size_t)dx->h), y = (int)(row % (size_t)dx->h);
    const pinion__bounds bounds = pinion__bounds_of(PINION__ACTIVATION_NONE);
    float *out = (float *)dx->data + (ptrdiff_t)row * dx->w * dx->ld;
    for (int x = 0; x < dx->w; x++, out += dx->ld) {
        const pinion__depthwise_end end = {.addend = job->args->accumulate ? out : NULL, .bounds = bounds};
        PINION__CPU_SHARED(depthwise_pixel)(taps, taps_of(job, n, y, x, taps), dx->c, &end, out);
    }
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    return (size_t)pinion__threads(args) * (size_t)(conv.r * conv.s) * sizeof(pinion__depthwise_tap);
}

static void run(const pinion__args *args)
{
    rows job = {.args = args, .conv = pinion__conv_of(args)};
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    pinion__parallel(args->workers, (size_t)dx->n * (size_t)dx->h, item, &job);
}

PINION__CPU_KERNEL(depthwise_conv2d_backward_data) = {.scratch_bytes = scratch_bytes, .run = run};
