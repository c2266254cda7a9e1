/* SPDX-License-Identifier: Apache-2.0
 *
 * conv2d forward as an indirect product: the filters are packed into panels [column block][tap][channel][columns],
 * zeros filling the last block, then every output pixel is a row of gemm_pixels.
 *
 * Scratch: panels, a row of zeros, a table of pointers for each worker.
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

typedef struct scratch_layout {
    size_t zeros, pointers, bytes; /* panels stand first */
} scratch_layout;

static scratch_layout layout_of(const pinion__args *args)
{
    const pinion__view *w = &args->operand[PINION__CONV_FORWARD_W];
    const size_t panels = (size_t)pinion__ceil_div(w->n, PINION__TILE_COLUMNS);
    const int taps = w->h * w->w;
    scratch_layout layout;
    layout.zeros = pinion__round64(panels * (size_t)taps * (size_t)w->c * PINION__TILE_COLUMNS * sizeof(float));
    layout.pointers = layout.zeros + pinion__round64((size_t)w->c * sizeof(float));
    layout.bytes =
        layout.pointers + (size_t)pinion__threads(args) * pinion__gemm_pixels_pointers(taps) * sizeof(float *);
    return layout;
}

static size_t scratch_bytes(const pinion__args *args)
{
    return layout_of(args).bytes;
}

static void run(const pinion__args *args)
{
    const pinion__conv conv = pinion__conv_of(args);
    const pinion__view *w = &args->operand[PINION__CONV_FORWARD_W], *y = &args->operand[PINION__CONV_FORWARD_Y];
    const scratch_layout layout = layout_of(args);
    char *scratch = args->scratch;
    float *zeros = (float *)(void *)(scratch + layout.zeros);
    memset(zeros, 0, (size_t)w->c * sizeof(float));

    panel_packing packing = {.w = w, .panels = args->scratch};
    const int panels = pinion__ceil_div(w->n, PINION__TILE_COLUMNS);
    pinion__parallel(args->workers, (size_t)panels * (size_t)(conv.r * conv.s), pack, &packing);

    const pinion__gemm_pixels product = {.source = args->operand[PINION__CONV_FORWARD_X],
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
                                         .panels = packing.panels,
                                         .bias = args->operand[PINION__CONV_FORWARD_B].data,
                                         .zeros = zeros,
                                         .pointers = (const float **)(void *)(scratch + layout.pointers)};
    PINION__CPU_SHARED(gemm_pixels)(&product, args->workers);
}

PINION__CPU_KERNEL(conv2d_forward_gemm) = {.scratch_bytes = scratch_bytes, .run = run};
