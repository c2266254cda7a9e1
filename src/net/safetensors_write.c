/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing safetensors piece by piece: once through all tensors for the checksums, which stand in the header, and once
 * to write them.
 */
#include "net/safetensors.h"
#include "net/sha256.h"
#include "net/text.h"
#include <stdio.h>

enum { PIECE = 1 << 16, ALIGNMENT = 8 };

static int add_pair(pinion__text *text, const char *key, const char *value)
{
    int status = PINION_OK;
    pinion_context *ctx = text->ctx;
    PINION_TRY(pinion__text_add_json(text, key));
    PINION_TRY(pinion__text_add(text, ": "));
    PINION_TRY(pinion__text_add_json(text, value));
fail:
    return status;
}

static uint64_t tensor_bytes(const pinion__st_tensor *tensor)
{
    uint64_t bytes = pinion__dtype_bytes(tensor->dtype);
    for (int i = 0; i < tensor->rank; i++)
        bytes *= (uint64_t)tensor->shape[i];
    return bytes;
}

static int add_tensor(pinion__text *text, const pinion__st_tensor *tensor, uint64_t offset)
{
    int status = PINION_OK;
    pinion_context *ctx = text->ctx;
    PINION_TRY(pinion__text_add(text, ",\n"));
    PINION_TRY(pinion__text_add_json(text, tensor->name));
    PINION_TRY(pinion__text_add(text, ": {\"dtype\": \"%s\", \"shape\": [", pinion__dtype_name(tensor->dtype)));
    for (int i = 0; i < tensor->rank; i++)
        PINION_TRY(pinion__text_add(text, "%s%lld", i ? ", " : "", (long long)tensor->shape[i]));
    PINION_TRY(pinion__text_add(text, "], \"data_offsets\": [%llu, %llu]}", (unsigned long long)offset,
                                (unsigned long long)(offset + tensor_bytes(tensor))));
fail:
    return status;
}

/* Checksums of the data section and of each group. */
typedef struct sums {
    char all[65], group[PINION_MAX_GROUPS][65];
    int groups; /* up to the last that a tensor belongs to */
} sums;

static int add_sums(pinion__text *text, const sums *from)
{
    int status = PINION_OK;
    pinion_context *ctx = text->ctx;
    PINION_TRY(add_pair(text, "pinion.sha256", from->all));
    for (int j = 0; j < from->groups; j++) {
        char key[32];
        snprintf(key, sizeof key, "pinion.sha256.g%d", j + 1);
        PINION_TRY(pinion__text_add(text, ", "));
        PINION_TRY(add_pair(text, key, from->group[j]));
    }
fail:
    return status;
}

static int build_header(pinion__text *text, const pinion__st_tensor *tensors, size_t count,
                        const pinion__st_pair *metadata, size_t metadata_count, const sums *checksums)
{
    int status = PINION_OK;
    pinion_context *ctx = text->ctx;
    uint64_t offset = 0;
    PINION_TRY(pinion__text_add(text, "{\"__metadata__\": {"));
    for (size_t i = 0; i < metadata_count; i++) {
        PINION_TRY(add_pair(text, metadata[i].key, metadata[i].value));
        PINION_TRY(pinion__text_add(text, ", "));
    }
    PINION_TRY(add_sums(text, checksums));
    PINION_TRY(pinion__text_add(text, "}"));
    for (size_t i = 0; i < count; i++) {
        PINION_TRY(add_tensor(text, &tensors[i], offset));
        offset += tensor_bytes(&tensors[i]);
    }
    PINION_TRY(pinion__text_add(text, "}"));
    while (text->length % ALIGNMENT)
        PINION_TRY(pinion__text_add(text, " "));
fail:
    return status;
}

/* What is done with the pieces of all tensors, in order: exactly one of the two. */
typedef struct sink {
    pinion__sha256 *sha; /* of all, behind it of the groups */
    pinion__writer *writer;
} sink;

static int walk(pinion_context *ctx, const pinion__st_tensor *tensors, size_t count, pinion__st_fill fill, void *user,
                void *buffer, sink to)
{
    int status = PINION_OK;
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = tensor_bytes(&tensors[i]);
        for (uint64_t offset = 0; offset < bytes; offset += PIECE) {
            size_t piece = bytes - offset < PIECE ? (size_t)(bytes - offset) : PIECE;
            PINION_TRY(fill(user, i, offset, buffer, piece));
            if (to.writer)
                PINION_TRY(pinion__writer_write(to.writer, buffer, piece));
            else
                pinion__sha256_add(to.sha, buffer, piece);
            if (!to.writer && tensors[i].group)
                pinion__sha256_add(to.sha + tensors[i].group, buffer, piece);
        }
    }
fail:
    return status;
}

static int sum_up(pinion_context *ctx, const pinion__st_tensor *tensors, size_t count, pinion__st_fill fill, void *user,
                  void *buffer, sums *out)
{
    int status = PINION_OK;
    pinion__sha256 sha[1 + PINION_MAX_GROUPS];
    for (int i = 0; i <= PINION_MAX_GROUPS; i++)
        pinion__sha256_init(&sha[i]);
    PINION_TRY(walk(ctx, tensors, count, fill, user, buffer, (sink){.sha = sha}));
    pinion__sha256_hex(&sha[0], out->all);
    out->groups = 0;
    for (size_t i = 0; i < count; i++)
        out->groups = tensors[i].group > out->groups ? tensors[i].group : out->groups;
    for (int j = 0; j < out->groups; j++)
        pinion__sha256_hex(&sha[1 + j], out->group[j]);
fail:
    return status;
}

int pinion__st_save(pinion_context *ctx, const char *path, const pinion__st_tensor *tensors, size_t count,
                    const pinion__st_pair *metadata, size_t metadata_count, pinion__st_fill fill, void *user)
{
    int status = PINION_OK;
    pinion__writer *writer = NULL;
    pinion__text header = {.ctx = ctx};
    void *buffer = NULL;
    sums checksums;
    unsigned char prefix[8];

    PINION_TRY(pinion__alloc(ctx, PIECE, 1, "a buffer for saving", &buffer));
    PINION_TRY(sum_up(ctx, tensors, count, fill, user, buffer, &checksums));
    PINION_TRY(build_header(&header, tensors, count, metadata, metadata_count, &checksums));
    PINION_FAIL_IF(header.length > PINION__MAX_HEADER, PINION_EINVAL,
                   "%s: its header would have %zu bytes; at most %d are possible", path, header.length,
                   PINION__MAX_HEADER);
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)((uint64_t)header.length >> (8 * i));

    PINION_TRY(pinion__writer_begin(ctx, path, &writer));
    PINION_TRY(pinion__writer_write(writer, prefix, sizeof prefix));
    PINION_TRY(pinion__writer_write(writer, header.bytes, header.length));
    PINION_TRY(walk(ctx, tensors, count, fill, user, buffer, (sink){.writer = writer}));
    status = pinion__writer_commit(writer);
    writer = NULL; /* ended in every case */
    PINION_TRY(status);
fail:
    pinion__writer_abort(writer);
    pinion__release(ctx, header.bytes);
    pinion__release(ctx, buffer);
    return status;
}
