/* SPDX-License-Identifier: Apache-2.0
 *
 * Which cores the threads of a CPU driver (PoCL) run on. OpenCL says nothing of it. A driver that runs native kernels,
 * functions of ours, runs one on the thread that serves the compute unit: there the function binds its own thread. Each
 * compute unit is a sub-device of one for that moment. A second function looks whether the binding stayed.
 */
#include "device/opencl.h"

#include <sched.h>

/* What a native kernel is given: a pointer, since drivers copy the arguments. */
typedef struct visit {
    int unit;
    bool bound;
} visit;

static void CL_CALLBACK bind_thread(void *argument)
{
    visit *of = *(visit **)argument;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)of->unit, &set);
    of->bound = sched_setaffinity(0, sizeof set, &set) == 0;
}

static void CL_CALLBACK look(void *argument)
{
    visit *of = *(visit **)argument;
    cpu_set_t set;
    of->bound =
        sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET((size_t)of->unit, &set);
}

static bool run_native(const pinion__opencl_processor *self, cl_command_queue queue,
                       void(CL_CALLBACK *function)(void *), visit *of)
{
    of->bound = false;
    return self->cl->clEnqueueNativeKernel(queue, function, &of, sizeof of, 0, NULL, NULL, 0, NULL, NULL) ==
               CL_SUCCESS &&
           self->cl->clFinish(queue) == CL_SUCCESS && of->bound;
}

static bool visit_unit(const pinion__opencl_processor *self, cl_device_id id, int unit,
                       void(CL_CALLBACK *function)(void *))
{
    visit of = {.unit = unit};
    cl_int error = CL_SUCCESS;
    cl_command_queue queue = self->cl->clCreateCommandQueue(self->domain->context, id, 0, &error);
    if (error != CL_SUCCESS)
        return false;
    bool well = run_native(self, queue, function, &of);
    self->cl->clReleaseCommandQueue(queue);
    return well;
}

bool pinion__opencl_bind(pinion__processor *processor, const int *units)
{
    pinion__opencl_processor *self = pinion__opencl_processor_of(processor);
    pinion__opencl *opencl;
    if (pinion__opencl_get(processor->ctx, &opencl) < 0)
        return false;
    cl_device_id whole = opencl->devices[self->index].id;
    cl_device_exec_capabilities can = 0;
    if (self->cl->clGetDeviceInfo(whole, CL_DEVICE_EXECUTION_CAPABILITIES, sizeof can, &can, NULL) != CL_SUCCESS ||
        !(can & CL_EXEC_NATIVE_KERNEL))
        return false;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < processor->cores; i++) {
            cl_device_id id;
            if (pinion__opencl_divide(opencl, self->index, self->first + i, 1, &id) < 0 ||
                !visit_unit(self, id, units[i], pass == 0 ? bind_thread : look))
                return false;
        }
    return true;
}
