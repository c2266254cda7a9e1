/* SPDX-License-Identifier: Apache-2.0
 *
 * The host CPU, or some of its cores, as one processor: a fixed set of workers, kernels built for the context's
 * instruction set. On chosen cores the workers are made by a thread that is bound to them, and stay there; the thread
 * that calls run, which works with them, is bound while it runs.
 */
#include "base/cpu.h"
#include "device/cores.h"
#include "device/processor.h"

#include <string.h>

enum { CACHE_LINE = 64 };

typedef struct cpu {
    pinion__processor processor; /* first */
    cpu_set_t units;             /* of the chosen cores */
} cpu;

static int run_bound(pinion__processor *processor, pinion__body *body, const void *args)
{
    const cpu *self = (const cpu *)(void *)processor;
    cpu_set_t before;
    pinion__thread_bind(&self->units, &before);
    body(args);
    pinion__thread_restore(&before);
    return PINION_OK;
}

static int run(pinion__processor *processor, pinion__body *body, const void *args)
{
    (void)processor;
    body(args);
    return PINION_OK;
}

static void destroy(pinion__processor *processor)
{
    pinion__workers_destroy(processor->workers);
    pinion__release(processor->ctx, processor);
}

static const pinion__processor_class cpu_class = {.kind = "cpu", .run = run, .destroy = destroy};
static const pinion__processor_class bound_class = {.kind = "cpu", .run = run_bound, .destroy = destroy};

void pinion__processor_enter(const pinion__processor *processor, cpu_set_t *before)
{
    CPU_ZERO(before);
    if (processor->class_ == &bound_class)
        pinion__thread_bind(&((const cpu *)(const void *)processor)->units, before);
}

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

int pinion__processor_create_cpu(pinion_context *ctx, int threads, pinion__processor **out)
{
    int status = PINION_OK;
    pinion__processor *processor = NULL;
    pinion__cores cores;
    PINION_TRY(pinion__cores_find(ctx, &cores));
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *processor, "a processor", &processor));
    PINION_TRY(pinion__processor_init(ctx, processor, &cpu_class, "cpu"));
    processor->cores = cores.count;
    for (int i = 0; i < cores.count; i++)
        for (int word = 0; word < 4; word++)
            processor->core_mask[word] |= cores.at[i].mask[word];
    pinion__cpu_name(processor->description, sizeof processor->description);
    PINION_TRY(pinion__workers_create(ctx, threads, &processor->workers));
    *out = processor;
    return PINION_OK;
fail:
    if (processor)
        destroy(processor);
    return status;
}

static int create_workers(cpu *self)
{
    pinion_context *ctx = self->processor.ctx;
    int status = PINION_OK;
    cpu_set_t before;
    bool bound = pinion__thread_bind(&self->units, &before);
    PINION_FAIL_IF(!bound, PINION_EUNSUPPORTED, "processor '%s': its threads cannot be bound to its cores",
                   self->processor.name);
    status = pinion__workers_create(ctx, self->processor.cores, &self->processor.workers);
    pinion__thread_restore(&before);
fail:
    return status;
}

int pinion__processor_create_cpu_on(pinion_context *ctx, const char *name, const pinion__core *const *cores, int count,
                                    pinion__processor **out)
{
    int status = PINION_OK;
    cpu *self = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *self, "a processor", &self));
    PINION_TRY(pinion__processor_init(ctx, &self->processor, &bound_class, name));
    self->processor.cores = count;
    CPU_ZERO(&self->units);
    for (int i = 0; i < count; i++) {
        CPU_SET((size_t)cores[i]->unit, &self->units);
        for (int word = 0; word < 4; word++)
            self->processor.core_mask[word] |= cores[i]->mask[word];
    }
    pinion__cpu_name(self->processor.description, sizeof self->processor.description);
    PINION_TRY(create_workers(self));
    *out = &self->processor;
    return PINION_OK;
fail:
    if (self)
        destroy(&self->processor);
    return status;
}

void pinion__processor_destroy(pinion__processor *processor)
{
    if (processor)
        processor->class_->destroy(processor);
}
