/* SPDX-License-Identifier: Apache-2.0
 *
 * Mean power over a stretch of work: counters that go round, values that stand for their time, and what goes away.
 */
#include "platform/power_bed.h"

static void test_none(void **state)
{
    (void)state;
    pinion_power_reading found = look();
    expect_unavailable(found, "no sensor found");
    assert_string_equal(found.sensors, "");
}

/* A counter that goes round twice in a long stretch is followed, by the readings in between. */
static void test_wrap(void **state)
{
    (void)state;
    put_package("262143000000");
    bench b = start();
    pinion__power_begin_at(b.power, 0);
    tree_put(RAPL "energy_uj", "671150"); /* 1 J on */
    pinion__power_sample_at(b.power, second);
    tree_put(RAPL "energy_uj", "262143328850");
    pinion__power_sample_at(b.power, 1000 * second);
    tree_put(RAPL "energy_uj", "1000000");
    pinion_power_reading found = pinion__power_end_at(b.power, 2000 * second);
    expect_watts(found, (1 + 262142.6577 + 1) / 2000, "package-0");
    pinion__power_begin_at(b.power, 0); /* nothing is left of the stretch before */
    tree_put(RAPL "energy_uj", "3000000");
    expect_watts(pinion__power_end_at(b.power, second), 2, "package-0");
    stop(&b);
}

/* Without a range, or with one it is already beyond, a counter that goes back tells nothing. */
static void test_going_back(void **state)
{
    (void)state;
    static const char *const ranges[] = {"", "garbage\n", "900\n"};
    for (int i = 0; i < 3; i++) {
        put_package("5000000");
        tree_put(RAPL "max_energy_range_uj", ranges[i]);
        bench b = start();
        pinion__power_begin_at(b.power, 0);
        tree_put(RAPL "energy_uj", "1000000");
        expect_unavailable(pinion__power_end_at(b.power, second), "%s/sys/" RAPL "energy_uj went back");
        pinion__power_begin_at(b.power, 0); /* where it stands between two stretches does not matter */
        tree_put(RAPL "energy_uj", "3000000");
        expect_watts(pinion__power_end_at(b.power, second), 2, "package-0");
        stop(&b);
    }
}

/* Sums to zero are no zero: virtual machines show counters that never move. */
static void test_standing_still(void **state)
{
    (void)state;
    put_package("5000000");
    expect_unavailable(look(), "package-0: nothing shown");
    bench b = start();
    pinion__power_begin_at(b.power, second);
    tree_put(RAPL "energy_uj", "6000000");
    expect_unavailable(pinion__power_end_at(b.power, second), "package-0: nothing shown"); /* no time has passed */
    stop(&b);
}

/* A value stands for the time since the one before; what comes within the period is not read. */
static void test_mean_over_time(void **state)
{
    (void)state;
    tree_put(INA "name", "ina231\n");
    tree_put(INA "power1_input", "90000000\n"); /* what was before does not count */
    bench b = start();
    pinion__power_begin_at(b.power, 0);
    tree_put(INA "power1_input", "2000000\n");
    pinion__power_sample_at(b.power, second);
    tree_put(INA "power1_input", "77000000\n");
    pinion__power_sample_at(b.power, second + PINION__POWER_PERIOD_NS - 1);
    tree_put(INA "power1_input", "6000000\n");
    pinion__power_sample_at(b.power, second + PINION__POWER_PERIOD_NS);
    tree_put(INA "power1_input", "-1000000\n");
    pinion_power_reading found = pinion__power_end_at(b.power, second + PINION__POWER_PERIOD_NS + second / 20);
    expect_watts(found, (2 * 1 + 6 * 0.1 - 1 * 0.05) / 1.15, "ina231");
    stop(&b);
}

/* One that goes away, or is a folder, in the middle: the others alone would be another figure. A stretch later it may
 * be back. */
static void test_vanishing(void **state)
{
    (void)state;
    tree_put(INA "name", "ina3221\n");
    tree_put(INA "in1_input", "5000\n");
    tree_put(INA "curr1_input", "1000\n");
    tree_put(INA "in2_input", "5000\n");
    tree_put(INA "curr2_input", "1000\n");
    bench b = start();
    pinion__power_begin_at(b.power, 0);
    tree_remove(INA "curr2_input");
    pinion__power_sample_at(b.power, second);
    tree_put(INA "curr2_input", "1000\n"); /* too late */
    pinion_power_reading found = pinion__power_end_at(b.power, 2 * second);
    expect_unavailable(found, "%s/sys/" INA "curr2_input cannot be read");
    assert_string_equal(found.sensors, "ina3221, ina3221 2");
    pinion__power_begin_at(b.power, 3 * second);
    expect_watts(pinion__power_end_at(b.power, 4 * second), 10, "ina3221, ina3221 2");
    pinion__power_begin_at(b.power, 5 * second);
    tree_remove(INA "in1_input");
    assert_int_equal(mkdir(tree_path(INA "in1_input"), 0755), 0);
    expect_unavailable(pinion__power_end_at(b.power, 6 * second), "%s/sys/" INA "in1_input cannot be read");
    stop(&b);
}

/* The folder comes from the caller, else from the environment. */
static void test_root(void **state)
{
    (void)state;
    pinion_context *ctx = NULL;
    pinion_power *power = NULL;
    tree_put(INA "name", "ina226\n");
    tree_put(INA "power1_input", "2000000\n");
    assert_int_equal(pinion_context_create(NULL, &ctx), PINION_OK);
    assert_int_equal(setenv("PINION_ROOT", tree_root, 1), 0);
    assert_int_equal(pinion_power_create(ctx, NULL, &power), PINION_OK);
    pinion_power_begin(power);
    usleep(1000);
    pinion_power_sample(power);
    expect_watts(pinion_power_end(power), 2, "ina226");
    pinion_power_destroy(power);
    assert_int_equal(pinion_power_create(ctx, "/nowhere", &power), PINION_OK);
    pinion_power_begin(power);
    expect_unavailable(pinion_power_end(power), "no sensor found");
    pinion_power_destroy(power);
    assert_int_equal(unsetenv("PINION_ROOT"), 0);
    char root[400];
    memset(root, 'x', sizeof root);
    root[sizeof root - 1] = '\0';
    power = NULL;
    assert_int_equal(pinion_power_create(ctx, root, &power), PINION_EINVAL);
    assert_string_equal(pinion_context_error(ctx), "a name of 399 bytes of the folder in which sensors are looked for");
    assert_null(power);
    pinion_power_destroy(NULL);
    pinion_context_destroy(ctx);
}

static int allocations_left;

static void *alloc_some(void *user, size_t bytes, size_t alignment)
{
    const pinion_context_options *real = user;
    return allocations_left-- == 0 ? NULL : real->alloc(real->alloc_user, bytes, alignment);
}

static void release_some(void *user, void *block)
{
    const pinion_context_options *real = user;
    real->release(real->alloc_user, block);
}

/* Each allocation fails in turn; nothing leaks. */
static void test_memory(void **state)
{
    (void)state;
    pinion_context_options real = pinion_context_options_default(), options = real;
    options.alloc = alloc_some;
    options.release = release_some;
    options.alloc_user = &real;
    put_package("5\n");
    int status = PINION_ENOMEM, tried = 0;
    for (; status == PINION_ENOMEM; tried++) {
        bench b = {0};
        allocations_left = -1;
        assert_int_equal(pinion_context_create(&options, &b.ctx), PINION_OK);
        allocations_left = tried;
        status = pinion_power_create(b.ctx, tree_root, &b.power);
        assert_true(status == PINION_OK || b.power == NULL);
        stop(&b);
    }
    assert_int_equal(status, PINION_OK);
    assert_int_equal(tried, 5); /* four of them: the meter, its sensors, where counters stood, and names */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_begin, tree_end)
    const struct CMUnitTest tests[] = {
        TEST(test_none),           TEST(test_wrap),      TEST(test_going_back), TEST(test_standing_still),
        TEST(test_mean_over_time), TEST(test_vanishing), TEST(test_root),       TEST(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
