/* SPDX-License-Identifier: Apache-2.0
 *
 * Which sensors of made-up machines are counted, what they are called, and what cannot be read.
 */
#include "platform/power_bed.h"

/* The sum over packages, divided by the time; parts of them, what sees more, and their other face do not count. */
static void test_packages(void **state)
{
    (void)state;
    static const char *const others[][2] = {{"intel-rapl:1", "psys"},
                                            {"intel-rapl:0:0", "core"},
                                            {"intel-rapl:0:1", "dram"},
                                            {"intel-rapl-mmio:0", "package-0"},
                                            {"intel-rapl:2", "package-1"}};
    char path[128];
    put_package("1000000\n");
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "class/powercap/%s/name", others[i][0]);
        tree_put(path, others[i][1]);
        snprintf(path, sizeof path, "class/powercap/%s/energy_uj", others[i][0]);
        tree_put(path, "7");
    }
    bench b = start();
    pinion__power_begin_at(b.power, 3 * second);
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "class/powercap/%s/energy_uj", others[i][0]);
        tree_put(path, i < 4 ? "900000007" : "5000007");
    }
    tree_put(RAPL "energy_uj", "16000000\n");
    pinion_power_reading found = pinion__power_end_at(b.power, 7 * second);
    expect_watts(found, (15 + 5) / 4.0, "package-0, package-1");
    assert_true(found.seconds == 4.0);
    stop(&b);
}

/* ODROID-XU3 with the kernel's own driver: four chips without labels, told apart by their addresses. */
static void test_ina231(void **state)
{
    (void)state;
    static const char *const address[] = {"0-0040", "0-0041", "0-0044", "0-0045"};
    char path[128], target[128];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "devices/i2c-0/%s/name", address[i]);
        tree_put(path, "ina231");
        snprintf(path, sizeof path, "class/hwmon/hwmon%d/name", i);
        tree_put(path, "ina231\n");
        snprintf(path, sizeof path, "class/hwmon/hwmon%d/power1_input", i);
        tree_put(path, i == 0 ? "1500000\n" : "250000\n");
        snprintf(path, sizeof path, "class/hwmon/hwmon%d/in1_input", i); /* not a second time by volts and amperes */
        tree_put(path, "5000\n");
        snprintf(path, sizeof path, "class/hwmon/hwmon%d/curr1_input", i);
        tree_put(path, "1000\n");
        snprintf(target, sizeof target, "../../../devices/i2c-0/%s", address[i]);
        snprintf(path, sizeof path, "class/hwmon/hwmon%d/device", i);
        assert_int_equal(symlink(target, tree_path(path)), 0);
    }
    expect_watts(look(), 2.25, "ina231 0-0040, ina231 0-0041, ina231 0-0044, ina231 0-0045");
}

/* Volts times amperes, of the channels that are on; the chip's sums behind them do not count. */
static void test_ina3221(void **state)
{
    (void)state;
    tree_put(INA "name", "ina3221\n");
    for (int i = 1; i <= 7; i++) {
        char path[64];
        snprintf(path, sizeof path, INA "in%d_input", i);
        tree_put(path, "5000\n");
        snprintf(path, sizeof path, INA "curr%d_input", i);
        if (i <= 4)
            tree_put(path, i == 1 ? "300\n" : i == 2 ? "-10\n" : "999\n");
    }
    tree_put(INA "in1_label", "VDD_GPU\n");
    tree_put(INA "in1_enable", "1\n");
    tree_put(INA "in3_enable", "0\n");
    expect_watts(look(), 1.45, "VDD_GPU, ina3221 2");
    tree_put(INA "in3_enable", "1\n");
    expect_watts(look(), 6.445, "VDD_GPU, ina3221 2, ina3221 3");
    tree_put(INA "in1_label", "VDD_IN\n"); /* the whole board: the others are parts of it */
    expect_watts(look(), 1.5, "VDD_IN");
}

/* Any chip's counters of energy; its power, which says the same, is not counted beside them. */
static void test_hwmon_energy(void **state)
{
    (void)state;
    tree_put(INA "name", "ina238\n");
    tree_put(INA "energy1_input", "10\n");
    tree_put(INA "power1_input", "5000000\n");
    tree_put(INA "energy1_max", "3\n");
    tree_put(INA "energy2_input", "20\n");
    tree_put(INA "energy2_label", "board\n");
    bench b = start();
    pinion__power_begin_at(b.power, 0);
    tree_put(INA "energy1_input", "2000010\n");
    tree_put(INA "energy2_input", "1000020\n");
    expect_watts(pinion__power_end_at(b.power, second), 3, "ina238, board");
    stop(&b);
}

/* The cores' counters are in the socket's, and both are the package of powercap. */
static void test_amd_energy(void **state)
{
    (void)state;
    tree_put(INA "name", "amd_energy\n");
    tree_put(INA "energy1_input", "1\n");
    tree_put(INA "energy1_label", "Ecore000\n");
    tree_put(INA "energy2_input", "2\n");
    tree_put(INA "energy2_label", "Esocket0\n");
    assert_string_equal(look().sensors, "Esocket0");
    put_package("5\n");
    assert_string_equal(look().sensors, "package-0");
}

/* Batteries and cards are not ours. */
static void test_other_chips(void **state)
{
    (void)state;
    tree_put("class/hwmon/hwmon0/name", "BAT0\n");
    tree_put("class/hwmon/hwmon0/in1_input", "12000\n");
    tree_put("class/hwmon/hwmon0/curr1_input", "1000\n");
    tree_put("class/hwmon/hwmon0/power1_input", "12000000\n");
    tree_put("class/hwmon/hwmon2/power1_input", "12000000\n"); /* it has no name */
    tree_put("class/hwmon/hwmon3/name", "ina219\n");           /* volts alone */
    tree_put("class/hwmon/hwmon3/in1_input", "12000\n");
    expect_unavailable(look(), "no sensor found");
}

/* ODROID-XU3 with Hardkernel's driver: watts as decimals; what is not enabled shows old values. */
static void test_odroid(void **state)
{
    (void)state;
    tree_put("bus/i2c/drivers/INA231/bind", "");
    tree_put("bus/i2c/drivers/INA231/3-0045/sensor_W", "0.181000\n");
    tree_put("bus/i2c/drivers/INA231/3-0045/enable", "1\n");
    tree_put("bus/i2c/drivers/INA231/3-0040/sensor_W", "2.021\n");
    tree_put("bus/i2c/drivers/INA231/3-0041/sensor_W", "9\n");
    tree_put("bus/i2c/drivers/INA231/3-0041/enable", "0\n");
    tree_put("bus/i2c/drivers/INA231/3-0049/sensor_W", "1\n");
    expect_watts(look(), 3.202, "A15, A7, 3-0049");
    tree_remove("bus/i2c/drivers/INA231/3-0040/sensor_W");
    tree_remove("bus/i2c/drivers/INA231/3-0045/sensor_W");
    tree_remove("bus/i2c/drivers/INA231/3-0049/sensor_W");
    expect_unavailable(look(), "%s/sys/bus/i2c/drivers/INA231/3-0041/enable is 0");
}

/* Jetson Nano with JetPack 4: the module's rail contains the other two; milliwatts. */
static void test_jetson(void **state)
{
    (void)state;
    static const char *const rails[] = {"POM_5V_IN\n", "POM_5V_GPU\n", "POM_5V_CPU\n"};
    char path[128];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_%d", i);
        tree_put(path, rails[i]);
        snprintf(path, sizeof path, "bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power%d_input", i);
        tree_put(path, i == 0 ? "4321\n" : "1000\n");
    }
    expect_watts(look(), 4.321, "POM_5V_IN");
    tree_remove("bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input");
    expect_watts(look(), 2, "POM_5V_GPU, POM_5V_CPU");
}

/* What is no plain decimal number is none. */
static void test_garbage(void **state)
{
    (void)state;
    static const char *const texts[] = {"",      "\n",    "abc\n",     "-\n",     "1x\n", "0x10\n", "inf\n",
                                        "nan\n", "1e3\n", " 5000000 ", "1 000\n", ".5\n", "--1\n",  "\xff\xfe\n"};
    tree_put(INA "name", "ina226\n");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tree_put(INA "power1_input", texts[i]);
        expect_unavailable(look(), "no number in %s/sys/" INA "power1_input");
    }
    tree_put(INA "power1_input", "2500000.5\n");
    expect_watts(look(), 2.5000005, "ina226");
}

/* Only root may read the packages' counters: who may not is told so. Another sensor still counts. */
static void test_no_permission(void **state)
{
    (void)state;
    put_package("5\n");
    assert_int_equal(chmod(tree_path(RAPL "energy_uj"), 0), 0);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    pinion_power_reading found = look();
    if (root)
        assert_int_equal(seteuid(0), 0);
    expect_unavailable(found, "no permission to read %s/sys/" RAPL "energy_uj");
    tree_put(INA "name", "ina226\n");
    tree_put(INA "power1_input", "2000000\n");
    if (root)
        assert_int_equal(seteuid(65534), 0);
    found = look();
    if (root)
        assert_int_equal(seteuid(0), 0);
    expect_watts(found, 2, "ina226");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_begin, tree_end)
    const struct CMUnitTest tests[] = {
        TEST(test_packages),   TEST(test_ina231),        TEST(test_ina3221), TEST(test_hwmon_energy),
        TEST(test_amd_energy), TEST(test_other_chips),   TEST(test_odroid),  TEST(test_jetson),
        TEST(test_garbage),    TEST(test_no_permission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
