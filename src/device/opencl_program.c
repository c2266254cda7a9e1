/* SPDX-License-Identifier: Apache-2.0
 *
 * Building programs for a device: from the binary that was kept of an earlier build, else from their text.
 */
#include "device/opencl.h"
#include "device/opencl_cache.h"

#include <stdio.h>

/* The first lines of the compiler's log, in one line. */
static void read_log(const pinion__opencl_api *cl, cl_program program, cl_device_id device, char *text, size_t bytes)
{
    char log[4096] = "";
    size_t size = 0;
    text[0] = '\0';
    /* A log that does not fit is refused, not cut. */
    if (cl->clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, &size) != CL_SUCCESS)
        return;
    log[sizeof log - 1] = '\0';
    for (char *at = log; *at; at++)
        if (*at == '\n' || *at == '\r' || *at == '\t')
            *at = ' ';
    snprintf(text, bytes, "%s", log);
}

static int build_text(pinion_context *ctx, const pinion__opencl_api *cl, cl_context context,
                      const pinion__opencl_device *device, const pinion__opencl_source *source, const char *options,
                      cl_program *out)
{
    int status = PINION_OK;
    cl_int error = CL_SUCCESS;
    const char *texts[sizeof source->texts / sizeof source->texts[0]];
    memcpy(texts, source->texts, sizeof texts);
    cl_program program = cl->clCreateProgramWithSource(context, source->count, texts, source->lengths, &error);
    PINION_FAIL_IF(error != CL_SUCCESS, PINION_EDEVICE, "%s.cl: clCreateProgramWithSource: %s (%d)", source->name,
                   pinion__opencl_error_name(error), (int)error);
    error = cl->clBuildProgram(program, 1, &device->id, options, NULL, NULL);
    if (error != CL_SUCCESS) {
        char log[512];
        read_log(cl, program, device->id, log, sizeof log);
        cl->clReleaseProgram(program);
        PINION_FAIL_IF(true, PINION_EDEVICE, "%s.cl with options '%s' does not build for '%s': %s (%d) %s",
                       source->name, options, device->name, pinion__opencl_error_name(error), (int)error, log);
    }
    *out = program;
fail:
    return status;
}

/* The program of a binary. False: the driver does not take it. */
static bool build_binary(const pinion__opencl_api *cl, cl_context context, const pinion__opencl_device *device,
                         const unsigned char *binary, size_t bytes, const char *options, cl_program *out)
{
    cl_int error = CL_SUCCESS, well = CL_SUCCESS;
    cl_program program = cl->clCreateProgramWithBinary(context, 1, &device->id, &bytes, &binary, &well, &error);
    if (error != CL_SUCCESS)
        return false;
    if (well == CL_SUCCESS && cl->clBuildProgram(program, 1, &device->id, options, NULL, NULL) == CL_SUCCESS) {
        *out = program;
        return true;
    }
    cl->clReleaseProgram(program);
    return false;
}

enum { MOST_DEVICES = 64 };

/* Which of a program's devices has its binary: the one it was built for, else the only one that has any (drivers may
 * count a part of a device as the device). -1: none. */
static int find_binary(const pinion__opencl_api *cl, cl_program program, const pinion__opencl_device *device,
                       size_t sizes[MOST_DEVICES], cl_uint *count)
{
    cl_device_id ids[MOST_DEVICES];
    int found = -1, with_binary = 0;
    if (cl->clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof *count, count, NULL) != CL_SUCCESS ||
        *count == 0 || *count > MOST_DEVICES ||
        cl->clGetProgramInfo(program, CL_PROGRAM_DEVICES, sizeof ids, ids, NULL) != CL_SUCCESS ||
        cl->clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, MOST_DEVICES * sizeof *sizes, sizes, NULL) != CL_SUCCESS)
        return -1;
    for (cl_uint i = 0; i < *count; i++)
        if (ids[i] == device->id && sizes[i] > 0)
            return (int)i;
    for (cl_uint i = 0; i < *count; i++)
        if (sizes[i] > 0) {
            found = (int)i;
            with_binary++;
        }
    return with_binary == 1 ? found : -1;
}

static void keep(pinion_context *ctx, const pinion__opencl_api *cl, const pinion__opencl_device *device,
                 cl_program program, pinion__opencl_key key)
{
    size_t sizes[MOST_DEVICES];
    cl_uint count = 0;
    unsigned char *binary = NULL, *binaries[MOST_DEVICES] = {NULL};
    int index = find_binary(cl, program, device, sizes, &count);
    if (index < 0 || pinion__alloc(ctx, sizes[index], 1, "an OpenCL program", &binary) < 0)
        return;
    binaries[index] = binary;
    if (cl->clGetProgramInfo(program, CL_PROGRAM_BINARIES, count * sizeof *binaries, binaries, NULL) == CL_SUCCESS)
        pinion__opencl_cache_write(ctx, key, binary, sizes[index]);
    pinion__release(ctx, binary);
}

int pinion__opencl_build(pinion_context *ctx, const pinion__opencl_api *cl, cl_context context,
                         const pinion__opencl_device *device, const pinion__opencl_source *source, const char *options,
                         cl_program *out)
{
    int status = PINION_OK;
    unsigned char *binary = NULL;
    size_t bytes = 0;
    pinion__opencl_key key = pinion__opencl_key_of(device, source, options);
    PINION_TRY(pinion__opencl_cache_read(ctx, key, &binary, &bytes));
    bool built = binary && build_binary(cl, context, device, binary, bytes, options, out);
    if (binary && !built)
        pinion__log(ctx, PINION_LOG_WARNING, "%s.cl: the driver refuses the binary that was kept: it is built again",
                    source->name);
    pinion__release(ctx, binary);
    if (!built) {
        PINION_TRY(build_text(ctx, cl, context, device, source, options, out));
        keep(ctx, cl, device, *out, key);
    }
fail:
    return status;
}
