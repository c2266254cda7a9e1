/* SPDX-License-Identifier: Apache-2.0
 *
 * Does the kernel checker see what it must? Correct kernels are wrapped so that they go wrong in one way: a single term
 * is missing from a single output element, an output is not written, `accumulate` is ignored, bytes outside the outputs
 * change, scratch overflows, the bits depend on the number of threads. Each must be found; the unspoilt kernel must
 * pass.
 */
#include "base/cpu.h"
#include "kernel/check.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RANDOM_CASES = 6, DROPS = 4 };

/* The wrapped kernel and what to spoil: wrappers have no argument of their own. */
static struct {
    const pinion__kernel_body *body;
    const trial *t;
    int operand;
    size_t element;
    double value;
} spoilt;

static size_t spoilt_scratch(const pinion__args *args)
{
    return spoilt.body->scratch_bytes ? spoilt.body->scratch_bytes(args) : 0;
}

static void put(const pinion__args *args, int operand, size_t i, double value)
{
    const pinion__view *view = &args->operand[operand];
    size_t channels = (size_t)view->c, at = i / channels * (size_t)view->ld + i % channels;
    if (spoilt.t->l.at[operand].element == ELEMENT_FLOAT)
        ((float *)view->data)[at] = (float)value;
    else if (spoilt.t->l.at[operand].element == ELEMENT_DOUBLE)
        ((double *)view->data)[at] = value;
    else
        ((uint8_t *)view->data)[at] = (uint8_t)value;
}

static void run_one_element_changed(const pinion__args *args)
{
    spoilt.body->run(args);
    put(args, spoilt.operand, spoilt.element, spoilt.value);
}

static void run_ignoring_accumulate(const pinion__args *args)
{
    pinion__args other = *args;
    other.accumulate = false;
    spoilt.body->run(&other);
}

static void run_past_the_end(const pinion__args *args)
{
    const pinion__view *view = &args->operand[spoilt.operand];
    spoilt.body->run(args);
    ((float *)view->data)[(ptrdiff_t)pinion__view_pixels(view) * view->ld - view->ld + view->c] = 0;
}

static void run_into_a_gap(const pinion__args *args)
{
    spoilt.body->run(args);
    ((float *)args->operand[spoilt.operand].data)[args->operand[spoilt.operand].c] = 0;
}

static void run_over_an_input(const pinion__args *args)
{
    spoilt.body->run(args);
    *(float *)args->operand[0].data += 1;
}

static void run_past_scratch(const pinion__args *args)
{
    spoilt.body->run(args);
    ((char *)args->scratch)[spoilt_scratch(args)] = 0;
}

static void run_by_threads(const pinion__args *args)
{
    spoilt.body->run(args);
    if (pinion__workers_threads(args->workers) > 1)
        *(float *)args->operand[spoilt.operand].data *= 1 + 0x1p-22f;
}

static enum outcome run_wrapped(void (*run)(const pinion__args *args), const bench_room *room)
{
    pinion__kernel_body wrapper = {.applicable = spoilt.body->applicable, .scratch_bytes = spoilt_scratch, .run = run};
    char message[MESSAGE] = "";
    double worst = 0;
    enum outcome outcome = trial_run(spoilt.t, &wrapper, room, &worst, message);
    assert_int_equal(outcome == OUTCOME_WRONG, message[0] != '\0');
    return outcome;
}

/* The element of the outputs that lost most, against its scale, when an input changed; false: none did. */
static bool choose_loss(const trial *t, const blocks *without)
{
    double most = 0;
    for (int i = 0; i < t->l.count; i++) {
        for (size_t e = 0; layout_written(&t->l, i) && e < element_count(&t->l, i); e++) {
            double with = element_get(&t->l, &t->expected, i, e), changed = element_get(&t->l, without, i, e);
            double scale = t->exact ? 1 : element_get(&t->l, &t->scale, i, e);
            double loss = (with > changed ? with - changed : changed - with) / (scale + 1e-30);
            if (loss > most) {
                spoilt.operand = i, spoilt.element = e, spoilt.value = changed;
                most = loss;
            }
        }
    }
    return most > 0;
}

/* An element of a random float input, the first from a random place that is not zero; false: unlucky. */
static bool choose_input(const trial *t, draws *from, int *operand, size_t *element)
{
    *operand = draw(from, 0, t->l.count - 1);
    size_t count = element_count(&t->l, *operand);
    if (!(t->l.at[*operand].is.access & PINION__READ) || t->l.at[*operand].element > ELEMENT_DOUBLE || count == 0)
        return false;
    size_t start = draw_word(from) % count;
    for (size_t i = 0; i < count; i++) {
        *element = (start + i) % count;
        if (element_get(&t->l, &t->given, *operand, *element) != 0)
            break;
    }
    double value = element_get(&t->l, &t->given, *operand, *element);
    return value <= -0.5 || value >= 0.5;
}

/* Drops terms of this trial, one at a time; the number of drops that mattered, all of which were found. */
static int drop_terms(const trial *t, const bench_room *room, draws *from)
{
    blocks without = blocks_create(&t->l);
    int found = 0, operand;
    size_t element;
    for (int tries = 0; tries < 20 * DROPS && found < DROPS; tries++) {
        if (!choose_input(t, from, &operand, &element))
            continue;
        blocks_copy(&t->l, &t->given, &without);
        element_set(&t->l, &without, operand, element, 0);
        reference_run(&t->l, &without, NULL);
        if (!choose_loss(t, &without))
            continue;
        found++;
        if (run_wrapped(run_one_element_changed, room) != OUTCOME_WRONG) {
            char text[MESSAGE];
            case_describe(&t->c, text, sizeof text);
            fail_msg("%s %s, %s: element %zu of operand %d was dropped and not missed", t->c.op->name,
                     pinion__pass_name(t->c.pass), text, element, operand);
        }
    }
    blocks_destroy(&t->l, &without);
    return found;
}

static void spoil(const trial *t, const pinion__kernel *kernel)
{
    spoilt.t = t;
    spoilt.body = kernel->body;
}

static int drop_from_case(const pinion__kernel *kernel, const bench_room *room, int number)
{
    kernel_case c;
    trial t;
    draws from = draws_begin((uint64_t)number, 20, (uint32_t)kernel->op * 8 + (uint32_t)kernel->pass);
    int found = 0;
    if (!case_make(room->ctx, pinion__op_get(kernel->op), kernel->pass, 7, number, true, true, &c))
        return 0;
    trial_init(&t, &c, DATA_INTEGERS, false);
    spoil(&t, kernel);
    pinion__args args = blocks_args(&t.l, &t.given);
    bool takes = !kernel->body->applicable || kernel->body->applicable(&args);
    if (!takes)
        found = 0;
    else if (t.exact || !data_exact(&c, DATA_INTEGERS))
        found = drop_terms(&t, room, &from);
    trial_fini(&t);
    return found;
}

static const pinion__kernel *next_row(int *row)
{
    const pinion__kernel *kernel;
    enum pinion__isa best = pinion__cpu_best_isa();
    while ((kernel = pinion__kernel_at((*row)++)))
        if (kernel->processor == PINION__PROCESSOR_CPU && kernel->isa == best && !strstr(kernel->name, "winograd"))
            break;
    return kernel;
}

static void test_every_lost_term_is_found(void **state)
{
    const bench_room *room = *state;
    const pinion__kernel *kernel;
    int row = 0;
    while ((kernel = next_row(&row))) {
        int found = 0, edges = case_edges(pinion__op_get(kernel->op));
        for (int number = 0; number < edges + RANDOM_CASES; number++)
            found += drop_from_case(kernel, room, number);
        printf("%s: %d lost terms, all found\n", kernel->name, found);
        assert_true(found >= DROPS);
    }
}

/* The best transforming kernel of a pass; where there is none, the plain one, which must stand the same test. */
static const pinion__kernel *transform_row(enum pinion__pass pass)
{
    const pinion__kernel *kernel, *best = NULL;
    for (int row = 0; (kernel = pinion__kernel_at(row)); row++)
        if (kernel->processor == PINION__PROCESSOR_CPU && kernel->isa == pinion__cpu_best_isa() &&
            kernel->op == PINION__OP_conv2d && kernel->pass == pass && (!best || strstr(kernel->name, "winograd")))
            best = kernel;
    return best;
}

static int drop_from_one_hot(const pinion__kernel *kernel, const bench_room *room, int number)
{
    kernel_case c;
    trial t;
    int found = 0;
    draws from = draws_begin((uint64_t)number, 21, 0);
    if (!case_make(room->ctx, pinion__op_get(kernel->op), kernel->pass, 7, number, true, false, &c))
        return 0;
    trial_init(&t, &c, DATA_ONE_HOT, true);
    spoil(&t, kernel);
    enum outcome outcome = run_wrapped(kernel->body->run, room);
    assert_int_not_equal(outcome, OUTCOME_WRONG);
    if (outcome == OUTCOME_GOOD)
        found = drop_terms(&t, room, &from);
    trial_fini(&t);
    return found;
}

static void test_lost_term_is_found_in_one_hot_data(void **state)
{
    static const enum pinion__pass passes[] = {PINION__FORWARD, PINION__BACKWARD_DATA, PINION__BACKWARD_WEIGHTS};
    for (int i = 0; i < 3; i++) {
        const pinion__kernel *kernel = transform_row(passes[i]);
        int found = 0;
        for (int number = 0; number < case_edges(pinion__op_get(PINION__OP_conv2d)) + 4 * RANDOM_CASES; number++)
            found += drop_from_one_hot(kernel, *state, number);
        printf("%s: %d lost terms in one-hot data, all found\n", kernel->name, found);
        assert_true(found >= DROPS);
    }
}

/* A random case whose operand `written` has several pixels with gaps after their channels, spoilt by nothing yet. */
static void make_trial(trial *t, const bench_room *room, enum pinion__op_id id, enum pinion__pass pass, bool accumulate,
                       int written)
{
    for (int number = case_edges(pinion__op_get(id));; number++) {
        kernel_case c;
        assert_true(case_make(room->ctx, pinion__op_get(id), pass, 3, number, true, true, &c));
        trial_init(t, &c, DATA_INTEGERS, false);
        const pinion__view *view = &t->l.at[written].view;
        if (c.accumulate == accumulate && view->ld > view->c && pinion__view_pixels(view) > 1)
            break;
        trial_fini(t);
    }
    int cursor = 0;
    pinion__args args = blocks_args(&t->l, &t->given);
    spoil(t, pinion__kernel_next(id, pass, PINION__PROCESSOR_CPU, pinion__cpu_best_isa(), &args, &cursor));
    spoilt.operand = written;
    assert_int_equal(run_wrapped(spoilt.body->run, room), OUTCOME_GOOD);
}

static void test_other_faults_are_found(void **state)
{
    const bench_room *room = *state;
    static void (*const faults[])(const pinion__args *args) = {
        run_past_the_end, run_into_a_gap, run_over_an_input, run_past_scratch, run_by_threads, run_ignoring_accumulate};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        trial t;
        make_trial(&t, room, PINION__OP_conv2d, PINION__BACKWARD_DATA, true, PINION__CONV_BACKWARD_DATA_DX);
        element_set(&t.l, &t.given, PINION__CONV_BACKWARD_DATA_DX, 0, 100); /* so that its bits can be changed */
        blocks_copy(&t.l, &t.given, &t.expected);
        reference_run(&t.l, &t.expected, NULL);
        assert_int_equal(run_wrapped(faults[i], room), OUTCOME_WRONG);
        trial_fini(&t);
    }
}

static void run_nothing(const pinion__args *args)
{
    (void)args;
}

static void test_missing_output_is_found(void **state)
{
    const bench_room *room = *state;
    trial t;
    make_trial(&t, room, PINION__OP_maxpool, PINION__FORWARD, false, PINION__MAXPOOL_FORWARD_Y);
    assert_int_equal(run_wrapped(run_nothing, room), OUTCOME_WRONG);
    trial_fini(&t);
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
        cmocka_unit_test(test_every_lost_term_is_found),
        cmocka_unit_test(test_lost_term_is_found_in_one_hot_data),
        cmocka_unit_test(test_other_faults_are_found),
        cmocka_unit_test(test_missing_output_is_found),
    };
    return cmocka_run_group_tests(tests, open_room, close_room);
}
