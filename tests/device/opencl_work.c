/* SPDX-License-Identifier: Apache-2.0
 *
 * Work for OpenCL processors in tests.
 */
#include "device/opencl_work.h"

#ifdef PINION__HAVE_OPENCL
static const char text[] = "__kernel void add(__global float *x, int x_offset, float value)\n"
                           "{\n    x[x_offset + get_global_id(0)] += value;\n}\n";

static const pinion__opencl_source source = {.name = "test", .texts = {text}, .lengths = {sizeof text - 1}, .count = 1};

void run_add(const void *args)
{
    const add *of = args;
    pinion__opencl_processor *self = pinion__opencl_processor_of(of->processor);
    const pinion__opencl_kernel *kernel = pinion__opencl_find_kernel(self, "test", "add", "");
    if (!kernel)
        kernel = pinion__opencl_make_kernel(self, &source, "add", "");
    if (!kernel)
        return;
    const cl_mem memory = of->span.object;
    const cl_int offset = (cl_int)(of->span.offset / sizeof(float));
    const size_t local = 1;
    if (pinion__opencl_done(self, self->cl->clSetKernelArg(kernel->kernel, 0, sizeof memory, &memory), "argument 0") &&
        pinion__opencl_done(self, self->cl->clSetKernelArg(kernel->kernel, 1, sizeof offset, &offset), "argument 1") &&
        pinion__opencl_done(self, self->cl->clSetKernelArg(kernel->kernel, 2, sizeof of->value, &of->value),
                            "argument 2"))
        pinion__opencl_done(self,
                            self->cl->clEnqueueNDRangeKernel(self->queue, kernel->kernel, 1, NULL, &of->count, &local,
                                                             0, NULL, pinion__opencl_event(self)),
                            "clEnqueueNDRangeKernel");
}

pinion__hand_over_args passing(pinion__memory *memory, pinion__processor *by, const pinion__span *span, size_t bytes,
                               int from, int to, bool contents)
{
    return (pinion__hand_over_args){.memory = memory,
                                    .by = by,
                                    .span = *span,
                                    .bytes = bytes,
                                    .from = (enum pinion__holder)from,
                                    .to = (enum pinion__holder)to,
                                    .contents = contents};
}

int pass(pinion__memory *memory, pinion__processor *by, const pinion__span *span, size_t bytes, int from, int to,
         bool contents)
{
    const pinion__hand_over_args args = passing(memory, by, span, bytes, from, to, contents);
    return by->class_->run(by, pinion__hand_over, &args);
}
#else
extern int opencl_work_is_not_built; /* a file has at least one declaration */
#endif
