/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax and cross-entropy, forward: the loss of each sample and, for backward, its probabilities. The target is a
 * label, smoothed; in distillation it is given. The row's maximum is subtracted first; the exponentials and their sum
 * are in double, a logit row is short against everything else in a network.
 */
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/cut.h"

#include <math.h>

/* One sample: -sum over k of target[k] * log(probability[k]), where -log(probability[k]) = log_sum + (max - x[k]). */
typedef double (*row_loss)(const pinion__args *args, ptrdiff_t n, const float *x, double max, double log_sum);

typedef struct work {
    const pinion__args *args;
    row_loss loss;
    pinion__cut cut;
} work;

static float row_max(const float *x, int classes)
{
    float max = x[0];
    for (int k = 1; k < classes; k++)
        max = x[k] > max ? x[k] : max;
    return max;
}

/* target = (1-e)*onehot + e/classes */
static double labelled_loss(const pinion__args *args, ptrdiff_t n, const float *x, double max, double log_sum)
{
    const pinion__view *labels = &args->operand[PINION__LOSS_FORWARD_LABELS];
    double smoothing = (double)((const pinion__softmax_cross_entropy *)args->attributes)->label_smoothing;
    int classes = args->operand[PINION__LOSS_FORWARD_X].c, label = ((const int32_t *)labels->data)[n * labels->ld];
    double loss = (1.0 - smoothing) * (log_sum + max - (double)x[label]);
    if (smoothing > 0.0) {
        double all = 0.0;
        for (int k = 0; k < classes; k++)
            all += log_sum + max - (double)x[k];
        loss += smoothing * all / classes;
    }
    return loss;
}

static double given_loss(const pinion__args *args, ptrdiff_t n, const float *x, double max, double log_sum)
{
    const pinion__view *targets = &args->operand[PINION__DISTILLATION_FORWARD_TARGETS];
    const float *target = (const float *)targets->data + n * targets->ld;
    double loss = 0.0;
    for (int k = 0; k < targets->c; k++)
        loss += (double)target[k] * (log_sum + (max - (double)x[k]));
    return loss;
}

static float row_forward(const work *loop, ptrdiff_t n, const float *x, int classes, float *probabilities)
{
    double max = (double)row_max(x, classes);
    double sum = 0.0;
    for (int k = 0; k < classes; k++)
        sum += exp((double)x[k] - max);
    for (int k = 0; probabilities && k < classes; k++)
        probabilities[k] = (float)(exp((double)x[k] - max) / sum);
    return (float)loop->loss(loop->args, n, x, max, log(sum));
}

static void forward_item(void *user, size_t item, int lane)
{
    (void)lane;
    const work *loop = user;
    const pinion__view *x = &loop->args->operand[PINION__LOSS_FORWARD_X];
    const pinion__view *p = &loop->args->operand[PINION__LOSS_FORWARD_PROBABILITIES];
    const pinion__view *y = &loop->args->operand[PINION__LOSS_FORWARD_Y];
    for (size_t n = pinion__cut_first(&loop->cut, item); n < pinion__cut_end(&loop->cut, item); n++) {
        ptrdiff_t at = (ptrdiff_t)n;
        float *probabilities = p->data ? (float *)p->data + at * p->ld : NULL;
        ((float *)y->data)[at * y->ld] =
            row_forward(loop, at, (const float *)x->data + at * x->ld, x->c, probabilities);
    }
}

static void forward(const pinion__args *args, row_loss loss)
{
    const pinion__view *x = &args->operand[PINION__LOSS_FORWARD_X];
    work loop = {.args = args, .loss = loss, .cut = pinion__cut_units(pinion__view_pixels(x), (size_t)x->c * 16)};
    pinion__parallel(args->workers, loop.cut.items, forward_item, &loop);
}

static void run_labelled(const pinion__args *args)
{
    forward(args, labelled_loss);
}

static void run_given(const pinion__args *args)
{
    forward(args, given_loss);
}

PINION__CPU_KERNEL(softmax_cross_entropy_forward) = {.run = run_labelled};
PINION__CPU_KERNEL(distillation_forward) = {.run = run_given};
