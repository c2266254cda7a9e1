/* SPDX-License-Identifier: Apache-2.0
 *
 * See checked_opencl.h. Maps read from the driver's buffer into the shadow; unmaps write it back and wait for that,
 * since the shadow is poison from then on.
 */
#include "support/checked_buffers.h"

#ifdef PINION__HAVE_OPENCL
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_BYTES = 512, MAX_ARGUMENTS = 64, MAX_KERNELS = 1024 };

typedef struct kernel {
    cl_kernel id;
    checked_buffer *arguments[MAX_ARGUMENTS];
} kernel;

static struct {
    pinion__opencl_api real;
    bool discrete;
    pthread_mutex_t lock;
    kernel kernels[MAX_KERNELS];
    int kernel_count;
    uint64_t copied;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static cl_int CL_API_CALL get_device_info(cl_device_id device, cl_device_info what, size_t bytes, void *value,
                                          size_t *size)
{
    cl_int error = all.real.clGetDeviceInfo(device, what, bytes, value, size);
    if (error == CL_SUCCESS && value && what == CL_DEVICE_MEM_BASE_ADDR_ALIGN)
        memcpy(value, &(cl_uint){ALIGN_BYTES * 8}, sizeof(cl_uint));
    if (error == CL_SUCCESS && value && what == CL_DEVICE_HOST_UNIFIED_MEMORY && all.discrete)
        memcpy(value, &(cl_bool){CL_FALSE}, sizeof(cl_bool));
    return error;
}

static cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t bytes, void *host, cl_int *error)
{
    cl_int ignored;
    cl_mem memory = all.real.clCreateBuffer(context, flags & ~(cl_mem_flags)CL_MEM_ALLOC_HOST_PTR, bytes, host,
                                            error ? error : &ignored);
    if (!memory)
        return NULL;
    pthread_mutex_lock(&all.lock);
    memory = checked_add(memory, NULL, 0, bytes, error ? error : &ignored);
    pthread_mutex_unlock(&all.lock);
    return memory;
}

static cl_mem CL_API_CALL create_sub_buffer(cl_mem parent, cl_mem_flags flags, cl_buffer_create_type type,
                                            const void *info, cl_int *error)
{
    cl_int ignored;
    const cl_buffer_region *region = info;
    error = error ? error : &ignored;
    pthread_mutex_lock(&all.lock);
    checked_buffer *of = checked_find(parent);
    cl_mem memory = NULL;
    if (!of || of->parent)
        *error = checked_refuse("clCreateSubBuffer: of no buffer, or of a sub-buffer");
    else if (region->origin % ALIGN_BYTES != 0)
        *error = checked_refuse("clCreateSubBuffer: origin %zu is no multiple of %d", region->origin, ALIGN_BYTES);
    else
        memory = all.real.clCreateSubBuffer(parent, flags, type, info, error);
    if (memory)
        memory = checked_add(memory, of, region->origin, region->size, error);
    pthread_mutex_unlock(&all.lock);
    return memory;
}

static cl_int CL_API_CALL release_mem_object(cl_mem memory)
{
    pthread_mutex_lock(&all.lock);
    checked_buffer *of = checked_find(memory);
    if (!of)
        checked_refuse("clReleaseMemObject: a buffer that there is not");
    else if (checked_find_map(of, 0, of->bytes, true) &&
             checked_root(checked_find_map(of, 0, of->bytes, true)->of) == of)
        checked_refuse("clReleaseMemObject: bytes of it are mapped");
    cl_int error = all.real.clReleaseMemObject(memory);
    if (of)
        checked_drop(of);
    pthread_mutex_unlock(&all.lock);
    return error;
}

static void *CL_API_CALL enqueue_map(cl_command_queue queue, cl_mem memory, cl_bool blocking, cl_map_flags flags,
                                     size_t offset, size_t bytes, cl_uint events, const cl_event *list, cl_event *event,
                                     cl_int *error)
{
    const bool writes = (flags & (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION)) != 0;
    cl_int ignored;
    error = error ? error : &ignored;
    pthread_mutex_lock(&all.lock);
    checked_buffer *of = checked_find(memory);
    checked_map *into = NULL;
    for (int i = 0; i < CHECKED_MAPS && !into; i++)
        if (!checked.maps[i].of)
            into = &checked.maps[i];
    *error = checked_unmapped(of, offset, bytes, writes, "a map");
    if (*error == CL_SUCCESS && of->references > 1)
        *error = checked_refuse("a map of a whole buffer that has sub-buffers");
    if (*error == CL_SUCCESS && !into)
        *error = CL_OUT_OF_RESOURCES;
    unsigned char *address = *error == CL_SUCCESS ? of->shadow + offset : NULL;
    if (address)
        *error =
            flags & CL_MAP_WRITE_INVALIDATE_REGION
                ? all.real.clEnqueueMarkerWithWaitList(queue, events, list, event)
                : all.real.clEnqueueReadBuffer(queue, memory, blocking, offset, bytes, address, events, list, event);
    if (*error == CL_SUCCESS)
        *into = (checked_map){.of = of, .offset = offset, .bytes = bytes, .writes = writes};
    pthread_mutex_unlock(&all.lock);
    return *error == CL_SUCCESS ? address : NULL;
}

/* Was a buffer that is mapped for reading changed by a side? */
static cl_int check_same(cl_command_queue queue, const checked_map *at)
{
    unsigned char *now = malloc(at->bytes);
    cl_int error =
        all.real.clEnqueueReadBuffer(queue, at->of->memory, CL_TRUE, at->offset, at->bytes, now, 0, NULL, NULL);
    if (error == CL_SUCCESS && memcmp(now, at->of->shadow + at->offset, at->bytes) != 0)
        error = checked_refuse("bytes %zu to %zu were written to while they were mapped for reading",
                               at->of->origin + at->offset, at->of->origin + at->offset + at->bytes);
    free(now);
    return error;
}

static cl_int CL_API_CALL enqueue_unmap(cl_command_queue queue, cl_mem memory, void *address, cl_uint events,
                                        const cl_event *list, cl_event *event)
{
    pthread_mutex_lock(&all.lock);
    const checked_buffer *of = checked_find(memory);
    checked_map *at = NULL;
    for (int i = 0; i < CHECKED_MAPS && !at; i++)
        if (of && checked.maps[i].of == of && of->shadow + checked.maps[i].offset == (unsigned char *)address)
            at = &checked.maps[i];
    cl_int error = at ? CL_SUCCESS : checked_refuse("an unmap of what is not mapped");
    if (at) {
        error = at->writes ? all.real.clEnqueueWriteBuffer(queue, memory, CL_TRUE, at->offset, at->bytes, address,
                                                           events, list, NULL)
                           : check_same(queue, at);
        at->of = NULL;
        if (!checked_find_map(of, at->offset, at->bytes, true)) /* readers may share bytes */
            memset(address, CHECKED_POISON, at->bytes);
    }
    if (error == CL_SUCCESS)
        error = all.real.clEnqueueMarkerWithWaitList(queue, 0, NULL, event);
    pthread_mutex_unlock(&all.lock);
    return error;
}

static kernel *find_kernel(cl_kernel id)
{
    for (int i = 0; i < all.kernel_count; i++)
        if (all.kernels[i].id == id)
            return &all.kernels[i];
    if (all.kernel_count == MAX_KERNELS)
        return NULL;
    all.kernels[all.kernel_count].id = id;
    return &all.kernels[all.kernel_count++];
}

static cl_int CL_API_CALL set_kernel_arg(cl_kernel id, cl_uint index, size_t bytes, const void *value)
{
    pthread_mutex_lock(&all.lock);
    kernel *of = find_kernel(id);
    cl_mem memory = NULL;
    if (value && bytes == sizeof memory)
        memcpy(&memory, value, sizeof memory);
    if (of && index < MAX_ARGUMENTS)
        of->arguments[index] =
            memory ? checked_find(memory) : NULL; /* other values of that size are no checked_buffer */
    pthread_mutex_unlock(&all.lock);
    return all.real.clSetKernelArg(id, index, bytes, value);
}

static cl_int CL_API_CALL enqueue_kernel(cl_command_queue queue, cl_kernel id, cl_uint dimensions, const size_t *first,
                                         const size_t *global, const size_t *local, cl_uint events,
                                         const cl_event *list, cl_event *event)
{
    cl_int error = CL_SUCCESS;
    pthread_mutex_lock(&all.lock);
    const kernel *of = find_kernel(id);
    for (int i = 0; of && i < MAX_ARGUMENTS && error == CL_SUCCESS; i++)
        if (of->arguments[i])
            error = checked_unmapped(of->arguments[i], 0, of->arguments[i]->bytes, false, "a kernel");
    pthread_mutex_unlock(&all.lock);
    return error != CL_SUCCESS
               ? error
               : all.real.clEnqueueNDRangeKernel(queue, id, dimensions, first, global, local, events, list, event);
}

static cl_int CL_API_CALL release_kernel(cl_kernel id)
{
    pthread_mutex_lock(&all.lock);
    kernel *of = find_kernel(id);
    if (of)
        *of = all.kernels[--all.kernel_count];
    pthread_mutex_unlock(&all.lock);
    return all.real.clReleaseKernel(id);
}

static cl_int check_transfer(cl_mem memory, size_t offset, size_t bytes, const char *what)
{
    pthread_mutex_lock(&all.lock);
    cl_int error = checked_unmapped(checked_find(memory), offset, bytes, true, what);
    all.copied += bytes;
    pthread_mutex_unlock(&all.lock);
    return error;
}

static cl_int CL_API_CALL enqueue_read(cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset,
                                       size_t bytes, void *address, cl_uint events, const cl_event *list,
                                       cl_event *event)
{
    cl_int error = check_transfer(memory, offset, bytes, "a read");
    return error != CL_SUCCESS
               ? error
               : all.real.clEnqueueReadBuffer(queue, memory, blocking, offset, bytes, address, events, list, event);
}

static cl_int CL_API_CALL enqueue_write(cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset,
                                        size_t bytes, const void *address, cl_uint events, const cl_event *list,
                                        cl_event *event)
{
    cl_int error = check_transfer(memory, offset, bytes, "a write");
    return error != CL_SUCCESS
               ? error
               : all.real.clEnqueueWriteBuffer(queue, memory, blocking, offset, bytes, address, events, list, event);
}

static cl_int CL_API_CALL enqueue_copy(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset,
                                       size_t to_offset, size_t bytes, cl_uint events, const cl_event *list,
                                       cl_event *event)
{
    pthread_mutex_lock(&all.lock);
    cl_int error = checked_unmapped(checked_find(from), from_offset, bytes, false, "a copy");
    if (error == CL_SUCCESS)
        error = checked_unmapped(checked_find(to), to_offset, bytes, true, "a copy");
    pthread_mutex_unlock(&all.lock);
    return error != CL_SUCCESS
               ? error
               : all.real.clEnqueueCopyBuffer(queue, from, to, from_offset, to_offset, bytes, events, list, event);
}

void checked_opencl_begin(const pinion__opencl_api *real, bool discrete, pinion__opencl_api *out)
{
    all.real = *real;
    all.discrete = discrete;
    checked.buffer_count = all.kernel_count = checked.errors = 0;
    memset(checked.maps, 0, sizeof checked.maps);
    checked.sentence[0] = '\0';
    all.copied = 0;
    *out = *real;
    out->clGetDeviceInfo = get_device_info;
    out->clCreateBuffer = create_buffer;
    out->clCreateSubBuffer = create_sub_buffer;
    out->clReleaseMemObject = release_mem_object;
    out->clEnqueueMapBuffer = enqueue_map;
    out->clEnqueueUnmapMemObject = enqueue_unmap;
    out->clSetKernelArg = set_kernel_arg;
    out->clEnqueueNDRangeKernel = enqueue_kernel;
    out->clReleaseKernel = release_kernel;
    out->clEnqueueReadBuffer = enqueue_read;
    out->clEnqueueWriteBuffer = enqueue_write;
    out->clEnqueueCopyBuffer = enqueue_copy;
}

int checked_opencl_errors(void)
{
    return checked.errors;
}

const char *checked_opencl_sentence(void)
{
    return checked.sentence;
}

uint64_t checked_opencl_copied(void)
{
    return all.copied;
}

int checked_opencl_end(void)
{
    int live = 0;
    for (int i = 0; i < checked.buffer_count; i++)
        live += checked.buffers[i].memory != NULL;
    if (live > 0)
        fprintf(stderr, "checked OpenCL: %d buffers were not released\n", live);
    return checked.errors + live;
}
#else
/* A file has at least one declaration. */
extern int checked_opencl_is_not_built;
#endif
