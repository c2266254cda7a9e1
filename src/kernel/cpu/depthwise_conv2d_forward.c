/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_conv2d forward with any window: the taps of a pixel are those inside the input.
 *
 * Scratch: a list of taps for each worker.
 */
#include "kernel/cpu/depthwise.h"
#include "kernel/cpu/stats.h"

typedef struct rows {
    const pinion__args *args;
    pinion__conv conv;
    pinion__depthwise_cut cut;
    pinion__bounds bounds;
} rows;

static int taps_of(const rows *job, int n, int p, int q, int channel, pinion__depthwise_tap *taps)
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
                taps[count++] = (pinion__depthwise_tap){
                    .source = (const float *)x->data + (((ptrdiff_t)n * x->h + y) * x->w + column) * x->ld + channel,
                    .filter = pinion__tap(w, 0, r, s) + channel};
        }
    }
    return count;
}

static void row(const rows *job, size_t at, const pinion__depthwise_part *part, pinion__depthwise_tap *taps)
{
    const pinion__view *y = &job->args->operand[PINION__CONV_FORWARD_Y];
    const pinion__view *addend = &job->args->operand[PINION__CONV_FORWARD_ADDEND];
    const float *bias = job->args->operand[PINION__CONV_FORWARD_B].data;
    const int n = (int)(at / (size_t)y->h), p = (int)(at % (size_t)y->h);
    for (int q = 0; q < y->w; q++) {
        const ptrdiff_t pixel = (ptrdiff_t)at * y->w + q;
        const pinion__depthwise_end end = {
            .bias = bias ? bias + part->first : NULL,
            .addend = addend->data ? (const float *)addend->data + pixel * addend->ld + part->first : NULL,
            .bounds = job->bounds};
        const int count = taps_of(job, n, p, q, part->first, taps);
        PINION__CPU_SHARED(depthwise_pixel)
        (taps, count, part->channels, &end, (float *)y->data + pixel * y->ld + part->first);
    }
}

static void item(void *user, size_t index, int lane)
{
    const rows *job = user;
    const pinion__view *y = &job->args->operand[PINION__CONV_FORWARD_Y];
    const pinion__view *stats = &job->args->operand[PINION__CONV_FORWARD_STATS];
    const pinion__depthwise_part part = pinion__depthwise_part_of(&job->cut, y, index);
    pinion__depthwise_tap *taps =
        (pinion__depthwise_tap *)job->args->scratch + (ptrdiff_t)lane * job->conv.r * job->conv.s;
    for (size_t at = part.first_row; at < part.end_row; at++)
        row(job, at, &part, taps);
    if (stats->data)
        pinion__stats_of_block(stats, y, &job->cut.blocks, part.block, part.first, part.channels);
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    return (size_t)pinion__threads(args) * (size_t)(conv.r * conv.s) * sizeof(pinion__depthwise_tap);
}

static void run(const pinion__args *args)
{
    rows job = {.args = args,
                .conv = pinion__conv_of(args),
                .cut = pinion__depthwise_cut_of(&args->operand[PINION__CONV_FORWARD_Y]),
                .bounds = pinion__bounds_of(args->activation)};
    pinion__parallel(args->workers, job.cut.items, item, &job);
}

PINION__CPU_KERNEL(depthwise_conv2d_forward) = {.scratch_bytes = scratch_bytes, .run = run};
