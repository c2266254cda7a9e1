/* SPDX-License-Identifier: Apache-2.0
 *
 * Layout, blocks and elements of operands (operands.h).
 */
#include "kernel/operands.h"
#include "op/stats.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 192, LINE = 64 };

static const size_t element_bytes[] = {sizeof(float), sizeof(double), sizeof(int32_t), sizeof(uint8_t)};

static pinion__view shape_view(int n, pinion_shape shape)
{
    return (pinion__view){.n = n, .h = shape.h, .w = shape.w, .c = shape.c};
}

static pinion__view spec_view(const pinion__param_spec *specs, int count, int index)
{
    if (index >= count)
        return (pinion__view){0};
    return (pinion__view){.n = specs[index].n, .h = specs[index].h, .w = specs[index].w, .c = specs[index].c};
}

static pinion__view param_view(const kernel_case *c, int index)
{
    pinion__param_spec specs[PINION__MAX_PARAMS];
    if (!c->op->params)
        return shape_view(c->n, c->inputs[0]);
    return spec_view(specs, c->op->params(&c->attributes, c->inputs, &c->output, specs), index);
}

static pinion__view state_view(const kernel_case *c, int index)
{
    pinion__param_spec specs[PINION__MAX_STATES];
    return spec_view(specs, c->op->states(&c->attributes, c->inputs, &c->output, specs), index);
}

static pinion__view saved_view(const kernel_case *c, pinion__operand is, enum element *element)
{
    pinion__saved_spec specs[PINION__MAX_SAVED];
    int count = c->op->saved(&c->attributes, c->inputs, &c->output, specs);
    bool required = c->op->id == PINION__OP_batchnorm_statistics && is.index == 0;
    if (is.index >= count || (is.access == PINION__WRITE && c->no_optionals && !required))
        return (pinion__view){0};
    const pinion__saved_spec *spec = &specs[is.index];
    *element = spec->element_bytes == 1 ? ELEMENT_UINT8 : ELEMENT_FLOAT;
    return shape_view(spec->per_sample ? c->n : 1, (pinion_shape){spec->h, spec->w, spec->c});
}

/* fold_batchnorm: weights and bias, folded weights and bias, and vectors for each of their filters. */
static pinion__view fold_view(const kernel_case *c, pinion__operand is)
{
    if ((is.role == PINION__INPUT || is.role == PINION__OUTPUT) && is.index == 0)
        return shape_view(c->n, c->inputs[0]);
    return is.role == PINION__INPUT && c->no_optionals ? (pinion__view){0} : shape_view(1, c->output);
}

static pinion__view stats_view(const kernel_case *c, int index)
{
    int n = c->op->id == PINION__OP_batchnorm_statistics ? c->attributes.as.batchnorm_statistics.n[index] : c->n;
    pinion__stats_blocks cut = pinion__stats_blocks_of(n, c->output.h, c->output.w);
    return shape_view(cut.count, (pinion_shape){2, 1, c->output.c});
}

static pinion__view operand_view(const kernel_case *c, pinion__operand is, enum element *element)
{
    const pinion_shape one = {1, 1, 1};
    if (!case_has(c, is))
        return (pinion__view){0};
    if (c->op->id == PINION__OP_fold_batchnorm)
        return fold_view(c, is);
    switch (is.role) {
    case PINION__INPUT:
    case PINION__D_INPUT:
    case PINION__TARGETS:
        return shape_view(c->n, c->inputs[is.index]);
    case PINION__OUTPUT:
    case PINION__D_OUTPUT:
    case PINION__ADDEND:
    case PINION__D_ADDEND:
        return shape_view(c->n, c->output);
    case PINION__PARAM:
    case PINION__D_PARAM:
        return param_view(c, is.index);
    case PINION__MOMENT:
        return param_view(c, 0);
    case PINION__STATE:
        return state_view(c, is.index);
    case PINION__SAVED:
        return saved_view(c, is, element);
    case PINION__STATS:
        return stats_view(c, is.index);
    case PINION__LABELS:
        *element = ELEMENT_INT32;
        return shape_view(c->n, one);
    case PINION__SQUARES:
        *element = ELEMENT_DOUBLE;
        return shape_view(1, (pinion_shape){1, 1, is.access == PINION__READ ? c->slots : 1});
    case PINION__SCALE:
        return is.access == PINION__READ && c->no_optionals ? (pinion__view){0} : shape_view(1, one);
    default:
        fprintf(stderr, "operand of unknown role %d\n", is.role);
        exit(1);
    }
}

static bool activation(pinion__operand is)
{
    return is.role == PINION__INPUT || is.role == PINION__OUTPUT || is.role == PINION__D_INPUT ||
           is.role == PINION__D_OUTPUT || is.role == PINION__ADDEND || is.role == PINION__D_ADDEND ||
           is.role == PINION__TARGETS;
}

/* Weights of some of the input channels only, as op/operands.h has them. */
static bool sliced_weights(const kernel_case *c, pinion__operand is)
{
    return c->pass == PINION__BACKWARD_DATA && is.role == PINION__PARAM &&
           (c->op->id == PINION__OP_conv2d || c->op->id == PINION__OP_linear);
}

void layout_init(layout *l, const kernel_case *c, bool slices)
{
    static const int gaps[] = {0, 0, 1, 3, 16, 61};
    const pinion__operands *operands = &c->op->pass[c->pass];
    draws from = draws_begin(c->seed, 2, (uint32_t)c->number * 256 + (uint32_t)c->op->id * 8 + (uint32_t)c->pass);
    *l = (layout){.c = c, .count = operands->count};
    for (int i = 0; i < l->count; i++) {
        operand_memory *memory = &l->at[i];
        memory->is = operands->at[i];
        memory->view = operand_view(c, memory->is, &memory->element);
        int gap = gaps[draw(&from, 0, 5)], odd = draw(&from, 0, 15);
        size_t size = element_bytes[memory->element];
        bool sliced = activation(memory->is) || sliced_weights(c, memory->is);
        memory->view.ld = memory->view.c + (slices && sliced ? gap : 0);
        memory->start = CANARY + (slices && memory->element != ELEMENT_DOUBLE ? (size_t)odd * size : 0);
        memory->bytes = memory->start + pinion__view_pixels(&memory->view) * (size_t)memory->view.ld * size + CANARY;
        memory->bytes = (memory->bytes + LINE - 1) / LINE * LINE;
    }
}

int layout_find(const layout *l, int role, int index)
{
    for (int i = 0; i < l->count; i++)
        if (l->at[i].is.role == role && l->at[i].is.index == index)
            return i;
    return -1;
}

bool layout_written(const layout *l, int operand)
{
    return l->at[operand].is.access & PINION__WRITE;
}

blocks blocks_create(const layout *l)
{
    blocks b = {0};
    for (int i = 0; i < l->count; i++) {
        b.at[i] = aligned_alloc(LINE, l->at[i].bytes);
        if (!b.at[i]) {
            fprintf(stderr, "out of memory: %zu bytes for an operand\n", l->at[i].bytes);
            exit(1);
        }
        memset(b.at[i], 0xFF, l->at[i].bytes);
    }
    return b;
}

void blocks_copy(const layout *l, const blocks *from, const blocks *to)
{
    for (int i = 0; i < l->count; i++)
        memcpy(to->at[i], from->at[i], l->at[i].bytes);
}

void blocks_destroy(const layout *l, blocks *b)
{
    for (int i = 0; i < l->count; i++)
        free(b->at[i]);
    *b = (blocks){0};
}

pinion__view blocks_view(const layout *l, const blocks *b, int operand)
{
    pinion__view view = l->at[operand].view;
    view.data = view.n > 0 ? b->at[operand] + l->at[operand].start : NULL;
    return view;
}

pinion__args blocks_args(const layout *l, const blocks *b)
{
    const kernel_case *c = l->c;
    pinion__args args = {.attributes = &c->attributes,
                         .accumulate = c->accumulate,
                         .activation = c->activation,
                         .update = case_updates(c) ? &c->update : NULL,
                         .layer = c->layer,
                         .first_sample = c->first_sample,
                         .samples = c->samples,
                         .step = &c->step};
    for (int i = 0; i < l->count; i++)
        args.operand[i] = blocks_view(l, b, i);
    return args;
}

size_t element_count(const layout *l, int operand)
{
    return pinion__view_elements(&l->at[operand].view);
}

static unsigned char *element_at(const layout *l, const blocks *b, int operand, size_t i)
{
    const operand_memory *memory = &l->at[operand];
    size_t channels = (size_t)memory->view.c;
    size_t at = i / channels * (size_t)memory->view.ld + i % channels;
    return b->at[operand] + memory->start + at * element_bytes[memory->element];
}

double element_get(const layout *l, const blocks *b, int operand, size_t i)
{
    const unsigned char *at = element_at(l, b, operand, i);
    float single;
    double value;
    int32_t integer;
    switch (l->at[operand].element) {
    case ELEMENT_FLOAT:
        memcpy(&single, at, sizeof single);
        return (double)single;
    case ELEMENT_DOUBLE:
        memcpy(&value, at, sizeof value);
        return value;
    case ELEMENT_INT32:
        memcpy(&integer, at, sizeof integer);
        return integer;
    default:
        return *at;
    }
}

void element_set(const layout *l, const blocks *b, int operand, size_t i, double value)
{
    unsigned char *at = element_at(l, b, operand, i);
    float single = (float)value;
    int32_t integer = l->at[operand].element == ELEMENT_INT32 ? (int32_t)value : 0;
    switch (l->at[operand].element) {
    case ELEMENT_FLOAT:
        memcpy(at, &single, sizeof single);
        break;
    case ELEMENT_DOUBLE:
        memcpy(at, &value, sizeof value);
        break;
    case ELEMENT_INT32:
        memcpy(at, &integer, sizeof integer);
        break;
    default:
        *at = (unsigned char)(int32_t)value;
    }
}

/* Are the bytes of an operand outside its pixels' channels the same? */
static bool surroundings_same(const operand_memory *memory, const unsigned char *before, const unsigned char *after)
{
    size_t size = element_bytes[memory->element];
    size_t stride = (size_t)memory->view.ld * size, inside = (size_t)memory->view.c * size, at = 0;
    for (size_t pixel = 0; pixel < pinion__view_pixels(&memory->view); pixel++) {
        size_t start = memory->start + pixel * stride;
        if (memcmp(before + at, after + at, start - at) != 0)
            return false;
        at = start + inside;
    }
    return memcmp(before + at, after + at, memory->bytes - at) == 0;
}

int blocks_stray_write(const layout *l, const blocks *before, const blocks *after)
{
    for (int i = 0; i < l->count; i++) {
        bool same = layout_written(l, i) ? surroundings_same(&l->at[i], before->at[i], after->at[i])
                                         : memcmp(before->at[i], after->at[i], l->at[i].bytes) == 0;
        if (!same)
            return i;
    }
    return -1;
}
