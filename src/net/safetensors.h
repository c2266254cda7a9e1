/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors container: 8-byte little-endian header length, JSON header, data. Reader (hostile input) and
 * streaming writer; what the tensors mean is not known here. Checksums (SHA-256, hex) stand in "__metadata__": that of
 * the data section under "pinion.sha256"; where tensors belong to groups (NAME.gJ.SUFFIX), those of the groups' tensors
 * under "pinion.sha256.gJ", so that damage to one group leaves those before it usable.
 */
#ifndef PINION_NET_SAFETENSORS_H
#define PINION_NET_SAFETENSORS_H

#include "base/file.h"
#include <pinion/network.h>

enum { PINION__MAX_HEADER = 100 * 1000 * 1000 }; /* bytes; the limit of the safetensors library */

enum pinion__dtype {
    PINION__F32,
    PINION__F64,
    PINION__F16,
    PINION__BF16,
    PINION__I64,
    PINION__I32,
    PINION__U8,
    PINION__DTYPE_COUNT
};

const char *pinion__dtype_name(enum pinion__dtype dtype); /* "F32" */
size_t pinion__dtype_bytes(enum pinion__dtype dtype);

typedef struct pinion__st_tensor {
    char *name;
    enum pinion__dtype dtype;
    int64_t shape[8];
    int rank;
    const unsigned char *data; /* reader: into the mapped file */
    uint64_t bytes;            /* writer: as many as shape and dtype say */
    int group;                 /* writer: 1 … PINION_MAX_GROUPS: its group has a checksum; 0: it is in none */
} pinion__st_tensor;

typedef struct pinion__st_pair {
    char *key, *value;
} pinion__st_pair;

void pinion__pairs_release(pinion_context *ctx, pinion__st_pair *pairs, size_t count);

typedef struct pinion__st_file {
    pinion__file file;
    char *path;
    pinion__st_tensor *tensors; /* in file order */
    size_t tensor_count;
    const pinion__st_tensor **by_name; /* sorted */
    pinion__st_pair *metadata;
    size_t metadata_count;
    int groups;       /* that have checksums, if each tensor belongs to one of them; else 0 */
    int whole_groups; /* so many of them, from the first on, are undamaged */
} pinion__st_file;

/* A file is damaged where its checksum, or that of group 1, is another; damage to later groups is logged. */
int pinion__st_open(pinion_context *ctx, const char *path, pinion__st_file **out);
/* The same without looking at checksums. */
int pinion__st_open_unchecked(pinion_context *ctx, const char *path, pinion__st_file **out);
/* The same on bytes in memory (fuzzing, tests); `origin` names them. */
int pinion__st_parse(pinion_context *ctx, const unsigned char *data, size_t bytes, const char *origin,
                     pinion__st_file **out);
void pinion__st_close(pinion_context *ctx, pinion__st_file *file);
const pinion__st_tensor *pinion__st_find(const pinion__st_file *file, const char *name);
/* The group of a tensor of this name; 0: none. */
int pinion__st_group(const char *name);
/* Fills file->groups and whole_groups. `data` is the data section. */
int pinion__st_check_sums(pinion_context *ctx, const unsigned char *data, uint64_t bytes, pinion__st_file *file);
const char *pinion__st_get(const pinion__st_file *file, const char *key); /* metadata value or NULL */

/* Writes a file atomically. For each tensor, `fill` produces its bytes in file layout piece by piece (a callback into a
 * buffer, so that nothing of the size of a tensor is allocated twice): fill(user, tensor index, offset in bytes,
 * buffer, count). The checksum is computed on the way (two passes over fill). PINION_EINVAL: the header would be longer
 * than a reader takes. */
typedef int (*pinion__st_fill)(void *user, size_t tensor, uint64_t offset, void *buffer, size_t bytes);
int pinion__st_save(pinion_context *ctx, const char *path, const pinion__st_tensor *tensors, size_t count,
                    const pinion__st_pair *metadata, size_t metadata_count, pinion__st_fill fill, void *user);

#endif
