/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d forward as an indirect product: the filters are packed into panels [column block][tap][channel][columns],
 * zeros filling the last block, then every output pixel is a row of gemm_pixels.
 *
 * Prepared weights are these panels. Scratch: panels unless prepared; what gemm_pixels wants.
 */
#include "kernel/cpu/conv2d.h"
#include "kernel/cpu/transpose.h"

typedef struct panel_packing {
    const pinion__view *w;
    float *panels;
} panel_packing;

/* One block of LANES filters at one tap, transposed into the panel; `filters` and the tail of channels may be short. */
static void pack_block(const panel_packing *packing, int k, int filters, int tap, float *out)
{
    const pinion__view *w = packing->w;
    for (int c = 0; c < w->c; c += PINION__LANES) {
        const int channels = w->c - c < PINION__LANES ? w->c - c : PINION__LANES;
        pinion__vf block[PINION__LANES];
#pragma GCC unroll 16
        for (int i = 0; i < PINION__LANES; i++) {
            const float *from = (const float *)w->data + ((ptrdiff_t)(k + i) * w->h * w->w + tap) * w->ld + c;
            block[i] = i >= filters                ? pinion__vf_zero()
                       : channels == PINION__LANES ? pinion__vf_load(from)
                                                   : pinion__vf_load_part(from, channels);
        }
        pinion__vf_transpose(block);
#pragma GCC unroll 16
        for (int i = 0; i < PINION__LANES; i++)
            if (i < channels)
                pinion__vf_store(out + (ptrdiff_t)(c + i) * PINION__TILE_COLUMNS, block[i]);
    }
}

static void pack(void *user, size_t index, int lane)
{
    (void)lane;
    const panel_packing *packing = user;
    const int taps = packing->w->h * packing->w->w;
    const int panel = (int)(index / (size_t)taps), tap = (int)(index % (size_t)taps);
    float *out = packing->panels + (ptrdiff_t)index * packing->w->c * PINION__TILE_COLUMNS;
    for (int v = 0; v < PINION__TILE_VECTORS; v++) {
        const int k = panel * PINION__TILE_COLUMNS + v * PINION__LANES;
        pack_block(packing, k, packing->w->n - k, tap, out + (ptrdiff_t)v * PINION__LANES);
    }
}

static size_t panels_bytes(const pinion__args *args)
{
    const pinion__view *w = &args->operand[PINION__CONV_FORWARD_W];
    const size_t panels = (size_t)pinion__ceil_div(w->n, PINION__TILE_COLUMNS);
    return pinion__round64(panels * (size_t)(w->h * w->w * w->c) * PINION__TILE_COLUMNS * sizeof(float));
}

static void prepare(const pinion__args *args, void *into)
{
    const pinion__view *w = &args->operand[PINION__CONV_FORWARD_W];
    panel_packing packing = {.w = w, .panels = into};
    const int panels = pinion__ceil_div(w->n, PINION__TILE_COLUMNS);
    pinion__parallel(args->workers, (size_t)panels * (size_t)(w->h * w->w), pack, &packing);
}

static pinion__gemm_pixels product_of(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    const pinion__view *y = &args->operand[PINION__CONV_FORWARD_Y];
    return (pinion__gemm_pixels){.source = args->operand[PINION__CONV_FORWARD_X],
                                 .target = *y,
                                 .grid_h = y->h,
                                 .grid_w = y->w,
                                 .step_h = conv.stride_h,
                                 .step_w = conv.stride_w,
                                 .first_h = -conv.pad_h,
                                 .first_w = -conv.pad_w,
                                 .tap_h = 1,
                                 .tap_w = 1,
                                 .taps_h = conv.r,
                                 .taps_w = conv.s,
                                 .target_step_h = 1,
                                 .target_step_w = 1,
                                 .bias = args->operand[PINION__CONV_FORWARD_B].data,
                                 .addend = args->operand[PINION__CONV_FORWARD_ADDEND],
                                 .stats = args->operand[PINION__CONV_FORWARD_STATS],
                                 .activation = args->activation};
}

static size_t scratch_bytes(const pinion__args *args)
{
    const pinion__gemm_pixels product = product_of(args);
    return (args->prepared ? 0 : panels_bytes(args)) +
           PINION__CPU_SHARED(gemm_pixels_scratch)(&product, pinion__threads(args));
}

static void run(const pinion__args *args)
{
    pinion__gemm_pixels product = product_of(args);
    product.panels = args->prepared;
    product.scratch = args->scratch;
    if (!args->prepared) {
        prepare(args, args->scratch);
        product.panels = args->scratch;
        product.scratch = (char *)args->scratch + panels_bytes(args);
    }
    PINION__CPU_SHARED(gemm_pixels)(&product, args->workers);
}

PINION__CPU_KERNEL(conv2d_forward_gemm) = {
    .scratch_bytes = scratch_bytes, .run = run, .prepared_bytes = panels_bytes, .prepare = prepare};
