/* SPDX-License-Identifier: Apache-2.0
 *
 * Trainings whose plan changes on the way: a device that fails between two steps or in one, and a processor that
 * becomes slow. The processors are simulated; kernels are those of the CPU, so a training that a device left ends in
 * the bits of one that never had it.
 */
#include "learn/tiny.h"

#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "device/memory.h"
#include "learn/pace.h"
#include "learn/trainer.h"

enum { STEPS = 16 };

typedef struct watch {
    pinion_trainer *trainer;
    int64_t fail_after; /* steps; the device then fails */
    int changes;
    pinion_change_report change;
    char cause[256], failed[32];
    int64_t last_step;
} watch;

static void on_step(void *user, const pinion_step_report *step)
{
    watch *w = user;
    w->last_step = step->step;
    if (step->step == w->fail_after && w->changes == 0)
        pinion__processor_fail(w->trainer->processors.at[0], PINION_EDEVICE, "it is gone");
}

static void on_change(void *user, const pinion_change_report *change)
{
    watch *w = user;
    w->changes++;
    w->change = *change;
    snprintf(w->cause, sizeof w->cause, "%s", change->cause);
    snprintf(w->failed, sizeof w->failed, "%s", change->failed ? change->failed : "");
}

/* Gives the trainer other processors: the first `count` of `made`, which it owns then. */
static void replace_processors(pinion_trainer *trainer, pinion__processor *const *made, int count, const char *place)
{
    pinion__trainer_clear(trainer);
    pinion__processors_fini(&trainer->processors);
    memcpy(trainer->processors.at, made, (size_t)count * sizeof *made);
    trainer->processors.count = count;
    trainer->options.place = place;
    assert_int_equal(pinion__trainer_build(trainer, trainer->ctx->isa, (pinion__given_kernels){NULL, NULL, 0}),
                     PINION_OK);
}

static pinion_train_options options_of(const char *out, int64_t save_every)
{
    pinion_train_options options = tiny_options(out);
    options.save_every = save_every;
    return options;
}

/* A device and a host processor; the device fails after `fail_after` steps. */
static int train_with_device(const char *out, int64_t save_every, int64_t fail_after, bool host, watch *w,
                             pinion_train_result *result)
{
    tiny t;
    pinion__domain *domain = NULL;
    pinion__processor *made[2];
    const pinion_train_options options = options_of(out, save_every);
    tiny_open(&t, &(pinion_context_options){.threads = 1}, 5);
    assert_int_equal(pinion__domain_create_simulated(t.ctx, false, &domain), PINION_OK);
    assert_int_equal(pinion__processor_create_simulated_in(t.ctx, "device", domain, 1, 0, &made[0]), PINION_OK);
    assert_int_equal(pinion__processor_create_simulated(t.ctx, "host", 1, 0, &made[1]), PINION_OK);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    replace_processors(t.trainer, made, host ? 2 : 1, "device");
    assert_non_null(t.trainer->plan->domain);
    if (!host)
        pinion__processor_destroy(made[1]);
    *w = (watch){.trainer = t.trainer, .fail_after = fail_after};
    const pinion_train_callbacks callbacks = {.step = on_step, .changed = on_change, .user = w};
    int status = pinion_trainer_run(t.trainer, &callbacks, result);
    if (status < 0)
        snprintf(w->cause, sizeof w->cause, "%s", pinion_context_error(t.ctx));
    else
        assert_null(t.trainer->plan->domain);
    pinion_trainer_destroy(t.trainer);
    pinion_network_destroy(t.network);
    t.trainer = NULL;
    t.network = NULL;
    pinion__domain_destroy_simulated(domain);
    tiny_close(&t);
    return status;
}

static void train_undisturbed(const char *out, int64_t save_every)
{
    tiny t;
    const pinion_train_options options = options_of(out, save_every);
    tiny_open(&t, &(pinion_context_options){.threads = 1}, 5);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);
}

static void goes_on_without_the_device(void **state)
{
    (void)state;
    train_undisturbed(tiny_path("plain.safetensors"), 3);
    for (int64_t fail_after = 1; fail_after < STEPS; fail_after++) {
        watch w;
        pinion_train_result result;
        assert_int_equal(train_with_device(tiny_path("lost.safetensors"), 3, fail_after, fail_after % 2, &w, &result),
                         PINION_OK);
        /* The step's callback comes before the save that follows it. */
        const int64_t before = fail_after - 1, by_three = before / 3 * 3, epoch = before / TINY_BATCHES * TINY_BATCHES,
                      saved = by_three > epoch ? by_three : epoch;
        assert_int_equal(w.changes, 1);
        assert_string_equal(w.failed, "device");
        assert_non_null(strstr(w.cause, "it is gone"));
        assert_int_equal(w.change.step, saved);
        assert_int_equal(w.change.step + w.change.repeated, fail_after);
        assert_int_equal(w.last_step, STEPS);
        assert_int_equal(result.steps, STEPS);
        tiny_assert_same(tiny_path("plain.safetensors"), tiny_path("lost.safetensors"));
        tiny_remove_training("lost");
    }
}

static void needs_a_checkpoint(void **state)
{
    (void)state;
    watch w;
    pinion_train_result result;
    assert_int_equal(train_with_device(NULL, 0, 4, true, &w, &result), PINION_EDEVICE);
    assert_non_null(strstr(w.cause, "there is no checkpoint to go on from"));
    assert_int_equal(w.changes, 0);
}

/* ---- a processor that becomes slow ---- */

static int (*run_fast)(pinion__processor *, pinion__body *, const void *);
static int64_t delay_ns[2];

static int run_slowly(pinion__processor *processor, pinion__body *body, const void *args)
{
    const struct timespec delay = {.tv_nsec = (long)delay_ns[processor->name[0] == 'b']};
    nanosleep(&delay, NULL);
    return run_fast(processor, body, args);
}

static void slow_down(void *user, const pinion_step_report *step)
{
    on_step(user, step);
    if (step->step == 3)
        delay_ns[0] = 1500000;
}

static int tasks_on(const pinion_plan *plan, int processor)
{
    int count = 0;
    for (size_t t = 0; t < plan->task_count; t++)
        count += plan->tasks[t].processor == processor;
    return count;
}

static void train_with_slow(bool replan, watch *w, int *on_a, int *on_b)
{
    static pinion__processor_class slow;
    tiny t;
    pinion__processor *made[2];
    pinion_train_options options = options_of(NULL, 0);
    options.patience = PINION_PATIENCE_MEASURE;
    options.replan = replan;
    options.epochs = 4;
    delay_ns[0] = 50000;
    delay_ns[1] = 400000;
    tiny_open(&t, &(pinion_context_options){.threads = 1}, 5);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pinion__processor_create_simulated(t.ctx, i ? "b" : "a", 1, 0, &made[i]), PINION_OK);
        slow = *made[i]->class_;
        run_fast = slow.run;
        slow.run = run_slowly;
        made[i]->class_ = &slow;
        made[i]->core_mask[1] = UINT64_C(1) << i;
    }
    replace_processors(t.trainer, made, 2, "serial");
    assert_true(tasks_on(t.trainer->plan, 0) > 3 * tasks_on(t.trainer->plan, 1)); /* some times were disturbed */
    *w = (watch){.trainer = t.trainer, .fail_after = -1};
    const pinion_train_callbacks callbacks = {.step = slow_down, .changed = on_change, .user = w};
    assert_int_equal(pinion_trainer_run(t.trainer, &callbacks, NULL), PINION_OK);
    *on_a = tasks_on(t.trainer->plan, 0);
    *on_b = tasks_on(t.trainer->plan, 1);
    tiny_close(&t);
}

static void replans(void **state)
{
    (void)state;
    watch w;
    int on_a, on_b;
    train_with_slow(false, &w, &on_a, &on_b);
    assert_int_equal(w.changes, 0);
    assert_true(on_a > 3 * on_b);
    train_with_slow(true, &w, &on_a, &on_b);
    assert_true(w.changes >= 1);
    assert_string_equal(w.failed, "");
    assert_non_null(strstr(w.cause, "were expected"));
    assert_true(w.change.step > 3 && w.change.step <= 3 + PINION__PACE_STEPS + PINION__PACE_LONG + 3);
    assert_true(on_b > 2 * on_a);
}

/* What a re-planning must not change: the same kernels give the same weights. */
static void replanning_keeps_weights_and_moments(void **state)
{
    (void)state;
    tiny t;
    const pinion_train_options options = options_of(tiny_path("again.safetensors"), 0);
    pinion_change_report report;
    train_undisturbed(tiny_path("plain.safetensors"), 0);
    tiny_open(&t, &(pinion_context_options){.threads = 1}, 5);
    assert_int_equal(tiny_train(&t, &options, NULL, 5, NULL), PINION_EINTERRUPTED);
    char *before = NULL, *after = NULL;
    assert_int_equal(pinion__plan_kernels(t.trainer->plan, &before), PINION_OK);
    assert_int_equal(pinion__trainer_replan(t.trainer, &report), PINION_OK);
    assert_int_equal(report.step, 5);
    assert_int_equal(pinion__plan_kernels(t.trainer->plan, &after), PINION_OK);
    const bool same = strcmp(before, after) == 0;
    assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_OK);
    if (same)
        tiny_assert_same(tiny_path("plain.safetensors"), tiny_path("again.safetensors"));
    pinion__release(t.ctx, before);
    pinion__release(t.ctx, after);
    tiny_close(&t);
}

static void pace_is_lost_when_steps_stay_off(void **state)
{
    (void)state;
    pinion__pace pace;
    pinion__pace_begin(&pace, 10, false);
    for (int i = 0; i < 100; i++)
        assert_false(pinion__pace_lost(&pace, i % 3 == 0 ? 50 : 11)); /* a third of them is disturbed */
    for (int i = 0; i < PINION__PACE_STEPS / 2 + PINION__PACE_LONG; i++)
        assert_false(pinion__pace_lost(&pace, i < 2 ? 11 : 20));
    bool lost = false;
    for (int i = 0; i < 5; i++)
        lost = pinion__pace_lost(&pace, 20) || lost;
    assert_true(lost);
    pinion__pace_begin(&pace, 10, true); /* made anew: what the steps take is what they take */
    for (int i = 0; i < 50; i++)
        assert_false(pinion__pace_lost(&pace, 20));
    lost = false;
    for (int i = 0; i < 10; i++)
        lost = pinion__pace_lost(&pace, 10) || lost;
    assert_true(lost);
}

static int clean(void **state)
{
    (void)state;
    tiny_folder_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pace_is_lost_when_steps_stay_off),
        cmocka_unit_test(goes_on_without_the_device),
        cmocka_unit_test(needs_a_checkpoint),
        cmocka_unit_test(replans),
        cmocka_unit_test(replanning_keeps_weights_and_moments),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
