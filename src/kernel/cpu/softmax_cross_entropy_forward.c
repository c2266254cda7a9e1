/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax and cross-entropy with label smoothing, forward: the loss of each sample and, for backward, its
 * probabilities. The row's maximum is subtracted first; the exponentials and their sum are in double, a logit row is
 * short against everything else in a network.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/cut.h"

#include <math.h>

typedef struct work {
    const pinion__args *args;
    pinion__cut cut;
} work;

static float row_max(const float *x, int classes)
{
    float max = x[0];
    for (int k = 1; k < classes; k++)
        max = x[k] > max ? x[k] : max;
    return max;
}

/* -sum over k of target[k] * (x[k] - max - log_sum), target = (1-e)*onehot + e/classes */
static double smoothed_loss(const float *x, int classes, int label, float smoothing, double max, double log_sum)
{
    double loss = (1.0 - (double)smoothing) * (log_sum + max - (double)x[label]);
    if (smoothing > 0.0F) {
        double all = 0.0;
        for (int k = 0; k < classes; k++)
            all += log_sum + max - (double)x[k];
        loss += (double)smoothing * all / classes;
    }
    return loss;
}

static float row_forward(const float *x, int classes, int label, float smoothing, float *probabilities)
{
    double max = (double)row_max(x, classes);
    double sum = 0.0;
    for (int k = 0; k < classes; k++)
        sum += exp((double)x[k] - max);
    for (int k = 0; probabilities && k < classes; k++)
        probabilities[k] = (float)(exp((double)x[k] - max) / sum);
    return (float)smoothed_loss(x, classes, label, smoothing, max, log(sum));
}

static void forward_item(void *user, size_t item, int lane)
{
    (void)lane;
    const work *loop = user;
    const pinion__softmax_cross_entropy *attributes = loop->args->attributes;
    const pinion__view *x = &loop->args->operand[PINION__LOSS_FORWARD_X];
    const pinion__view *labels = &loop->args->operand[PINION__LOSS_FORWARD_LABELS];
    const pinion__view *p = &loop->args->operand[PINION__LOSS_FORWARD_PROBABILITIES];
    const pinion__view *y = &loop->args->operand[PINION__LOSS_FORWARD_Y];
    for (size_t n = pinion__cut_first(&loop->cut, item); n < pinion__cut_end(&loop->cut, item); n++) {
        ptrdiff_t at = (ptrdiff_t)n;
        float *probabilities = p->data ? (float *)p->data + at * p->ld : NULL;
        int label = ((const int32_t *)labels->data)[at * labels->ld];
        ((float *)y->data)[at * y->ld] =
            row_forward((const float *)x->data + at * x->ld, x->c, label, attributes->label_smoothing, probabilities);
    }
}

static void forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__LOSS_FORWARD_X];
    work loop = {.args = args, .cut = pinion__cut_units(pinion__view_pixels(x), (size_t)x->c * 16)};
    pinion__parallel(args->workers, loop.cut.items, forward_item, &loop);
}

PINION__CPU_KERNEL(softmax_cross_entropy_forward) = {.run = forward};
