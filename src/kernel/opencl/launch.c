/* SPDX-License-Identifier: Apache-2.0
 *
 * Launches: arguments are set as they come, then the kernel is enqueued on the processor's queue.
 */
#include "kernel/opencl/launch.h"
#include "device/opencl.h"
#include "kernel/opencl/programs.h"

static const pinion__program_text *find_text(const char *name, size_t length)
{
    for (const pinion__program_text *at = pinion__program_texts; at->name; at++)
        if (strncmp(at->name, name, length) == 0 && at->name[length] == '\0')
            return at;
    return NULL;
}

/* What stands between the quotes of a line `#include "NAME.cl"`: its length without ".cl"; 0: the line is another. */
static size_t included_name(const char *line, const char **name)
{
    static const char directive[] = "#include \"";
    if (strncmp(line, directive, sizeof directive - 1) != 0)
        return 0;
    *name = line + sizeof directive - 1;
    size_t length = strcspn(*name, "\"\n");
    return length > 3 && strncmp(*name + length - 3, ".cl\"", 4) == 0 ? length - 3 : 0;
}

static bool append(pinion__opencl_source *source, const char *text, size_t length)
{
    if (length == 0) /* OpenCL would take it for "up to the end" */
        return true;
    if (source->count == PINION__OPENCL_MAX_TEXTS)
        return false;
    source->texts[source->count] = text;
    source->lengths[source->count++] = length;
    return true;
}

/* The files that a program has taken in so far. */
typedef struct taken {
    const pinion__program_text *at[PINION__OPENCL_MAX_TEXTS];
    int count;
} taken;

/* Adds a file: what it includes in the place of the lines that say so, each file once. */
static bool add_text(pinion__opencl_source *source, taken *files, const pinion__program_text *text)
{
    for (int i = 0; i < files->count; i++)
        if (files->at[i] == text)
            return true;
    if (files->count == PINION__OPENCL_MAX_TEXTS)
        return false;
    files->at[files->count++] = text;
    const char *start = text->text;
    for (const char *line = start; *line;) {
        const char *end = line + strcspn(line, "\n"), *name;
        size_t length = included_name(line, &name);
        line = end + (*end == '\n');
        if (length == 0)
            continue;
        const pinion__program_text *included = find_text(name, length);
        if (!included || !append(source, start, (size_t)(name - strlen("#include \"") - start)) ||
            !add_text(source, files, included))
            return false;
        start = end;
    }
    return append(source, start, (size_t)(text->text + text->length - start));
}

static const pinion__opencl_kernel *make(pinion__opencl_processor *self, const char *program, const char *function,
                                         const char *options)
{
    pinion__opencl_source source = {.name = program};
    taken files = {.count = 0};
    const pinion__program_text *text = find_text(program, strlen(program));
    if (text && add_text(&source, &files, text))
        return pinion__opencl_make_kernel(self, &source, function, options);
    pinion__processor_fail(&self->processor, PINION_EDEVICE, "there is no OpenCL program %s.cl, or one it includes",
                           program);
    return NULL;
}

void pinion__launch_begin(pinion__launch *launch, const pinion__args *args, const char *program, const char *function,
                          const char *options)
{
    pinion__opencl_processor *self = pinion__opencl_processor_of(args->processor);
    *launch = (pinion__launch){.args = args};
    if (atomic_load(&args->processor->failure))
        return;
    const pinion__opencl_kernel *kernel = pinion__opencl_find_kernel(self, program, function, options);
    if (!kernel)
        kernel = make(self, program, function, options);
    if (!kernel)
        return;
    launch->kernel = kernel->kernel;
    launch->most_items = kernel->most_items;
}

static void set(pinion__launch *launch, size_t bytes, const void *value)
{
    if (!launch->kernel)
        return;
    pinion__opencl_processor *self = pinion__opencl_processor_of(launch->args->processor);
    if (!pinion__opencl_done(self, self->cl->clSetKernelArg(launch->kernel, launch->next++, bytes, value),
                             "clSetKernelArg"))
        launch->kernel = NULL;
}

static void set_span(pinion__launch *launch, const pinion__span *span, size_t offset, size_t element_bytes)
{
    cl_mem memory = span->object;
    cl_int elements = span->object ? (cl_int)((span->offset + offset) / element_bytes) : 0;
    set(launch, sizeof memory, &memory);
    set(launch, sizeof elements, &elements);
}

void pinion__launch_operand_of(pinion__launch *launch, int operand, size_t element_bytes)
{
    const pinion__span absent = {.object = NULL};
    bool present = launch->args->operand[operand].data != NULL;
    set_span(launch, present ? &launch->args->memory[operand] : &absent, 0, element_bytes);
}

void pinion__launch_operand(pinion__launch *launch, int operand)
{
    pinion__launch_operand_of(launch, operand, sizeof(cl_float));
}

void pinion__launch_scratch(pinion__launch *launch, size_t offset)
{
    set_span(launch, &launch->args->scratch_memory, offset, sizeof(cl_float));
}

void pinion__launch_int(pinion__launch *launch, int value)
{
    cl_int argument = value;
    set(launch, sizeof argument, &argument);
}

void pinion__launch_float(pinion__launch *launch, float value)
{
    cl_float argument = value;
    set(launch, sizeof argument, &argument);
}

void pinion__launch_ulong(pinion__launch *launch, uint64_t value)
{
    cl_ulong argument = value;
    set(launch, sizeof argument, &argument);
}

/* Groups of `local`, no larger than the kernel allows. */
static void fit(const pinion__launch *launch, size_t local[3])
{
    while (local[0] * local[1] * local[2] > launch->most_items) {
        int widest = local[1] > local[0] ? 1 : 0;
        widest = local[2] > local[widest] ? 2 : widest;
        if (local[widest] == 1)
            break;
        local[widest] = (local[widest] + 1) / 2;
    }
}

void pinion__launch_run(pinion__launch *launch, const size_t global[3], const size_t local[3])
{
    enum { ROW = 64 };
    if (!launch->kernel || !global[0] || !global[1] || !global[2])
        return;
    /* Never what the driver chooses: a prime size gives groups of 1, and PoCL compiles a function for each other group.
     */
    bool given = local && local[0] && local[1] && local[2];
    size_t group[3] = {given ? local[0] : ROW, given ? local[1] : 1, given ? local[2] : 1};
    fit(launch, group);
    size_t rounded[3];
    for (int i = 0; i < 3; i++)
        rounded[i] = (global[i] + group[i] - 1) / group[i] * group[i];
    pinion__opencl_processor *self = pinion__opencl_processor_of(launch->args->processor);
    pinion__opencl_done(self,
                        self->cl->clEnqueueNDRangeKernel(self->queue, launch->kernel, 3, NULL, rounded, group, 0, NULL,
                                                         pinion__opencl_event(self)),
                        "clEnqueueNDRangeKernel");
}

void pinion__launch_run_flat(pinion__launch *launch, size_t items)
{
    pinion__launch_run(launch, (const size_t[]){items, 1, 1}, NULL);
}

int pinion__launch_lanes(const pinion__args *args)
{
    return pinion__opencl_processor_of(args->processor)->device.lanes;
}

size_t pinion__launch_local_bytes(const pinion__args *args)
{
    return pinion__opencl_processor_of(args->processor)->device.local_bytes;
}
