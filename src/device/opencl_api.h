/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of OpenCL 1.2 that Pinion calls, as a table that is filled from the system's library when it is first
 * needed. A program that is built with OpenCL so runs where there is none; tests put functions of their own into a
 * table and see, or spoil, every call.
 */
#ifndef PINION_DEVICE_OPENCL_API_H
#define PINION_DEVICE_OPENCL_API_H

#define CL_TARGET_OPENCL_VERSION 120
#include "base/context.h"

#include <CL/cl.h>

/* X(function) */
#define PINION__OPENCL_FUNCTIONS(X)                                                                                    \
    X(clGetPlatformIDs)                                                                                                \
    X(clGetPlatformInfo)                                                                                               \
    X(clGetDeviceIDs)                                                                                                  \
    X(clGetDeviceInfo)                                                                                                 \
    X(clCreateSubDevices)                                                                                              \
    X(clReleaseDevice)                                                                                                 \
    X(clCreateContext)                                                                                                 \
    X(clReleaseContext)                                                                                                \
    X(clCreateCommandQueue)                                                                                            \
    X(clReleaseCommandQueue)                                                                                           \
    X(clCreateBuffer)                                                                                                  \
    X(clCreateSubBuffer)                                                                                               \
    X(clReleaseMemObject)                                                                                              \
    X(clCreateProgramWithSource)                                                                                       \
    X(clCreateProgramWithBinary)                                                                                       \
    X(clBuildProgram)                                                                                                  \
    X(clGetProgramBuildInfo)                                                                                           \
    X(clGetProgramInfo)                                                                                                \
    X(clReleaseProgram)                                                                                                \
    X(clCreateKernel)                                                                                                  \
    X(clReleaseKernel)                                                                                                 \
    X(clGetKernelWorkGroupInfo)                                                                                        \
    X(clSetKernelArg)                                                                                                  \
    X(clEnqueueNDRangeKernel)                                                                                          \
    X(clEnqueueNativeKernel)                                                                                           \
    X(clEnqueueMapBuffer)                                                                                              \
    X(clEnqueueUnmapMemObject)                                                                                         \
    X(clEnqueueReadBuffer)                                                                                             \
    X(clEnqueueWriteBuffer)                                                                                            \
    X(clEnqueueCopyBuffer)                                                                                             \
    X(clEnqueueMarkerWithWaitList)                                                                                     \
    X(clSetEventCallback)                                                                                              \
    X(clReleaseEvent)                                                                                                  \
    X(clFlush)                                                                                                         \
    X(clFinish)

typedef struct pinion__opencl_api {
#define PINION__OPENCL_MEMBER(function) __typeof__(function) *function;
    PINION__OPENCL_FUNCTIONS(PINION__OPENCL_MEMBER)
#undef PINION__OPENCL_MEMBER
} pinion__opencl_api;

/* Fills the table from the library that the environment variable PINION_OPENCL_LIBRARY names, else from
 * libOpenCL.so.1. The library stays loaded: drivers keep threads. PINION_EUNSUPPORTED: the sentence says what is
 * missing. */
int pinion__opencl_api_load(pinion_context *ctx, pinion__opencl_api *out);

/* "CL_OUT_OF_RESOURCES"; "an unknown error" for a value that is none. */
const char *pinion__opencl_error_name(cl_int error);

#endif
