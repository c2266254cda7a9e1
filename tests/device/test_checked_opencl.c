/* SPDX-License-Identifier: Apache-2.0
 *
 * The checking layer itself: it refuses each thing that it is there to refuse, and shows bytes to their holder alone.
 */
#include "device/opencl_work.h"
#include "device/support.h"
#include "support/checked_opencl.h"

#include <string.h>

enum { BYTES = 8192, RW = CL_MAP_READ | CL_MAP_WRITE };

typedef struct bed {
    pinion_context *ctx;
    pinion__opencl_api cl;
    pinion__processor *processor;
    pinion__opencl_processor *opencl;
    cl_mem whole, first, second, both; /* the block; its halves; bytes 2048 to 6144 */
} bed;

static cl_mem part(bed *of, size_t origin, size_t bytes, cl_int expected)
{
    cl_int error;
    const cl_buffer_region region = {.origin = origin, .size = bytes};
    cl_mem memory = of->cl.clCreateSubBuffer(of->whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    assert_int_equal(error, expected);
    return memory;
}

static void open_bed(bed *of)
{
    pinion__opencl_api real;
    cl_int error;
    of->ctx = new_quiet_context();
    assert_int_equal(pinion__opencl_api_load(of->ctx, &real), PINION_OK);
    checked_opencl_begin(&real, false, &of->cl);
    assert_int_equal(pinion__opencl_use(of->ctx, &of->cl), PINION_OK);
    assert_int_equal(pinion__processor_create_opencl(of->ctx, 0, 0, &of->processor), PINION_OK);
    of->opencl = pinion__opencl_processor_of(of->processor);
    of->whole = of->cl.clCreateBuffer(of->opencl->domain->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, BYTES,
                                      NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    of->first = part(of, 0, BYTES / 2, CL_SUCCESS);
    of->second = part(of, BYTES / 2, BYTES / 2, CL_SUCCESS);
    of->both = part(of, BYTES / 4, BYTES / 2, CL_SUCCESS);
}

/* Ends with so many refusals, the first of which tells of `sentence`. */
static void close_bed(bed *of, int refusals, const char *sentence)
{
    of->cl.clReleaseMemObject(of->first);
    of->cl.clReleaseMemObject(of->second);
    of->cl.clReleaseMemObject(of->both);
    of->cl.clReleaseMemObject(of->whole);
    pinion__processor_destroy(of->processor);
    pinion_context_destroy(of->ctx);
    assert_int_equal(checked_opencl_errors(), refusals);
    if (!strstr(checked_opencl_sentence(), sentence))
        fail_msg("'%s' does not tell of '%s'", checked_opencl_sentence(), sentence);
    assert_int_equal(checked_opencl_end(), refusals);
}

static float *map(bed *of, cl_mem memory, cl_map_flags flags, size_t bytes, cl_int expected)
{
    cl_int error;
    float *values =
        of->cl.clEnqueueMapBuffer(of->opencl->queue, memory, CL_TRUE, flags, 0, bytes, 0, NULL, NULL, &error);
    assert_int_equal(error, expected);
    return values;
}

static void unmap(bed *of, cl_mem memory, void *address, cl_int expected)
{
    assert_int_equal(of->cl.clEnqueueUnmapMemObject(of->opencl->queue, memory, address, 0, NULL, NULL), expected);
}

static int run(bed *of, cl_mem memory)
{
    const add one = {.processor = of->processor, .span = {.object = memory}, .count = BYTES / 8, .value = 1};
    return of->processor->class_->run(of->processor, run_add, &one);
}

static void test_bytes(void **state)
{
    (void)state;
    bed of;
    open_bed(&of);
    float *values = map(&of, of.first, CL_MAP_WRITE_INVALIDATE_REGION, BYTES / 2, CL_SUCCESS);
    assert_true(values[0] != values[0]);
    for (int i = 0; i < BYTES / 8; i++)
        values[i] = 1;
    unmap(&of, of.first, values, CL_SUCCESS);
    assert_true(values[0] != values[0]);
    assert_int_equal(run(&of, of.first), PINION_OK);
    assert_true(values[0] != values[0]);
    assert_ptr_equal(map(&of, of.first, CL_MAP_READ, BYTES / 2, CL_SUCCESS), values);
    assert_true(values[0] == 2.0f && values[BYTES / 8 - 1] == 2.0f);
    float *overlapping = map(&of, of.both, CL_MAP_READ, 1024, CL_SUCCESS); /* readers may be several */
    assert_true(overlapping[0] == 2.0f);
    unmap(&of, of.both, overlapping, CL_SUCCESS);
    unmap(&of, of.first, values, CL_SUCCESS);
    close_bed(&of, 0, "");
}

static void test_overlapping_maps(void **state)
{
    (void)state;
    bed of;
    open_bed(&of);
    float *first = map(&of, of.first, RW, BYTES / 2, CL_SUCCESS);
    float *second = map(&of, of.second, RW, BYTES / 2, CL_SUCCESS);
    assert_null(map(&of, of.both, RW, BYTES / 2, CL_INVALID_OPERATION));
    assert_null(map(&of, of.both, CL_MAP_READ, BYTES / 2, CL_INVALID_OPERATION));
    assert_null(map(&of, of.first, RW, BYTES / 2, CL_INVALID_OPERATION));
    assert_null(map(&of, of.whole, RW, BYTES, CL_INVALID_OPERATION));
    unmap(&of, of.first, first, CL_SUCCESS);
    assert_null(map(&of, of.whole, RW, 1024, CL_INVALID_OPERATION)); /* it has sub-buffers */
    unmap(&of, of.second, second, CL_SUCCESS);
    unmap(&of, of.second, second, CL_INVALID_OPERATION);
    close_bed(&of, 6, "a map uses bytes 2048 to 6144, of which 0 to 4096 are mapped for writing");
}

static void test_kernel_on_mapped(void **state)
{
    (void)state;
    bed of;
    open_bed(&of);
    float *second = map(&of, of.second, RW, BYTES / 2, CL_SUCCESS);
    assert_int_equal(run(&of, of.first), PINION_OK);
    assert_int_equal(run(&of, of.both), PINION_EDEVICE);
    unmap(&of, of.second, second, CL_SUCCESS);
    close_bed(&of, 1, "a kernel uses bytes 2048 to 6144, of which 4096 to 8192 are mapped for writing");
}

/* What two hold to read is written to: by the device, by the host. */
static void test_writes_between_readers(void **state)
{
    (void)state;
    bed of;
    open_bed(&of);
    float *values = map(&of, of.first, CL_MAP_READ, BYTES / 2, CL_SUCCESS);
    assert_int_equal(run(&of, of.first), PINION_OK);
    unmap(&of, of.first, values, CL_INVALID_OPERATION);
    values = map(&of, of.first, CL_MAP_READ, BYTES / 2, CL_SUCCESS);
    memset(values, 3, 4);
    unmap(&of, of.first, values, CL_INVALID_OPERATION);
    close_bed(&of, 2, "bytes 0 to 4096 were written to while they were mapped for reading");
}

static void test_origins_and_copies(void **state)
{
    (void)state;
    bed of;
    open_bed(&of);
    assert_null(part(&of, 128, 512, CL_INVALID_OPERATION));
    float *values = map(&of, of.first, RW, 512, CL_SUCCESS), copy[128];
    const pinion__opencl_api *cl = &of.cl;
    cl_command_queue queue = of.opencl->queue;
    assert_int_equal(cl->clEnqueueReadBuffer(queue, of.first, CL_TRUE, 0, 512, copy, 0, NULL, NULL),
                     CL_INVALID_OPERATION);
    assert_int_equal(cl->clEnqueueWriteBuffer(queue, of.first, CL_TRUE, 0, 512, copy, 0, NULL, NULL),
                     CL_INVALID_OPERATION);
    assert_int_equal(cl->clEnqueueCopyBuffer(queue, of.second, of.first, 0, 0, 512, 0, NULL, NULL),
                     CL_INVALID_OPERATION);
    assert_int_equal(cl->clEnqueueCopyBuffer(queue, of.first, of.second, 0, 0, 512, 0, NULL, NULL),
                     CL_INVALID_OPERATION);
    assert_int_equal(cl->clEnqueueReadBuffer(queue, of.first, CL_TRUE, 512, 512, copy, 0, NULL, NULL), CL_SUCCESS);
    assert_true(checked_opencl_copied() == 3 * 512);
    unmap(&of, of.first, values, CL_SUCCESS);
    close_bed(&of, 5, "clCreateSubBuffer: origin 128 is no multiple of 512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_overlapping_maps),
        cmocka_unit_test(test_kernel_on_mapped),
        cmocka_unit_test(test_writes_between_readers),
        cmocka_unit_test(test_origins_and_copies),
    };
    skip_without_opencl();
    return cmocka_run_group_tests_name("device.checked_opencl", tests, NULL, NULL);
}
