/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenCL devices as processors. What is shared by all of a pinion_context, the library's table and one domain
 * (an OpenCL context) for the devices of a platform that share the host's memory and one for those that do not, belongs
 * to the pinion_context and lives as long: processors of several plans work in the same memory.
 *
 * A processor has a queue, in order, and the kernels built for its device. Programs are built once per device, text and
 * options, and kept as binaries in files (opencl_program.c).
 */
#ifndef PINION_DEVICE_OPENCL_H
#define PINION_DEVICE_OPENCL_H

#include "device/memory.h"
#include "device/opencl_api.h"
#include "device/processor.h"

/* What a platform says of a device. */
typedef struct pinion__opencl_device {
    cl_platform_id platform;
    cl_device_id id;
    cl_device_type type;
    int compute_units;
    int lanes;          /* floats in a vector that it likes, 1 to 16 */
    bool unified;       /* it works in the host's memory */
    size_t alignment;   /* of sub-buffers, bytes */
    size_t local_bytes; /* local memory of a work group */
    char name[96], version[64], driver[64];
} pinion__opencl_device;

typedef struct pinion__opencl_domain {
    pinion__domain domain; /* first */
    const pinion__opencl_api *cl;
    cl_platform_id platform;
    bool unified; /* its devices say that they share the host's memory */
    cl_context context;
    cl_command_queue queue; /* for what is done outside of steps */
    size_t most_bytes;      /* the largest block that all its devices take */
} pinion__opencl_domain;

enum { PINION__OPENCL_MAX_DEVICES = 32, PINION__OPENCL_MAX_DOMAINS = 16, PINION__OPENCL_MAX_PARTS = 512 };

/* Sub-devices are made once in a pinion_context, and never released: PoCL's threads look at the device of a command
 * after clFinish has returned, and a queue does not keep its device. What stays is some kilobytes. */
typedef struct pinion__opencl_part {
    int device;
    int first, cores; /* compute units of the device */
    cl_device_id id;
} pinion__opencl_part;

/* What a pinion_context knows of OpenCL. */
typedef struct pinion__opencl {
    pinion_context *ctx;
    pinion__opencl_api cl;
    pinion__opencl_device devices[PINION__OPENCL_MAX_DEVICES];
    int device_count;
    pinion__opencl_part parts[PINION__OPENCL_MAX_PARTS];
    int part_count;
    pinion__opencl_domain *domains[PINION__OPENCL_MAX_DOMAINS];
    int domain_count;
} pinion__opencl;

/* The context's OpenCL, made at the first call: *out is borrowed. PINION_EUNSUPPORTED: there is no library, no platform
 * or no device; the sentence says which. */
int pinion__opencl_get(pinion_context *ctx, pinion__opencl **out);

/* For tests: makes the context's OpenCL with this table, which is copied. Before anything else of it is used. */
int pinion__opencl_use(pinion_context *ctx, const pinion__opencl_api *cl);

/* Compute units first, first + 1, … of device `index` as a device of its own. Borrowed. */
int pinion__opencl_divide(pinion__opencl *opencl, int index, int first, int cores, cl_device_id *out);

/* The domain of a device. Borrowed. */
int pinion__opencl_domain_of(pinion__opencl *opencl, const pinion__opencl_device *device, pinion__opencl_domain **out);

extern const pinion__domain_class pinion__opencl_domain_class; /* opencl_memory.c */

/* Finds out whether the host sees sub-buffers where it saw the parent: else the domain copies. */
int pinion__opencl_domain_probe(pinion__opencl_domain *domain);

/* A kernel that was built: the text's name, the function, the options. */
typedef struct pinion__opencl_kernel {
    uint64_t hash; /* of all three */
    cl_kernel kernel;
    size_t most_items; /* in a work group */
    char *text;        /* "program\nfunction\noptions" */
} pinion__opencl_kernel;

typedef struct pinion__opencl_program {
    uint64_t hash; /* of name and options */
    cl_program program;
} pinion__opencl_program;

typedef struct pinion__opencl_submission pinion__opencl_submission;

typedef struct pinion__opencl_processor {
    pinion__processor processor; /* first */
    const pinion__opencl_api *cl;
    pinion__opencl_device device; /* id: that of the sub-device */
    pinion__opencl_domain *domain;
    cl_command_queue queue;
    int index, first;     /* device, compute unit */
    bool submitting;      /* the running body's last event is wanted */
    cl_event last;        /* it; NULL: nothing was started */
    pthread_mutex_t lock; /* guards `free` */
    pinion__opencl_submission *submissions, *free;
    pinion__opencl_program *programs;
    size_t program_count, program_capacity;
    pinion__opencl_kernel *kernels;
    size_t kernel_count, kernel_capacity;
} pinion__opencl_processor;

/* Compute units first, first + 1, … (`cores` of them) of device `index`; cores 0: the whole device. */
typedef struct pinion__opencl_choice {
    const char *name; /* of the processor */
    int index, first, cores;
} pinion__opencl_choice;

int pinion__opencl_open(pinion_context *ctx, const pinion__opencl_choice *choice, pinion__processor **out);

/* Binds the threads of a CPU's compute units to hardware threads of the system, one each, by running there what binds
 * them. False: the driver cannot run it, or it did not help. For a whole device or a part of one. */
bool pinion__opencl_bind(pinion__processor *processor, const int *units);

/* The driver's threads are those of a CPU that the host runs on as well. */
static inline bool pinion__opencl_on_host(const pinion__opencl_device *device)
{
    return (device->type & CL_DEVICE_TYPE_CPU) != 0;
}

/* The same by number, named as in a list ("opencl:0/1"). OpenCL device `index` in the order of platforms and their
 * devices. cores > 0: a part of it of so many compute units. PINION_EUNSUPPORTED: no such device, or it cannot be
 * divided so; PINION_EDEVICE. */
int pinion__processor_create_opencl(pinion_context *ctx, int index, int cores, pinion__processor **out);

static inline pinion__opencl_processor *pinion__opencl_processor_of(pinion__processor *processor)
{
    return (pinion__opencl_processor *)(void *)processor;
}

/* Was a call of OpenCL done? If not, the processor has failed: "clFinish: CL_OUT_OF_RESOURCES (-5)". */
bool pinion__opencl_done(pinion__opencl_processor *self, cl_int error, const char *call);

/* The processor has failed, for the context's last sentence. */
void pinion__opencl_fail(pinion__opencl_processor *self, int code);

/* Where a command is to leave its event: NULL, or the processor's, whose former one is forgotten. */
cl_event *pinion__opencl_event(pinion__opencl_processor *self);

/* The texts of a program, in order: they are compiled as one. */
enum { PINION__OPENCL_MAX_TEXTS = 64 };
typedef struct pinion__opencl_source {
    const char *name; /* of the program, for messages */
    const char *texts[PINION__OPENCL_MAX_TEXTS];
    size_t lengths[PINION__OPENCL_MAX_TEXTS];
    cl_uint count;
} pinion__opencl_source;

/* The kernel if it was made before, else NULL. Lasts until the next is made. */
const pinion__opencl_kernel *pinion__opencl_find_kernel(const pinion__opencl_processor *self, const char *program,
                                                        const char *function, const char *options);
/* Makes it, builds the program where needed. NULL: the processor has failed. */
const pinion__opencl_kernel *pinion__opencl_make_kernel(pinion__opencl_processor *self,
                                                        const pinion__opencl_source *source, const char *function,
                                                        const char *options);
void pinion__opencl_drop_kernels(pinion__opencl_processor *self);

/* The build of a source for a device: from the binary that was kept, else from the text, which then is kept. The log of
 * the driver is in the sentence. PINION_EDEVICE. */
int pinion__opencl_build(pinion_context *ctx, const pinion__opencl_api *cl, cl_context context,
                         const pinion__opencl_device *device, const pinion__opencl_source *source, const char *options,
                         cl_program *out);

#endif
