/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading OpenCL, and the names of its errors.
 */
#include "device/opencl_api.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* The address of a function, as memory: ISO C has no conversion from an object pointer to a function pointer. */
static bool look_up(void *library, const char *name, void *member)
{
    void *address = dlsym(library, name);
    memcpy(member, &address, sizeof address);
    return address != NULL;
}

int pinion__opencl_api_load(pinion_context *ctx, pinion__opencl_api *out)
{
    int status = PINION_OK;
    const char *name = getenv("PINION_OPENCL_LIBRARY");
    if (!name || !*name)
        name = "libOpenCL.so.1";
    static const struct {
        const char *name;
        size_t offset;
    } functions[] = {
#define FUNCTION(function) {#function, offsetof(pinion__opencl_api, function)},
        PINION__OPENCL_FUNCTIONS(FUNCTION)
#undef FUNCTION
    };
    pinion__opencl_api api;
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    PINION_FAIL_IF(!library, PINION_EUNSUPPORTED, "OpenCL: the library %s could not be loaded (%s)", name, dlerror());
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        PINION_FAIL_IF(!look_up(library, functions[i].name, (char *)&api + functions[i].offset), PINION_EUNSUPPORTED,
                       "OpenCL: the library %s has no function %s: expected OpenCL 1.2", name, functions[i].name);
    *out = api;
fail:
    return status;
}

#define ERRORS(X)                                                                                                      \
    X(CL_SUCCESS)                                                                                                      \
    X(CL_DEVICE_NOT_FOUND)                                                                                             \
    X(CL_DEVICE_NOT_AVAILABLE)                                                                                         \
    X(CL_COMPILER_NOT_AVAILABLE)                                                                                       \
    X(CL_MEM_OBJECT_ALLOCATION_FAILURE)                                                                                \
    X(CL_OUT_OF_RESOURCES)                                                                                             \
    X(CL_OUT_OF_HOST_MEMORY)                                                                                           \
    X(CL_PROFILING_INFO_NOT_AVAILABLE)                                                                                 \
    X(CL_MEM_COPY_OVERLAP)                                                                                             \
    X(CL_BUILD_PROGRAM_FAILURE)                                                                                        \
    X(CL_MAP_FAILURE)                                                                                                  \
    X(CL_MISALIGNED_SUB_BUFFER_OFFSET)                                                                                 \
    X(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)                                                                    \
    X(CL_COMPILE_PROGRAM_FAILURE)                                                                                      \
    X(CL_LINKER_NOT_AVAILABLE)                                                                                         \
    X(CL_LINK_PROGRAM_FAILURE)                                                                                         \
    X(CL_DEVICE_PARTITION_FAILED)                                                                                      \
    X(CL_KERNEL_ARG_INFO_NOT_AVAILABLE)                                                                                \
    X(CL_INVALID_VALUE)                                                                                                \
    X(CL_INVALID_DEVICE_TYPE)                                                                                          \
    X(CL_INVALID_PLATFORM)                                                                                             \
    X(CL_INVALID_DEVICE)                                                                                               \
    X(CL_INVALID_CONTEXT)                                                                                              \
    X(CL_INVALID_QUEUE_PROPERTIES)                                                                                     \
    X(CL_INVALID_COMMAND_QUEUE)                                                                                        \
    X(CL_INVALID_HOST_PTR)                                                                                             \
    X(CL_INVALID_MEM_OBJECT)                                                                                           \
    X(CL_INVALID_BINARY)                                                                                               \
    X(CL_INVALID_BUILD_OPTIONS)                                                                                        \
    X(CL_INVALID_PROGRAM)                                                                                              \
    X(CL_INVALID_PROGRAM_EXECUTABLE)                                                                                   \
    X(CL_INVALID_KERNEL_NAME)                                                                                          \
    X(CL_INVALID_KERNEL_DEFINITION)                                                                                    \
    X(CL_INVALID_KERNEL)                                                                                               \
    X(CL_INVALID_ARG_INDEX)                                                                                            \
    X(CL_INVALID_ARG_VALUE)                                                                                            \
    X(CL_INVALID_ARG_SIZE)                                                                                             \
    X(CL_INVALID_KERNEL_ARGS)                                                                                          \
    X(CL_INVALID_WORK_DIMENSION)                                                                                       \
    X(CL_INVALID_WORK_GROUP_SIZE)                                                                                      \
    X(CL_INVALID_WORK_ITEM_SIZE)                                                                                       \
    X(CL_INVALID_GLOBAL_OFFSET)                                                                                        \
    X(CL_INVALID_EVENT_WAIT_LIST)                                                                                      \
    X(CL_INVALID_EVENT)                                                                                                \
    X(CL_INVALID_OPERATION)                                                                                            \
    X(CL_INVALID_BUFFER_SIZE)                                                                                          \
    X(CL_INVALID_GLOBAL_WORK_SIZE)                                                                                     \
    X(CL_INVALID_PROPERTY)                                                                                             \
    X(CL_INVALID_COMPILER_OPTIONS)                                                                                     \
    X(CL_INVALID_LINKER_OPTIONS)                                                                                       \
    X(CL_INVALID_DEVICE_PARTITION_COUNT)

const char *pinion__opencl_error_name(cl_int error)
{
    switch (error) {
#define NAME(code)                                                                                                     \
    case code:                                                                                                         \
        return #code;
        ERRORS(NAME)
#undef NAME
    case -1001: /* of the ICD loader: cl_khr_icd */
        return "CL_PLATFORM_NOT_FOUND_KHR";
    default:
        return "an unknown error";
    }
}
