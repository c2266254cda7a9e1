/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_conv2d backward_data with a 3x3 window.
 *
 * Stride 1: dx is a convolution of dy with the window turned round and padding 2 - pad (depthwise3.h).
 *
 * Stride 2 in a direction: with t = y + pad, rows of dx with even t = 2m take dy[m] * w[0] + dy[m-1] * w[2], those with
 * odd t = 2m+1 take dy[m] * w[1]; columns alike. So a row of dx has one or two rows of dy, and its columns come in
 * pairs that read dy[m] and dy[m-1].
 */
#include "kernel/cpu/depthwise.h"
#include "kernel/cpu/depthwise3.h"

typedef struct job {
    const pinion__args *args;
    pinion__conv conv;
    pinion__depthwise_cut cut;
} job;

/* ---- stride 1 ---- */

PINION__INLINE void dense_strip(const job *work, size_t at, int channel, const int count)
{
    const pinion__args *args = work->args;
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    const pinion__view *w = &args->operand[PINION__CONV_BACKWARD_DATA_W];
    const int n = (int)(at / (size_t)dx->h), top = (int)(at % (size_t)dx->h) - (2 - work->conv.pad_h);
    pinion__row3 row = {
        .from = pinion__rows3_of(&args->operand[PINION__CONV_BACKWARD_DATA_DY], n, top, channel),
        .bias = pinion__vf_zero(),
        .out = (float *)dx->data + (ptrdiff_t)at * dx->w * dx->ld + channel,
        .out_ld = dx->ld,
        .outputs = dx->w,
        .pad = 2 - work->conv.pad_w,
    };
#pragma GCC unroll 9
    for (int tap = 0; tap < PINION__TAPS; tap++)
        row.weights[PINION__TAPS - 1 - tap] =
            pinion__vf_load_some((const float *)w->data + tap * w->ld + channel, count);
    if (args->accumulate)
        pinion__row3_run(&row, 1, count, PINION__ROW3_ACCUMULATE);
    else
        pinion__row3_run(&row, 1, count, PINION__ROW3_PLAIN);
}

/* ---- stride 2 ---- */

/* A row of dx as sums over `rows` rows of dy. */
typedef struct spread {
    const float *row[2];
    pinion__vf weights[2][3];
    float *out; /* column -pad: that of t = 0 */
    ptrdiff_t step, out_ld;
    int width, pad, columns; /* of dy; of dx */
} spread;

PINION__INLINE void spread_put(const spread *s, int t, pinion__vf sum, const int count, const bool accumulate)
{
    if (t >= s->pad && t < s->pad + s->columns)
        pinion__vf_put(s->out + t * s->out_ld, sum, count, accumulate);
}

/* Columns t = 2m and 2m+1. */
PINION__INLINE void spread_pair(const spread *s, int m, const int rows, const bool inside, const int count,
                                const bool accumulate)
{
    pinion__vf even = pinion__vf_zero(), odd = pinion__vf_zero();
#pragma GCC unroll 2
    for (int k = 0; k < rows; k++) {
        const float *at = s->row[k] + m * s->step;
        if (inside || m < s->width) {
            const pinion__vf here = pinion__vf_load_some(at, count);
            even = pinion__vf_fma(here, s->weights[k][0], even);
            odd = pinion__vf_fma(here, s->weights[k][1], odd);
        }
        if (inside || (m > 0 && m - 1 < s->width))
            even = pinion__vf_fma(pinion__vf_load_some(at - s->step, count), s->weights[k][2], even);
    }
    if (inside) {
        pinion__vf_put(s->out + 2 * m * s->out_ld, even, count, accumulate);
        pinion__vf_put(s->out + (2 * m + 1) * s->out_ld, odd, count, accumulate);
    } else {
        spread_put(s, 2 * m, even, count, accumulate);
        spread_put(s, 2 * m + 1, odd, count, accumulate);
    }
}

PINION__INLINE void spread_run(const spread *shared, const int rows, const int count, const bool accumulate)
{
    const spread copy = *shared, *const s = &copy;
    const int last = s->pad + s->columns; /* t ends before */
    const int first = s->pad / 2 + 1;
    int end = last / 2 < s->width ? last / 2 : s->width, m = s->pad / 2;
    end = end > first ? end : first;
    for (; m < first && 2 * m < last; m++)
        spread_pair(s, m, rows, false, count, accumulate);
    for (; m < end && 2 * m + 1 < last && m < s->width; m++)
        spread_pair(s, m, rows, true, count, accumulate);
    for (; 2 * m < last; m++)
        spread_pair(s, m, rows, false, count, accumulate);
}

PINION__INLINE void spread_strip(const job *work, size_t at, int channel, const int count, const bool accumulate)
{
    const pinion__view *dy = &work->args->operand[PINION__CONV_BACKWARD_DATA_DY];
    const pinion__view *dx = &work->args->operand[PINION__CONV_BACKWARD_DATA_DX];
    const pinion__view *w = &work->args->operand[PINION__CONV_BACKWARD_DATA_W];
    const int n = (int)(at / (size_t)dx->h), t = (int)(at % (size_t)dx->h) + work->conv.pad_h;
    spread s = {.out = (float *)dx->data + ((ptrdiff_t)at * dx->w - work->conv.pad_w) * dx->ld + channel,
                .step = dy->ld,
                .out_ld = dx->ld,
                .width = dy->w,
                .pad = work->conv.pad_w,
                .columns = dx->w};
    int rows = 0;
    for (int r = t % 2; r < 3; r += 2) {
        const int p = (t - r) / 2;
        if (t < r || p >= dy->h)
            continue;
        s.row[rows] = (const float *)dy->data + ((ptrdiff_t)n * dy->h + p) * dy->w * dy->ld + channel;
        for (int tap = 0; tap < 3; tap++)
            s.weights[rows][tap] = pinion__vf_load_some(pinion__tap(w, 0, r, tap) + channel, count);
        rows++;
    }
    if (rows == 2)
        spread_run(&s, 2, count, accumulate);
    else if (rows == 1)
        spread_run(&s, 1, count, accumulate);
    else
        spread_run(&s, 0, count, accumulate);
}

/* ---- */

PINION__INLINE void strip(const job *work, size_t at, int channel, const int count)
{
    if (work->conv.stride_w == 1)
        dense_strip(work, at, channel, count);
    else if (work->args->accumulate)
        spread_strip(work, at, channel, count, true);
    else
        spread_strip(work, at, channel, count, false);
}

static void item(void *user, size_t index, int lane)
{
    (void)lane;
    const job *work = user;
    const pinion__view *dx = &work->args->operand[PINION__CONV_BACKWARD_DATA_DX];
    const pinion__depthwise_part part = pinion__depthwise_part_of(&work->cut, dx, index);
    const int end = part.first + part.channels;
    for (size_t at = part.first_row; at < part.end_row; at++) {
        int channel = part.first;
        for (; channel + PINION__LANES <= end; channel += PINION__LANES)
            strip(work, at, channel, PINION__LANES);
        if (channel < end)
            strip(work, at, channel, end - channel);
    }
}

static bool applicable(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    const bool dense = conv.stride_h == 1 && conv.stride_w == 1 && conv.pad_h <= 2 && conv.pad_w <= 2;
    return conv.r == 3 && conv.s == 3 && (dense || (conv.stride_h == 2 && conv.stride_w == 2));
}

static void run(const pinion__args *args)
{
    job work = {.args = args,
                .conv = pinion__conv_of(args),
                .cut = pinion__depthwise_cut_of(&args->operand[PINION__CONV_BACKWARD_DATA_DX])};
    pinion__parallel(args->workers, work.cut.items, item, &work);
}

PINION__CPU_KERNEL(depthwise_conv2d_backward_data_3x3) = {.applicable = applicable, .run = run};
