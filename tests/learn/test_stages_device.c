/* SPDX-License-Identifier: Apache-2.0
 *
 * A device that fails in any step of a training in stages: it goes on without the device from the last checkpoint, in
 * the same stage, and ends in the bits of a training that never had it. The device is simulated; its kernels are the
 * CPU's.
 */
#include "learn/grown.h"

#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "device/memory.h"
#include "learn/trainer.h"

typedef struct watch {
    pinion_trainer *trainer;
    int64_t fail_after; /* steps, in all stages */
    int changes, stage, stage_of_change;
    int cached[GROWN_GROUPS + 1];
} watch;

static void on_step(void *user, const pinion_step_report *step)
{
    const watch *w = user;
    if (step->done == w->fail_after && w->changes == 0)
        pinion__processor_fail(w->trainer->processors.at[0], PINION_EDEVICE, "it is gone");
}

static void on_change(void *user, const pinion_change_report *change)
{
    watch *w = user;
    assert_string_equal(change->failed, "device");
    w->changes++;
    w->stage_of_change = w->stage;
}

static void on_stage(void *user, const pinion_stage_report *report)
{
    watch *w = user;
    w->stage = report->stage;
    if (!report->result)
        w->cached[report->stage - 1] = report->cached;
}

/* A device and a host processor. */
static void use_device(pinion_trainer *trainer, pinion__domain *domain)
{
    pinion__processor *made[2];
    pinion_context *ctx = trainer->ctx;
    assert_int_equal(pinion__processor_create_simulated_in(ctx, "device", domain, 1, 0, &made[0]), PINION_OK);
    assert_int_equal(pinion__processor_create_simulated(ctx, "host", 1, 0, &made[1]), PINION_OK);
    pinion__trainer_clear(trainer);
    pinion__processors_fini(&trainer->processors);
    memcpy(trainer->processors.at, made, sizeof made);
    trainer->processors.count = 2;
    trainer->options.place = "device";
    assert_int_equal(pinion__trainer_build(trainer, ctx->isa, (pinion__given_kernels){NULL, NULL, 0}), PINION_OK);
    assert_non_null(trainer->plan->domain);
}

static void train_with_device(const pinion_train_options *options, watch *w)
{
    tiny t;
    pinion__domain *domain = NULL;
    grown_open(&t, NULL, 5, GROWN_GROUPS, PINION_TOWERS);
    assert_int_equal(pinion__domain_create_simulated(t.ctx, false, &domain), PINION_OK);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, options, &t.trainer), PINION_OK);
    use_device(t.trainer, domain);
    w->trainer = t.trainer;
    const pinion_train_callbacks callbacks = {.step = on_step, .changed = on_change, .stage = on_stage, .user = w};
    int status = pinion_trainer_run(t.trainer, &callbacks, NULL);
    if (status < 0)
        fail_msg("failed after %d: %s", (int)w->fail_after, pinion_context_error(t.ctx));
    pinion_trainer_destroy(t.trainer);
    pinion_network_destroy(t.network);
    t.trainer = NULL;
    t.network = NULL;
    pinion__domain_destroy_simulated(domain);
    tiny_close(&t);
}

static void goes_on_in_the_stage(void **state)
{
    (void)state;
    tiny t;
    const pinion_train_options plain = grown_options(tiny_path("plain.safetensors"), -1);
    grown_open(&t, NULL, 5, GROWN_GROUPS, PINION_TOWERS);
    assert_int_equal(tiny_train(&t, &plain, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);
    for (int64_t fail_after = 1; fail_after < GROWN_STEPS; fail_after++) {
        watch w = {.fail_after = fail_after};
        pinion_train_options options = grown_options(tiny_path("lost.safetensors"), -1);
        options.save_every = 3;
        train_with_device(&options, &w);
        assert_int_equal(w.changes, 1);
        assert_int_equal(w.stage_of_change, fail_after <= 8 ? 1 : fail_after <= 13 ? 2 : fail_after <= 23 ? 3 : 4);
        assert_int_equal(w.stage, GROWN_GROUPS + 1);
        tiny_assert_same(tiny_path("plain.safetensors"), tiny_path("lost.safetensors"));
        tiny_assert_same(tiny_path("plain.best.safetensors"), tiny_path("lost.best.safetensors"));
        tiny_remove_training("lost");
    }
}

/* Without augmentation logits are computed once, also for a device, and once more as soon as it is gone. */
static void computes_once(void **state)
{
    (void)state;
    tiny t;
    const pinion_train_options plain = grown_options(tiny_path("plain.safetensors"), PINION_AUGMENT_NONE);
    grown_open(&t, NULL, 5, GROWN_GROUPS, PINION_TOWERS);
    assert_int_equal(tiny_train(&t, &plain, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);
    for (int64_t fail_after = 0; fail_after < GROWN_STEPS; fail_after += 10) {
        watch w = {.fail_after = fail_after};
        const pinion_train_options options = grown_options(tiny_path("lost.safetensors"), PINION_AUGMENT_NONE);
        train_with_device(&options, &w);
        const int cached[] = {0, 1, 1, 0};
        assert_int_equal(w.changes, fail_after > 0);
        assert_memory_equal(w.cached, cached, sizeof cached);
        tiny_assert_same(tiny_path("plain.safetensors"), tiny_path("lost.safetensors"));
        tiny_remove_training("lost");
    }
}

static int clean(void **state)
{
    (void)state;
    tiny_folder_clean();
    return 0;
}

static int end(void **state)
{
    (void)state;
    tiny_folder_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(goes_on_in_the_stage, clean),
        cmocka_unit_test_teardown(computes_once, clean),
    };
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
