/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_conv2d backward_weights with any window: dw[r][s][c] = sum over pixels of dy[p][c] * x[p*stride - pad +
 * tap][c]. An item is a block of channels over a part of the batch; how many parts there are depends on the batch only,
 * and their sums are added in order. Within a part every row of pixels is summed on its own first.
 *
 * Scratch: sums of every part, [part][tap][channel].
 */
#include "kernel/cpu/column_sums.h"
#include "kernel/cpu/conv2d.h"
#include "kernel/cpu/update.h"

enum { MOST_PARTS = 8, BLOCK_VECTORS = 4, BLOCK = BLOCK_VECTORS * PINION__LANES };

typedef struct sums {
    const pinion__args *args;
    pinion__conv conv;
    int parts, blocks;
    pinion__sink sink;
} sums;

static sums sums_of(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    return (sums){.args = args,
                  .conv = pinion__conv_of(args),
                  .parts = dy->n < MOST_PARTS ? dy->n : MOST_PARTS,
                  .blocks = pinion__ceil_div(dy->c, BLOCK)};
}

static size_t scratch_bytes(const pinion__args *args)
{
    const sums job = sums_of(args);
    return (size_t)job.parts * (size_t)(job.conv.r * job.conv.s * job.blocks) * BLOCK * sizeof(float);
}

/* total[…] += sum over the row of dy * x, BLOCK channels. */
PINION__INLINE void whole_row(const float *dy, ptrdiff_t dy_step, const float *x, ptrdiff_t x_step, int count,
                              float *total)
{
    pinion__vf row[BLOCK_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < BLOCK_VECTORS; v++)
        row[v] = pinion__vf_zero();
    for (int i = 0; i < count; i++, dy += dy_step, x += x_step)
#pragma GCC unroll 4
        for (int v = 0; v < BLOCK_VECTORS; v++)
            row[v] =
                pinion__vf_fma(pinion__vf_load(dy + v * PINION__LANES), pinion__vf_load(x + v * PINION__LANES), row[v]);
#pragma GCC unroll 4
    for (int v = 0; v < BLOCK_VECTORS; v++)
        pinion__vf_store(total + v * PINION__LANES, pinion__vf_add(pinion__vf_load(total + v * PINION__LANES), row[v]));
}

/* The same for fewer channels. */
static void part_row(const float *dy, ptrdiff_t dy_step, const float *x, ptrdiff_t x_step, int count, float *total,
                     int channels)
{
    for (int c = 0; c < channels; c += PINION__LANES) {
        const int lanes = channels - c < PINION__LANES ? channels - c : PINION__LANES;
        pinion__vf row = pinion__vf_zero();
        for (int i = 0; i < count; i++)
            row = pinion__vf_fma(pinion__vf_load_part(dy + i * dy_step + c, lanes),
                                 pinion__vf_load_part(x + i * x_step + c, lanes), row);
        pinion__vf_store(total + c, pinion__vf_add(pinion__vf_load(total + c), row));
    }
}

static void add_row(const sums *job, int n, int p, int c, float *totals)
{
    const pinion__conv *conv = &job->conv;
    const pinion__view *x = &job->args->operand[PINION__CONV_BACKWARD_WEIGHTS_X];
    const pinion__view *dy = &job->args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    for (int r = 0; r < conv->r; r++) {
        const int y = p * conv->stride_h - conv->pad_h + r;
        if (y < 0 || y >= x->h)
            continue;
        for (int s = 0; s < conv->s; s++) {
            int begin, end;
            pinion__tap_range(s, conv->stride_w, conv->pad_w, x->w, dy->w, &begin, &end);
            const ptrdiff_t column = (ptrdiff_t)begin * conv->stride_w - conv->pad_w + s;
            const float *from_dy = (const float *)dy->data + (((ptrdiff_t)n * dy->h + p) * dy->w + begin) * dy->ld + c;
            const float *from_x = (const float *)x->data + (((ptrdiff_t)n * x->h + y) * x->w + column) * x->ld + c;
            float *total = totals + (ptrdiff_t)(r * conv->s + s) * BLOCK;
            if (dy->c - c >= BLOCK)
                whole_row(from_dy, dy->ld, from_x, conv->stride_w * x->ld, end - begin, total);
            else
                part_row(from_dy, dy->ld, from_x, conv->stride_w * x->ld, end - begin, total, dy->c - c);
        }
    }
}

static float *totals_of(const sums *job, int part, int block)
{
    return (float *)job->args->scratch + ((ptrdiff_t)part * job->blocks + block) * job->conv.r * job->conv.s * BLOCK;
}

static void item(void *user, size_t index, int lane)
{
    (void)lane;
    const sums *job = user;
    const pinion__view *dy = &job->args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY];
    const int part = (int)(index / (size_t)job->blocks), block = (int)(index % (size_t)job->blocks);
    float *totals = totals_of(job, part, block);
    memset(totals, 0, (size_t)(job->conv.r * job->conv.s) * BLOCK * sizeof(float));
    const int end = pinion__piece_begin(dy->n, job->parts, part + 1);
    for (int n = pinion__piece_begin(dy->n, job->parts, part); n < end; n++)
        for (int p = 0; p < dy->h; p++)
            add_row(job, n, p, block * BLOCK, totals);
}

/* Parts in order. */
static void combine(void *user, size_t block, int lane)
{
    (void)lane;
    const sums *job = user;
    const int begin = (int)block * BLOCK, c = job->sink.view.c, channels = c - begin < BLOCK ? c - begin : BLOCK;
    for (int tap = 0; tap < job->conv.r * job->conv.s; tap++) {
        float total[BLOCK];
        memcpy(total, totals_of(job, 0, (int)block) + tap * BLOCK, sizeof total);
        for (int part = 1; part < job->parts; part++) {
            const float *from = totals_of(job, part, (int)block) + tap * BLOCK;
            for (int i = 0; i < BLOCK; i++)
                total[i] += from[i];
        }
        pinion__sink_row(&job->sink, tap * job->sink.view.ld + begin, total, channels);
    }
}

static void run(const pinion__args *args)
{
    sums job = sums_of(args);
    job.sink = pinion__sink_of(args);
    pinion__parallel(args->workers, (size_t)job.parts * (size_t)job.blocks, item, &job);
    pinion__parallel(args->workers, (size_t)job.blocks, combine, &job);
    const pinion__view *db = &args->operand[PINION__CONV_BACKWARD_WEIGHTS_DB];
    if (db->data != NULL)
        PINION__CPU_SHARED(column_sums)
    (&args->operand[PINION__CONV_BACKWARD_WEIGHTS_DY], db->data, args->accumulate, args->workers);
}

PINION__CPU_KERNEL(depthwise_conv2d_backward_weights) = {.scratch_bytes = scratch_bytes, .run = run};
