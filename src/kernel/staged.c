/* SPDX-License-Identifier: Apache-2.0
 *
 * A kernel's operands copied to a block of its processor's domain and back (staged.h). Runs of host bytes that overlap
 * are joined first; each then gets a span of its own.
 */
#include "kernel/staged.h"
#include <string.h>

enum { LINE = 64 };

/* Bytes of an element of an operand. */
static size_t element_bytes(const pinion__kernel *kernel, const pinion__args *args, int operand)
{
    const pinion__op *op = pinion__op_get(kernel->op);
    pinion__operand is = op->pass[kernel->pass].at[operand];
    pinion__saved_spec specs[PINION__MAX_SAVED];
    if (is.role == PINION__SQUARES)
        return sizeof(double);
    if (is.role != PINION__SAVED || !op->saved)
        return sizeof(float);
    const pinion__view *view = &args->operand[operand];
    const pinion_shape shape = {view->h, view->w, view->c}, inputs[PINION__MAX_INPUTS] = {shape, shape};
    int count = op->saved(args->attributes, inputs, &shape, specs);
    return is.index < count ? (size_t)specs[is.index].element_bytes : sizeof(float);
}

static size_t view_bytes(const pinion__view *view, size_t element)
{
    size_t pixels = pinion__view_pixels(view);
    return pixels > 0 ? ((pixels - 1) * (size_t)view->ld + (size_t)view->c) * element : 0;
}

/* Adds host bytes to the list, joined with all that they touch. */
static void add_bytes(pinion__staged *staged, unsigned char *begin, unsigned char *end)
{
    for (int i = 0; i < staged->count; i++) {
        pinion__staged_bytes *other = &staged->at[i];
        if (end < other->host || begin > other->host + other->bytes)
            continue;
        begin = other->host < begin ? other->host : begin;
        end = other->host + other->bytes > end ? other->host + other->bytes : end;
        *other = staged->at[--staged->count];
        i = -1; /* the joined run may touch those that were passed */
    }
    staged->at[staged->count++] = (pinion__staged_bytes){.host = begin, .bytes = (size_t)(end - begin)};
}

static void list_bytes(pinion__staged *staged, const pinion__kernel *kernel, const pinion__args *args, size_t margin)
{
    const pinion__operands *operands = &pinion__op_get(kernel->op)->pass[kernel->pass];
    size_t scratch = kernel->body->scratch_bytes ? kernel->body->scratch_bytes(args) : 0;
    for (int i = 0; i < operands->count; i++) {
        unsigned char *data = args->operand[i].data;
        size_t bytes = view_bytes(&args->operand[i], element_bytes(kernel, args, i));
        if (data && bytes > 0)
            add_bytes(staged, data - margin, data + bytes + margin);
    }
    if (scratch > 0)
        add_bytes(staged, (unsigned char *)args->scratch - margin, (unsigned char *)args->scratch + scratch + margin);
}

/* The block, and a span for each run of bytes. */
static int make_spans(pinion__staged *staged)
{
    pinion__domain *domain = staged->processor->domain;
    pinion_context *ctx = staged->processor->ctx;
    int status = PINION_OK;
    size_t alignment = domain->alignment > LINE ? domain->alignment : LINE, end = 0;
    for (int i = 0; i < staged->count; i++) {
        pinion__staged_bytes *run = &staged->at[i];
        run->lead = (uintptr_t)run->host % LINE;
        run->offset = end;
        end = (end + run->lead + run->bytes + alignment - 1) / alignment * alignment;
    }
    PINION_TRY(pinion__memory_create(domain, end > 0 ? end : alignment, &staged->memory));
    for (int i = 0; i < staged->count; i++) {
        pinion__staged_bytes *run = &staged->at[i];
        PINION_TRY(pinion__memory_span(staged->memory, run->offset, run->lead + run->bytes, &run->span));
    }
fail:
    return status;
}

static int pass_on(pinion__staged *staged, pinion__staged_bytes *run, bool to_device)
{
    const pinion__hand_over_args args = {.memory = staged->memory,
                                         .by = staged->processor,
                                         .span = run->span,
                                         .bytes = run->lead + run->bytes,
                                         .from = to_device ? PINION__HELD_BY_HOST : PINION__HELD_BY_DEVICE,
                                         .to = to_device ? PINION__HELD_BY_DEVICE : PINION__HELD_BY_HOST,
                                         .contents = true};
    int status = staged->processor->class_->run(staged->processor, pinion__hand_over, &args);
    if (status == PINION_OK)
        run->away = to_device;
    return status;
}

/* Where the processor finds these host bytes. */
static pinion__span place_of(const pinion__staged *staged, const void *host)
{
    const unsigned char *at = host;
    for (int i = 0; i < staged->count && at; i++) {
        const pinion__staged_bytes *run = &staged->at[i];
        if (at >= run->host && at < run->host + run->bytes)
            return (pinion__span){run->span.object, run->span.offset + run->lead + (size_t)(at - run->host)};
    }
    return (pinion__span){0};
}

static void *address_of(const pinion__span *place)
{
    return place->object ? (unsigned char *)place->object + place->offset : NULL;
}

static void bind(pinion__staged *staged, int operands)
{
    pinion__args *args = &staged->args;
    bool addressed = staged->processor->domain->host_addressed;
    args->processor = staged->processor;
    args->scratch_memory = place_of(staged, args->scratch);
    for (int i = 0; i < operands; i++) {
        args->memory[i] = place_of(staged, args->operand[i].data);
        if (addressed)
            args->operand[i].data = address_of(&args->memory[i]);
    }
    args->scratch = addressed ? address_of(&args->scratch_memory) : NULL;
}

int pinion__staged_begin(pinion__staged *staged, pinion__processor *processor, const pinion__kernel *kernel,
                         const pinion__args *args, size_t margin)
{
    pinion_context *ctx = processor->ctx;
    int status = PINION_OK;
    *staged = (pinion__staged){.processor = processor, .body = kernel->body, .args = *args};
    if (!processor->domain)
        return PINION_OK;
    list_bytes(staged, kernel, args, margin);
    PINION_TRY(make_spans(staged));
    bind(staged, pinion__op_get(kernel->op)->pass[kernel->pass].count);
    for (int i = 0; i < staged->count; i++) {
        pinion__staged_bytes *run = &staged->at[i];
        memcpy(staged->memory->host + run->offset + run->lead, run->host, run->bytes);
        PINION_TRY(pass_on(staged, run, true));
    }
fail:
    return status;
}

static void run_body(const void *argument)
{
    const pinion__staged *staged = argument;
    staged->body->run(&staged->args);
}

int pinion__staged_run(pinion__staged *staged)
{
    return staged->processor->class_->run(staged->processor, run_body, staged);
}

int pinion__staged_end(pinion__staged *staged, bool copy)
{
    int status = PINION_OK;
    for (int i = 0; i < staged->count; i++) {
        pinion__staged_bytes *run = &staged->at[i];
        int own = run->away ? pass_on(staged, run, false) : PINION_OK;
        status = status < 0 ? status : own;
        if (copy && staged->memory && !run->away)
            memcpy(run->host, staged->memory->host + run->offset + run->lead, run->bytes);
    }
    pinion__memory_destroy(staged->memory);
    *staged = (pinion__staged){0};
    return status;
}

int pinion__staged_once(pinion__processor *processor, const pinion__kernel *kernel, const pinion__args *args,
                        size_t margin)
{
    pinion__staged staged;
    int status = pinion__staged_begin(&staged, processor, kernel, args, margin);
    if (status == PINION_OK)
        status = pinion__staged_run(&staged);
    int end = pinion__staged_end(&staged, status == PINION_OK);
    return status < 0 ? status : end;
}
