/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecasts of how long work takes: what no run exceeds, disturbed runs, and the first ones.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/forecast.h"

/* The same values in falling order. */
static void check_sorted(const pinion__forecast *of)
{
    for (int i = 0; i < of->count; i++) {
        int seen = 0, there = 0;
        for (int k = 0; k < of->count; k++) {
            seen += of->value[k] == of->value[i];
            there += of->sorted[k] == of->value[i];
        }
        assert_int_equal(seen, there);
        assert_true(i == 0 || of->sorted[i] <= of->sorted[i - 1]);
    }
}

/* No run of the window exceeds a forecast, but disturbed ones do not raise it unless they are many. */
static void test_forecast(void **state)
{
    (void)state;
    pinion__forecast forecast = {0};
    assert_true(pinion__forecast_of(&forecast) == 0.0);
    pinion__forecast_note(&forecast, -1.0);
    pinion__forecast_note(&forecast, 0.0);
    pinion__forecast_note(&forecast, (double)NAN);
    pinion__forecast_note(&forecast, (double)INFINITY);
    assert_int_equal(forecast.count, 0);
    assert_true(pinion__forecast_of(&forecast) == 0.0);
    pinion__forecast_note(&forecast, 2.0);
    assert_true(pinion__forecast_of(&forecast) > 2.0);
    for (int i = 0; i < 1000; i++) {
        pinion__forecast_note(&forecast, 1.0 + 0.01 * (i * 7 % 100));
        check_sorted(&forecast);
    }
    assert_true(pinion__forecast_of(&forecast) == forecast.sorted[0]);
    for (int i = 0; i < 8; i++)
        pinion__forecast_note(&forecast, 1e6);
    assert_true(pinion__forecast_of(&forecast) < 2.0);
    pinion__forecast_note(&forecast, 1e6);
    assert_true(pinion__forecast_of(&forecast) > 1e5);
    for (int i = 0; i < PINION__FORECAST_WINDOW; i++)
        pinion__forecast_note(&forecast, 1.0);
    assert_true(pinion__forecast_of(&forecast) == 1.0);
    pinion__forecast_note(&forecast, 2.5); /* slower, not disturbed */
    for (int i = 0; i < PINION__FORECAST_WINDOW; i++) {
        assert_true(pinion__forecast_of(&forecast) == 2.5);
        pinion__forecast_note(&forecast, 1.0);
    }
    assert_true(pinion__forecast_of(&forecast) == 1.0);
}

/* What was expected stands for the first runs that are missing: one that is disturbed does not decide alone. */
static void test_first_forecasts(void **state)
{
    (void)state;
    pinion__forecast forecast = {.expected = 1.25};
    assert_true(pinion__forecast_of(&forecast) == 0.0);
    pinion__forecast_note(&forecast, 20.0);
    assert_true(pinion__forecast_of(&forecast) == 1.25);
    pinion__forecast_note(&forecast, 1.5);
    assert_true(pinion__forecast_of(&forecast) == 1.5);
    for (int i = 0; i < 16; i++)
        pinion__forecast_note(&forecast, 1.0);
    assert_true(pinion__forecast_of(&forecast) == 1.5);
    pinion__forecast plain = {0};
    pinion__forecast_note(&plain, 20.0);
    assert_true(pinion__forecast_of(&plain) > 20.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forecast), cmocka_unit_test(test_first_forecasts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
