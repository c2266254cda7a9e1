/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d backward_data as indirect products: dx[y] = sum over taps r of dy[(y + pad - r) / stride] * w[r] where the
 * division is exact. The pixels of dx fall into stride_h x stride_w phases by their position modulo the stride; all
 * pixels of a phase meet the same taps, r = r0, r0 + stride, …, so a phase is a gemm_pixels of its own with the
 * reduction over k. A phase without taps becomes zero.
 *
 * Scratch: panels [channel block][tap of the phase][k][columns]; what gemm_pixels wants.
 */
#include "kernel/cpu/conv2d.h"

/* The taps of a phase along one axis: first, first + stride, …; and where the first one reads. */
typedef struct phase {
    int first, taps, offset;
} phase;

static phase phase_of(int position, int filter, int stride, int pad)
{
    const int first = (position + pad) % stride;
    return (phase){.first = first,
                   .taps = first < filter ? (filter - 1 - first) / stride + 1 : 0,
                   .offset = (position + pad - first) / stride};
}

typedef struct panel_packing {
    const pinion__view *w;
    float *panels;
    phase rows, columns;
    int stride_h, stride_w;
} panel_packing;

static void pack(void *user, size_t index, int lane)
{
    (void)lane;
    const panel_packing *packing = user;
    const pinion__view *w = packing->w;
    const int taps = packing->rows.taps * packing->columns.taps;
    const int c = (int)(index / (size_t)taps) * PINION__TILE_COLUMNS, tap = (int)(index % (size_t)taps);
    const int r = packing->rows.first + tap / packing->columns.taps * packing->stride_h;
    const int s = packing->columns.first + tap % packing->columns.taps * packing->stride_w;
    const int channels = w->c - c < PINION__TILE_COLUMNS ? w->c - c : PINION__TILE_COLUMNS;
    float *out = packing->panels + (ptrdiff_t)index * w->n * PINION__TILE_COLUMNS;
    for (int k = 0; k < w->n; k++, out += PINION__TILE_COLUMNS) {
        const float *from = pinion__tap(w, k, r, s) + c;
        memcpy(out, from, (size_t)channels * sizeof(float));
        memset(out + channels, 0, (size_t)(PINION__TILE_COLUMNS - channels) * sizeof(float));
    }
}

static size_t panels_bytes(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    const pinion__view *w = &args->operand[PINION__CONV_BACKWARD_DATA_W];
    const size_t panels = (size_t)pinion__ceil_div(w->c, PINION__TILE_COLUMNS);
    const int taps = pinion__ceil_div(conv.r, conv.stride_h) * pinion__ceil_div(conv.s, conv.stride_w);
    return pinion__round64(panels * (size_t)taps * (size_t)w->n * PINION__TILE_COLUMNS * sizeof(float));
}

/* The product of the pixels y, y + stride, … and x, x + stride, … of dx. */
static pinion__gemm_pixels product_of(const pinion__args *args, const pinion__conv *conv, int y, int x)
{
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    const phase rows = phase_of(y, conv->r, conv->stride_h, conv->pad_h);
    const phase columns = phase_of(x, conv->s, conv->stride_w, conv->pad_w);
    return (pinion__gemm_pixels){.source = args->operand[PINION__CONV_BACKWARD_DATA_DY],
                                 .target = *dx,
                                 .grid_h = pinion__ceil_div(dx->h - y, conv->stride_h),
                                 .grid_w = pinion__ceil_div(dx->w - x, conv->stride_w),
                                 .step_h = 1,
                                 .step_w = 1,
                                 .first_h = rows.offset,
                                 .first_w = columns.offset,
                                 .tap_h = -1,
                                 .tap_w = -1,
                                 .taps_h = rows.taps,
                                 .taps_w = columns.taps,
                                 .target_h = y,
                                 .target_w = x,
                                 .target_step_h = conv->stride_h,
                                 .target_step_w = conv->stride_w,
                                 .addend = args->accumulate ? *dx : (pinion__view){.data = NULL}};
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    size_t most = 0;
    for (int y = 0; y < conv.stride_h && y < dx->h; y++)
        for (int x = 0; x < conv.stride_w && x < dx->w; x++) {
            const pinion__gemm_pixels product = product_of(args, &conv, y, x);
            const size_t bytes = PINION__CPU_SHARED(gemm_pixels_scratch)(&product, pinion__threads(args));
            most = bytes > most ? bytes : most;
        }
    return panels_bytes(args) + most;
}

static void run_phase(const pinion__args *args, const pinion__conv *conv, int y, int x)
{
    const pinion__view *w = &args->operand[PINION__CONV_BACKWARD_DATA_W];
    pinion__gemm_pixels product = product_of(args, conv, y, x);
    const int taps = product.taps_h * product.taps_w;
    if (taps == 0 && args->accumulate)
        return;
    panel_packing packing = {.w = w,
                             .panels = args->scratch,
                             .rows = phase_of(y, conv->r, conv->stride_h, conv->pad_h),
                             .columns = phase_of(x, conv->s, conv->stride_w, conv->pad_w),
                             .stride_h = conv->stride_h,
                             .stride_w = conv->stride_w};
    const int panels = pinion__ceil_div(w->c, PINION__TILE_COLUMNS);
    pinion__parallel(args->workers, (size_t)panels * (size_t)taps, pack, &packing);
    product.panels = packing.panels;
    product.scratch = (char *)args->scratch + panels_bytes(args);
    PINION__CPU_SHARED(gemm_pixels)(&product, args->workers);
}

static void run(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    const pinion__view *dx = &args->operand[PINION__CONV_BACKWARD_DATA_DX];
    for (int y = 0; y < conv.stride_h && y < dx->h; y++)
        for (int x = 0; x < conv.stride_w && x < dx->w; x++)
            run_phase(args, &conv, y, x);
}

PINION__CPU_KERNEL(conv2d_backward_data_gemm) = {.scratch_bytes = scratch_bytes, .run = run};
