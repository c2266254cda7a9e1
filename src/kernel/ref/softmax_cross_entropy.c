/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax and cross entropy with label smoothing e, over K classes; distillation is the same with given targets and
 * a weight w of the gradient, which is 1 otherwise:
 *
 *     prob[n,k]   = exp(x[n,k] - max) / Z,  Z = sum exp(x[n,k] - max)          kept where the operand is present
 *     target[n,k] = (1 - e) * [k = label[n]] + e / K
 *     y[n]        = - sum target[n,k] * log prob[n,k]                          (the loss of one sample)
 *                 = sum target[n,k] * (max + log Z - x[n,k])
 *     dx[n,k]     = w (prob[n,k] - target[n,k]) / step->loss_batch             (gradient of the mean loss of the batch)
 *
 * Sources: Szegedy et al.: Rethinking the Inception Architecture (CVPR 2016), section 7; torch.nn.CrossEntropyLoss.
 * Hinton et al.: Distilling the Knowledge in a Neural Network (2015), section 2, with temperature 1.
 */
#include "kernel/ref/ref.h"
#include <math.h>

/* `given`: what the target of a sample is made from, its label or the probabilities themselves. */
typedef double (*target)(const pinion__args *args, const pinion__view *given, int n, int k, int classes);

static double label_target(const pinion__args *args, const pinion__view *labels, int n, int k, int classes)
{
    double smoothing = (double)((const pinion__softmax_cross_entropy *)args->attributes)->label_smoothing;
    int label = ((const int32_t *)labels->data)[n * labels->ld];
    return (k == label ? 1 - smoothing : 0) + smoothing / classes;
}

static double given_target(const pinion__args *args, const pinion__view *targets, int n, int k, int classes)
{
    (void)args, (void)classes;
    return (double)pinion__pixel(targets, n, 0, 0)[k];
}

static void forward(const pinion__args *args, target target_of)
{
    const pinion__view *x = &args->operand[PINION__LOSS_FORWARD_X];
    const pinion__view *given = &args->operand[PINION__LOSS_FORWARD_LABELS];
    const pinion__view *probabilities = &args->operand[PINION__LOSS_FORWARD_PROBABILITIES];
    const pinion__view *y = &args->operand[PINION__LOSS_FORWARD_Y];
    for (int n = 0; n < x->n; n++) {
        const float *logits = pinion__pixel(x, n, 0, 0);
        double max = -HUGE_VAL, z = 0, loss = 0;
        for (int k = 0; k < x->c; k++)
            max = (double)logits[k] > max ? (double)logits[k] : max;
        for (int k = 0; k < x->c; k++)
            z += exp((double)logits[k] - max);
        for (int k = 0; k < x->c; k++)
            loss += target_of(args, given, n, k, x->c) * (log(z) + (max - (double)logits[k]));
        if (probabilities->data)
            for (int k = 0; k < x->c; k++)
                pinion__put(&pinion__pixel(probabilities, n, 0, 0)[k], exp((double)logits[k] - max) / z, false);
        pinion__put(pinion__pixel(y, n, 0, 0), loss, false);
    }
}

static void backward_data(const pinion__args *args, target target_of, double weight)
{
    const pinion__view *probabilities = &args->operand[PINION__LOSS_BACKWARD_DATA_PROBABILITIES];
    const pinion__view *given = &args->operand[PINION__LOSS_BACKWARD_DATA_LABELS];
    const pinion__view *dx = &args->operand[PINION__LOSS_BACKWARD_DATA_DX];
    for (int n = 0; n < dx->n; n++) {
        for (int k = 0; k < dx->c; k++) {
            double distance = (double)pinion__pixel(probabilities, n, 0, 0)[k] - target_of(args, given, n, k, dx->c);
            pinion__put(&pinion__pixel(dx, n, 0, 0)[k], weight * distance / args->step->loss_batch, args->accumulate);
        }
    }
}

static void run_softmax_cross_entropy_forward(const pinion__args *args)
{
    forward(args, label_target);
}

static void run_softmax_cross_entropy_backward_data(const pinion__args *args)
{
    backward_data(args, label_target, 1);
}

static void run_distillation_forward(const pinion__args *args)
{
    forward(args, given_target);
}

static void run_distillation_backward_data(const pinion__args *args)
{
    backward_data(args, given_target, (double)((const pinion__distillation *)args->attributes)->weight);
}

PINION__REF_KERNEL(softmax_cross_entropy_forward);
PINION__REF_KERNEL(softmax_cross_entropy_backward_data);
PINION__REF_KERNEL(distillation_forward);
PINION__REF_KERNEL(distillation_backward_data);
