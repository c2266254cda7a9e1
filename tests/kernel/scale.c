/* SPDX-License-Identifier: Apache-2.0
 *
 * The scale S of rounding errors of each output: the sum of the absolute values of the terms that make it. Almost
 * everywhere that is the specification run on absolute values, without the activation, with a minus on operands that
 * the formula subtracts. Some have formulas of their own: what normalises, whose error is that of a mean, a variance,
 * an exponent; partial statistics; adamw, whose step is a quotient.
 */
#include "kernel/check.h"
#include "op/stats.h"
#include <math.h>

/* Elements that stand behind a minus in their formula. */
static bool subtracted(const layout *l, int operand, size_t i)
{
    pinion__operand is = l->at[operand].is;
    switch (l->c->op->id) {
    case PINION__OP_normalise:
        return is.role == PINION__SAVED && i < (size_t)l->at[operand].view.c; /* the row of means */
    case PINION__OP_batchnorm:
        return (is.role == PINION__SAVED && is.index == 0 && i < (size_t)l->at[operand].view.c) ||
               (is.role == PINION__D_PARAM && is.access == PINION__READ);
    case PINION__OP_batchnorm_stored:
    case PINION__OP_fold_batchnorm:
        return is.role == PINION__STATE && is.index == 0;
    case PINION__OP_softmax_cross_entropy: /* probability - target: negate all but the target */
    case PINION__OP_distillation:
        return is.role == PINION__SAVED || is.role == PINION__D_INPUT;
    default:
        return false;
    }
}

static void absolute_scale(const layout *l, const blocks *b)
{
    kernel_case plain = *l->c;
    layout same = *l;
    same.c = &plain;
    plain.activation = PINION__ACTIVATION_NONE;
    plain.step.learning_rate = -plain.step.learning_rate;
    for (int i = 0; i < l->count; i++)
        for (size_t e = 0; l->at[i].element != ELEMENT_UINT8 && e < element_count(l, i); e++)
            element_set(l, b, i, e, fabs(element_get(l, b, i, e)) * (subtracted(l, i, e) ? -1 : 1));
    reference_run(&same, b, NULL);
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

/* Partial statistics of a batch of m pixels, or of a slice of it: its operand and its samples. */
typedef struct slice {
    int operand, n, h, w;
    double m;
} slice;

/* Adds a slice's share of mean and size, or, from those, of the variance and its error. */
static void add_slice(const layout *l, const blocks *b, const slice *s, size_t channel, bool means, moments *of)
{
    pinion__stats_blocks cut = pinion__stats_blocks_of(s->n, s->h, s->w);
    size_t channels = (size_t)l->at[s->operand].view.c;
    for (int block = 0; block < cut.count; block++) {
        size_t at = 2 * (size_t)block * channels + channel;
        double mean = element_get(l, b, s->operand, at), distance = fabs(mean - of->mean);
        double share = (double)pinion__stats_block_pixels(&cut, s->n, s->h, s->w, block) / s->m;
        if (means) {
            of->mean += share * mean;
            of->size += share * fabs(mean);
        } else {
            of->variance += element_get(l, b, s->operand, at + channels) / s->m + share * distance * distance;
            of->variance_error += share * 2 * distance * (fabs(mean) + of->size);
        }
    }
}

/* The same from partial statistics, whose M2 and means count as exact. */
static moments moments_of_slices(const layout *l, const blocks *b, const slice *slices, int count, size_t channel)
{
    moments of = {0}, sums = {0};
    for (int i = 0; i < count; i++)
        add_slice(l, b, &slices[i], channel, true, &sums);
    of.mean = sums.mean, of.size = sums.size;
    for (int i = 0; i < count; i++)
        add_slice(l, b, &slices[i], channel, false, &of);
    of.variance_error += of.variance;
    return of;
}

static moments moments_of_stats(const layout *l, const blocks *b, size_t channel)
{
    const pinion__view *x = &l->at[0].view;
    const slice all = {PINION__BATCHNORM_FORWARD_STATS, x->n, x->h, x->w, (double)pinion__view_pixels(x)};
    return moments_of_slices(l, b, &all, 1, channel);
}

static void set_present(const layout *l, const blocks *b, int operand, size_t i, double value)
{
    if (i < element_count(l, operand))
        element_set(l, b, operand, i, value);
}

/* Where batchnorm's forward pass and batchnorm_statistics have what they leave of a batch. */
typedef struct places {
    int gamma, beta, running_mean, running_var, constants, invstd;
} places;

/* Scales of the running statistics and the constants of one channel. */
static void constants_scale(const layout *l, const blocks *b, const places *at, const moments *of, double epsilon,
                            double momentum, size_t c)
{
    size_t channels = (size_t)l->at[at->gamma].view.c;
    double floor = of->variance + epsilon, invstd = 1 / sqrt(floor), wide = 1 + of->variance_error / floor;
    double gamma = fabs(element_get(l, b, at->gamma, c)), beta = fabs(element_get(l, b, at->beta, c));
    double running_mean = fabs(element_get(l, b, at->running_mean, c));
    double running_var = element_get(l, b, at->running_var, c);
    element_set(l, b, at->running_mean, c, running_mean + momentum * of->size);
    element_set(l, b, at->running_var, c, running_var + 2 * momentum * of->variance_error);
    set_present(l, b, at->constants, c, of->size);
    set_present(l, b, at->constants, channels + c, gamma * invstd * wide);
    set_present(l, b, at->constants, 2 * channels + c, gamma * invstd * wide * of->size + beta);
    set_present(l, b, at->invstd, c, invstd * wide);
}

static void batchnorm_statistics_scale(const layout *l, const blocks *b)
{
    enum { STATS = PINION__BATCHNORM_STATISTICS_FORWARD_STATS };
    static const places at = {
        PINION__BATCHNORM_STATISTICS_FORWARD_GAMMA,        PINION__BATCHNORM_STATISTICS_FORWARD_BETA,
        PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_MEAN, PINION__BATCHNORM_STATISTICS_FORWARD_RUNNING_VAR,
        PINION__BATCHNORM_STATISTICS_FORWARD_CONSTANTS,    PINION__BATCHNORM_STATISTICS_FORWARD_INVSTD};
    const pinion__batchnorm_statistics *cut = &l->c->attributes.as.batchnorm_statistics;
    slice slices[PINION__MAX_SLICES];
    int count = 0;
    for (; count < PINION__MAX_SLICES && cut->n[count] > 0; count++)
        slices[count] =
            (slice){STATS + count, cut->n[count], cut->h, cut->w, (double)l->c->n * (double)cut->h * (double)cut->w};
    for (size_t c = 0; c < (size_t)l->at[STATS].view.c; c++) {
        moments of = moments_of_slices(l, b, slices, count, c);
        constants_scale(l, b, &at, &of, (double)cut->epsilon, (double)cut->momentum, c);
    }
}

static void batchnorm_scale(const layout *l, const blocks *b)
{
    static const places at = {PINION__BATCHNORM_FORWARD_GAMMA,           PINION__BATCHNORM_FORWARD_BETA,
                              PINION__BATCHNORM_FORWARD_RUNNING_MEAN,    PINION__BATCHNORM_FORWARD_RUNNING_VAR,
                              PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS, PINION__BATCHNORM_FORWARD_SAVED_INVSTD};
    const pinion_batchnorm *batchnorm = &l->c->attributes.as.batchnorm;
    size_t channels = (size_t)l->at[0].view.c, count = element_count(l, 0);
    for (size_t c = 0; c < channels; c++) {
        moments of = l->c->stats ? moments_of_stats(l, b, c) : moments_of(l, b, c);
        double floor = of.variance + (double)batchnorm->epsilon, invstd = 1 / sqrt(floor);
        double gamma = fabs(element_get(l, b, PINION__BATCHNORM_FORWARD_GAMMA, c));
        double beta = fabs(element_get(l, b, PINION__BATCHNORM_FORWARD_BETA, c));
        for (size_t i = c; i < count; i += channels) {
            double x = element_get(l, b, 0, i);
            double term = fabs(x) + of.size + fabs(x - of.mean) * (1 + of.variance_error / floor);
            double addend = l->c->addend ? fabs(element_get(l, b, PINION__BATCHNORM_FORWARD_ADDEND, i)) : 0;
            element_set(l, b, PINION__BATCHNORM_FORWARD_Y, i, gamma * invstd * term + beta + addend);
        }
        constants_scale(l, b, &at, &of, (double)batchnorm->epsilon, (double)batchnorm->momentum, c);
    }
}

static void loss_scale(const layout *l, const blocks *b)
{
    size_t classes = (size_t)l->c->inputs[0].c;
    reference_run(l, b, NULL);
    for (int n = 0; n < l->c->n; n++) {
        double largest = 0;
        for (size_t i = (size_t)n * classes; i < (size_t)(n + 1) * classes; i++)
            largest = fmax(largest, fabs(element_get(l, b, PINION__LOSS_FORWARD_X, i)));
        element_set(l, b, PINION__LOSS_FORWARD_Y, (size_t)n, 1 + 2 * largest);
        for (size_t i = (size_t)n * classes; i < (size_t)(n + 1) * classes; i++)
            if (i < element_count(l, PINION__LOSS_FORWARD_PROBABILITIES))
                element_set(l, b, PINION__LOSS_FORWARD_PROBABILITIES, i,
                            element_get(l, b, PINION__LOSS_FORWARD_PROBABILITIES, i) * (1 + 2 * largest));
    }
}

/* Weights that a backward_weights pass updates by adamw, from the scale of their moments: w - rate * (m / c1) / (sqrt(v
 * / c2) + epsilon) with the corrections c1, c2. */
static void adamw_scale(const layout *l, const blocks *b, const blocks *expected)
{
    const pinion__adamw *adamw = &l->c->update.attributes.as.adamw;
    double t = (double)l->c->step.number + 1, rate = (double)l->c->step.learning_rate;
    double c1 = 1 - pow((double)adamw->beta1, t), c2 = 1 - pow((double)adamw->beta2, t);
    enum { W = PINION__CONV_BACKWARD_WEIGHTS_W, M = PINION__CONV_BACKWARD_WEIGHTS_MOMENT_0 };
    enum { V = PINION__CONV_BACKWARD_WEIGHTS_MOMENT_1 };
    for (size_t i = 0; i < element_count(l, W); i++) {
        double m = fabs(element_get(l, expected, M, i)) / c1, v = element_get(l, expected, V, i) / c2;
        double m_scale = element_get(l, b, M, i) / c1, v_scale = element_get(l, b, V, i) / c2;
        double root = sqrt(v) + (double)adamw->epsilon;
        double step = (m + m_scale) / root + m * v_scale / (2 * sqrt(v) * root * root);
        element_set(l, b, W, i, fabs(element_get(l, expected, W, i)) + rate * (step + m / root));
    }
}

/* Partial statistics of outputs with the scale `size` of their own: a mean of them, and a sum of squared distances,
 * each off by a little of the sizes of an output and of the mean. */
static void stats_scale(const layout *l, const blocks *b, const blocks *expected, bool exact, bool transform)
{
    const bool alone = l->c->op->id == PINION__OP_statistics;
    const int y_at = alone ? PINION__STATISTICS_FORWARD_X : PINION__CONV_FORWARD_Y;
    const int stats_at = alone ? PINION__STATISTICS_FORWARD_STATS : PINION__CONV_FORWARD_STATS;
    const pinion__view *y = &l->at[y_at].view;
    pinion__stats_blocks cut = pinion__stats_blocks_of(y->n, y->h, y->w);
    size_t channels = (size_t)y->c;
    double largest = 0;
    for (size_t i = 0; transform && i < element_count(l, y_at); i++)
        largest = fmax(largest, element_get(l, b, y_at, i));
    for (size_t at = 0; at < (size_t)cut.count * channels; at++) {
        int block = (int)(at / channels);
        size_t c = at % channels, begin = pinion__stats_block_begin(&cut, y->h, y->w, block);
        size_t pixels = pinion__stats_block_pixels(&cut, y->n, y->h, y->w, block);
        double mean = element_get(l, expected, stats_at, 2 * (size_t)block * channels + c), size = 0, spread = 0;
        for (int pass = 0; pass < 2; pass++)
            for (size_t i = begin; i < begin + pixels; i++) {
                double value = element_get(l, expected, y_at, i * channels + c), distance = fabs(value - mean);
                double own = exact ? fabs(value) : transform ? largest : element_get(l, b, y_at, i * channels + c);
                if (pass == 0)
                    size += own / (double)pixels;
                else
                    spread += distance * (2 * (own + size) + distance) + (own + size) * (own + size) * 0x1p-16;
            }
        element_set(l, b, stats_at, 2 * (size_t)block * channels + c, size);
        element_set(l, b, stats_at, (2 * (size_t)block + 1) * channels + c, spread);
    }
}

void scale_fill(const layout *l, const blocks *b, const blocks *expected, bool exact, bool transform)
{
    bool forward = l->c->pass == PINION__FORWARD;
    if (l->c->op->id == PINION__OP_batchnorm && forward)
        batchnorm_scale(l, b);
    else if (l->c->op->id == PINION__OP_batchnorm_statistics)
        batchnorm_statistics_scale(l, b);
    else if ((l->c->op->flags & PINION__OP_LOSS) && forward)
        loss_scale(l, b);
    else if (l->c->op->id == PINION__OP_statistics)
        stats_scale(l, b, expected, true, false);
    else
        absolute_scale(l, b);
    if (l->c->update.op == PINION__OP_adamw)
        adamw_scale(l, b, expected);
    if (forward && l->c->stats && l->c->op->id != PINION__OP_batchnorm)
        stats_scale(l, b, expected, exact, transform);
}
