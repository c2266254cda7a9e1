/* SPDX-License-Identifier: Apache-2.0
 *
 * Fused and recomputed results have the bits of those they stand for: `normalise` gives what a batch normalisation gave
 * from the constants that it kept, and a batch normalisation gives the same from the statistics that a convolution left
 * about its output as from its own. On every instruction set of this machine.
 */
#include "base/cpu.h"
#include "kernel/check.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CASES = 10 };

/* A pass of a case with its memory; kernels read and write it in place. */
typedef struct pass_run {
    kernel_case c;
    layout l;
    blocks b;
} pass_run;

static void begin(pass_run *run, const kernel_case *c)
{
    *run = (pass_run){.c = *c};
    layout_init(&run->l, &run->c, true);
    run->b = blocks_create(&run->l);
    data_fill(&run->l, &run->b, DATA_NORMAL);
}

static void end(pass_run *run)
{
    blocks_destroy(&run->l, &run->b);
}

static void copy_operand(const pass_run *from, int source, const pass_run *to, int target)
{
    assert_int_equal(element_count(&from->l, source), element_count(&to->l, target));
    for (size_t i = 0; i < element_count(&from->l, source); i++)
        element_set(&to->l, &to->b, target, i, element_get(&from->l, &from->b, source, i));
}

static void assert_same(const pass_run *a, int first, const pass_run *b, int second)
{
    for (size_t i = 0; i < element_count(&a->l, first); i++)
        if (element_get(&a->l, &a->b, first, i) != element_get(&b->l, &b->b, second, i)) {
            char text[MESSAGE];
            case_describe(&a->c, text, sizeof text);
            fail_msg("%s: element %zu of operand %d has other bits", text, i, first);
        }
}

static void go(const pass_run *run, const bench_room *room, enum pinion__isa isa)
{
    int cursor = 0;
    pinion__args args = blocks_args(&run->l, &run->b);
    args.workers = room->pool[1];
    const pinion__kernel *kernel =
        pinion__kernel_next(run->c.op->id, run->c.pass, PINION__PROCESSOR_CPU, isa, &args, &cursor);
    assert_non_null(kernel);
    scratch s = scratch_create(kernel->body, &args);
    kernel->body->run(&args);
    scratch_destroy(&s);
}

/* A case of batchnorm's forward pass that keeps its constants. */
static kernel_case batchnorm_case(const bench_room *room, int number)
{
    kernel_case c;
    const pinion__op *op = pinion__op_get(PINION__OP_batchnorm);
    assert_true(case_make(room->ctx, op, PINION__FORWARD, 11, case_edges(op) + number, true, false, &c));
    c.no_optionals = c.aliased = c.stats = false;
    c.activation = (enum pinion__activation)(number % 3);
    c.addend = number % 2;
    return c;
}

static void check_normalise(const bench_room *room, enum pinion__isa isa, int number)
{
    pass_run batchnorm, again;
    kernel_case c = batchnorm_case(room, number);
    begin(&batchnorm, &c);
    go(&batchnorm, room, isa);
    c.op = pinion__op_get(PINION__OP_normalise);
    begin(&again, &c);
    copy_operand(&batchnorm, PINION__BATCHNORM_FORWARD_X, &again, PINION__NORMALISE_FORWARD_X);
    copy_operand(&batchnorm, PINION__BATCHNORM_FORWARD_SAVED_CONSTANTS, &again, PINION__NORMALISE_FORWARD_CONSTANTS);
    copy_operand(&batchnorm, PINION__BATCHNORM_FORWARD_ADDEND, &again, PINION__NORMALISE_FORWARD_ADDEND);
    go(&again, room, isa);
    assert_same(&batchnorm, PINION__BATCHNORM_FORWARD_Y, &again, PINION__NORMALISE_FORWARD_Y);
    end(&batchnorm);
    end(&again);
}

static void check_statistics(const bench_room *room, enum pinion__isa isa, enum pinion__op_id producer, int number)
{
    pass_run conv, fused, plain;
    const pinion__op *op = pinion__op_get(producer);
    kernel_case c, norm = batchnorm_case(room, number);
    assert_true(case_make(room->ctx, op, PINION__FORWARD, 12, case_edges(op) + number, true, false, &c));
    c.aliased = c.addend = false;
    c.activation = PINION__ACTIVATION_NONE;
    c.stats = true;
    begin(&conv, &c);
    go(&conv, room, isa);
    norm.n = c.n;
    norm.inputs[0] = norm.output = c.output;
    begin(&plain, &norm);
    norm.stats = true;
    begin(&fused, &norm);
    copy_operand(&conv, PINION__CONV_FORWARD_Y, &plain, PINION__BATCHNORM_FORWARD_X);
    copy_operand(&conv, PINION__CONV_FORWARD_Y, &fused, PINION__BATCHNORM_FORWARD_X);
    copy_operand(&conv, PINION__CONV_FORWARD_STATS, &fused, PINION__BATCHNORM_FORWARD_STATS);
    go(&plain, room, isa);
    go(&fused, room, isa);
    assert_same(&plain, PINION__BATCHNORM_FORWARD_Y, &fused, PINION__BATCHNORM_FORWARD_Y);
    assert_same(&plain, PINION__BATCHNORM_FORWARD_RUNNING_VAR, &fused, PINION__BATCHNORM_FORWARD_RUNNING_VAR);
    end(&conv);
    end(&plain);
    end(&fused);
}

static void for_every_isa(const bench_room *room,
                          void (*check)(const bench_room *room, enum pinion__isa isa, int number))
{
    int checked = 0;
    for (int isa = 0; isa < PINION__ISA_COUNT; isa++) {
        int cursor = 0;
        const pinion__args none = {0};
        if (!pinion__cpu_has_isa((enum pinion__isa)isa) ||
            !pinion__kernel_next(PINION__OP_relu, PINION__FORWARD, PINION__PROCESSOR_CPU, (enum pinion__isa)isa, &none,
                                 &cursor))
            continue;
        for (int number = 0; number < CASES; number++)
            check(room, (enum pinion__isa)isa, number);
        checked++;
    }
    assert_true(checked > 0);
}

static void check_conv2d(const bench_room *room, enum pinion__isa isa, int number)
{
    check_statistics(room, isa, PINION__OP_conv2d, number);
}

static void check_depthwise(const bench_room *room, enum pinion__isa isa, int number)
{
    check_statistics(room, isa, PINION__OP_depthwise_conv2d, number);
}

static void test_normalise_repeats_batchnorm(void **state)
{
    for_every_isa(*state, check_normalise);
}

static void test_statistics_of_conv2d(void **state)
{
    for_every_isa(*state, check_conv2d);
}

static void test_statistics_of_depthwise(void **state)
{
    for_every_isa(*state, check_depthwise);
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
        cmocka_unit_test(test_normalise_repeats_batchnorm),
        cmocka_unit_test(test_statistics_of_conv2d),
        cmocka_unit_test(test_statistics_of_depthwise),
    };
    return cmocka_run_group_tests(tests, open_room, close_room);
}
