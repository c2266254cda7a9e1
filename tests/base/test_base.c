/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/base: random numbers against published values, errors, allocation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pinion/measure.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pinion_context *make_context(void)
{
    pinion_context *ctx = NULL;
    assert_int_equal(pinion_context_create(NULL, &ctx), PINION_OK);
    return ctx;
}

/* Known answers of the authors' own test (Random123, kat_vectors, philox4x32 10 rounds). */
static void test_philox(void **state)
{
    (void)state;
    uint32_t out[4];
    static const uint32_t zeros[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    pinion__random4(0, 0, 0, 0, out);
    assert_memory_equal(out, zeros, sizeof out);
    static const uint32_t ones[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
    pinion__random4(UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX, out);
    assert_memory_equal(out, ones, sizeof out);
    static const uint32_t digits[4] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    pinion__random4(UINT64_C(0x299f31d0a4093822), 0x13198a2e, 0x03707344, UINT64_C(0x85a308d3243f6a88), out);
    assert_memory_equal(out, digits, sizeof out);
}

static void test_normal(void **state)
{
    (void)state;
    enum { COUNT = 100003 };
    float *values = malloc(COUNT * sizeof *values);
    pinion__random_normal(7, PINION__RANDOM_TEST, 3, COUNT, values);
    double sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < COUNT; i++) {
        double value = (double)values[i];
        sum += value;
        squares += value * value;
        fourth += value * value * value * value;
    }
    assert_true(fabs(sum / COUNT) < 0.015);
    assert_true(fabs(squares / COUNT - 1) < 0.02);
    assert_true(fabs(fourth / COUNT - 3) < 0.2);
    free(values);
}

static void test_permutation(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    uint32_t order[COUNT], other[COUNT];
    bool seen[COUNT] = {false};
    pinion__random_permutation(1, PINION__RANDOM_SHUFFLE, 0, COUNT, order);
    pinion__random_permutation(1, PINION__RANDOM_SHUFFLE, 1, COUNT, other);
    int fixed = 0, same = 0;
    for (int i = 0; i < COUNT; i++) {
        assert_true(order[i] < COUNT && !seen[order[i]]);
        seen[order[i]] = true;
        fixed += order[i] == (uint32_t)i;
        same += order[i] == other[i];
    }
    assert_true(fixed < 10 && same < 10);
}

static void test_memory(void **state)
{
    (void)state;
    const uint64_t unknown = UINT64_MAX;
    assert_true(pinion__memory_parse_meminfo("MemTotal: 900 kB\nMemFree: 1 kB\nMemAvailable:     300 kB\n") == 307200);
    assert_true(pinion__memory_parse_meminfo("MemAvailable: 3 kB\nSwapTotal: 9 kB\nSwapFree: 2 kB\n") == 5120);
    assert_true(pinion__memory_parse_meminfo("MemTotal: 900 kB\n") == unknown);
    assert_true(pinion__memory_parse_meminfo("NotMemAvailable: 900 kB\nMemAvailable: ?\n") == unknown);
    assert_true(pinion__memory_parse_meminfo("") == unknown);
    assert_true(pinion__memory_parse_group("1000\n", "600\n", "") == 400);
    assert_true(pinion__memory_parse_group("1000\n", "600\n", "anon 5\ninactive_file 100\nactive_file 50\n") == 550);
    assert_true(pinion__memory_parse_group("1000\n", "600\n", "inactive_file 9999\n") == 1000);
    assert_true(pinion__memory_parse_group("1000\n", "1600\n", "") == 0);
    assert_true(pinion__memory_parse_group("max\n", "600\n", "") == unknown);
    assert_true(pinion__memory_parse_group("", "", "") == unknown);
    assert_true(pinion__memory_parse_group("1000\n", "", "") == unknown);
    assert_true(pinion__memory_available_bytes() > 0);
}

static void test_options(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    assert_int_equal(pinion_context_threads(ctx), pinion__cpu_cores());
    assert_true(pinion__cpu_has_isa(ctx->isa));
    pinion_context_destroy(ctx);

    pinion_context_options bad = pinion_context_options_default();
    bad.isa = "mmx";
    assert_int_equal(pinion_context_create(&bad, &ctx), PINION_EINVAL);
    assert_null(ctx);
    bad = pinion_context_options_default();
    bad.threads = -1;
    assert_int_equal(pinion_context_create(&bad, &ctx), PINION_EINVAL);
    bad = (pinion_context_options){.alloc = pinion_context_options_default().alloc};
    assert_int_equal(pinion_context_create(&bad, &ctx), PINION_EINVAL);
    assert_null(ctx);
    assert_int_equal(pinion_context_create(NULL, NULL), PINION_EINVAL);
}

static void test_errors(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    assert_string_equal(pinion_context_error(ctx), "");
    void *block = &ctx;
    assert_int_equal(pinion__alloc(ctx, SIZE_MAX / 2, 4, "a test", &block), PINION_ENOMEM);
    assert_non_null(strstr(pinion_context_error(ctx), "out of memory"));
    assert_ptr_equal(block, &ctx);
    assert_string_equal(pinion_error_name(PINION_EFORMAT), "PINION_EFORMAT");
    assert_string_equal(pinion_error_text(PINION_ENOMEM), "out of memory");
    assert_string_equal(pinion_error_text(12345), "unknown error");
    pinion_context_destroy(ctx);
}

static void test_summary(void **state)
{
    (void)state;
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2};
    assert_true(pinion__summarise(odd, 3).median == 2);
    pinion__spread spread = pinion__summarise(even, 4);
    assert_true(spread.min == 1 && spread.median == 2.5 && spread.max == 4);
}

/* What the calls of a measurement were, a letter each: a step, or what was done of them in between. */
typedef struct calls {
    char said[64];
    int steps, fails_at;
} calls;

static int count_step(void *user)
{
    calls *of = user;
    strcat(of->said, "s");
    return ++of->steps == of->fails_at ? PINION_EFAILED : PINION_OK;
}

static void note_between(void *user, int done)
{
    calls *of = user;
    snprintf(of->said + strlen(of->said), 8, "%d", done);
}

static void test_measure(void **state)
{
    (void)state;
    pinion_context *ctx = make_context();
    pinion_measure_options options = {.warm_steps = 2, .repetitions = 3, .between = note_between};
    pinion_timing timing = {0};
    calls all = {"", 0, 0}, some = {"", 0, 4}, alone = {"", 0, 0};
    options.between_user = &all;
    assert_int_equal(pinion_measure(ctx, count_step, &all, &options, &timing), PINION_OK);
    assert_string_equal(all.said, "ss0s1s2s3");
    assert_int_equal(timing.repetitions, 3);
    options.between_user = &some;
    assert_int_equal(pinion_measure(ctx, count_step, &some, &options, &timing), PINION_EFAILED);
    assert_string_equal(some.said, "ss0s1s");
    options.between = NULL;
    assert_int_equal(pinion_measure(ctx, count_step, &alone, &options, &timing), PINION_OK);
    assert_string_equal(alone.said, "sssss");
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox),  cmocka_unit_test(test_normal),  cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_options), cmocka_unit_test(test_memory),  cmocka_unit_test(test_errors),
        cmocka_unit_test(test_summary), cmocka_unit_test(test_measure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
