/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax and cross-entropy with label smoothing, backward: dx = (probability - target) / loss_batch, where target =
 * (1-e)*onehot + e/classes.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/cut.h"

typedef struct work {
    const pinion__args *args;
    pinion__cut cut;
} work;

static void row_backward(const float *p, int classes, int label, float smoothing, float scale, bool accumulate,
                         float *dx)
{
    float rest = smoothing / (float)classes;
    for (int k = 0; k < classes; k++) {
        float target = k == label ? 1.0F - smoothing + rest : rest;
        float gradient = (p[k] - target) * scale;
        dx[k] = accumulate ? dx[k] + gradient : gradient;
    }
}

static void backward_item(void *user, size_t item, int lane)
{
    (void)lane;
    const work *loop = user;
    const pinion__args *args = loop->args;
    const pinion__softmax_cross_entropy *attributes = args->attributes;
    const pinion__view *p = &args->operand[PINION__LOSS_BACKWARD_DATA_PROBABILITIES];
    const pinion__view *labels = &args->operand[PINION__LOSS_BACKWARD_DATA_LABELS];
    const pinion__view *dx = &args->operand[PINION__LOSS_BACKWARD_DATA_DX];
    float scale = 1.0F / (float)args->step->loss_batch;
    for (size_t n = pinion__cut_first(&loop->cut, item); n < pinion__cut_end(&loop->cut, item); n++) {
        ptrdiff_t at = (ptrdiff_t)n;
        int label = ((const int32_t *)labels->data)[at * labels->ld];
        row_backward((const float *)p->data + at * p->ld, dx->c, label, attributes->label_smoothing, scale,
                     args->accumulate, (float *)dx->data + at * dx->ld);
    }
}

static void backward_data(const pinion__args *args)
{
    const pinion__view *dx = &args->operand[PINION__LOSS_BACKWARD_DATA_DX];
    work loop = {.args = args, .cut = pinion__cut_units(pinion__view_pixels(dx), (size_t)dx->c)};
    pinion__parallel(args->workers, loop.cut.items, backward_item, &loop);
}

PINION__CPU_KERNEL(softmax_cross_entropy_backward_data) = {.run = backward_data};
