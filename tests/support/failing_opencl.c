/* SPDX-License-Identifier: Apache-2.0
 *
 * See failing_opencl.h. A line a function: what it returns, its parameters, its arguments.
 */
#include "support/failing_opencl.h"

#ifdef PINION__HAVE_OPENCL
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static pinion__opencl_api system_api;
static atomic_long calls;
static long failing;
static bool all_later;
static const char *_Atomic first_failed;
static const char *_Atomic armed; /* the function that failing_opencl_arm names; NULL: none, or it has failed */
static atomic_long armed_left;
static atomic_bool armed_lost, is_lost;

/* Is it the call that was armed, or one behind it that is lost? */
static bool spoil_armed(const char *name)
{
    const char *wanted = atomic_load(&armed);
    if (atomic_load(&is_lost))
        return true;
    if (!wanted || strcmp(name, wanted) != 0 || atomic_fetch_sub(&armed_left, 1) != 0)
        return false;
    atomic_store(&armed, NULL);
    atomic_store(&is_lost, atomic_load(&armed_lost));
    return true;
}

static bool spoil(const char *name)
{
    long number = atomic_fetch_add(&calls, 1);
    bool chosen = failing >= 0 && (number == failing || (number > failing && all_later));
    if (!spoil_armed(name) && !chosen)
        return false;
    const char *none = NULL;
    atomic_compare_exchange_strong(&first_failed, &none, name);
    return true;
}

/* clang-format off */
#define STATUS(function, parameters, arguments)                                                                        \
    static cl_int CL_API_CALL fail_##function parameters                                                               \
    {                                                                                                                  \
        return spoil(#function) ? CL_OUT_OF_RESOURCES : system_api.function arguments;                                 \
    }
#define RELEASE(function, type)                                                                                        \
    static cl_int CL_API_CALL fail_##function(type object)                                                             \
    {                                                                                                                  \
        cl_int error = system_api.function(object);                                                                    \
        return spoil(#function) ? CL_OUT_OF_RESOURCES : error;                                                         \
    }
#define OBJECT(type, function, parameters, arguments)                                                                  \
    static type CL_API_CALL fail_##function parameters                                                                 \
    {                                                                                                                  \
        if (!spoil(#function))                                                                                         \
            return system_api.function arguments;                                                                      \
        *error = CL_OUT_OF_RESOURCES;                                                                                  \
        return NULL;                                                                                                   \
    }
#define WAITING cl_uint events, const cl_event *list, cl_event *event
#define WAIT events, list, event

STATUS(clGetPlatformIDs, (cl_uint count, cl_platform_id *ids, cl_uint *there), (count, ids, there))
STATUS(clGetPlatformInfo, (cl_platform_id id, cl_platform_info what, size_t bytes, void *value, size_t *size),
       (id, what, bytes, value, size))
STATUS(clGetDeviceIDs, (cl_platform_id id, cl_device_type type, cl_uint count, cl_device_id *ids, cl_uint *there),
       (id, type, count, ids, there))
STATUS(clGetDeviceInfo, (cl_device_id id, cl_device_info what, size_t bytes, void *value, size_t *size),
       (id, what, bytes, value, size))
STATUS(clCreateSubDevices, (cl_device_id id, const cl_device_partition_property *how, cl_uint count, cl_device_id *ids,
       cl_uint *there), (id, how, count, ids, there))
RELEASE(clReleaseDevice, cl_device_id)
OBJECT(cl_context, clCreateContext, (const cl_context_properties *properties, cl_uint count, const cl_device_id *ids,
       void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user, cl_int *error),
       (properties, count, ids, notify, user, error))
RELEASE(clReleaseContext, cl_context)
OBJECT(cl_command_queue, clCreateCommandQueue, (cl_context context, cl_device_id id,
       cl_command_queue_properties properties, cl_int *error), (context, id, properties, error))
RELEASE(clReleaseCommandQueue, cl_command_queue)
OBJECT(cl_mem, clCreateBuffer, (cl_context context, cl_mem_flags flags, size_t bytes, void *host, cl_int *error),
       (context, flags, bytes, host, error))
OBJECT(cl_mem, clCreateSubBuffer, (cl_mem parent, cl_mem_flags flags, cl_buffer_create_type type, const void *info,
       cl_int *error), (parent, flags, type, info, error))
RELEASE(clReleaseMemObject, cl_mem)
OBJECT(cl_program, clCreateProgramWithSource, (cl_context context, cl_uint count, const char **texts,
       const size_t *lengths, cl_int *error), (context, count, texts, lengths, error))
OBJECT(cl_program, clCreateProgramWithBinary, (cl_context context, cl_uint count, const cl_device_id *ids,
       const size_t *lengths, const unsigned char **binaries, cl_int *status, cl_int *error),
       (context, count, ids, lengths, binaries, status, error))
STATUS(clBuildProgram, (cl_program program, cl_uint count, const cl_device_id *ids, const char *options,
       void(CL_CALLBACK *notify)(cl_program, void *), void *user), (program, count, ids, options, notify, user))
STATUS(clGetProgramBuildInfo, (cl_program program, cl_device_id id, cl_program_build_info what, size_t bytes,
       void *value, size_t *size), (program, id, what, bytes, value, size))
STATUS(clGetProgramInfo, (cl_program program, cl_program_info what, size_t bytes, void *value, size_t *size),
       (program, what, bytes, value, size))
RELEASE(clReleaseProgram, cl_program)
OBJECT(cl_kernel, clCreateKernel, (cl_program program, const char *name, cl_int *error), (program, name, error))
RELEASE(clReleaseKernel, cl_kernel)
STATUS(clGetKernelWorkGroupInfo, (cl_kernel kernel, cl_device_id id, cl_kernel_work_group_info what, size_t bytes,
       void *value, size_t *size), (kernel, id, what, bytes, value, size))
STATUS(clSetKernelArg, (cl_kernel kernel, cl_uint index, size_t bytes, const void *value),
       (kernel, index, bytes, value))
STATUS(clEnqueueNDRangeKernel, (cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *first,
       const size_t *global, const size_t *local, WAITING), (queue, kernel, dimensions, first, global, local, WAIT))
STATUS(clEnqueueNativeKernel, (cl_command_queue queue, void(CL_CALLBACK *function)(void *), void *arguments,
       size_t bytes, cl_uint count, const cl_mem *buffers, const void **places, WAITING),
       (queue, function, arguments, bytes, count, buffers, places, WAIT))
OBJECT(void *, clEnqueueMapBuffer, (cl_command_queue queue, cl_mem memory, cl_bool blocking, cl_map_flags flags,
       size_t offset, size_t bytes, WAITING, cl_int *error),
       (queue, memory, blocking, flags, offset, bytes, WAIT, error))
STATUS(clEnqueueUnmapMemObject, (cl_command_queue queue, cl_mem memory, void *address, WAITING),
       (queue, memory, address, WAIT))
STATUS(clEnqueueReadBuffer, (cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t bytes,
       void *address, WAITING), (queue, memory, blocking, offset, bytes, address, WAIT))
STATUS(clEnqueueWriteBuffer, (cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t bytes,
       const void *address, WAITING), (queue, memory, blocking, offset, bytes, address, WAIT))
STATUS(clEnqueueCopyBuffer, (cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset,
       size_t bytes, WAITING), (queue, from, to, from_offset, to_offset, bytes, WAIT))
STATUS(clEnqueueMarkerWithWaitList, (cl_command_queue queue, WAITING), (queue, WAIT))
RELEASE(clReleaseEvent, cl_event)
STATUS(clFlush, (cl_command_queue queue), (queue))
/* A queue that is not waited for would go on working on what the test takes away. */
RELEASE(clFinish, cl_command_queue)
/* clang-format on */

/* What is told of an event passes here, so that a command can fail after it was started. */
typedef struct notice {
    void(CL_CALLBACK *notify)(cl_event event, cl_int state, void *user);
    void *user;
} notice;

static void CL_CALLBACK pass_notice(cl_event event, cl_int state, void *user)
{
    const notice of = *(notice *)user;
    free(user);
    of.notify(event, spoil_armed("callback") ? CL_OUT_OF_RESOURCES : state, of.user);
}

static cl_int CL_API_CALL fail_clSetEventCallback(cl_event event, cl_int state,
                                                  void(CL_CALLBACK *notify)(cl_event, cl_int, void *), void *user)
{
    notice *of = malloc(sizeof *of);
    if (!of || spoil("clSetEventCallback")) {
        free(of);
        return CL_OUT_OF_RESOURCES;
    }
    *of = (notice){notify, user};
    cl_int error = system_api.clSetEventCallback(event, state, pass_notice, of);
    if (error != CL_SUCCESS)
        free(of);
    return error;
}

void failing_opencl(const pinion__opencl_api *real, long first, bool lost, pinion__opencl_api *out)
{
    system_api = *real;
    atomic_store(&calls, 0);
    atomic_store(&first_failed, NULL);
    atomic_store(&armed, NULL);
    atomic_store(&is_lost, false);
    failing = first;
    all_later = lost;
#define MEMBER(function) out->function = fail_##function;
    PINION__OPENCL_FUNCTIONS(MEMBER)
#undef MEMBER
}

void failing_opencl_arm(const char *function, long after, bool lost)
{
    atomic_store(&armed_left, after);
    atomic_store(&armed_lost, lost);
    atomic_store(&armed, function);
}

long failing_opencl_calls(void)
{
    return atomic_load(&calls);
}

const char *failing_opencl_first(void)
{
    const char *name = atomic_load(&first_failed);
    return name ? name : "";
}
#else
extern int failing_opencl_is_not_built; /* a file has at least one declaration */
#endif
