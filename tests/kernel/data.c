/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of operands: small integers, normal random numbers, NaN and infinities, one-hot tensors.
 */
#include "kernel/check.h"
#include <math.h>

static bool is_power_of_two(int value)
{
    return (value & (value - 1)) == 0;
}

bool data_exact(const kernel_case *c, enum data kind)
{
    const pinion_pool *pool = &c->attributes.as.pool;
    bool integers = kind == DATA_INTEGERS;
    switch (c->op->id) {
    case PINION__OP_relu:
    case PINION__OP_relu6:
    case PINION__OP_add:
        return true;
    case PINION__OP_maxpool:
        return integers || c->pass == PINION__FORWARD;
    case PINION__OP_avgpool:
        return integers && is_power_of_two(pool->r * pool->s);
    case PINION__OP_global_avgpool:
        return integers && is_power_of_two(c->inputs[0].h * c->inputs[0].w);
    case PINION__OP_batchnorm:
        return integers && c->pass == PINION__BACKWARD_WEIGHTS;
    case PINION__OP_softmax_cross_entropy:
    case PINION__OP_distillation:
    case PINION__OP_adamw:
    case PINION__OP_clip_scale:
    case PINION__OP_statistics:
    case PINION__OP_batchnorm_statistics:
        return false;
    default:
        return integers && c->update.op != PINION__OP_adamw;
    }
}

bool data_suits(const kernel_case *c, enum data kind)
{
    enum pinion__op_id op = c->op->id;
    switch (kind) {
    case DATA_SPECIAL:
        return (op == PINION__OP_relu || op == PINION__OP_relu6 || op == PINION__OP_maxpool || op == PINION__OP_add) &&
               c->pass == PINION__FORWARD;
    case DATA_ONE_HOT:
        return false; /* asked for by transforming kernels only */
    default:
        return true;
    }
}

static bool is_loss(const kernel_case *c)
{
    return c->op->flags & PINION__OP_LOSS;
}

/* Statistics and the like have ranges of their own; false: not such an operand. */
static bool constrained(const layout *l, int operand, size_t i, bool integers, draws *from, double *value)
{
    const kernel_case *c = l->c;
    pinion__operand is = l->at[operand].is;
    double positive = fabs(draw_normal(from));
    switch (is.role) {
    case PINION__STATS: /* rows of means and of M2 in turn; no output has such statistics */
        *value = 100 * positive;
        return i / (size_t)l->at[operand].view.c % 2 == 1;
    case PINION__LABELS:
        *value = draw(from, 0, c->inputs[0].c - 1);
        return true;
    case PINION__SCALE:
        *value = integers ? 0.5 : 0.3;
        return true;
    case PINION__SQUARES:
        *value = 10 * positive;
        return true;
    case PINION__STATE: /* integers: epsilon is 0.25, so that the standard deviations are 1 and 2 */
        *value = integers ? 0.75 + 3 * draw(from, 0, 1) : positive + 0.1;
        return is.index == 1;
    case PINION__MOMENT:
        *value = integers ? draw(from, 1, 4) : positive;
        return is.index == 1;
    case PINION__SAVED:
        *value = integers ? ldexp(1, draw(from, -1, 1)) : positive + 0.2;
        if (is_loss(c))
            *value = (draw_word(from) >> 8) * 0x1p-24;
        return is.index == 1 || is_loss(c);
    case PINION__TARGETS: /* rows of them are made to add up to 1 behind this */
        *value = draw_chance(from, 30) ? 0 : positive;
        return true;
    default:
        return false;
    }
}

static double special_value(draws *from)
{
    static const float values[] = {NAN, INFINITY, -INFINITY, -0.0f, 0, 1, -1, 6, 7, 1e30f};
    return (double)values[draw(from, 0, 9)];
}

static double free_value(const layout *l, int operand, size_t i, enum data kind, draws *from)
{
    const kernel_case *c = l->c;
    int channel = (int)(i % (size_t)l->at[operand].view.c);
    bool wide = c->op->id == PINION__OP_relu6 || (c->activation == PINION__ACTIVATION_RELU6 && !c->op->macs);
    if (kind == DATA_SPECIAL)
        return special_value(from);
    if (kind == DATA_INTEGERS)
        return wide ? draw(from, -2, 9) : draw(from, -2, 2);
    bool centred = c->op->id == PINION__OP_batchnorm || c->op->id == PINION__OP_statistics;
    if (centred && c->pass == PINION__FORWARD && l->at[operand].is.role == PINION__INPUT)
        return draw_normal(from) + (channel % 7 == 3 ? 4096 : channel % 5 * 2 - 4);
    if (is_loss(c) && l->at[operand].is.role == PINION__INPUT) /* logits of which one takes all */
        return draw_normal(from) * (i / (size_t)l->at[operand].view.c % 4 == 1 ? 1e4 : 1);
    return wide ? 4 * draw_normal(from) + 3 : draw_normal(from);
}

/* Rows become distributions; what has no weight at all puts all of it on the first class. */
static void fill_targets(const layout *l, const blocks *b, int operand)
{
    size_t classes = (size_t)l->at[operand].view.c;
    for (size_t row = 0; row < element_count(l, operand); row += classes) {
        double sum = 0;
        for (size_t k = row; k < row + classes; k++)
            sum += element_get(l, b, operand, k);
        for (size_t k = row; k < row + classes; k++)
            element_set(l, b, operand, k, sum > 0 ? element_get(l, b, operand, k) / sum : k == row);
    }
}

/* Inputs and gradients of one-hot data are zero but for one element; all else is integers from 1 to 3, so that no
 * product is lost. */
static void fill_one_hot(const layout *l, const blocks *b, int operand, draws *from)
{
    size_t count = element_count(l, operand);
    int role = l->at[operand].is.role;
    bool hot = role == PINION__INPUT || (role == PINION__D_OUTPUT && l->c->pass == PINION__BACKWARD_DATA);
    for (size_t i = 0; i < count; i++)
        element_set(l, b, operand, i, hot ? 0 : draw(from, 1, 3));
    if (hot && count > 0)
        element_set(l, b, operand, draw_word(from) % count, 1);
}

/* The places of maxima that max pooling's backward pass reads come from its forward pass: they point into the image. */
static void fill_indices(const layout *l, const blocks *b, int operand)
{
    kernel_case forward = *l->c;
    layout fl;
    forward.pass = PINION__FORWARD;
    forward.accumulate = forward.no_optionals = false;
    layout_init(&fl, &forward, false);
    blocks fb = blocks_create(&fl);
    data_fill(&fl, &fb, DATA_INTEGERS);
    reference_run(&fl, &fb, NULL);
    for (size_t i = 0; i < element_count(l, operand); i++)
        element_set(l, b, operand, i, element_get(&fl, &fb, PINION__MAXPOOL_FORWARD_INDEX, i));
    blocks_destroy(&fl, &fb);
}

static void fill_operand(const layout *l, const blocks *b, int operand, enum data kind, draws *from)
{
    if (kind == DATA_ONE_HOT) {
        fill_one_hot(l, b, operand, from);
        return;
    }
    if (l->at[operand].element == ELEMENT_UINT8) {
        fill_indices(l, b, operand);
        return;
    }
    for (size_t i = 0; i < element_count(l, operand); i++) {
        double value;
        if (!constrained(l, operand, i, kind == DATA_INTEGERS, from, &value))
            value = free_value(l, operand, i, kind, from);
        element_set(l, b, operand, i, value);
    }
    if (l->at[operand].is.role == PINION__TARGETS)
        fill_targets(l, b, operand);
}

/* Moves x away from where the activation behind a batch normalisation bends: instruction sets without a fused
 * multiply-add may see it on the other side. */
static void leave_kinks(const layout *l, const blocks *b)
{
    int x = layout_find(l, PINION__INPUT, 0), constants = layout_find(l, PINION__SAVED, 0);
    size_t channels = (size_t)l->at[x].view.c;
    for (size_t i = 0; i < element_count(l, x); i++) {
        size_t c = i % channels;
        double mean = element_get(l, b, constants, c), scale = element_get(l, b, constants, channels + c);
        double shift = element_get(l, b, constants, 2 * channels + c), at = element_get(l, b, x, i);
        for (double normal = (at - mean) * scale + shift; fabs(normal) < 1e-4 || fabs(normal - 6) < 1e-4;
             normal = (at - mean) * scale + shift)
            at += 0.01 / (fabs(scale) + 0.01);
        element_set(l, b, x, i, at);
    }
}

/* What an output holds before the pass matters only where the pass adds to it. */
static bool wants_values(const layout *l, int operand)
{
    pinion__operand is = l->at[operand].is;
    bool gradient = is.role == PINION__D_INPUT || is.role == PINION__D_PARAM;
    return is.access & PINION__READ || (gradient && l->c->accumulate);
}

void data_fill(const layout *l, const blocks *b, enum data kind)
{
    const kernel_case *c = l->c;
    for (int i = 0; i < l->count; i++) {
        draws from =
            draws_begin(c->seed, 3 + (uint32_t)kind,
                        (uint32_t)c->number * 4096 + (uint32_t)c->op->id * 128 + (uint32_t)c->pass * 16 + (uint32_t)i);
        if (wants_values(l, i))
            fill_operand(l, b, i, kind, &from);
    }
    if (c->op->id == PINION__OP_batchnorm && c->pass != PINION__FORWARD && c->activation && kind == DATA_NORMAL)
        leave_kinks(l, b);
}
