/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pinion_context knows of OpenCL: the library, the devices of all platforms, and the domains their processors
 * share. A platform whose driver fails is passed over with a line in the log.
 */
#include "device/opencl.h"

#include <stdio.h>

static void complain(pinion_context *ctx, const char *platform, const char *call, cl_int error)
{
    pinion__log(ctx, PINION_LOG_WARNING, "OpenCL: platform '%s' is passed over: %s: %s (%d)", platform, call,
                pinion__opencl_error_name(error), (int)error);
}

static bool read_text(const pinion__opencl *opencl, cl_device_id id, cl_device_info what, char *text, size_t bytes)
{
    char value[512] = "";
    if (opencl->cl.clGetDeviceInfo(id, what, sizeof value - 1, value, NULL) != CL_SUCCESS)
        return false;
    snprintf(text, bytes, "%.*s", (int)bytes - 1, value);
    return true;
}

/* "OpenCL 3.0 PoCL HSTR: …": what stands behind the number may be long and is part of the driver's version. */
static bool cut_version(char *version)
{
    char *space = strchr(version, ' ');
    space = space ? strchr(space + 1, ' ') : NULL;
    if (space)
        *space = '\0';
    return true;
}

/* Reads what a platform says of a device. False: it does not, or cannot be used now. */
static bool read_device(const pinion__opencl *opencl, pinion__opencl_device *device)
{
    cl_uint units = 0, align_bits = 0, lanes = 0;
    cl_ulong local_bytes = 0;
    cl_bool unified = CL_FALSE, available = CL_FALSE, compiler = CL_FALSE;
    const struct {
        cl_device_info what;
        size_t bytes;
        void *into;
    } values[] = {
        {CL_DEVICE_TYPE, sizeof device->type, &device->type},
        {CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units},
        {CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof align_bits, &align_bits},
        {CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof lanes, &lanes},
        {CL_DEVICE_LOCAL_MEM_SIZE, sizeof local_bytes, &local_bytes},
        {CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof unified, &unified},
        {CL_DEVICE_AVAILABLE, sizeof available, &available},
        {CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (opencl->cl.clGetDeviceInfo(device->id, values[i].what, values[i].bytes, values[i].into, NULL) != CL_SUCCESS)
            return false;
    device->compute_units = (int)units;
    device->lanes = 1;
    while (device->lanes < 16 && device->lanes < (int)lanes)
        device->lanes *= 2;
    device->local_bytes = (size_t)local_bytes;
    device->unified = unified != CL_FALSE;
    device->alignment = 64; /* a line of the host's cache */
    while (device->alignment < align_bits / 8)
        device->alignment *= 2;
    return available && compiler && units > 0 &&
           read_text(opencl, device->id, CL_DEVICE_NAME, device->name, sizeof device->name) &&
           read_text(opencl, device->id, CL_DEVICE_VERSION, device->version, sizeof device->version) &&
           read_text(opencl, device->id, CL_DRIVER_VERSION, device->driver, sizeof device->driver) &&
           cut_version(device->version);
}

static void add_platform(pinion__opencl *opencl, cl_platform_id platform)
{
    pinion_context *ctx = opencl->ctx;
    char name[128] = "";
    if (opencl->cl.clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name - 1, name, NULL) != CL_SUCCESS)
        name[0] = '\0';
    cl_device_id ids[PINION__OPENCL_MAX_DEVICES];
    cl_uint count = 0;
    cl_int error = opencl->cl.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, PINION__OPENCL_MAX_DEVICES, ids, &count);
    if (error != CL_SUCCESS) {
        complain(ctx, name, "clGetDeviceIDs", error);
        return;
    }
    for (cl_uint i = 0; i < count && i < PINION__OPENCL_MAX_DEVICES; i++) {
        if (opencl->device_count == PINION__OPENCL_MAX_DEVICES)
            return;
        pinion__opencl_device device = {.platform = platform, .id = ids[i]};
        if (read_device(opencl, &device))
            opencl->devices[opencl->device_count++] = device;
        else
            pinion__log(ctx, PINION_LOG_WARNING,
                        "OpenCL: device %u of platform '%s' is passed over: it is not available, or has no compiler",
                        (unsigned)i, name);
    }
}

static int find_devices(pinion__opencl *opencl)
{
    pinion_context *ctx = opencl->ctx;
    int status = PINION_OK;
    cl_platform_id platforms[16];
    cl_uint count = 0;
    cl_int error = opencl->cl.clGetPlatformIDs(16, platforms, &count);
    PINION_FAIL_IF(error == -1001 || (error == CL_SUCCESS && count == 0), PINION_EUNSUPPORTED,
                   "OpenCL: there is no platform: no driver is installed (/etc/OpenCL/vendors)");
    PINION_FAIL_IF(error != CL_SUCCESS, PINION_EUNSUPPORTED, "OpenCL: clGetPlatformIDs: %s (%d)",
                   pinion__opencl_error_name(error), (int)error);
    for (cl_uint i = 0; i < count && i < 16; i++)
        add_platform(opencl, platforms[i]);
    PINION_FAIL_IF(opencl->device_count == 0, PINION_EUNSUPPORTED,
                   "OpenCL: no device: %u platform%s, none with a device that can be used", (unsigned)count,
                   count == 1 ? "" : "s");
fail:
    return status;
}

static void destroy_domain(pinion__opencl_domain *domain)
{
    if (domain->queue)
        domain->cl->clReleaseCommandQueue(domain->queue);
    if (domain->context)
        domain->cl->clReleaseContext(domain->context);
    pinion__release(domain->domain.ctx, domain);
}

static void destroy(void *argument)
{
    pinion__opencl *opencl = argument;
    for (int i = 0; i < opencl->domain_count; i++)
        destroy_domain(opencl->domains[i]);
    pinion__release(opencl->ctx, opencl);
}

static int create(pinion_context *ctx, const pinion__opencl_api *cl, pinion__opencl **out)
{
    int status = PINION_OK;
    pinion__opencl *opencl = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *opencl, "OpenCL", &opencl));
    opencl->ctx = ctx;
    if (cl)
        opencl->cl = *cl;
    else
        PINION_TRY(pinion__opencl_api_load(ctx, &opencl->cl));
    PINION_TRY(find_devices(opencl));
    *out = opencl;
    return PINION_OK;
fail:
    pinion__release(ctx, opencl);
    return status;
}

static int get(pinion_context *ctx, const pinion__opencl_api *cl, pinion__opencl **out)
{
    int status = PINION_OK;
    pthread_mutex_lock(&ctx->opencl_lock);
    if (!ctx->opencl) {
        pinion__opencl *opencl = NULL;
        PINION_TRY(create(ctx, cl, &opencl));
        ctx->opencl = opencl;
        ctx->destroy_opencl = destroy;
    }
    *out = ctx->opencl;
fail:
    pthread_mutex_unlock(&ctx->opencl_lock);
    return status;
}

int pinion__opencl_get(pinion_context *ctx, pinion__opencl **out)
{
    return get(ctx, NULL, out);
}

int pinion__opencl_use(pinion_context *ctx, const pinion__opencl_api *cl)
{
    pinion__opencl *opencl;
    return get(ctx, cl, &opencl);
}

/* The devices of a domain: those of the platform that share the host's memory, or those that do not. */
static cl_uint members(const pinion__opencl *opencl, const pinion__opencl_device *like, cl_device_id *ids,
                       size_t *alignment)
{
    cl_uint count = 0;
    for (int i = 0; i < opencl->device_count; i++) {
        const pinion__opencl_device *device = &opencl->devices[i];
        if (device->platform != like->platform || device->unified != like->unified)
            continue;
        ids[count++] = device->id;
        if (device->alignment > *alignment)
            *alignment = device->alignment;
    }
    return count;
}

static int create_domain(pinion__opencl *opencl, const pinion__opencl_device *device, pinion__opencl_domain **out)
{
    pinion_context *ctx = opencl->ctx;
    int status = PINION_OK;
    cl_int error = CL_SUCCESS;
    pinion__opencl_domain *domain = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *domain, "OpenCL", &domain));
    domain->domain = (pinion__domain){.class_ = &pinion__opencl_domain_class, .ctx = ctx, .copies = !device->unified};
    snprintf(domain->domain.name, sizeof domain->domain.name, "opencl%d", opencl->domain_count);
    domain->cl = &opencl->cl;
    domain->platform = device->platform;
    cl_device_id ids[PINION__OPENCL_MAX_DEVICES];
    cl_uint count = members(opencl, device, ids, &domain->domain.alignment);
    domain->most_bytes = SIZE_MAX;
    for (cl_uint i = 0; i < count; i++) {
        cl_ulong most = 0;
        error = opencl->cl.clGetDeviceInfo(ids[i], CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, NULL);
        if (error == CL_SUCCESS && most < domain->most_bytes)
            domain->most_bytes = (size_t)most;
    }
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->platform, 0};
    domain->context = opencl->cl.clCreateContext(properties, count, ids, NULL, NULL, &error);
    PINION_FAIL_IF(error != CL_SUCCESS, PINION_EDEVICE, "OpenCL device '%s': clCreateContext: %s (%d)", device->name,
                   pinion__opencl_error_name(error), (int)error);
    domain->queue = opencl->cl.clCreateCommandQueue(domain->context, device->id, 0, &error);
    PINION_FAIL_IF(error != CL_SUCCESS, PINION_EDEVICE, "OpenCL device '%s': clCreateCommandQueue: %s (%d)",
                   device->name, pinion__opencl_error_name(error), (int)error);
    if (!domain->domain.copies)
        PINION_TRY(pinion__opencl_domain_probe(domain));
    *out = domain;
    return PINION_OK;
fail:
    if (domain)
        destroy_domain(domain);
    return status;
}

int pinion__opencl_domain_of(pinion__opencl *opencl, const pinion__opencl_device *device, pinion__opencl_domain **out)
{
    pinion_context *ctx = opencl->ctx;
    int status = PINION_OK;
    pthread_mutex_lock(&ctx->opencl_lock);
    for (int i = 0; i < opencl->domain_count; i++)
        if (opencl->domains[i]->platform == device->platform && opencl->domains[i]->unified == device->unified) {
            *out = opencl->domains[i];
            goto fail;
        }
    PINION_FAIL_IF(opencl->domain_count == PINION__OPENCL_MAX_DOMAINS, PINION_EUNSUPPORTED,
                   "OpenCL: devices of more than %d platforms", PINION__OPENCL_MAX_DOMAINS / 2);
    pinion__opencl_domain *domain = NULL;
    PINION_TRY(create_domain(opencl, device, &domain));
    domain->unified = device->unified;
    opencl->domains[opencl->domain_count++] = domain;
    *out = domain;
fail:
    pthread_mutex_unlock(&ctx->opencl_lock);
    return status;
}

int pinion__opencl_divide(pinion__opencl *opencl, int index, int first, int cores, cl_device_id *out)
{
    pinion_context *ctx = opencl->ctx;
    int status = PINION_OK;
    const pinion__opencl_device *device = &opencl->devices[index];
    pthread_mutex_lock(&ctx->opencl_lock);
    for (int i = 0; i < opencl->part_count; i++) {
        const pinion__opencl_part *part = &opencl->parts[i];
        if (part->device == index && part->first == first && part->cores == cores) {
            *out = part->id;
            goto fail;
        }
    }
    PINION_FAIL_IF(opencl->part_count == PINION__OPENCL_MAX_PARTS, PINION_EUNSUPPORTED,
                   "OpenCL: more than %d parts of devices", PINION__OPENCL_MAX_PARTS);
    const cl_device_partition_property head[] = {CL_DEVICE_PARTITION_BY_COUNTS, cores,
                                                 CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
    const cl_device_partition_property behind[] = {CL_DEVICE_PARTITION_BY_COUNTS, first, cores,
                                                   CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};
    cl_device_id ids[2] = {NULL, NULL};
    cl_uint count = first > 0 ? 2 : 1;
    cl_int error = opencl->cl.clCreateSubDevices(device->id, first > 0 ? behind : head, count, ids, NULL);
    PINION_FAIL_IF(error != CL_SUCCESS, PINION_EUNSUPPORTED,
                   "OpenCL device '%s' cannot be divided into parts of %d of its %d compute units: %s (%d)",
                   device->name, cores, device->compute_units, pinion__opencl_error_name(error), (int)error);
    if (first > 0)
        opencl->cl.clReleaseDevice(ids[0]);
    *out = ids[count - 1];
    opencl->parts[opencl->part_count++] =
        (pinion__opencl_part){.device = index, .first = first, .cores = cores, .id = *out};
fail:
    pthread_mutex_unlock(&ctx->opencl_lock);
    return status;
}
