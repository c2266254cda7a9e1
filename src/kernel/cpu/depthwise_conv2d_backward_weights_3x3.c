/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_conv2d backward_weights with a 3x3 window and horizontal stride 1 or 2: the nine sums of a vector of
 * channels stay in registers over some rows, four pixels of dy at a time, each x loaded once for all of them. An item
 * is a part of the rows of the batch; how many parts there are depends on the shape only, and their sums are added in
 * order.
 *
 * Scratch: sums of every part, [part][tap][channel].
 */
#include "kernel/cpu/column_sums.h"
#include "kernel/cpu/conv2d.h"
#include "kernel/cpu/depthwise3.h"
#include "kernel/cpu/update.h"

enum { MOST_PARTS = 8, CACHED = 16384 /* floats of dy that stay near while the strips go over them */ };

typedef struct job {
    const pinion__args *args;
    const pinion__view *x, *dy;
    pinion__conv conv;
    int parts, rows;    /* rows that a strip walks before the next one does */
    ptrdiff_t channels; /* of a row of sums */
    pinion__sink sink;
} job;

static job job_of(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    const size_t total = (size_t)dy->n * (size_t)dy->h;
    const int cached = CACHED / (dy->w * dy->c);
    return (job){.args = args,
                 .x = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_X],
                 .dy = dy,
                 .conv = pinion__conv_of(args),
                 .parts = total < MOST_PARTS ? (int)total : MOST_PARTS,
                 .rows = cached > 1 ? cached : 1,
                 .channels = (ptrdiff_t)pinion__ceil_div(dy->c, PINION__LANES) * PINION__LANES};
}

static size_t scratch_bytes(const pinion__args *args)
{
    const job work = job_of(args);
    return (size_t)work.parts * PINION__TAPS * (size_t)work.channels * sizeof(float);
}

PINION__INLINE void edge(const pinion__rows3 *x, const float *dy, int column, const int count,
                         pinion__vf sum[PINION__TAPS])
{
    const pinion__vf gradient = pinion__vf_load_some(dy, count);
#pragma GCC unroll 3
    for (int s = 0; s < 3; s++)
        if (column + s >= 0 && column + s < x->width)
#pragma GCC unroll 3
            for (int r = 0; r < 3; r++)
                sum[3 * r + s] = pinion__vf_fma(
                    gradient, pinion__vf_load_some(x->row[r] + (column + s) * x->step[r], count), sum[3 * r + s]);
}

PINION__INLINE void inner(const pinion__rows3 *x, const float *dy, ptrdiff_t ld, int column, const int abreast,
                          const int stride, const int count, pinion__vf sum[PINION__TAPS])
{
    pinion__vf gradient[PINION__ABREAST];
#pragma GCC unroll 4
    for (int j = 0; j < abreast; j++)
        gradient[j] = pinion__vf_load_some(dy + j * ld, count);
#pragma GCC unroll 3
    for (int r = 0; r < 3; r++) {
        const float *at = x->row[r] + column * x->step[r];
#pragma GCC unroll 9
        for (int k = 0; k < (abreast - 1) * stride + 3; k++, at += x->step[r]) {
            const pinion__vf value = pinion__vf_load_some(at, count);
#pragma GCC unroll 4
            for (int j = 0; j < abreast; j++)
                if (k - j * stride >= 0 && k - j * stride < 3)
                    sum[3 * r + k - j * stride] = pinion__vf_fma(gradient[j], value, sum[3 * r + k - j * stride]);
        }
    }
}

PINION__INLINE void add_row(const job *work, size_t at, int channel, const int stride, const int count,
                            pinion__vf sum[PINION__TAPS])
{
    const pinion__view *dy = work->dy;
    const int n = (int)(at / (size_t)dy->h), top = (int)(at % (size_t)dy->h) * work->conv.stride_h - work->conv.pad_h;
    const pinion__rows3 x = pinion__rows3_of(work->x, n, top, channel);
    const float *from = (const float *)dy->data + (ptrdiff_t)at * dy->w * dy->ld + channel;
    const int pad = work->conv.pad_w;
    int first, end, q = 0;
    pinion__rows3_inside(x.width, dy->w, stride, pad, &first, &end);
    for (; q < first; q++)
        edge(&x, from + q * dy->ld, q * stride - pad, count, sum);
    for (; q + PINION__ABREAST <= end; q += PINION__ABREAST)
        inner(&x, from + q * dy->ld, dy->ld, q * stride - pad, PINION__ABREAST, stride, count, sum);
    for (; q < end; q++)
        inner(&x, from + q * dy->ld, dy->ld, q * stride - pad, 1, stride, count, sum);
    for (; q < dy->w; q++)
        edge(&x, from + q * dy->ld, q * stride - pad, count, sum);
}

/* totals[…] (+)= sums over some rows, a vector of channels. */
PINION__INLINE void strip(const job *work, size_t first, size_t end, int channel, const int stride, const int count,
                          bool more, float *totals)
{
    pinion__vf sum[PINION__TAPS];
#pragma GCC unroll 9
    for (int tap = 0; tap < PINION__TAPS; tap++)
        sum[tap] = pinion__vf_zero();
    for (size_t at = first; at < end; at++)
        add_row(work, at, channel, stride, count, sum);
#pragma GCC unroll 9
    for (int tap = 0; tap < PINION__TAPS; tap++)
        pinion__vf_put(totals + tap * work->channels + channel, sum[tap], PINION__LANES, more);
}

PINION__INLINE void rows(const job *work, size_t first, size_t end, const int stride, bool more, float *totals)
{
    int channel = 0;
    for (; channel + PINION__LANES <= work->dy->c; channel += PINION__LANES)
        strip(work, first, end, channel, stride, PINION__LANES, more, totals);
    if (channel < work->dy->c)
        strip(work, first, end, channel, stride, work->dy->c - channel, more, totals);
}

static void item(void *user, size_t part, int lane)
{
    (void)lane;
    const job *work = user;
    const size_t total = (size_t)work->dy->n * (size_t)work->dy->h, parts = (size_t)work->parts;
    const size_t first = total * part / parts, end = total * (part + 1) / parts;
    float *totals = (float *)work->args->scratch + (ptrdiff_t)part * PINION__TAPS * work->channels;
    for (size_t at = first; at < end; at += (size_t)work->rows) {
        const size_t until = end - at < (size_t)work->rows ? end : at + (size_t)work->rows;
        if (work->conv.stride_w == 1)
            rows(work, at, until, 1, at > first, totals);
        else
            rows(work, at, until, 2, at > first, totals);
    }
}

/* Parts in order. */
static void combine(void *user, size_t tap, int lane)
{
    (void)lane;
    const job *work = user;
    const ptrdiff_t part = PINION__TAPS * work->channels, ld = work->sink.view.ld;
    const float *from = (const float *)work->args->scratch + (ptrdiff_t)tap * work->channels;
    for (int c = 0; c < work->dy->c; c += PINION__LANES) {
        const int count = work->dy->c - c < PINION__LANES ? work->dy->c - c : PINION__LANES;
        pinion__vf sum = pinion__vf_load(from + c);
        for (int i = 1; i < work->parts; i++)
            sum = pinion__vf_add(sum, pinion__vf_load(from + i * part + c));
        pinion__sink_vector(&work->sink, (ptrdiff_t)tap * ld + c, sum, count);
    }
}

static bool applicable(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    return conv.r == 3 && conv.s == 3 && conv.stride_w <= 2;
}

static void run(const pinion__args *args)
{
    job work = job_of(args);
    work.sink = pinion__sink_of(args);
    pinion__parallel(args->workers, (size_t)work.parts, item, &work);
    pinion__parallel(args->workers, PINION__TAPS, combine, &work);
    const pinion__view *db = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB];
    if (db->data)
        PINION__CPU_SHARED(column_sums)(work.dy, db->data, args->accumulate, args->workers);
}

PINION__CPU_KERNEL(depthwise_conv2d_backward_weights_3x3) = {
    .applicable = applicable, .scratch_bytes = scratch_bytes, .run = run};
