/* SPDX-License-Identifier: Apache-2.0
 *
 * The host CPU as one processor: a fixed set of workers, kernels built for the context's instruction set.
 */
#include "base/cpu.h"
#include "device/processor.h"

#include <string.h>

enum { CACHE_LINE = 64 };

static void run(pinion__processor *processor, void (*body)(const void *args), const void *args)
{
    (void)processor;
    body(args);
}

static void destroy(pinion__processor *processor)
{
    pinion__workers_destroy(processor->workers);
    pinion__release(processor->ctx, processor);
}

static const pinion__processor_class cpu_class = {.kind = "cpu", .run = run, .destroy = destroy};

int pinion__processor_init(pinion_context *ctx, pinion__processor *processor, const pinion__processor_class *class_,
                           const char *name)
{
    int status = PINION_OK;
    processor->class_ = class_;
    processor->ctx = ctx;
    processor->alignment = CACHE_LINE;
    processor->isa = ctx->isa;
    processor->cores = 1;
    processor->kernel_kind = PINION__PROCESSOR_CPU;
    size_t length = strlen(name);
    PINION_FAIL_IF(length >= sizeof processor->name, PINION_EINVAL,
                   "processor '%s': its name has %zu bytes; expected fewer than %zu", name, length,
                   sizeof processor->name);
    memcpy(processor->name, name, length + 1);
fail:
    return status;
}

static void occupy(pinion__processor *processor, int cores)
{
    for (int core = 0; core < cores && core < 256; core++)
        processor->core_mask[core / 64] |= UINT64_C(1) << (core % 64);
}

int pinion__processor_create_cpu(pinion_context *ctx, int threads, pinion__processor **out)
{
    int status = PINION_OK;
    pinion__processor *processor = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *processor, "a processor", &processor));
    PINION_TRY(pinion__processor_init(ctx, processor, &cpu_class, "cpu"));
    processor->cores = pinion__cpu_cores();
    occupy(processor, processor->cores);
    pinion__cpu_name(processor->description, sizeof processor->description);
    PINION_TRY(pinion__workers_create(ctx, threads, &processor->workers));
    *out = processor;
    return PINION_OK;
fail:
    if (processor)
        destroy(processor);
    return status;
}

void pinion__processor_destroy(pinion__processor *processor)
{
    if (processor)
        processor->class_->destroy(processor);
}
