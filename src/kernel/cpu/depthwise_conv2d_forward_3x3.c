/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_conv2d forward with a 3x3 window and horizontal stride 1 or 2 (depthwise3.h). Within an item rows come one
 * after the other, each strip by strip of channels, so that the three rows a window needs stay in cache.
 */
#include "kernel/cpu/depthwise.h"
#include "kernel/cpu/depthwise3.h"
#include "kernel/cpu/stats.h"

typedef struct job {
    const pinion__args *args;
    pinion__conv conv;
    pinion__depthwise_cut cut;
    pinion__bounds bounds;
    bool fused; /* addend or activation */
} job;

/* A vector of channels, or the first `count` of one, of row `at`. */
PINION__INLINE void strip(const job *work, size_t at, int channel, const int count)
{
    const pinion__args *args = work->args;
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y], *w = &args->operand[PINION__CONV_FORWARD_W];
    const pinion__view *addend = &args->operand[PINION__CONV_FORWARD_ADDEND];
    const float *bias = args->operand[PINION__CONV_FORWARD_B].data;
    const ptrdiff_t pixel = (ptrdiff_t)at * y->w;
    const int n = (int)(at / (size_t)y->h), top = (int)(at % (size_t)y->h) * work->conv.stride_h - work->conv.pad_h;
    pinion__row3 row = {
        .from = pinion__rows3_of(&args->operand[PINION__CONV_FORWARD_X], n, top, channel),
        .bias = bias ? pinion__vf_load_some(bias + channel, count) : pinion__vf_zero(),
        .out = (float *)y->data + pixel * y->ld + channel,
        .addend = addend->data ? (const float *)addend->data + pixel * addend->ld + channel : NULL,
        .out_ld = y->ld,
        .addend_ld = addend->ld,
        .bounds = work->bounds,
        .outputs = y->w,
        .pad = work->conv.pad_w,
    };
#pragma GCC unroll 9
    for (int tap = 0; tap < PINION__TAPS; tap++)
        row.weights[tap] = pinion__vf_load_some((const float *)w->data + tap * w->ld + channel, count);
    if (work->conv.stride_w == 1 && work->fused)
        pinion__row3_run(&row, 1, count, PINION__ROW3_FUSED);
    else if (work->conv.stride_w == 1)
        pinion__row3_run(&row, 1, count, PINION__ROW3_PLAIN);
    else if (work->fused)
        pinion__row3_run(&row, 2, count, PINION__ROW3_FUSED);
    else
        pinion__row3_run(&row, 2, count, PINION__ROW3_PLAIN);
}

static void item(void *user, size_t index, int lane)
{
    (void)lane;
    const job *work = user;
    const pinion__view *y = &work->args->operand[PINION__CONV_FORWARD_Y];
    const pinion__view *stats = &work->args->operand[PINION__CONV_FORWARD_STATS];
    const pinion__depthwise_part part = pinion__depthwise_part_of(&work->cut, y, index);
    const int end = part.first + part.channels;
    for (size_t at = part.first_row; at < part.end_row; at++) {
        int channel = part.first;
        for (; channel + PINION__LANES <= end; channel += PINION__LANES)
            strip(work, at, channel, PINION__LANES);
        if (channel < end)
            strip(work, at, channel, end - channel);
    }
    if (stats->data)
        pinion__stats_of_block(stats, y, &work->cut.blocks, part.block, part.first, part.channels);
}

static bool applicable(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    return conv.r == 3 && conv.s == 3 && conv.stride_w <= 2;
}

static void run(const pinion__args *args)
{
    job work = {
        .args = args,
        .conv = pinion__conv_of(args),
        .cut = pinion__depthwise_cut_of(&args->operand[PINION__CONV_FORWARD_Y]),
        .bounds = pinion__bounds_of(args->activation),
        .fused = args->activation != PINION__ACTIVATION_NONE || args->operand[PINION__CONV_FORWARD_ADDEND].data,
    };
    pinion__parallel(args->workers, work.cut.items, item, &work);
}

PINION__CPU_KERNEL(depthwise_conv2d_forward_3x3) = {.applicable = applicable, .run = run};
