/* SPDX-License-Identifier: Apache-2.0
 *
 * A training on a device that shares the host's memory: no step copies a byte, since the loader prepares batches where
 * the device reads them; the weights are those of a training on the host; a plan that is made anew on the way takes the
 * loader along. The device is simulated: its kernels are those of the CPU.
 */
#include "learn/tiny.h"

#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "device/memory.h"
#include "learn/trainer.h"

enum { STEPS = 16 };

typedef struct watch {
    pinion_trainer *trainer;
    int64_t steps, slow_after; /* 0: the device stays as it is */
    int64_t least, most;       /* bytes copied by a step */
    int changes;
} watch;

static atomic_llong delay_ns;

static void on_step(void *user, const pinion_step_report *step)
{
    watch *w = user;
    w->steps = step->step;
    const int64_t copied = pinion_runner_get_info(w->trainer->runner).copied_bytes;
    w->least = w->steps == 1 || copied < w->least ? copied : w->least;
    w->most = copied > w->most ? copied : w->most;
    if (step->step == w->slow_after)
        atomic_store(&delay_ns, 1500000);
}

static void on_change(void *user, const pinion_change_report *change)
{
    watch *w = user;
    (void)change;
    w->changes++;
}

static const pinion__processor_class *real;
static pinion__processor_class slow;

static void wait_a_little(void)
{
    const struct timespec delay = {.tv_nsec = (long)atomic_load(&delay_ns)};
    nanosleep(&delay, NULL);
}

static int run_slowly(pinion__processor *processor, pinion__body *body, const void *args)
{
    wait_a_little();
    return real->run(processor, body, args);
}

static void submit_slowly(pinion__processor *processor, pinion__body *body, const void *args,
                          void (*done)(void *user, int status), void *user)
{
    wait_a_little();
    real->submit(processor, body, args, done, user);
}

static void train_on_device(const pinion_train_options *options, bool copies, watch *w)
{
    tiny t;
    pinion__domain *domain = NULL;
    pinion__processor *device = NULL;
    tiny_open(&t, &(pinion_context_options){.threads = 1}, 5);
    assert_int_equal(pinion__domain_create_simulated(t.ctx, copies, &domain), PINION_OK);
    assert_int_equal(pinion__processor_create_simulated_in(t.ctx, "device", domain, 1, 0, &device), PINION_OK);
    real = device->class_;
    slow = *real;
    slow.run = run_slowly;
    slow.submit = submit_slowly;
    device->class_ = w->slow_after ? &slow : real;
    atomic_store(&delay_ns, 50000);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, options, &t.trainer), PINION_OK);
    pinion__trainer_clear(t.trainer);
    pinion__processors_fini(&t.trainer->processors);
    t.trainer->processors = (pinion__processors){.at = {device}, .count = 1};
    assert_int_equal(pinion__trainer_build(t.trainer, t.ctx->isa, (pinion__given_kernels){NULL, NULL, 0}), PINION_OK);
    w->trainer = t.trainer;
    const pinion_train_callbacks callbacks = {.step = on_step, .changed = on_change, .user = w};
    if (pinion_trainer_run(t.trainer, &callbacks, NULL) < 0)
        fail_msg("%s", pinion_context_error(t.ctx));
    pinion_trainer_destroy(t.trainer);
    pinion_network_destroy(t.network);
    t.trainer = NULL;
    t.network = NULL;
    pinion__domain_destroy_simulated(domain);
    tiny_close(&t);
}

static void no_step_copies(void **state)
{
    (void)state;
    tiny t;
    pinion_train_options options = tiny_options(tiny_path("plain.safetensors"));
    tiny_open(&t, &(pinion_context_options){.threads = 1}, 5);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);
    for (int copies = 0; copies < 2; copies++) {
        watch w = {0};
        options.out = tiny_path("device.safetensors");
        train_on_device(&options, copies != 0, &w);
        assert_int_equal(w.steps, STEPS);
        /* A device with memory of its own fetches images and labels, and gives back the losses; and it fetches the
         * weights behind a checkpoint. */
        const int64_t image = TINY_SIDE * TINY_SIDE * 3 * (int64_t)sizeof(float), label = 2 * (int64_t)sizeof(float);
        assert_int_equal(w.least, copies ? TINY_BATCH * (image + label) : 0);
        assert_true(w.most == 0 || copies);
        tiny_assert_same(tiny_path("plain.safetensors"), tiny_path("device.safetensors"));
        tiny_remove_training("device");
    }
}

static void a_new_plan_takes_the_loader_along(void **state)
{
    (void)state;
    watch w = {.slow_after = 3};
    pinion_train_options options = tiny_options(NULL);
    options.patience = PINION_PATIENCE_MEASURE;
    options.replan = true;
    options.epochs = 4;
    train_on_device(&options, false, &w);
    assert_true(w.changes >= 1);
    assert_int_equal(w.steps, 4 * TINY_BATCHES);
    assert_int_equal(w.most, 0);
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
        cmocka_unit_test(no_step_copies),
        cmocka_unit_test(a_new_plan_takes_the_loader_along),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
