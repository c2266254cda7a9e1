/* SPDX-License-Identifier: Apache-2.0
 *
 * The OpenCL processor: commands run in their order, submit tells when they are done, steps allocate nothing.
 */
#include "device/support.h"

#include "device/opencl_work.h"

#include "device/cores.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static void test_run(void **state)
{
    pinion_context *ctx = new_context();
    pinion__processor *processor;
    assert_int_equal(pinion__processor_create_opencl(ctx, 0, 0, &processor), PINION_OK);
    pinion__memory *memory;
    assert_int_equal(pinion__memory_create(processor->domain, 4096, &memory), PINION_OK);
    pinion__span span;
    assert_int_equal(pinion__memory_span(memory, 1024, 400, &span), PINION_OK);
    float *values = (float *)(void *)(memory->host + 1024);
    for (int i = 0; i < 100; i++)
        values[i] = (float)i;
    assert_int_equal(pass(memory, processor, &span, 400, HOST, DEVICE, true), PINION_OK);
    const add work = {.processor = processor, .span = span, .count = 100, .value = 5};
    assert_int_equal(processor->class_->run(processor, run_add, &work), PINION_OK);
    assert_int_equal(pass(memory, processor, &span, 400, DEVICE, HOST, true), PINION_OK);
    for (int i = 0; i < 100; i++)
        assert_true(values[i] == (float)(i + 5));
    pinion__memory_destroy(memory);
    pinion__processor_destroy(processor);
    pinion_context_destroy(ctx);
    (void)state;
}

static int wait_for(progress *of, int count)
{
    pthread_mutex_lock(&of->lock);
    while (of->done < count)
        pthread_cond_wait(&of->changed, &of->lock);
    pthread_mutex_unlock(&of->lock);
    return of->status;
}

static void do_nothing(const void *args)
{
    (void)args;
}

static void test_submit(void **state)
{
    enum { ROUNDS = 50 };
    pinion_context *ctx = new_context();
    pinion__processor *processor;
    pinion__memory *memory;
    pinion__span span;
    assert_int_equal(pinion__processor_create_opencl(ctx, 0, 0, &processor), PINION_OK);
    assert_int_equal(pinion__memory_create(processor->domain, 4096, &memory), PINION_OK);
    assert_int_equal(pinion__memory_span(memory, 0, 4096, &span), PINION_OK);
    const pinion__hand_over_args over = passing(memory, processor, &span, 4096, HOST, DEVICE, true);
    const pinion__hand_over_args back = passing(memory, processor, &span, 4096, DEVICE, HOST, true);
    const add one = {.processor = processor, .span = span, .count = 1024, .value = 1};
    size_t allocations = 0;
    for (int round = 0; round < 3; round++) {
        progress seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
        allocations = atomic_load(&ctx->allocations);
        processor->class_->submit(processor, pinion__hand_over, &over, count_done, &seen);
        for (int i = 0; i < ROUNDS; i++)
            processor->class_->submit(processor, i % 5 == 4 ? do_nothing : run_add, &one, count_done, &seen);
        processor->class_->submit(processor, pinion__hand_over, &back, count_done, &seen);
        assert_int_equal(wait_for(&seen, ROUNDS + 2), PINION_OK);
        for (int i = 0; i < 1024; i++)
            assert_true(((float *)(void *)memory->host)[i] == (float)((round + 1) * ROUNDS / 5 * 4));
    }
    assert_int_equal(atomic_load(&ctx->allocations), allocations);
    pinion__memory_destroy(memory);
    pinion__processor_destroy(processor);
    pinion_context_destroy(ctx);
    (void)state;
}

/* A kernel long enough that the thread it runs on is the one that gathers time. */
static const char spin_text[] = "__kernel void spin(__global float *x, int rounds)\n"
                                "{\n    float a = x[0];\n    for (int i = 0; i < rounds; i++)\n"
                                "        a = a * 0.999f + 1.0f;\n    x[0] = a;\n}\n";

static void run_spin(const void *args)
{
    const add *of = args;
    pinion__opencl_processor *self = pinion__opencl_processor_of(of->processor);
    const pinion__opencl_source spin = {
        .name = "spin", .texts = {spin_text}, .lengths = {sizeof spin_text - 1}, .count = 1};
    const pinion__opencl_kernel *kernel = pinion__opencl_make_kernel(self, &spin, "spin", "");
    assert_non_null(kernel);
    cl_mem memory = of->span.object;
    cl_int rounds = 100000000;
    const size_t one = 1;
    self->cl->clSetKernelArg(kernel->kernel, 0, sizeof memory, &memory);
    self->cl->clSetKernelArg(kernel->kernel, 1, sizeof rounds, &rounds);
    self->cl->clEnqueueNDRangeKernel(self->queue, kernel->kernel, 1, NULL, &one, &one, 0, NULL, NULL);
}

/* Time of all threads of the process by the hardware threads they are bound to, in ticks; others count at 0. */
static void read_times(long ticks[64])
{
    memset(ticks, 0, 64 * sizeof *ticks);
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[300];
        long user = 0, system = 0;
        cpu_set_t set;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!file)
            continue;
        if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) == 2 &&
            sched_getaffinity(atoi(entry->d_name), sizeof set, &set) == 0)
            for (int unit = 0; unit < 63; unit++)
                if (CPU_COUNT(&set) == 1 && CPU_ISSET((size_t)unit, &set))
                    ticks[unit + 1] += user + system;
        fclose(file);
    }
    closedir(folder);
}

/* Must the driver's threads follow? PoCL's do. */
static bool is_pocl(pinion_context *ctx)
{
    pinion__opencl *opencl;
    assert_int_equal(pinion__opencl_get(ctx, &opencl), PINION_OK);
    char name[128] = "";
    opencl->cl.clGetPlatformInfo(opencl->devices[0].platform, CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
    return strcmp(name, "Portable Computing Language") == 0 && pinion__opencl_on_host(&opencl->devices[0]);
}

/* cpu/1,opencl:0/1: the driver's work is done by a thread that is bound to the device's core, not to the CPU's. */
static void test_threads(void **state)
{
    (void)state;
    pinion_context *ctx = new_context();
    pinion__cores cores;
    pinion__processors list;
    assert_int_equal(pinion__cores_find(ctx, &cores), PINION_OK);
    if (cores.count < 2 || cores.at[1].unit > 62 || !is_pocl(ctx)) {
        pinion_context_destroy(ctx);
        skip();
    }
    assert_int_equal(pinion__processors_choose(ctx, "cpu/1,opencl:0/1", &list), PINION_OK);
    pinion__processor *device = list.at[1];
    assert_string_equal(device->name, "opencl:0/1");
    assert_string_equal(device->class_->kind, "opencl");
    assert_int_equal(device->cores, 1);
    assert_false(pinion__processors_share_cores(list.at[0], device));
    assert_memory_equal(device->core_mask, cores.at[1].mask, sizeof cores.at[1].mask);
    pinion__memory *memory;
    pinion__span span;
    assert_int_equal(pinion__memory_create(device->domain, 4096, &memory), PINION_OK);
    assert_int_equal(pinion__memory_span(memory, 0, 4096, &span), PINION_OK);
    assert_int_equal(pass(memory, device, &span, 4096, HOST, DEVICE, true), PINION_OK);
    long before[64], after[64];
    read_times(before);
    const add work = {.processor = device, .span = span};
    assert_int_equal(device->class_->run(device, run_spin, &work), PINION_OK);
    read_times(after);
    const int own = cores.at[1].unit + 1;
    assert_true(after[own] - before[own] >= 10); /* of 100 a second */
    for (int unit = 0; unit < 64; unit++)
        assert_true(unit == own || after[unit] - before[unit] <= (after[own] - before[own]) / 4);
    assert_int_equal(pass(memory, device, &span, 4096, DEVICE, HOST, true), PINION_OK);
    pinion__memory_destroy(memory);
    pinion__processors_fini(&list);
    pinion_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run), cmocka_unit_test(test_submit),
                                       cmocka_unit_test(test_threads)};
    skip_without_opencl();
    return cmocka_run_group_tests_name("device.opencl", tests, NULL, NULL);
}
