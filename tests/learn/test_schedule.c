/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning rates against values worked out by hand or by PyTorch's CosineAnnealingLR, and the ends of very short
 * trainings.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "learn/schedule.h"
#include "learn/text.h"

static void assert_rate(enum pinion_schedule schedule, int64_t step, int64_t steps, double expected)
{
    double got = (double)pinion__schedule_rate(schedule, 0.1f, step, steps);
    if (!(fabs(got - expected) <= 1e-6 * fabs(expected)))
        fail_msg("schedule %d, step %lld of %lld: %.9g, expected %.9g", (int)schedule, (long long)step,
                 (long long)steps, got, expected);
}

static void constant_and_step(void **state)
{
    (void)state;
    for (int64_t t = 0; t < 7; t++)
        assert_rate(PINION_SCHEDULE_CONSTANT, t, 7, 0.1);
    static const double factors[8] = {1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01};
    for (int64_t t = 0; t < 8; t++)
        assert_rate(PINION_SCHEDULE_STEP, t, 8, 0.1 * factors[t]);
    assert_rate(PINION_SCHEDULE_STEP, 8, 12, 0.1 * 0.1);
    assert_rate(PINION_SCHEDULE_STEP, 9, 12, 0.1 * 0.01);
    assert_rate(PINION_SCHEDULE_STEP, 0, 1, 0.1);
    assert_rate(PINION_SCHEDULE_STEP, INT64_MAX - 1, INT64_MAX, 0.1 * 0.01);
}

/* CosineAnnealingLR(T_max = 10). */
static void cosine(void **state)
{
    (void)state;
    static const double expected[10] = {
        0.1,  0.09755282581475769, 0.09045084971874737,  0.07938926261462366,  0.06545084971874737,
        0.05, 0.03454915028125263, 0.020610737385376342, 0.009549150281252633, 0.0024471741852423235};
    for (int64_t t = 0; t < 10; t++)
        assert_rate(PINION_SCHEDULE_COSINE, t, 10, expected[t]);
}

/* OneCycleLR's phases and end points; the way up is linear, the way down a cosine. */
static void onecycle(void **state)
{
    (void)state;
    assert_rate(PINION_SCHEDULE_ONECYCLE, 0, 20, 0.1 / 25);
    assert_rate(PINION_SCHEDULE_ONECYCLE, 1, 20, 0.1 / 25 + (0.1 - 0.1 / 25) / 5);
    assert_rate(PINION_SCHEDULE_ONECYCLE, 5, 20, 0.1);
    assert_rate(PINION_SCHEDULE_ONECYCLE, 12, 20, 0.1 / 25e4 + (0.1 - 0.1 / 25e4) / 2);
    assert_rate(PINION_SCHEDULE_ONECYCLE, 19, 20, 0.1 / 25e4);
    /* The top lies between two steps: 0.3 * 25 - 1 = 6.5. */
    assert_rate(PINION_SCHEDULE_ONECYCLE, 6, 25, 0.1 / 25 + (0.1 - 0.1 / 25) * 6 / 6.5);
    double done = 0.5 / 17.5;
    assert_rate(PINION_SCHEDULE_ONECYCLE, 7, 25, 0.1 / 25e4 + (0.1 - 0.1 / 25e4) * (1 + cos(acos(-1.0) * done)) / 2);
}

static void tiny_trainings(void **state)
{
    (void)state;
    assert_rate(PINION_SCHEDULE_ONECYCLE, 0, 1, 0.1);
    assert_rate(PINION_SCHEDULE_ONECYCLE, 0, 2, 0.1);
    assert_rate(PINION_SCHEDULE_ONECYCLE, 1, 2, 0.1 / 25e4);
    for (int64_t steps = 1; steps < 40; steps++) {
        for (int64_t t = 0; t < steps; t++) {
            for (int schedule = PINION_SCHEDULE_CONSTANT; schedule <= PINION_SCHEDULE_ONECYCLE; schedule++) {
                float rate = pinion__schedule_rate((enum pinion_schedule)schedule, 0.1f, t, steps);
                assert_true(isfinite(rate) && rate > 0 && rate <= 0.1f);
            }
        }
    }
}

static void numbers_survive_text(void **state)
{
    (void)state;
    static const double values[] = {0, 1, -1, 0.1, -1e-300, 5e-324, 1.7976931348623157e308, 1.0 / 3, 123456789};
    char text[PINION__NUMBER_TEXT];
    double back;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        pinion__real_write(values[i], text);
        assert_true(pinion__real_read(text, &back));
        assert_true(back == values[i]);
    }
    pinion__real_write((double)0.1f, text);
    assert_string_equal(text, "13421773p-27");
    pinion__real_write((double)NAN, text);
    assert_true(pinion__real_read(text, &back) && isnan(back));
    pinion__real_write(-(double)INFINITY, text);
    assert_true(pinion__real_read(text, &back) && isinf(back) && back < 0);

    static const char *const bad[] = {"", " 1p0", "+1p0", "1", "1p", "p1", "1p0 ", "1p99999", "0x1p0", "nanx", "1.5p0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(pinion__real_read(bad[i], &back));
    assert_false(pinion__real_read(NULL, &back));
    int64_t integer;
    uint64_t natural;
    assert_true(pinion__integer_read("-9223372036854775808", &integer) && integer == INT64_MIN);
    assert_false(pinion__integer_read("9223372036854775808", &integer));
    assert_false(pinion__integer_read("1x", &integer));
    assert_true(pinion__unsigned_read("18446744073709551615", &natural) && natural == UINT64_MAX);
    assert_false(pinion__unsigned_read("-1", &natural));
    assert_false(pinion__unsigned_read("1x", &natural));
    assert_false(pinion__unsigned_read("18446744073709551616", &natural));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_and_step),
        cmocka_unit_test(cosine),
        cmocka_unit_test(onecycle),
        cmocka_unit_test(tiny_trainings),
        cmocka_unit_test(numbers_survive_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
