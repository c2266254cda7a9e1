/* SPDX-License-Identifier: Apache-2.0
 *
 * What the planner adds to a pass, drawn at random: activation, addend, partial statistics, the weight update of
 * backward_weights, what passes on slices of a batch need, and outputs that lie over inputs.
 */
#include "kernel/case.h"
#include "op/in_place.h"

static bool has(const pinion__op *op, enum pinion__pass pass, int role)
{
    const pinion__operands *operands = &op->pass[pass];
    for (int i = 0; i < operands->count; i++)
        if (operands->at[i].role == role && operands->at[i].access & PINION__FUSED)
            return true;
    return false;
}

static bool activates(const pinion__op *op, enum pinion__pass pass)
{
    return has(op, pass, PINION__ADDEND) || (op->id == PINION__OP_add && pass == PINION__FORWARD) ||
           (op->id == PINION__OP_batchnorm && pass != PINION__UPDATE);
}

bool case_fusible(const pinion__op *op, enum pinion__pass pass)
{
    return activates(op, pass) || has(op, pass, PINION__MOMENT) || has(op, pass, PINION__D_PARAM);
}

static pinion__update draw_update(draws *from, bool integers)
{
    pinion__update update = {.op = draw_chance(from, 60) ? PINION__OP_sgd : PINION__OP_adamw};
    case_optimizer(update.op, &update.attributes, integers, from);
    return update;
}

/* Statistics of an output are wanted without an activation, those of an input in any case. */
static void fuse_forward(kernel_case *c, draws *from)
{
    bool produces = has(c->op, c->pass, PINION__STATS) && c->op->id != PINION__OP_batchnorm;
    c->stats = has(c->op, c->pass, PINION__STATS) && draw_chance(from, 50);
    if (c->stats && produces)
        return;
    c->activation = (enum pinion__activation)draw(from, 0, 2);
    c->addend = has(c->op, c->pass, PINION__ADDEND) && draw_chance(from, 50);
    if (!c->stats && !c->addend && c->activation == PINION__ACTIVATION_NONE)
        c->activation = PINION__ACTIVATION_RELU;
}

void case_fuse(kernel_case *c, draws *from)
{
    if (has(c->op, c->pass, PINION__MOMENT)) {
        c->update = draw_update(from, c->integers);
        c->step.learning_rate = case_rate(c->integers);
        c->accumulate = false;
    } else if (c->pass == PINION__FORWARD) {
        fuse_forward(c, from);
    } else if (c->pass == PINION__UPDATE) {
        c->further = draw(from, 1, 3);
    } else {
        c->activation = (enum pinion__activation)draw(from, 1, 2);
        c->masked = has(c->op, c->pass, PINION__D_ADDEND) && draw_chance(from, 50);
        if (c->pass == PINION__BACKWARD_DATA && draw_chance(from, 50))
            c->samples = c->n + draw(from, 1, 2 * c->n);
    }
}

unsigned case_features(const kernel_case *c)
{
    unsigned features = 0;
    features |= c->activation == PINION__ACTIVATION_RELU ? 1U << FEATURE_RELU : 0;
    features |= c->activation == PINION__ACTIVATION_RELU6 ? 1U << FEATURE_RELU6 : 0;
    features |= c->addend ? 1U << FEATURE_ADDEND : 0;
    features |= c->stats ? 1U << FEATURE_STATS : 0;
    features |= c->masked ? 1U << FEATURE_MASKED : 0;
    features |= c->further > 0 ? 1U << FEATURE_FURTHER : 0;
    features |= c->samples > 0 ? 1U << FEATURE_SLICE : 0;
    features |= c->update.op == PINION__OP_sgd ? 1U << FEATURE_SGD : 0;
    features |= c->update.op == PINION__OP_adamw ? 1U << FEATURE_ADAMW : 0;
    return features;
}

const char *case_feature_name(int feature)
{
    static const char *const names[FEATURES] = {"relu",  "relu6", "addend", "statistics", "masked", "further gradients",
                                                "slice", "sgd",   "adamw"};
    return names[feature];
}

bool case_has(const kernel_case *c, pinion__operand is)
{
    if (!(is.access & PINION__FUSED))
        return !case_updates(c) || is.role != PINION__D_PARAM || is.index != 0;
    switch (is.role) {
    case PINION__ADDEND:
        return c->addend;
    case PINION__STATS:
        return c->op->id == PINION__OP_batchnorm_statistics ? c->attributes.as.batchnorm_statistics.n[is.index] > 0
                                                            : c->stats;
    case PINION__D_PARAM:
        return is.index <= c->further;
    case PINION__OUTPUT:
    case PINION__D_ADDEND:
        return c->masked;
    case PINION__MOMENT:
        return is.index == 0 ? case_updates(c) : c->update.op == PINION__OP_adamw;
    default:
        return case_updates(c);
    }
}

/* Of several inputs an output may lie over, cases of even number take the first and those of odd number the last. */
bool case_alias(const kernel_case *c, int *written, int *read)
{
    const pinion__operands *operands = &c->op->pass[c->pass];
    bool found = false;
    for (int i = 0; i < PINION__IN_PLACE_ROWS && c->aliased && !c->accumulate; i++) {
        const pinion__in_place *row = &pinion__in_place_table[i];
        if (row->op != c->op->id || row->pass != c->pass || !case_has(c, operands->at[row->output]) ||
            !case_has(c, operands->at[row->input]) || (found && c->number % 2 == 0))
            continue;
        *written = row->output;
        *read = row->input;
        found = true;
    }
    return found;
}
