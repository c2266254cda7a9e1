/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes wrong with OpenCL: it is not there, or a call fails, each in turn. Never a crash, a hang or a leak; a
 * sentence that tells what failed; the CPU goes on.
 */
#include "device/opencl_work.h"
#include "device/support.h"
#include "support/failing_opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pinion__opencl_api real;

static int submit_and_wait(pinion__processor *on, pinion__body *body, const void *args)
{
    progress of = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    for (int i = 0; i < 3; i++)
        on->class_->submit(on, body, args, count_done, &of);
    pthread_mutex_lock(&of.lock);
    while (of.done < 3)
        pthread_cond_wait(&of.changed, &of.lock);
    pthread_mutex_unlock(&of.lock);
    return of.status;
}

/* Everything that a step does, once. The first failure. */
static int work_with(pinion__processor *on, pinion__memory *memory)
{
    int status = PINION_OK;
    pinion__span span, second;
    status = pinion__memory_span(memory, 0, 3000, &span);
    if (status == PINION_OK)
        status = pinion__memory_span(memory, 1024, 3000, &second);
    if (status < 0)
        return status;
    const add one = {.processor = on, .span = span, .count = 750, .value = 1};
    const pinion__hand_over_args over = passing(memory, on, &span, 3000, HOST, DEVICE, true);
    const pinion__hand_over_args back = passing(memory, on, &span, 3000, DEVICE, HOST, true);
    status = on->class_->run(on, pinion__hand_over, &over);
    if (status == PINION_OK)
        status = on->class_->run(on, run_add, &one);
    if (status == PINION_OK)
        status = submit_and_wait(on, run_add, &one);
    if (status == PINION_OK)
        status = on->class_->run(on, pinion__hand_over, &back);
    if (status == PINION_OK)
        for (int i = 0; i < 750; i++)
            assert_true(((float *)(void *)memory->host)[i] == 4.0f);
    return status;
}

static int work(pinion_context *ctx, const pinion__opencl_api *table)
{
    int status = pinion__opencl_use(ctx, table);
    pinion__processors list = {.count = 0};
    pinion__memory *memory = NULL;
    if (status == PINION_OK)
        status = pinion__processors_choose(ctx, "opencl:0/1", &list);
    if (status == PINION_OK)
        status = pinion__memory_create(list.at[0]->domain, 8192, &memory);
    if (status == PINION_OK)
        status = work_with(list.at[0], memory);
    if (list.count > 0 && atomic_load(&list.at[0]->failure))
        assert_int_equal(status, atomic_load(&list.at[0]->failure));
    pinion__memory_destroy(memory);
    pinion__processors_fini(&list);
    return status;
}

static void fail_each_call(bool lost)
{
    pinion__opencl_api table;
    pinion_context *ctx = new_quiet_context();
    failing_opencl(&real, -1, false, &table);
    assert_int_equal(work(ctx, &table), PINION_OK);
    pinion_context_destroy(ctx);
    const long calls = failing_opencl_calls();
    int failures = 0;
    for (long i = 0; i < calls; i++) {
        ctx = new_quiet_context();
        failing_opencl(&real, i, lost, &table);
        int status = work(ctx, &table);
        failures += status < 0;
        if (status < 0 && !strstr(pinion_context_error(ctx), "OpenCL") &&
            !strstr(pinion_context_error(ctx), "CL_OUT_OF_RESOURCES"))
            fail_msg("call %ld, %s, fails: '%s'", i, failing_opencl_first(), pinion_context_error(ctx));
        if (ctx->opencl)
            ctx->destroy_opencl(ctx->opencl);
        ctx->opencl = NULL;
        assert_int_equal(atomic_load(&ctx->live_bytes), 0);
        pinion_context_destroy(ctx);
    }
    printf("%ld calls, of which %d are needed\n", calls, failures);
    assert_true(failures > calls / 3);
}

static void test_each_call(void **state)
{
    (void)state;
    fail_each_call(false);
}

static void test_lost_device(void **state)
{
    (void)state;
    fail_each_call(true);
}

/* A processor that has failed does nothing more, and keeps its first sentence. */
static void test_after_failure(void **state)
{
    (void)state;
    pinion_context *ctx = new_quiet_context();
    pinion__processor *processor;
    pinion__memory *memory;
    pinion__span span;
    assert_int_equal(pinion__processor_create_opencl(ctx, 0, 0, &processor), PINION_OK);
    assert_int_equal(pinion__memory_create(processor->domain, 4096, &memory), PINION_OK);
    assert_int_equal(pinion__memory_span(memory, 0, 4096, &span), PINION_OK);
    const add one = {.processor = processor, .span = span, .count = 10, .value = 1};
    pinion__processor_fail(processor, PINION_EDEVICE, "it fell");
    assert_string_equal(pinion_context_error(ctx), "processor 'opencl:0': it fell");
    assert_int_equal(processor->class_->run(processor, run_add, &one), PINION_EDEVICE);
    assert_int_equal(submit_and_wait(processor, run_add, &one), PINION_EDEVICE);
    assert_int_equal(pass(memory, processor, &span, 4096, HOST, DEVICE, true), PINION_EDEVICE);
    assert_string_equal(pinion_context_error(ctx), "processor 'opencl:0': it fell");
    pinion__memory_destroy(memory);
    pinion__processor_destroy(processor);
    pinion_context_destroy(ctx);
}

static void expect_none(const pinion__opencl_api *table, const char *part)
{
    pinion_context *ctx = new_quiet_context();
    pinion__processors list;
    if (table)
        assert_int_equal(pinion__opencl_use(ctx, table), PINION_EUNSUPPORTED);
    else
        assert_int_equal(pinion__processors_choose(ctx, "opencl:0", &list), PINION_EUNSUPPORTED);
    if (!strstr(pinion_context_error(ctx), part))
        fail_msg("'%s' does not tell of '%s'", pinion_context_error(ctx), part);
    if (!table) {
        assert_int_equal(pinion__processors_discover(ctx, &list), PINION_OK);
        assert_int_equal(list.count, 1);
        assert_string_equal(list.at[0]->name, "cpu");
        assert_int_equal(log_lines(), 1);
        pinion__processors_fini(&list);
    }
    pinion_context_destroy(ctx);
}

static cl_int CL_API_CALL no_platforms(cl_uint count, cl_platform_id *ids, cl_uint *there)
{
    (void)count, (void)ids;
    *there = 0;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL no_driver(cl_uint count, cl_platform_id *ids, cl_uint *there)
{
    (void)count, (void)ids, (void)there;
    return -1001;
}

static cl_int CL_API_CALL no_devices(cl_platform_id id, cl_device_type type, cl_uint count, cl_device_id *ids,
                                     cl_uint *there)
{
    (void)id, (void)type, (void)count, (void)ids, (void)there;
    return CL_DEVICE_NOT_FOUND;
}

static cl_int CL_API_CALL not_available(cl_device_id id, cl_device_info what, size_t bytes, void *value, size_t *size)
{
    cl_int error = real.clGetDeviceInfo(id, what, bytes, value, size);
    if (what == CL_DEVICE_AVAILABLE)
        *(cl_bool *)value = CL_FALSE;
    return error;
}

static void test_nothing_there(void **state)
{
    (void)state;
    pinion__opencl_api table = real;
    table.clGetPlatformIDs = no_platforms;
    expect_none(&table, "there is no platform: no driver is installed");
    table.clGetPlatformIDs = no_driver;
    expect_none(&table, "there is no platform: no driver is installed");
    table = real;
    table.clGetDeviceIDs = no_devices;
    expect_none(&table, "OpenCL: no device: 1 platform, none with a device that can be used");
    table = real;
    table.clGetDeviceInfo = not_available;
    expect_none(&table, "none with a device that can be used");
    setenv("PINION_OPENCL_LIBRARY", "libnot-there.so", 1);
    expect_none(NULL, "OpenCL: the library libnot-there.so could not be loaded");
    setenv("PINION_OPENCL_LIBRARY", "libm.so.6", 1);
    expect_none(NULL, "OpenCL: the library libm.so.6 has no function clGetPlatformIDs");
    unsetenv("PINION_OPENCL_LIBRARY");
}

static void *CL_API_CALL map_elsewhere(cl_command_queue queue, cl_mem memory, cl_bool blocking, cl_map_flags flags,
                                       size_t offset, size_t bytes, cl_uint events, const cl_event *list,
                                       cl_event *event, cl_int *error)
{
    static int maps;
    unsigned char *address =
        real.clEnqueueMapBuffer(queue, memory, blocking, flags, offset, bytes, events, list, event, error);
    return address + maps++ % 2 * 64;
}

static cl_int CL_API_CALL unmap_elsewhere(cl_command_queue queue, cl_mem memory, void *address, cl_uint events,
                                          const cl_event *list, cl_event *event)
{
    (void)queue, (void)memory, (void)address, (void)events, (void)list, (void)event;
    return CL_SUCCESS;
}

/* A driver that shows a buffer at another address each time: its memory is used by copies. */
static void test_moving_maps(void **state)
{
    (void)state;
    pinion__opencl_api table = real;
    table.clEnqueueMapBuffer = map_elsewhere;
    table.clEnqueueUnmapMemObject = unmap_elsewhere;
    pinion_context *ctx = new_quiet_context();
    assert_int_equal(work(ctx, &table), PINION_OK);
    pinion__processor *processor;
    assert_int_equal(pinion__processor_create_opencl(ctx, 0, 0, &processor), PINION_OK);
    assert_true(processor->domain->copies);
    assert_true(atomic_load(&processor->domain->copied_bytes) == 6000);
    pinion__processor_destroy(processor);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call),     cmocka_unit_test(test_lost_device), cmocka_unit_test(test_after_failure),
        cmocka_unit_test(test_nothing_there), cmocka_unit_test(test_moving_maps),
    };
    skip_without_opencl();
    pinion_context *ctx = new_context();
    if (pinion__opencl_api_load(ctx, &real) < 0)
        return 1;
    pinion_context_destroy(ctx);
    return cmocka_run_group_tests_name("device.opencl_faults", tests, NULL, NULL);
}
