/* SPDX-License-Identifier: Apache-2.0
 *
 * Trainings on the host and an OpenCL device of which a call fails: in a step, each kind of call in turn, alone or with
 * all that follow; while plans are made; while weights are evaluated. The device is reported and left out, and where
 * nothing of it is left in the last checkpoint, the training ends in the files of one that never had it. Skipped where
 * there is no device.
 */
#include "learn/tiny.h"

#include <math.h>
#include <pinion/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "device/memory.h"
#include "device/opencl.h"
#include "learn/trainer.h"
#include "support/failing_opencl.h"

enum { STEPS = 16 };

static pinion__opencl_api real;

/* How the first plan places tasks. */
enum way { DEVICE, MIXED, CUT };

/* What is to go wrong, and what the trainer told. */
typedef struct watch {
    const char *function; /* NULL: nothing */
    long after;
    bool lost;
    int64_t step; /* behind which it begins to go wrong */
    int changes;
    pinion_change_report change;
    char cause[512], failed[32];
    int64_t last_step;
} watch;

static void on_step(void *user, const pinion_step_report *step)
{
    watch *w = user;
    w->last_step = step->step;
    if (w->function && step->step == w->step && w->changes == 0)
        failing_opencl_arm(w->function, w->after, w->lost);
}

static void on_change(void *user, const pinion_change_report *change)
{
    watch *w = user;
    w->changes++;
    w->change = *change;
    snprintf(w->cause, sizeof w->cause, "%s", change->cause);
    snprintf(w->failed, sizeof w->failed, "%s", change->failed ? change->failed : "");
}

static int draw_processor(void *user, int index)
{
    (void)user;
    return pinion__random_uniform(3, PINION__RANDOM_TEST, 60, (uint64_t)index) < 0.5f ? 0 : 1;
}

static char *lines_of(const pinion_trainer *trainer, const pinion_plan *like, enum way way)
{
    const pinion__plan_tuning tuning = {.processor_of = draw_processor,
                                        .cut = way == CUT ? (pinion__cut){.count = 2, .n = {5, 3}, .processor = {0, 1}}
                                                          : (pinion__cut){0}};
    pinion_plan *plan = NULL;
    char *lines = NULL;
    if (pinion__plan_create_tuned(trainer->network, &like->options, &tuning, trainer->processors.at, 2, &plan) < 0)
        fail_msg("%s", pinion_context_error(trainer->ctx));
    assert_int_equal(pinion__plan_kernels(plan, &lines), PINION_OK);
    pinion_plan_destroy(plan);
    return lines;
}

/* A trainer whose tasks are dealt out to both processors. */
static void mix(pinion_trainer *trainer, enum way way)
{
    char *training = lines_of(trainer, trainer->plan, way);
    char *evaluation = lines_of(trainer, pinion__evaluator_plan(trainer->evaluator), way);
    if (pinion__trainer_build(trainer, trainer->ctx->isa, (pinion__given_kernels){training, evaluation, 0}) < 0)
        fail_msg("%s", pinion_context_error(trainer->ctx));
    pinion__release(trainer->ctx, training);
    pinion__release(trainer->ctx, evaluation);
}

static pinion_train_options device_options(const char *out, int64_t save_every, enum way way)
{
    pinion_train_options options = tiny_options(out);
    options.save_every = save_every;
    options.processors = "cpu/1,opencl:0/1";
    options.place = way == DEVICE ? "opencl:0/1" : NULL;
    return options;
}

static void open_on(tiny *t, const pinion__opencl_api *table)
{
    tiny_open(t, &(pinion_context_options){.threads = 1}, 5);
    if (pinion__opencl_use(t->ctx, table) < 0)
        fail_msg("%s", pinion_context_error(t->ctx));
}

/* A training on the host and a device, which fails as `w` says. */
static int train(const char *out, int64_t save_every, enum way way, watch *w, pinion_train_result *result)
{
    tiny t;
    pinion__opencl_api table;
    const pinion_train_options options = device_options(out, save_every, way);
    failing_opencl(&real, -1, false, &table);
    open_on(&t, &table);
    if (pinion_trainer_create(t.network, t.dataset, &options, &t.trainer) < 0)
        fail_msg("%s", pinion_context_error(t.ctx));
    if (way != DEVICE)
        mix(t.trainer, way);
    assert_non_null(t.trainer->plan->domain);
    if (w->function && w->step == 0)
        failing_opencl_arm(w->function, w->after, w->lost);
    const pinion_train_callbacks callbacks = {.step = on_step, .changed = on_change, .user = w};
    int status = pinion_trainer_run(t.trainer, &callbacks, result);
    if (status < 0)
        snprintf(w->cause, sizeof w->cause, "%s", pinion_context_error(t.ctx));
    assert_true(status < 0 || !w->changes || !t.trainer->plan->domain);
    tiny_close(&t);
    return status;
}

/* As the training goes on without the device. */
static void train_on_host(const char *out, int64_t save_every)
{
    tiny t;
    pinion_train_options options = tiny_options(out);
    options.save_every = save_every;
    options.processors = "cpu/1";
    tiny_open(&t, &(pinion_context_options){.threads = 1}, 5);
    assert_int_equal(tiny_train(&t, &options, NULL, 0, NULL), PINION_OK);
    tiny_close(&t);
}

/* Functions that steps call. A release that fails is no failure of the device. */
static const char *const step_functions[] = {"clEnqueueNDRangeKernel",
                                             "clSetKernelArg",
                                             "clEnqueueMapBuffer",
                                             "clEnqueueUnmapMemObject",
                                             "clSetEventCallback",
                                             "callback",
                                             "clFlush",
                                             "clFinish"};

/* Returns the step from which the training went on. */
static int64_t check_failure(enum way way, const char *function, long after, bool lost, int64_t step)
{
    watch w = {.function = function, .after = after, .lost = lost, .step = step};
    pinion_train_result result;
    if (train(tiny_path("lost.safetensors"), 0, way, &w, &result) < 0)
        fail_msg("%s, call %ld: %s", function, after, w.cause);
    if (w.changes != 1)
        fail_msg("%s, call %ld: %d changes", function, after, w.changes);
    assert_string_equal(w.failed, "opencl:0/1");
    assert_non_null(strstr(w.cause, "processor 'opencl:0/1'"));
    assert_non_null(strstr(w.cause, "CL_OUT_OF_RESOURCES"));
    /* Who waits for all that was submitted is not in every step. */
    const int64_t done = w.change.step + w.change.repeated;
    const bool waits = strcmp(function, "clFinish") == 0;
    if (done < step || done > (waits ? TINY_BATCHES : step))
        fail_msg("%s, call %ld behind step %d fails in step %d", function, after, (int)step, (int)done);
    assert_int_equal(w.last_step, STEPS);
    assert_int_equal(result.steps, STEPS);
    if (w.change.step == 0)
        tiny_assert_same_training("host", "lost");
    tiny_remove_training("lost");
    return w.change.step;
}

static void goes_on_without_the_device(void **state)
{
    (void)state;
    train_on_host(tiny_path("host.safetensors"), 0);
    for (size_t i = 0; i < sizeof step_functions / sizeof *step_functions; i++)
        for (enum way way = DEVICE; way <= CUT; way++)
            assert_int_equal(
                check_failure(way, step_functions[i], (long)i % 3, (i + way) % 2 == 0, (int64_t)(i + way) % 7), 0);
}

/* From a later checkpoint: the same steps are repeated, and the rest is done. */
static void goes_on_from_the_last_checkpoint(void **state)
{
    (void)state;
    for (enum way way = DEVICE; way <= CUT; way++) {
        watch w = {.function = "clEnqueueNDRangeKernel", .after = 5, .step = 12};
        pinion_train_result result;
        if (train(tiny_path("lost.safetensors"), 5, way, &w, &result) < 0)
            fail_msg("%s", w.cause);
        assert_int_equal(w.changes, 1);
        assert_int_equal(w.change.step, 10);
        assert_int_equal(w.change.repeated, 2);
        assert_int_equal(result.steps, STEPS);
        assert_true(isfinite(result.loss));
        tiny_remove_training("lost");
    }
}

/* The end of an epoch: weights are looked at, evaluated and saved. */
static void fails_at_the_end_of_an_epoch(void **state)
{
    (void)state;
    train_on_host(tiny_path("host.safetensors"), 0);
    static const char *const functions[] = {"clEnqueueNDRangeKernel", "clEnqueueMapBuffer", "clFinish"};
    int unsaved = 0;
    for (size_t i = 0; i < 3; i++)
        for (enum way way = DEVICE; way <= CUT; way++)
            unsaved += check_failure(way, functions[i], 0, i % 2 == 0, TINY_BATCHES) == 0;
    assert_true(unsaved >= 3);
}

/* What a training that lost its device saves can be resumed, with the processors that were left. */
static void can_be_resumed(void **state)
{
    (void)state;
    tiny t;
    train_on_host(tiny_path("host.safetensors"), 0);
    watch w = {.function = "clFlush", .after = 1, .step = 3};
    pinion__opencl_api table;
    pinion_train_options options = device_options(tiny_path("lost.safetensors"), 0, DEVICE);
    failing_opencl(&real, -1, false, &table);
    open_on(&t, &table);
    assert_int_equal(pinion_trainer_create(t.network, t.dataset, &options, &t.trainer), PINION_OK);
    failing_opencl_arm(w.function, 4, true);
    assert_int_equal(pinion_trainer_run(t.trainer, NULL, NULL), PINION_OK);
    tiny_close(&t);

    tiny_open(&t, NULL, 99);
    pinion_checkpoint *checkpoint;
    assert_int_equal(pinion_checkpoint_open(t.ctx, options.out, &checkpoint), PINION_OK);
    options = pinion_checkpoint_get_info(checkpoint)->options;
    assert_string_equal(options.processors, "cpu/1");
    assert_null(options.place);
    options.out = tiny_path("lost.safetensors");
    options.epochs = 2;
    if (tiny_train(&t, &options, options.out, 0, NULL) < 0)
        fail_msg("%s", pinion_context_error(t.ctx));
    pinion_checkpoint_close(checkpoint);
    tiny_close(&t);
    tiny_assert_same_training("host", "lost");
}

/* A device that fails while plans and runners are made: the trainer is there without it, or says why it is not. */
static void fails_when_plans_are_made(void **state)
{
    (void)state;
    static const char *const functions[] = {"clCreateBuffer",    "clCreateSubBuffer", "clCreateCommandQueue",
                                            "clBuildProgram",    "clCreateKernel",    "clCreateContext",
                                            "clEnqueueMapBuffer"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        for (long after = 0; after < 3; after++) {
            tiny t;
            pinion__opencl_api table;
            const pinion_train_options options = device_options(NULL, 0, MIXED);
            failing_opencl(&real, -1, false, &table);
            open_on(&t, &table);
            failing_opencl_arm(functions[i], after, false);
            int status = pinion_trainer_create(t.network, t.dataset, &options, &t.trainer);
            if (status < 0 && !strstr(pinion_context_error(t.ctx), "CL_OUT_OF_RESOURCES"))
                fail_msg("%s, call %ld: %s", functions[i], after, pinion_context_error(t.ctx));
            tiny_close(&t);
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

static bool has_device(void)
{
    tiny t;
    pinion__processors list = {.count = 0};
    tiny_open(&t, NULL, 1);
    const bool found = pinion__processors_choose(t.ctx, "cpu/1,opencl:0/1", &list) == PINION_OK &&
                       pinion__opencl_api_load(t.ctx, &real) == PINION_OK;
    if (!found)
        print_message("skipped: %s\n", pinion_context_error(t.ctx));
    pinion__processors_fini(&list);
    tiny_close(&t);
    return found;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(goes_on_without_the_device, clean),
        cmocka_unit_test_teardown(goes_on_from_the_last_checkpoint, clean),
        cmocka_unit_test_teardown(fails_at_the_end_of_an_epoch, clean),
        cmocka_unit_test_teardown(can_be_resumed, clean),
        cmocka_unit_test_teardown(fails_when_plans_are_made, clean),
    };
    if (!has_device())
        return 77;
    tiny_folder();
    return cmocka_run_group_tests(tests, NULL, end);
}
