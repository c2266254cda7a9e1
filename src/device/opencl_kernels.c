/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of a processor: found by the name of the program, the function and the options, made when they are first
 * asked for.
 */
#include "device/opencl.h"

#include <stdio.h>

static uint64_t add_to_hash(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
    return (hash ^ '\n') * UINT64_C(0x100000001b3);
}

static uint64_t hash_of(const char *program, const char *function, const char *options)
{
    return add_to_hash(add_to_hash(add_to_hash(UINT64_C(0xcbf29ce484222325), program), function), options);
}

/* Is `text` the three parts, a line each? */
static bool same(const char *text, const char *program, const char *function, const char *options)
{
    const char *parts[] = {program, function, options};
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(parts[i]);
        if (strncmp(text, parts[i], length) != 0 || text[length] != (i < 2 ? '\n' : '\0'))
            return false;
        text += length + 1;
    }
    return true;
}

const pinion__opencl_kernel *pinion__opencl_find_kernel(const pinion__opencl_processor *self, const char *program,
                                                        const char *function, const char *options)
{
    uint64_t hash = hash_of(program, function, options);
    for (size_t i = 0; i < self->kernel_count; i++)
        if (self->kernels[i].hash == hash && same(self->kernels[i].text, program, function, options))
            return &self->kernels[i];
    return NULL;
}

/* Room for one more entry: doubles the array. */
static int grow(pinion_context *ctx, void *array /* T ** */, size_t count, size_t *capacity, size_t size)
{
    int status = PINION_OK;
    void *old, *wider;
    memcpy(&old, array, sizeof old);
    if (count < *capacity)
        goto fail;
    PINION_TRY(pinion__alloc(ctx, *capacity * 2 + 16, size, "OpenCL kernels", &wider));
    if (count > 0)
        memcpy(wider, old, count * size);
    pinion__release(ctx, old);
    memcpy(array, &wider, sizeof wider);
    *capacity = *capacity * 2 + 16;
fail:
    return status;
}

static int find_program(pinion__opencl_processor *self, const pinion__opencl_source *source, const char *options,
                        cl_program *out)
{
    pinion_context *ctx = self->processor.ctx;
    int status = PINION_OK;
    uint64_t hash = hash_of(source->name, "", options);
    for (size_t i = 0; i < self->program_count; i++)
        if (self->programs[i].hash == hash) {
            *out = self->programs[i].program;
            goto fail;
        }
    PINION_TRY(grow(ctx, &self->programs, self->program_count, &self->program_capacity, sizeof *self->programs));
    PINION_TRY(pinion__opencl_build(ctx, self->cl, self->domain->context, &self->device, source, options, out));
    self->programs[self->program_count++] = (pinion__opencl_program){.hash = hash, .program = *out};
fail:
    return status;
}

static int make(pinion__opencl_processor *self, const pinion__opencl_source *source, const char *function,
                const char *options)
{
    pinion_context *ctx = self->processor.ctx;
    int status = PINION_OK;
    char *text = NULL;
    cl_program program;
    PINION_TRY(find_program(self, source, options, &program));
    PINION_TRY(grow(ctx, &self->kernels, self->kernel_count, &self->kernel_capacity, sizeof *self->kernels));
    size_t bytes = strlen(source->name) + strlen(function) + strlen(options) + 3;
    PINION_TRY(pinion__alloc(ctx, bytes, 1, "an OpenCL kernel", &text));
    snprintf(text, bytes, "%s\n%s\n%s", source->name, function, options);
    cl_int error = CL_SUCCESS;
    cl_kernel kernel = self->cl->clCreateKernel(program, function, &error);
    PINION_FAIL_IF(error != CL_SUCCESS, PINION_EDEVICE, "%s.cl: clCreateKernel of %s: %s (%d)", source->name, function,
                   pinion__opencl_error_name(error), (int)error);
    size_t most_items = 1;
    if (self->cl->clGetKernelWorkGroupInfo(kernel, self->device.id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most_items,
                                           &most_items, NULL) != CL_SUCCESS)
        most_items = 1;
    self->kernels[self->kernel_count++] = (pinion__opencl_kernel){
        .hash = hash_of(source->name, function, options), .kernel = kernel, .most_items = most_items, .text = text};
    return PINION_OK;
fail:
    pinion__release(ctx, text);
    return status;
}

const pinion__opencl_kernel *pinion__opencl_make_kernel(pinion__opencl_processor *self,
                                                        const pinion__opencl_source *source, const char *function,
                                                        const char *options)
{
    int status = make(self, source, function, options);
    if (status == PINION_OK)
        return &self->kernels[self->kernel_count - 1];
    pinion__opencl_fail(self, status);
    return NULL;
}

void pinion__opencl_drop_kernels(pinion__opencl_processor *self)
{
    for (size_t i = 0; i < self->kernel_count; i++) {
        self->cl->clReleaseKernel(self->kernels[i].kernel);
        pinion__release(self->processor.ctx, self->kernels[i].text);
    }
    for (size_t i = 0; i < self->program_count; i++)
        self->cl->clReleaseProgram(self->programs[i].program);
    pinion__release(self->processor.ctx, self->kernels);
    pinion__release(self->processor.ctx, self->programs);
}
