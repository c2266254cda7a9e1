/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the registry complete? Every pass that an op lists has a row for the specification and one for each instruction
 * set of this build and, where it is built in, for OpenCL, every row belongs to a pass of its op and has cases in the
 * checker, and names find their rows.
 */
#include "kernel/case.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const bool built[PINION__ISA_COUNT] = {
    [PINION__ISA_BASELINE] = PINION__HAVE_BASELINE,
    [PINION__ISA_AVX2] = PINION__HAVE_AVX2,
    [PINION__ISA_AVX512] = PINION__HAVE_AVX512,
    [PINION__ISA_NEON] = PINION__HAVE_NEON,
};

#ifdef PINION__HAVE_OPENCL
static const bool built_opencl = true;
#else
static const bool built_opencl = false;
#endif

static int rows_for(const pinion__op *op, int pass, enum pinion__processor_kind processor, int isa)
{
    const pinion__kernel *kernel;
    int count = 0;
    for (int i = 0; (kernel = pinion__kernel_at(i)); i++)
        count += kernel->op == op->id && (int)kernel->pass == pass && kernel->processor == processor &&
                 (processor != PINION__PROCESSOR_CPU || (int)kernel->isa == isa);
    return count;
}

static void test_every_pass_has_kernels(void **state)
{
    (void)state;
    for (int id = 0; id < PINION__OP_COUNT; id++) {
        const pinion__op *op = pinion__op_get((enum pinion__op_id)id);
        for (int pass = 0; pass < PINION__PASS_COUNT; pass++) {
            bool has = op->pass[pass].count > 0;
            if (rows_for(op, pass, PINION__PROCESSOR_REF, 0) != has)
                fail_msg("%s %s: one row of the specification is needed where the op has the pass", op->name,
                         pinion__pass_name((enum pinion__pass)pass));
            if ((rows_for(op, pass, PINION__PROCESSOR_OPENCL, 0) > 0) != (has && built_opencl))
                fail_msg("%s %s, OpenCL: a row is needed just where the op has the pass and the build OpenCL", op->name,
                         pinion__pass_name((enum pinion__pass)pass));
            for (int isa = 0; isa < PINION__ISA_COUNT; isa++)
                if ((rows_for(op, pass, PINION__PROCESSOR_CPU, isa) > 0) != (has && built[isa]))
                    fail_msg(
                        "%s %s, %s: a row is needed just where the op has the pass and the build the instruction set",
                        op->name, pinion__pass_name((enum pinion__pass)pass), pinion__isa_name((enum pinion__isa)isa));
        }
    }
}

static void test_every_row_is_whole(void **state)
{
    (void)state;
    const pinion__kernel *kernel;
    int i = 0;
    for (; (kernel = pinion__kernel_at(i)); i++) {
        assert_non_null(kernel->body->run);
        assert_true(case_known(pinion__op_get(kernel->op)));
        assert_ptr_equal(pinion__kernel_find(kernel->name, kernel->processor, kernel->isa), kernel);
    }
    assert_true(i > 0);
    assert_null(pinion__kernel_at(-1));
    assert_null(pinion__kernel_find("no_such_kernel", PINION__PROCESSOR_REF, PINION__ISA_BASELINE));
}

/* Walks the rows of a pass that always apply; none comes twice and the walk ends. */
static void test_next_walks_rows_in_order(void **state)
{
    (void)state;
    const pinion__args args = {0};
    int cursor = 0;
    const pinion__kernel *first =
        pinion__kernel_next(PINION__OP_relu, PINION__FORWARD, PINION__PROCESSOR_REF, PINION__ISA_AVX2, &args, &cursor);
    assert_non_null(first);
    assert_string_equal(first->name, "relu_forward");
    assert_ptr_equal(first, pinion__kernel_at(cursor - 1));
    assert_null(
        pinion__kernel_next(PINION__OP_relu, PINION__FORWARD, PINION__PROCESSOR_REF, PINION__ISA_AVX2, &args, &cursor));
    for (int isa = 0; isa < PINION__ISA_COUNT; isa++) {
        cursor = 0;
        const pinion__kernel *kernel = pinion__kernel_next(PINION__OP_relu, PINION__FORWARD, PINION__PROCESSOR_CPU,
                                                           (enum pinion__isa)isa, &args, &cursor);
        assert_int_equal(kernel != NULL, built[isa]);
        assert_true(!kernel || (int)kernel->isa == isa);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pass_has_kernels),
        cmocka_unit_test(test_every_row_is_whole),
        cmocka_unit_test(test_next_walks_rows_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
