/* SPDX-License-Identifier: Apache-2.0
 *
 * Folding a batch normalisation by stored statistics into the convolution in front of it. It runs once for many
 * inferences and reads and writes the weights once.
 *
 * Scratch: the scale of each channel.
 */
#include "kernel/cpu/vec.h"

#include "kernel/cpu/cpu.h"
#include <math.h>

typedef struct folding {
    const pinion__view *w, *folded;
    const float *scale;
    bool depthwise; /* w is (1,r,s,k) */
} folding;

static double element(const pinion__args *args, int operand, int k)
{
    const float *data = args->operand[operand].data;
    return data ? (double)data[k] : 0.0;
}

static size_t scratch_bytes(const pinion__args *args)
{
    return (size_t)args->operand[PINION__FOLD_FORWARD_FOLDED_B].c * sizeof(float);
}

/* One pixel of the weights: a filter tap of all its channels. */
static void fold_pixel(void *user, size_t index, int lane)
{
    (void)lane;
    const folding *work = user;
    const pinion__view *w = work->w;
    const float *from = (const float *)w->data + (ptrdiff_t)index * w->ld;
    float *to = (float *)work->folded->data + (ptrdiff_t)index * work->folded->ld;
    const float *scale = work->scale + (work->depthwise ? 0 : index / ((size_t)w->h * (size_t)w->w));
    for (int c = 0; c < w->c; c += PINION__LANES) {
        const int count = w->c - c < PINION__LANES ? w->c - c : PINION__LANES;
        const pinion__vf factor = work->depthwise ? pinion__vf_load_part(scale + c, count) : pinion__vf_set1(*scale);
        pinion__vf_store_part(to + c, pinion__vf_mul(pinion__vf_load_part(from + c, count), factor), count);
    }
}

static void run(const pinion__args *args)
{
    const pinion_batchnorm *batchnorm = args->attributes;
    const pinion__view *bias = &args->operand[PINION__FOLD_FORWARD_FOLDED_B];
    float *scales = args->scratch;
    for (int k = 0; k < bias->c; k++) {
        const double variance = element(args, PINION__FOLD_FORWARD_VAR, k);
        const double scale = element(args, PINION__FOLD_FORWARD_GAMMA, k) / sqrt(variance + (double)batchnorm->epsilon);
        const double centred = element(args, PINION__FOLD_FORWARD_B, k) - element(args, PINION__FOLD_FORWARD_MEAN, k);
        ((float *)bias->data)[k] = (float)(centred * scale + element(args, PINION__FOLD_FORWARD_BETA, k));
        scales[k] = (float)scale;
    }
    folding work = {.w = &args->operand[PINION__FOLD_FORWARD_W],
                    .folded = &args->operand[PINION__FOLD_FORWARD_FOLDED_W],
                    .scale = scales};
    work.depthwise = work.w->n == 1 && work.w->c == bias->c;
    pinion__parallel(args->workers, pinion__view_pixels(work.w), fold_pixel, &work);
}

PINION__CPU_KERNEL(fold_batchnorm_forward) = {.scratch_bytes = scratch_bytes, .run = run};
