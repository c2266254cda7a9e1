/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks that an OpenCL domain shares with the host.
 *
 * Devices in the host's memory: one buffer that the driver allocates (CL_MEM_ALLOC_HOST_PTR; on Mali the only kind that
 * is never copied). The bytes that the host holds are mapped, always and all of them; those that a device holds are
 * not. What is mapped and unmapped are sub-buffers that do not overlap: maps for writing must not, and maintaining the
 * cache for the whole buffer would cost as much as a copy. A span that comes back is mapped as one sub-buffer, but cut
 * where other spans begin or end that the host holds too, so that each can leave without the other's bytes being
 * unmapped under the host's hands. The host finds a byte at the same address each time; a driver that moves mappings is
 * treated like a device with memory of its own.
 *
 * Devices with memory of their own: a buffer there and a block here; hand-overs with contents copy.
 */
#include "device/opencl.h"

/* A sub-buffer: a span, what is mapped, or both. */
typedef struct piece {
    size_t offset, bytes;
    cl_mem object;
    bool is_span, mapped;
    enum pinion__holder holder; /* of a span */
} piece;

typedef struct block {
    pinion__memory memory; /* first */
    const pinion__opencl_domain *domain;
    cl_mem buffer;
    pthread_mutex_t lock; /* guards the pieces: processors hand over at the same time */
    piece *pieces;
    size_t count, capacity;
} block;

static size_t end_of(const piece *of)
{
    return of->offset + of->bytes;
}

static bool overlaps(const piece *of, size_t offset, size_t bytes)
{
    return of->offset < offset + bytes && offset < end_of(of);
}

static int check(pinion_context *ctx, cl_int error, const char *call, size_t bytes)
{
    int status = PINION_OK;
    bool memory = error == CL_MEM_OBJECT_ALLOCATION_FAILURE || error == CL_OUT_OF_HOST_MEMORY;
    PINION_FAIL_IF(memory, PINION_ENOMEM, "out of memory: %zu bytes for OpenCL (%s: %s)", bytes, call,
                   pinion__opencl_error_name(error));
    PINION_FAIL_IF(error != CL_SUCCESS, PINION_EDEVICE, "OpenCL memory of %zu bytes: %s: %s (%d)", bytes, call,
                   pinion__opencl_error_name(error), (int)error);
fail:
    return status;
}

static int make_room(block *self)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    piece *wider = NULL;
    if (self->count < self->capacity)
        goto fail;
    size_t capacity = self->capacity * 2 + 64;
    PINION_TRY(pinion__alloc(ctx, capacity, sizeof *wider, "OpenCL memory", &wider));
    if (self->count > 0)
        memcpy(wider, self->pieces, self->count * sizeof *wider);
    pinion__release(ctx, self->pieces);
    self->pieces = wider;
    self->capacity = capacity;
fail:
    return status;
}

/* The sub-buffer of these bytes, made where there is none. Pointers to pieces last until the next call. */
static int get_piece(block *self, size_t offset, size_t bytes, piece **out)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    for (size_t i = 0; i < self->count; i++)
        if (self->pieces[i].offset == offset && self->pieces[i].bytes == bytes) {
            *out = &self->pieces[i];
            goto fail;
        }
    PINION_TRY(make_room(self));
    const cl_buffer_region region = {.origin = offset, .size = bytes};
    cl_int error = CL_SUCCESS;
    cl_mem object = self->domain->cl->clCreateSubBuffer(self->buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    PINION_TRY(check(ctx, error, "clCreateSubBuffer", bytes));
    *out = &self->pieces[self->count++];
    **out = (piece){.offset = offset, .bytes = bytes, .object = object};
fail:
    return status;
}

/* Where commands go: a processor's queue, without waiting; NULL: the domain's, and to their end. */
static cl_command_queue queue_of(const block *self, pinion__opencl_processor *by)
{
    return by ? by->queue : self->domain->queue;
}

static int map(block *self, pinion__opencl_processor *by, piece *at, cl_map_flags flags)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    cl_int error = CL_SUCCESS;
    unsigned char *address =
        self->domain->cl->clEnqueueMapBuffer(queue_of(self, by), at->object, by ? CL_FALSE : CL_TRUE, flags, 0,
                                             at->bytes, 0, NULL, by ? pinion__opencl_event(by) : NULL, &error);
    PINION_TRY(check(ctx, error, "clEnqueueMapBuffer", at->bytes));
    at->mapped = true;
    if (!self->memory.host) /* the first: the whole block */
        self->memory.host = address;
    PINION_FAIL_IF(address != self->memory.host + at->offset, PINION_EDEVICE,
                   "OpenCL memory: the driver mapped %zu bytes at another address than before", at->bytes);
fail:
    return status;
}

static int unmap(block *self, pinion__opencl_processor *by, piece *at)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    cl_int error = self->domain->cl->clEnqueueUnmapMemObject(
        queue_of(self, by), at->object, self->memory.host + at->offset, 0, NULL, by ? pinion__opencl_event(by) : NULL);
    PINION_TRY(check(ctx, error, "clEnqueueUnmapMemObject", at->bytes));
    at->mapped = false;
fail:
    return status;
}

/* The end of what can be mapped from `at` on as one: up to what is mapped, or to where a span that the host holds
 * begins or ends. `at` itself is not mapped. */
static size_t find_end(const block *self, size_t at, size_t end, const piece *span)
{
    for (size_t i = 0; i < self->count; i++) {
        const piece *other = &self->pieces[i];
        bool bounds = other->is_span && other != span && other->holder != PINION__HELD_BY_DEVICE;
        if ((other->mapped || bounds) && other->offset > at && other->offset < end)
            end = other->offset;
        if (bounds && end_of(other) > at && end_of(other) < end)
            end = end_of(other);
    }
    return end;
}

/* Maps those of the bytes that are not. `span`: whose bounds do not count; NULL: all do. */
static int map_range(block *self, pinion__opencl_processor *by, size_t offset, size_t bytes, const piece *span,
                     cl_map_flags flags)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    size_t index = span ? (size_t)(span - self->pieces) : SIZE_MAX;
    for (size_t at = offset, end = offset + bytes; at < end;) {
        size_t next = at;
        for (size_t i = 0; i < self->count && next == at; i++)
            if (self->pieces[i].mapped && overlaps(&self->pieces[i], at, 1))
                next = end_of(&self->pieces[i]);
        if (next == at) {
            next = find_end(self, at, end, index < self->count ? &self->pieces[index] : NULL);
            piece *part;
            PINION_TRY(get_piece(self, at, next - at, &part));
            PINION_TRY(map(self, by, part, flags));
        }
        at = next;
    }
fail:
    return status;
}

/* Unmaps all that is mapped of these bytes. What sticks out of them is mapped again; that happens when spans are new,
 * while nobody works, but not between spans that come and go (see above). */
static int unmap_range(block *self, pinion__opencl_processor *by, size_t offset, size_t bytes)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    const cl_map_flags both = CL_MAP_READ | CL_MAP_WRITE;
    for (size_t i = 0; i < self->count; i++) {
        if (!self->pieces[i].mapped || !overlaps(&self->pieces[i], offset, bytes))
            continue;
        size_t first = self->pieces[i].offset, end = end_of(&self->pieces[i]);
        PINION_TRY(unmap(self, by, &self->pieces[i]));
        if (first < offset)
            PINION_TRY(map_range(self, by, first, offset - first, NULL, both));
        if (end > offset + bytes)
            PINION_TRY(map_range(self, by, offset + bytes, end - offset - bytes, NULL, both));
    }
fail:
    return status;
}

static int pass_mapped(block *self, pinion__opencl_processor *by, const pinion__hand_over_args *of)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    piece *span = NULL;
    for (size_t i = 0; i < self->count && !span; i++)
        if (self->pieces[i].is_span && self->pieces[i].object == of->span.object)
            span = &self->pieces[i];
    PINION_FAIL_IF(!span, PINION_EDEVICE, "OpenCL memory: a hand-over of what is no span");
    size_t offset = span->offset, bytes = span->bytes;
    span->holder = of->to;
    if (of->from != PINION__HELD_BY_DEVICE)
        PINION_TRY(unmap_range(self, by, offset, bytes));
    cl_map_flags flags = of->contents ? CL_MAP_READ | CL_MAP_WRITE : CL_MAP_WRITE_INVALIDATE_REGION;
    if (of->to == PINION__HELD_BY_BOTH)
        flags = CL_MAP_READ;
    if (of->to != PINION__HELD_BY_DEVICE)
        PINION_TRY(map_range(self, by, offset, bytes, span, flags));
fail:
    return status;
}

static int pass_copied(block *self, pinion__opencl_processor *by, const pinion__hand_over_args *of)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    size_t offset = 0;
    for (size_t i = 0; i < self->count; i++)
        if (self->pieces[i].object == of->span.object)
            offset = self->pieces[i].offset;
    if (!of->contents || of->from == PINION__HELD_BY_BOTH)
        goto fail;
    atomic_fetch_add(&self->memory.domain->copied_bytes, of->bytes);
    if (of->from == PINION__HELD_BY_HOST)
        PINION_TRY(check(ctx,
                         by->cl->clEnqueueWriteBuffer(by->queue, of->span.object, CL_FALSE, 0, of->bytes,
                                                      self->memory.host + offset, 0, NULL, pinion__opencl_event(by)),
                         "clEnqueueWriteBuffer", of->bytes));
    else
        PINION_TRY(check(ctx,
                         by->cl->clEnqueueReadBuffer(by->queue, of->span.object, CL_FALSE, 0, of->bytes,
                                                     self->memory.host + offset, 0, NULL, pinion__opencl_event(by)),
                         "clEnqueueReadBuffer", of->bytes));
fail:
    return status;
}

static void hand_over(pinion__memory *memory, pinion__processor *by, const pinion__span *span, size_t bytes,
                      enum pinion__holder from, enum pinion__holder to, bool contents)
{
    block *self = (block *)(void *)memory;
    const pinion__hand_over_args of = {
        .memory = memory, .by = by, .span = *span, .bytes = bytes, .from = from, .to = to, .contents = contents};
    if (atomic_load(&by->failure))
        return;
    pthread_mutex_lock(&self->lock);
    int status = (memory->domain->copies ? pass_copied : pass_mapped)(self, pinion__opencl_processor_of(by), &of);
    pthread_mutex_unlock(&self->lock);
    if (status < 0)
        pinion__opencl_fail(pinion__opencl_processor_of(by), status);
}

static void copy(pinion__processor *by, const pinion__span *from, const pinion__span *to, size_t bytes)
{
    pinion__opencl_processor *self = pinion__opencl_processor_of(by);
    if (!atomic_load(&by->failure))
        pinion__opencl_done(self,
                            self->cl->clEnqueueCopyBuffer(self->queue, from->object, to->object, from->offset,
                                                          to->offset, bytes, 0, NULL, pinion__opencl_event(self)),
                            "clEnqueueCopyBuffer");
}

static int new_span(pinion__memory *memory, size_t offset, size_t bytes, pinion__span *out)
{
    block *self = (block *)(void *)memory;
    pinion_context *ctx = memory->domain->ctx;
    int status = PINION_OK;
    piece *span = NULL;
    PINION_FAIL_IF(bytes == 0 || offset % memory->domain->alignment != 0 || bytes > memory->bytes ||
                       offset > memory->bytes - bytes,
                   PINION_EINVAL, "a span of %zu bytes at %zu: expected some within %zu at a multiple of %zu", bytes,
                   offset, memory->bytes, memory->domain->alignment);
    /* To the next multiple of the alignment: nothing else begins before it, and what does can be mapped by itself. */
    const size_t step = memory->domain->alignment, whole = (bytes + step - 1) / step * step;
    pthread_mutex_lock(&self->lock);
    status = get_piece(self, offset, whole < memory->bytes - offset ? whole : memory->bytes - offset, &span);
    if (status == PINION_OK && !span->is_span) {
        span->is_span = true;
        span->holder = PINION__HELD_BY_HOST;
    }
    if (status == PINION_OK)
        *out = (pinion__span){.object = span->object};
    pthread_mutex_unlock(&self->lock);
fail:
    return status;
}

static void destroy(pinion__memory *memory)
{
    block *self = (block *)(void *)memory;
    const pinion__opencl_api *cl = self->domain->cl;
    for (size_t i = 0; i < self->count; i++)
        if (self->pieces[i].mapped)
            cl->clEnqueueUnmapMemObject(self->domain->queue, self->pieces[i].object,
                                        memory->host + self->pieces[i].offset, 0, NULL, NULL);
    cl->clFinish(self->domain->queue);
    for (size_t i = 0; i < self->count; i++)
        cl->clReleaseMemObject(self->pieces[i].object);
    if (self->buffer)
        cl->clReleaseMemObject(self->buffer);
    if (memory->domain->copies)
        pinion__release(memory->domain->ctx, memory->host);
    pinion__release(memory->domain->ctx, self->pieces);
    pthread_mutex_destroy(&self->lock);
    pinion__release(memory->domain->ctx, self);
}

static int make_block(block *self, size_t bytes)
{
    pinion_context *ctx = self->memory.domain->ctx;
    int status = PINION_OK;
    cl_int error = CL_SUCCESS;
    const bool copies = self->memory.domain->copies;
    self->buffer = self->domain->cl->clCreateBuffer(
        self->domain->context, CL_MEM_READ_WRITE | (copies ? 0 : (cl_mem_flags)CL_MEM_ALLOC_HOST_PTR), bytes, NULL,
        &error);
    PINION_TRY(check(ctx, error, "clCreateBuffer", bytes));
    if (copies) {
        PINION_TRY(
            pinion__alloc_aligned(ctx, bytes, self->memory.domain->alignment, "memory for OpenCL", &self->memory.host));
    } else {
        piece *whole;
        PINION_TRY(get_piece(self, 0, bytes, &whole));
        PINION_TRY(map(self, NULL, whole, CL_MAP_READ | CL_MAP_WRITE));
    }
    memset(self->memory.host, 0, bytes);
fail:
    return status;
}

static int create(pinion__domain *domain, size_t bytes, pinion__memory **out)
{
    pinion_context *ctx = domain->ctx;
    int status = PINION_OK;
    block *self = NULL;
    const pinion__opencl_domain *opencl = (const pinion__opencl_domain *)(void *)domain;
    PINION_FAIL_IF(bytes > opencl->most_bytes, PINION_ENOMEM,
                   "out of memory: a block of %zu bytes; the largest that the OpenCL devices take has %zu", bytes,
                   opencl->most_bytes);
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *self, "OpenCL memory", &self));
    pthread_mutex_init(&self->lock, NULL);
    self->memory.domain = domain;
    self->memory.bytes = bytes;
    self->domain = opencl;
    PINION_TRY(make_block(self, bytes));
    *out = &self->memory;
    return PINION_OK;
fail:
    if (self)
        destroy(&self->memory);
    return status;
}

const pinion__domain_class pinion__opencl_domain_class = {
    .create = create, .destroy = destroy, .span = new_span, .hand_over = hand_over, .copy = copy};

/* Two sub-buffers, one after the other and again: where are they seen? */
static int probe_block(pinion__domain *domain, bool *moves)
{
    pinion_context *ctx = domain->ctx;
    int status = PINION_OK;
    pinion__memory *memory = NULL;
    const size_t part = domain->alignment * 64;
    PINION_TRY(create(domain, 4 * part, &memory));
    block *self = (block *)(void *)memory;
    for (size_t i = 0; i < 4 && !*moves; i++) {
        PINION_TRY(unmap_range(self, NULL, 0, 4 * part));
        for (size_t at = 0; at < 4 * part && !*moves; at += part) {
            piece *mapped;
            PINION_TRY(get_piece(self, at, part, &mapped));
            *moves = map(self, NULL, mapped, CL_MAP_READ | CL_MAP_WRITE) < 0;
        }
    }
fail:
    pinion__memory_destroy(memory);
    return status;
}

int pinion__opencl_domain_probe(pinion__opencl_domain *domain)
{
    pinion_context *ctx = domain->domain.ctx;
    int status = PINION_OK;
    bool moves = false;
    PINION_TRY(probe_block(&domain->domain, &moves));
    if (moves)
        pinion__log(ctx, PINION_LOG_WARNING, "OpenCL: the driver maps memory at changing addresses: it is copied");
    domain->domain.copies = moves;
fail:
    return status;
}
