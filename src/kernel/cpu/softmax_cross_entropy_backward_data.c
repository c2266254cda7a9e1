/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax and cross-entropy, backward: dx = w * (probability - target) / loss_batch. The target is (1-e)*onehot +
 * e/classes with label smoothing e, and w is 1; in distillation both are given.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/cut.h"

/* One sample: dx from its probabilities p. */
typedef void (*row_backward)(const pinion__args *args, ptrdiff_t n, const float *p, float *dx);

typedef struct work {
    const pinion__args *args;
    row_backward row;
    pinion__cut cut;
} work;

static inline void put(const pinion__args *args, float weight, float distance, float *dx)
{
    float gradient = distance * (weight / (float)args->step->loss_batch);
    *dx = args->accumulate ? *dx + gradient : gradient;
}

static void labelled_row(const pinion__args *args, ptrdiff_t n, const float *p, float *dx)
{
    const pinion__view *labels = &args->operand[PINION__LOSS_BACKWARD_DATA_LABELS];
    int classes = args->operand[PINION__LOSS_BACKWARD_DATA_DX].c;
    int label = ((const int32_t *)labels->data)[n * labels->ld];
    float smoothing = ((const pinion__softmax_cross_entropy *)args->attributes)->label_smoothing;
    float rest = smoothing / (float)classes;
    for (int k = 0; k < classes; k++)
        put(args, 1.0F, p[k] - (k == label ? 1.0F - smoothing + rest : rest), &dx[k]);
}

static void given_row(const pinion__args *args, ptrdiff_t n, const float *p, float *dx)
{
    const pinion__view *targets = &args->operand[PINION__DISTILLATION_BACKWARD_DATA_TARGETS];
    const float *target = (const float *)targets->data + n * targets->ld;
    float weight = ((const pinion__distillation *)args->attributes)->weight;
    for (int k = 0; k < targets->c; k++)
        put(args, weight, p[k] - target[k], &dx[k]);
}

static void backward_item(void *user, size_t item, int lane)
{
    (void)lane;
    const work *loop = user;
    const pinion__view *p = &loop->args->operand[PINION__LOSS_BACKWARD_DATA_PROBABILITIES];
    const pinion__view *dx = &loop->args->operand[PINION__LOSS_BACKWARD_DATA_DX];
    for (size_t n = pinion__cut_first(&loop->cut, item); n < pinion__cut_end(&loop->cut, item); n++) {
        ptrdiff_t at = (ptrdiff_t)n;
        loop->row(loop->args, at, (const float *)p->data + at * p->ld, (float *)dx->data + at * dx->ld);
    }
}

static void backward_data(const pinion__args *args, row_backward row)
{
    const pinion__view *dx = &args->operand[PINION__LOSS_BACKWARD_DATA_DX];
    work loop = {.args = args, .row = row, .cut = pinion__cut_units(pinion__view_pixels(dx), (size_t)dx->c)};
    pinion__parallel(args->workers, loop.cut.items, backward_item, &loop);
}

static void run_labelled(const pinion__args *args)
{
    backward_data(args, labelled_row);
}

static void run_given(const pinion__args *args)
{
    backward_data(args, given_row);
}

PINION__CPU_KERNEL(softmax_cross_entropy_backward_data) = {.run = run_labelled};
PINION__CPU_KERNEL(distillation_backward_data) = {.run = run_given};
