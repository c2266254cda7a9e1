/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory through the context's allocator. A header in front of each block keeps its size, so that live bytes can be
 * counted; it is as large as the alignment, so that the block stays aligned.
 */
#include "base/context.h"

#include <stdalign.h>
#include <string.h>

typedef struct header {
    size_t bytes;
    size_t offset; /* from the start of what the allocator gave to the block */
} header;

enum { MIN_ALIGNMENT = 16 };

/* A block, or NULL after recording the failure. */
static void *allocate(pinion_context *ctx, size_t bytes, size_t alignment, const char *what)
{
    if (alignment < MIN_ALIGNMENT)
        alignment = MIN_ALIGNMENT;
    atomic_fetch_add(&ctx->allocations, 1);
    unsigned char *raw = NULL;
    if (bytes <= SIZE_MAX - alignment)
        raw = ctx->options.alloc(ctx->options.alloc_user, bytes + alignment, alignment);
    if (!raw) {
        pinion__fail(ctx, __FILE__, __LINE__, PINION_ENOMEM, "out of memory: %zu bytes for %s", bytes, what);
        return NULL;
    }
    unsigned char *block = raw + alignment;
    header *head = (header *)(void *)(block - sizeof(header));
    head->bytes = bytes;
    head->offset = alignment;
    atomic_fetch_add(&ctx->live_bytes, bytes);
    return block;
}

static void *allocate_array(pinion_context *ctx, size_t count, size_t size, const char *what)
{
    if (!size || count <= SIZE_MAX / size)
        return allocate(ctx, count * size, alignof(max_align_t), what);
    pinion__fail(ctx, __FILE__, __LINE__, PINION_ENOMEM, "out of memory: %zu x %zu bytes for %s", count, size, what);
    return NULL;
}

/* The result of the functions below: *out (some T **) is written only when there is a block. */
static int hand_out(void *block, void *out)
{
    if (!block)
        return PINION_ENOMEM;
    memcpy(out, &block, sizeof block);
    return PINION_OK;
}

int pinion__alloc_aligned(pinion_context *ctx, size_t bytes, size_t alignment, const char *what, void *out)
{
    return hand_out(allocate(ctx, bytes, alignment, what), out);
}

int pinion__alloc(pinion_context *ctx, size_t count, size_t size, const char *what, void *out)
{
    return hand_out(allocate_array(ctx, count, size, what), out);
}

int pinion__alloc_zeroed(pinion_context *ctx, size_t count, size_t size, const char *what, void *out)
{
    void *block = allocate_array(ctx, count, size, what);
    if (block)
        memset(block, 0, count * size);
    return hand_out(block, out);
}

void pinion__release(pinion_context *ctx, void *block)
{
    if (!block)
        return;
    unsigned char *bytes = block;
    const header *head = (const header *)(const void *)(bytes - sizeof(header));
    atomic_fetch_sub(&ctx->live_bytes, head->bytes);
    ctx->options.release(ctx->options.alloc_user, bytes - head->offset);
}

int pinion__grow(pinion_context *ctx, void *array, size_t *capacity, size_t want, size_t size, const char *what)
{
    if (want <= *capacity)
        return PINION_OK;
    size_t larger = *capacity ? *capacity : 8;
    while (larger < want && larger <= SIZE_MAX / 2)
        larger *= 2;

    void *fresh = allocate_array(ctx, larger, size, what), *old;
    if (!fresh)
        return PINION_ENOMEM;
    memcpy(&old, array, sizeof old);
    if (old)
        memcpy(fresh, old, *capacity * size);
    *capacity = larger;
    pinion__release(ctx, old);
    return hand_out(fresh, array);
}

int pinion__copy_string(pinion_context *ctx, const char *text, char **out)
{
    size_t bytes = strlen(text) + 1;
    char *copy = allocate(ctx, bytes, alignof(max_align_t), "a string");
    if (!copy)
        return PINION_ENOMEM;
    memcpy(copy, text, bytes);
    *out = copy;
    return PINION_OK;
}
