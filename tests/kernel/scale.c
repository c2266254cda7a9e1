/* SPDX-License-Identifier: Apache-2.0
 *
 * The scale S of rounding errors of each output: the sum of the absolute values of the terms that make it. Almost
 * everywhere that is the specification run on absolute values, with a minus on operands that the formula subtracts. The
 * two passes that normalise have formulas of their own: their error is that of a mean, a variance, an exponent.
 */
#include "kernel/check.h"
#include <math.h>

/* Operands that stand behind a minus in their formula. */
static bool subtracted(const layout *l, int operand)
{
    pinion__operand is = l->at[operand].is;
    switch (l->c->op->id) {
    case PINION__OP_batchnorm:
        return (is.role == PINION__SAVED && is.index == 0) || (is.role == PINION__D_PARAM && is.access == PINION__READ);
    case PINION__OP_batchnorm_stored:
        return is.role == PINION__STATE && is.index == 0;
    case PINION__OP_softmax_cross_entropy: /* probability - target: negate all but the target */
        return is.role == PINION__SAVED || is.role == PINION__D_INPUT;
    default:
        return false;
    }
}

static void absolute_scale(const layout *l, const blocks *b)
{
    pinion__step step = l->c->step;
    step.learning_rate = -step.learning_rate;
    for (int i = 0; i < l->count; i++)
        for (size_t e = 0; l->at[i].element != ELEMENT_UINT8 && e < element_count(l, i); e++)
            element_set(l, b, i, e, fabs(element_get(l, b, i, e)) * (subtracted(l, i) ? -1 : 1));
    reference_run(l, b, &step);
    for (int i = 0; i < l->count; i++)
        for (size_t e = 0; layout_written(l, i) && e < element_count(l, i); e++)
            element_set(l, b, i, e, fabs(element_get(l, b, i, e)));
}

/* Of one channel: mean, variance, mean of |x|, and the error of the variance when each x - mean is off by eps*(|x| +
 * mean|x|). */
typedef struct moments {
    double mean, variance, size, variance_error;
} moments;

static moments moments_of(const layout *l, const blocks *b, size_t channel)
{
    size_t count = element_count(l, 0), channels = (size_t)l->at[0].view.c;
    double m = (double)(count / channels);
    moments of = {0};
    for (size_t i = channel; i < count; i += channels) {
        of.mean += element_get(l, b, 0, i) / m;
        of.size += fabs(element_get(l, b, 0, i)) / m;
    }
    for (size_t i = channel; i < count; i += channels) {
        double x = element_get(l, b, 0, i), distance = fabs(x - of.mean);
        of.variance += distance * distance / m;
        of.variance_error += 2 * distance * (fabs(x) + of.size) / m;
    }
    of.variance_error += of.variance;
    return of;
}

static void set_present(const layout *l, const blocks *b, int operand, size_t i, double value)
{
    if (i < element_count(l, operand))
        element_set(l, b, operand, i, value);
}

static void batchnorm_scale(const layout *l, const blocks *b)
{
    const pinion_batchnorm *batchnorm = &l->c->attributes.as.batchnorm;
    double momentum = (double)batchnorm->momentum;
    size_t channels = (size_t)l->at[0].view.c, count = element_count(l, 0);
    for (size_t c = 0; c < channels; c++) {
        moments of = moments_of(l, b, c);
        double floor = of.variance + (double)batchnorm->epsilon, invstd = 1 / sqrt(floor);
        double gamma = fabs(element_get(l, b, PINION__BATCHNORM_FORWARD_GAMMA, c));
        double beta = fabs(element_get(l, b, PINION__BATCHNORM_FORWARD_BETA, c));
        double running_mean = fabs(element_get(l, b, PINION__BATCHNORM_FORWARD_RUNNING_MEAN, c));
        double running_var = element_get(l, b, PINION__BATCHNORM_FORWARD_RUNNING_VAR, c);
        for (size_t i = c; i < count; i += channels) {
            double x = element_get(l, b, 0, i);
            double term = fabs(x) + of.size + fabs(x - of.mean) * (1 + of.variance_error / floor);
            element_set(l, b, PINION__BATCHNORM_FORWARD_Y, i, gamma * invstd * term + beta);
        }
        element_set(l, b, PINION__BATCHNORM_FORWARD_RUNNING_MEAN, c, running_mean + momentum * of.size);
        element_set(l, b, PINION__BATCHNORM_FORWARD_RUNNING_VAR, c, running_var + 2 * momentum * of.variance_error);
        set_present(l, b, PINION__BATCHNORM_FORWARD_SAVED_MEAN, c, of.size);
        set_present(l, b, PINION__BATCHNORM_FORWARD_SAVED_INVSTD, c, invstd * (1 + of.variance_error / floor));
    }
}

static void loss_scale(const layout *l, const blocks *b)
{
    size_t classes = (size_t)l->c->inputs[0].c;
    double largest = 0;
    for (size_t i = 0; i < element_count(l, PINION__LOSS_FORWARD_X); i++)
        largest = fmax(largest, fabs(element_get(l, b, PINION__LOSS_FORWARD_X, i)));
    reference_run(l, b, NULL);
    for (int n = 0; n < l->c->n; n++) {
        element_set(l, b, PINION__LOSS_FORWARD_Y, (size_t)n, 1 + 2 * largest);
        for (size_t i = (size_t)n * classes; i < (size_t)(n + 1) * classes; i++)
            if (i < element_count(l, PINION__LOSS_FORWARD_PROBABILITIES))
                element_set(l, b, PINION__LOSS_FORWARD_PROBABILITIES, i,
                            element_get(l, b, PINION__LOSS_FORWARD_PROBABILITIES, i) * (1 + 2 * largest));
    }
}

void scale_fill(const layout *l, const blocks *b)
{
    bool forward = l->c->pass == PINION__FORWARD;
    if (l->c->op->id == PINION__OP_batchnorm && forward)
        batchnorm_scale(l, b);
    else if (l->c->op->id == PINION__OP_softmax_cross_entropy && forward)
        loss_scale(l, b);
    else
        absolute_scale(l, b);
}
