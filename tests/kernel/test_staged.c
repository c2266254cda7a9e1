/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels run on a processor with memory of its own (kernel/staged.h): CPU kernels in the simulated domain, whose
 * memory is poison wherever it was not handed over, give what they give in host memory, also where outputs lie over
 * inputs, and leave the bytes around alone.
 */
#include "kernel/check.h"
#include "kernel/staged.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CASES = 12 };

typedef struct side {
    bench_room room;
    pinion__domain *domain;
    pinion__processor *processor;
} side;

static void open_side(side *s, bool copies)
{
    *s = (side){0};
    room_open(&s->room);
    assert_int_equal(pinion__domain_create_simulated(s->room.ctx, copies, &s->domain), PINION_OK);
    assert_int_equal(pinion__processor_create_simulated_in(s->room.ctx, "side", s->domain, 0, 0, &s->processor),
                     PINION_OK);
}

static void close_side(side *s)
{
    pinion__processor_destroy(s->processor);
    pinion__domain_destroy_simulated(s->domain);
    room_close(&s->room);
}

static const pinion__kernel *row_for(const trial *t, const bench_room *room)
{
    int cursor = 0;
    pinion__args args = blocks_args(&t->l, &t->given);
    return pinion__kernel_next(t->c.op->id, t->c.pass, PINION__PROCESSOR_CPU, room->ctx->isa, &args, &cursor);
}

/* Runs cases of every pass of an op on the other side; their number. */
static int try_op(const side *s, const pinion__op *op)
{
    int tried = 0;
    for (int pass = 0; pass < PINION__PASS_COUNT && case_known(op); pass++) {
        for (int number = 0; op->pass[pass].count > 0 && number < CASES; number++) {
            kernel_case c;
            trial t;
            double worst = 0;
            char message[MESSAGE] = "";
            if (!case_make(s->room.ctx, op, (enum pinion__pass)pass, 5, case_edges(op) + number, true, false, &c))
                continue;
            trial_init(&t, &c, DATA_NORMAL, true);
            const pinion__kernel *kernel = row_for(&t, &s->room);
            assert_non_null(kernel);
            if (trial_run_on(&t, kernel->body, s->processor, &worst, message) != OUTCOME_GOOD)
                fail_msg("%s: %s", kernel->name, message);
            tried++;
            trial_fini(&t);
        }
    }
    return tried;
}

static void check_all_ops(bool copies)
{
    side s;
    int tried = 0;
    open_side(&s, copies);
    for (int id = 0; id < PINION__OP_COUNT; id++)
        tried += try_op(&s, pinion__op_get((enum pinion__op_id)id));
    assert_true(tried > 20 * CASES);
    assert_int_equal(atomic_load(&s.domain->copied_bytes) > 0, copies);
    close_side(&s);
}

static void test_mapped_memory(void **state)
{
    (void)state;
    check_all_ops(false);
}

static void test_copied_memory(void **state)
{
    (void)state;
    check_all_ops(true);
}

/* Writes before and behind its output, as far as the margin goes. */
static void run_beside(const pinion__args *args)
{
    const pinion__view *y = &args->operand[PINION__RELU_FORWARD_Y];
    ((float *)y->data)[-1] = 1;
    ((float *)y->data)[(ptrdiff_t)(pinion__view_pixels(y) - 1) * y->ld + y->c] = 1;
}

static void test_strays_are_brought_back(void **state)
{
    (void)state;
    static const pinion__kernel_body beside = {.run = run_beside};
    const pinion__kernel kernel = {.op = PINION__OP_relu, .pass = PINION__FORWARD, .body = &beside};
    float from[8] = {0}, memory[48] = {0};
    side s;
    open_side(&s, false);
    pinion__args args = {0};
    args.operand[PINION__RELU_FORWARD_X] = (pinion__view){from + 2, 1, 1, 1, 4, 4};
    args.operand[PINION__RELU_FORWARD_Y] = (pinion__view){memory + 20, 1, 1, 2, 3, 4};
    assert_int_equal(pinion__staged_once(s.processor, &kernel, &args, 8), PINION_OK);
    for (int i = 0; i < 48; i++)
        assert_true(memory[i] == (i == 19 || i == 27 ? 1.0F : 0.0F));
    close_side(&s);
}

/* A kernel that is right in its first run, and one that changes an input. */
static int runs;

static void run_once_right(const pinion__args *args)
{
    reference_of(pinion__op_get(PINION__OP_relu), PINION__FORWARD)->body->run(args);
    *(float *)args->operand[PINION__RELU_FORWARD_Y].data += (float)runs++;
}

static void run_over_input(const pinion__args *args)
{
    reference_of(pinion__op_get(PINION__OP_relu), PINION__FORWARD)->body->run(args);
    *(float *)args->operand[PINION__RELU_FORWARD_X].data += 1;
}

static void test_faults_are_found(void **state)
{
    (void)state;
    static const pinion__kernel_body faults[] = {{.run = run_once_right}, {.run = run_over_input}};
    side s;
    kernel_case c;
    trial t;
    open_side(&s, false);
    const pinion__op *op = pinion__op_get(PINION__OP_relu);
    assert_true(case_make(s.room.ctx, op, PINION__FORWARD, 5, case_edges(op), true, false, &c));
    c.aliased = false;
    trial_init(&t, &c, DATA_NORMAL, false);
    for (int i = 0; i < 2; i++) {
        double worst = 0;
        char message[MESSAGE] = "";
        assert_int_equal(trial_run_on(&t, &faults[i], s.processor, &worst, message), OUTCOME_WRONG);
        assert_non_null(strstr(message, i == 0 ? "other bits" : "outside its outputs"));
    }
    trial_fini(&t);
    close_side(&s);
}

static void test_host_processor(void **state)
{
    (void)state;
    bench_room room;
    room_open(&room);
    float x[3] = {-1, 2, -3}, y[3] = {9, 9, 9};
    pinion__args args = {0};
    args.operand[PINION__RELU_FORWARD_X] = (pinion__view){x, 1, 1, 1, 3, 3};
    args.operand[PINION__RELU_FORWARD_Y] = (pinion__view){y, 1, 1, 1, 3, 3};
    pinion__processor *cpu = NULL;
    assert_int_equal(pinion__processor_create_cpu(room.ctx, 1, &cpu), PINION_OK);
    assert_int_equal(pinion__staged_once(cpu, reference_of(pinion__op_get(PINION__OP_relu), PINION__FORWARD), &args, 0),
                     PINION_OK);
    assert_true(y[0] == 0 && y[1] == 2 && y[2] == 0);
    pinion__processor_destroy(cpu);
    room_close(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapped_memory),           cmocka_unit_test(test_copied_memory),
        cmocka_unit_test(test_strays_are_brought_back), cmocka_unit_test(test_faults_are_found),
        cmocka_unit_test(test_host_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
