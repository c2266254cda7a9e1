/* SPDX-License-Identifier: Apache-2.0
 *
 * How long selection takes for a problem of the size of a ResNet-18 training step.
 */
#include "base/clock.h"
#include "plan/placement_networks.h"

static double ms_since(int64_t start)
{
    return (double)(pinion__now_ns() - start) / 1e6;
}

/* The limits stand for sanitizers and slow machines; the figures are printed. */
static void resnet18_on_four_processors(void **state)
{
    (void)state;
    pinion_context *ctx = open_context();
    for (int processors = 2; processors <= 4; processors++) {
        bed *b = bed_resnet18(ctx, processors);
        pinion__placement serial;
        pinion__schedule concurrent;
        int64_t start = pinion__now_ns();
        assert_int_equal(pinion__place_serial(&b->problem, &serial), PINION_OK);
        double serial_ms = ms_since(start);
        start = pinion__now_ns();
        assert_int_equal(pinion__place_concurrent(&b->problem, &concurrent), PINION_OK);
        double concurrent_ms = ms_since(start);
        double least = HUGE_VAL;
        for (int p = 0; p < processors; p++) {
            pinion__placement single;
            assert_int_equal(pinion__place_single(&b->problem, p, &single), PINION_OK);
            least = fmin(least, single.ms);
            pinion__placement_fini(ctx, &single);
        }
        print_message("%d tasks, %d storages, %d processors: serial in %.1f ms, concurrent in %.0f ms\n",
                      b->problem.task_count, b->problem.storage_count, processors, serial_ms, concurrent_ms);
        print_message("    single %.2f, serial %.2f (bound %.2f), concurrent %.2f (bound %.2f)\n", least, serial.ms,
                      pinion__placement_bound(&b->problem, true), concurrent.placement.ms,
                      pinion__placement_bound(&b->problem, false));
        assert_true(serial.ms < least && concurrent.placement.ms < 0.8 * serial.ms);
        assert_true(serial_ms < 2000 && concurrent_ms < 40000);
        pinion__placement_fini(ctx, &serial);
        pinion__schedule_fini(ctx, &concurrent);
        free(b);
    }
    close_context(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(resnet18_on_four_processors)};
    return cmocka_run_group_tests_name("placement_speed", tests, NULL, NULL);
}
