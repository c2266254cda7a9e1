/* SPDX-License-Identifier: Apache-2.0
 *
 * A domain for tests: each block is there twice, for the host and for the device, and only hand-overs exchange bytes.
 * What a side does not hold is poison on it (bytes of ones: not a number), so that a hand-over that is missing is seen
 * in the results; one that is there but not allowed ends the program with a sentence.
 */
#include "device/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POISON = 0xff, ALIGNMENT = 256 };

typedef struct held {
    size_t offset, bytes;
    enum pinion__holder holder;
} held;

typedef struct block {
    pinion__memory memory; /* first */
    unsigned char *device; /* where the device finds the block's bytes while it holds them */
    pthread_mutex_t lock;  /* guards the spans */
    held *spans;
    size_t count, capacity;
} block;

static const char *const names[PINION__HOLDERS] = {"the host", "the device", "both"};

_Noreturn static void refuse(const char *what, const held *of, enum pinion__holder from, enum pinion__holder to)
{
    fprintf(stderr, "simulated domain: hand-over of %zu bytes at %zu from %s to %s: %s\n", of->bytes, of->offset,
            names[from], names[to], what);
    abort();
}

static bool is_poison(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != POISON)
            return false;
    return true;
}

/* What can be seen of a use without holding: the bytes that the other side held are no poison, or no longer the same.
 */
static void check_untouched(const block *self, const held *of, enum pinion__holder from, enum pinion__holder to)
{
    const unsigned char *host = self->memory.host + of->offset, *device = self->device + of->offset;
    if (from == PINION__HELD_BY_HOST && !is_poison(device, of->bytes))
        refuse("the device has written to it while the host held it", of, from, to);
    if (from == PINION__HELD_BY_DEVICE && !is_poison(host, of->bytes))
        refuse("the host has written to it while the device held it", of, from, to);
    if (from == PINION__HELD_BY_BOTH && memcmp(host, device, of->bytes) != 0)
        refuse("it was written to while both held it", of, from, to);
}

static void exchange(block *self, const held *of, enum pinion__holder from, enum pinion__holder to, bool contents)
{
    unsigned char *host = self->memory.host + of->offset, *device = self->device + of->offset;
    if (contents)
        check_untouched(self, of, from, to);
    if (contents && from == PINION__HELD_BY_HOST)
        memcpy(device, host, of->bytes);
    if (contents && from == PINION__HELD_BY_DEVICE)
        memcpy(host, device, of->bytes);
    if (contents && from != PINION__HELD_BY_BOTH && self->memory.domain->copies)
        atomic_fetch_add(&self->memory.domain->copied_bytes, of->bytes);
    if (to == PINION__HELD_BY_HOST || !contents)
        memset(device, POISON, of->bytes);
    if (to == PINION__HELD_BY_DEVICE || (!contents && from != PINION__HELD_BY_HOST))
        memset(host, POISON, of->bytes);
}

static void hand_over(pinion__memory *memory, pinion__processor *by, const pinion__span *span, size_t bytes,
                      enum pinion__holder from, enum pinion__holder to, bool contents)
{
    block *self = (block *)(void *)memory;
    const held passed = {.offset = (size_t)((unsigned char *)span->object - self->device), .bytes = bytes};
    if (by->domain != memory->domain)
        refuse("the processor that does it works in another domain", &passed, from, to);
    pthread_mutex_lock(&self->lock);
    held *found = NULL;
    for (size_t i = 0; i < self->count; i++)
        if (self->spans[i].offset == passed.offset && self->spans[i].bytes == bytes)
            found = &self->spans[i];
    if (!found || span->offset != 0)
        refuse("there is no such span", &passed, from, to);
    if (found->holder != from)
        refuse(found->holder == PINION__HELD_BY_HOST     ? "the host holds it"
               : found->holder == PINION__HELD_BY_DEVICE ? "the device holds it"
                                                         : "both hold it",
               found, from, to);
    exchange(self, found, from, to, contents);
    found->holder = to;
    pthread_mutex_unlock(&self->lock);
}

static void copy(pinion__processor *by, const pinion__span *from, const pinion__span *to, size_t bytes)
{
    (void)by;
    memmove((unsigned char *)to->object + to->offset, (const unsigned char *)from->object + from->offset, bytes);
}

static int add_span(block *self, size_t offset, size_t bytes)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    held *wider = NULL;
    for (size_t i = 0; i < self->count; i++)
        if (self->spans[i].offset == offset && self->spans[i].bytes == bytes)
            goto fail;
    if (self->count == self->capacity) {
        PINION_TRY(pinion__alloc(ctx, self->capacity * 2 + 64, sizeof *wider, "spans", &wider));
        if (self->count > 0)
            memcpy(wider, self->spans, self->count * sizeof *wider);
        pinion__release(ctx, self->spans);
        self->spans = wider;
        self->capacity = self->capacity * 2 + 64;
    }
    self->spans[self->count++] = (held){.offset = offset, .bytes = bytes, .holder = PINION__HELD_BY_HOST};
fail:
    return status;
}

static int new_span(pinion__memory *memory, size_t offset, size_t bytes, pinion__span *out)
{
    block *self = (block *)(void *)memory;
    pinion_context *ctx = memory->domain->ctx;
    int status = PINION_OK;
    PINION_FAIL_IF(bytes == 0 || offset % ALIGNMENT != 0 || bytes > memory->bytes || offset > memory->bytes - bytes,
                   PINION_EINVAL, "a span of %zu bytes at %zu: expected some within %zu at a multiple of %d", bytes,
                   offset, memory->bytes, ALIGNMENT);
    pthread_mutex_lock(&self->lock);
    status = add_span(self, offset, bytes);
    pthread_mutex_unlock(&self->lock);
    if (status == PINION_OK)
        *out = (pinion__span){.object = self->device + offset};
fail:
    return status;
}

static void destroy(pinion__memory *memory)
{
    block *self = (block *)(void *)memory;
    pinion_context *ctx = memory->domain->ctx;
    pthread_mutex_destroy(&self->lock);
    pinion__release(ctx, self->spans);
    pinion__release(ctx, memory->host);
    pinion__release(ctx, self->device);
    pinion__release(ctx, self);
}

static int create(pinion__domain *domain, size_t bytes, pinion__memory **out)
{
    pinion_context *ctx = domain->ctx;
    int status = PINION_OK;
    block *self = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *self, "simulated memory", &self));
    pthread_mutex_init(&self->lock, NULL);
    self->memory.domain = domain;
    self->memory.bytes = bytes;
    PINION_TRY(pinion__alloc_aligned(ctx, bytes, ALIGNMENT, "simulated memory", &self->memory.host));
    PINION_TRY(pinion__alloc_aligned(ctx, bytes, ALIGNMENT, "simulated memory", &self->device));
    memset(self->memory.host, 0, bytes);
    memset(self->device, POISON, bytes);
    *out = &self->memory;
    return PINION_OK;
fail:
    if (self)
        destroy(&self->memory);
    return status;
}

static const pinion__domain_class simulated_class = {
    .create = create, .destroy = destroy, .span = new_span, .hand_over = hand_over, .copy = copy};

int pinion__domain_create_simulated(pinion_context *ctx, bool copies, pinion__domain **out)
{
    int status = PINION_OK;
    pinion__domain *domain = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *domain, "a simulated domain", &domain));
    domain->class_ = &simulated_class;
    domain->ctx = ctx;
    memcpy(domain->name, "simulated", sizeof "simulated");
    domain->copies = copies;
    domain->host_addressed = true;
    domain->alignment = ALIGNMENT;
    *out = domain;
fail:
    return status;
}

void pinion__domain_destroy_simulated(pinion__domain *domain)
{
    if (domain)
        pinion__release(domain->ctx, domain);
}
