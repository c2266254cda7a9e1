/* SPDX-License-Identifier: Apache-2.0
 *
 * The specification checked against itself: its backward passes are the derivatives of its forward passes, by central
 * differences, and the adjoints of those that are linear: <A x, g> = <x, A' g>.
 *
 * Everything is seen through L = sum g * y with random g; losses have g = weight / loss_batch. Forward is in double
 * inside and rounds to float at the end, so steps are large (linear passes have no truncation error) and tolerances are
 * those of float.
 */
#include "kernel/check.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CASES = 6, PROBES = 24 };

/* A forward pass with its data and results, and g. */
typedef struct flow {
    kernel_case c;
    layout l;
    blocks given, done;
    double *g;
    size_t outputs;
} flow;

static bool is_linear(const pinion__op *op)
{
    switch (op->id) {
    case PINION__OP_batchnorm:
    case PINION__OP_softmax_cross_entropy:
    case PINION__OP_distillation:
        return false;
    default:
        return true;
    }
}

/* Distinct values on a grid of 1/64, none within 1/128 of 0 or 6: no kink and no tie within a step of 1/256. */
static double off_kinks(const pinion__op *op, size_t i)
{
    unsigned modulus = op->id == PINION__OP_maxpool ? 8191 : 641;
    return (double)(i * 7919 % modulus) / 64 + 1.0 / 128 - 2;
}

static void fill_inputs(const flow *f, enum data kind)
{
    enum pinion__op_id op = f->c.op->id;
    draws from = draws_begin((uint64_t)f->c.number, 30, (uint32_t)op);
    data_fill(&f->l, &f->given, kind);
    for (int input = 0; input < f->c.op->inputs && kind == DATA_NORMAL; input++) {
        int operand = layout_find(&f->l, PINION__INPUT, input);
        bool kinks = op == PINION__OP_relu || op == PINION__OP_relu6 || op == PINION__OP_maxpool;
        for (size_t i = 0; i < element_count(&f->l, operand); i++)
            element_set(&f->l, &f->given, operand, i, kinks ? off_kinks(f->c.op, i) : draw_normal(&from));
    }
}

static double loss_weight(const kernel_case *c)
{
    return c->op->id == PINION__OP_distillation ? (double)c->attributes.as.distillation.weight : 1;
}

static void fill_g(flow *f, bool integers)
{
    draws from = draws_begin((uint64_t)f->c.number, 31, (uint32_t)f->c.op->id);
    f->outputs = element_count(&f->l, layout_find(&f->l, PINION__OUTPUT, 0));
    f->g = calloc(f->outputs, sizeof *f->g);
    assert_non_null(f->g);
    for (size_t i = 0; i < f->outputs; i++)
        f->g[i] = f->c.op->flags & PINION__OP_LOSS ? loss_weight(&f->c) / f->c.step.loss_batch
                  : integers                       ? draw(&from, -2, 2)
                                                   : (double)(float)draw_normal(&from);
}

static void flow_init(flow *f, const kernel_case *c, enum data kind)
{
    *f = (flow){.c = *c};
    f->c.accumulate = f->c.no_optionals = f->c.addend = f->c.stats = false;
    f->c.activation = PINION__ACTIVATION_NONE;
    layout_init(&f->l, &f->c, true);
    f->given = blocks_create(&f->l);
    f->done = blocks_create(&f->l);
    fill_inputs(f, kind);
    fill_g(f, kind == DATA_INTEGERS);
}

static void flow_fini(flow *f)
{
    blocks_destroy(&f->l, &f->given);
    blocks_destroy(&f->l, &f->done);
    free(f->g);
}

/* Runs forward on what is given; L. */
static double run_forward(const flow *f)
{
    int output = layout_find(&f->l, PINION__OUTPUT, 0);
    double sum = 0;
    blocks_copy(&f->l, &f->given, &f->done);
    reference_run(&f->l, &f->done, NULL);
    for (size_t i = 0; i < f->outputs; i++)
        sum += f->g[i] * element_get(&f->l, &f->done, output, i);
    return sum;
}

/* A backward pass fed from a forward pass that was run. */
typedef struct counterflow {
    kernel_case c;
    layout l;
    blocks b;
} counterflow;

static void feed_operand(const flow *f, const counterflow *back, int operand, const counterflow *weights)
{
    pinion__operand is = back->l.at[operand].is;
    int from = layout_find(&f->l, is.role, is.index);
    for (size_t i = 0; i < element_count(&back->l, operand); i++) {
        double value =
            is.role == PINION__D_OUTPUT ? f->g[i]
            : is.role == PINION__D_PARAM
                ? element_get(&weights->l, &weights->b, layout_find(&weights->l, PINION__D_PARAM, is.index), i)
                : element_get(&f->l, is.role == PINION__STATE ? &f->given : &f->done, from, i);
        element_set(&back->l, &back->b, operand, i, value);
    }
}

/* `weights`: the backward_weights pass of the same flow, where there is one. */
static void run_backward(const flow *f, enum pinion__pass pass, const counterflow *weights, counterflow *back)
{
    *back = (counterflow){.c = f->c};
    back->c.pass = pass;
    layout_init(&back->l, &back->c, true);
    back->b = blocks_create(&back->l);
    for (int i = 0; i < back->l.count; i++)
        if (!layout_written(&back->l, i))
            feed_operand(f, back, i, weights);
    reference_run(&back->l, &back->b, NULL);
}

/* dL of one element of a forward operand by central differences. */
static double difference(const flow *f, int operand, size_t i)
{
    double step = f->c.op->id == PINION__OP_relu || f->c.op->id == PINION__OP_relu6 || f->c.op->id == PINION__OP_maxpool
                      ? 0x1p-8
                  : is_linear(f->c.op) ? 0.5
                                       : 0x1p-6;
    double at = element_get(&f->l, &f->given, operand, i);
    element_set(&f->l, &f->given, operand, i, at + step);
    double above = element_get(&f->l, &f->given, operand, i), high = run_forward(f);
    element_set(&f->l, &f->given, operand, i, at - step);
    double below = element_get(&f->l, &f->given, operand, i), low = run_forward(f);
    element_set(&f->l, &f->given, operand, i, at);
    return (high - low) / (above - below);
}

/* Compares a written gradient with differences over the operand it belongs to. */
static void probe(const flow *f, const counterflow *back, int gradient, draws *from)
{
    pinion__operand is = back->l.at[gradient].is;
    int operand = layout_find(&f->l, is.role == PINION__D_INPUT ? PINION__INPUT : PINION__PARAM, is.index);
    size_t count = element_count(&back->l, gradient);
    for (int i = 0; i < PROBES && count > 0; i++) {
        size_t element = draw_word(from) % count;
        double numeric = difference(f, operand, element);
        double analytic = element_get(&back->l, &back->b, gradient, element);
        if (!(fabs(numeric - analytic) <= 3e-3 * (1 + fabs(analytic)))) {
            char text[MESSAGE];
            case_describe(&f->c, text, sizeof text);
            fail_msg("%s %s, %s: gradient of operand %d, element %zu is %g; differences give %g", f->c.op->name,
                     pinion__pass_name(back->c.pass), text, operand, element, analytic, numeric);
        }
    }
}

static void check_differences(const bench_room *room, const pinion__op *op, int number)
{
    kernel_case c;
    flow f;
    counterflow weights = {0}, data = {0};
    draws from = draws_begin((uint64_t)number, 32, (uint32_t)op->id);
    assert_true(case_make(room->ctx, op, PINION__FORWARD, 5, number, true, false, &c));
    flow_init(&f, &c, DATA_NORMAL);
    run_forward(&f);
    bool trained = op->pass[PINION__BACKWARD_WEIGHTS].count > 0;
    if (trained)
        run_backward(&f, PINION__BACKWARD_WEIGHTS, NULL, &weights);
    run_backward(&f, PINION__BACKWARD_DATA, &weights, &data);
    for (int i = 0; i < data.l.count; i++)
        if (layout_written(&data.l, i))
            probe(&f, &data, i, &from);
    for (int i = 0; i < weights.l.count; i++)
        if (layout_written(&weights.l, i))
            probe(&f, &weights, i, &from);
    blocks_destroy(&data.l, &data.b);
    blocks_destroy(&weights.l, &weights.b);
    flow_fini(&f);
}

static void test_gradients_are_derivatives(void **state)
{
    const bench_room *room = *state;
    int ops = 0;
    for (int id = 0; id < PINION__OP_COUNT; id++) {
        const pinion__op *op = pinion__op_get((enum pinion__op_id)id);
        if (op->pass[PINION__BACKWARD_DATA].count == 0)
            continue;
        for (int number = case_edges(op); number < case_edges(op) + CASES; number++)
            check_differences(room, op, number);
        ops++;
    }
    assert_true(ops >= 14);
}

/* sum of a forward operand times its gradient */
static double product(const flow *f, int role, int index, const counterflow *back, int gradient)
{
    int operand = layout_find(&f->l, role, index);
    double sum = 0;
    for (size_t i = 0; i < element_count(&f->l, operand); i++)
        sum += element_get(&f->l, &f->given, operand, i) * element_get(&back->l, &back->b, gradient, i);
    return sum;
}

static void clear(const flow *f, int role, int index)
{
    int operand = layout_find(&f->l, role, index);
    for (size_t i = 0; operand >= 0 && i < element_count(&f->l, operand); i++)
        element_set(&f->l, &f->given, operand, i, 0);
}

/* Passes that are linear in their input, or choose among its elements; integers make both sides exact but for
 * divisions. */
static void check_adjoint(const bench_room *room, const pinion__op *op, int number)
{
    kernel_case c;
    flow f;
    counterflow data, weights;
    if (!case_make(room->ctx, op, PINION__FORWARD, 6, number, true, true, &c))
        return;
    flow_init(&f, &c, DATA_INTEGERS);
    clear(&f, PINION__PARAM, 1);
    double left = run_forward(&f), right = 0;
    run_backward(&f, PINION__BACKWARD_DATA, NULL, &data);
    for (int input = 0; input < op->inputs; input++)
        right += product(&f, PINION__INPUT, input, &data, layout_find(&data.l, PINION__D_INPUT, 0));
    double tolerance = 1e-6 * (1 + (double)f.outputs);
    assert_true(fabs(left - right) <= tolerance);
    if (op->pass[PINION__BACKWARD_WEIGHTS].count > 0) {
        run_backward(&f, PINION__BACKWARD_WEIGHTS, NULL, &weights);
        right = product(&f, PINION__PARAM, 0, &weights, layout_find(&weights.l, PINION__D_PARAM, 0));
        assert_true(fabs(left - right) <= tolerance);
        blocks_destroy(&weights.l, &weights.b);
    }
    blocks_destroy(&data.l, &data.b);
    flow_fini(&f);
}

static void test_backward_is_adjoint(void **state)
{
    static const enum pinion__op_id linear[] = {
        PINION__OP_conv2d,  PINION__OP_depthwise_conv2d, PINION__OP_linear,         PINION__OP_relu,   PINION__OP_add,
        PINION__OP_maxpool, PINION__OP_avgpool,          PINION__OP_global_avgpool, PINION__OP_dropout};
    for (size_t i = 0; i < sizeof linear / sizeof linear[0]; i++)
        for (int number = 0; number < case_edges(pinion__op_get(linear[i])) + CASES; number++)
            check_adjoint(*state, pinion__op_get(linear[i]), number);
}

static int open_room(void **state)
{
    static bench_room room;
    room_open(&room);
    *state = &room;
    return 0;
}

static int close_room(void **state)
{
    room_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_are_derivatives),
        cmocka_unit_test(test_backward_is_adjoint),
    };
    return cmocka_run_group_tests(tests, open_room, close_room);
}
