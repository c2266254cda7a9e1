/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading safetensors from anywhere: nothing in the file is believed. The header must lie in the file and be JSON
 * without duplicate keys; each tensor's offsets must span what its shape and type need; the tensors must cover the data
 * section without overlap or hole; the checksum must agree where there is one. Numbers stay in 64 bits, products are
 * checked. After that data pointers can be used without further checks.
 */
#include "net/safetensors.h"
#include "net/text.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 8 };

static const struct {
    const char *name;
    size_t bytes;
} dtypes[PINION__DTYPE_COUNT] = {
    [PINION__F32] = {"F32", 4}, [PINION__F64] = {"F64", 8}, [PINION__F16] = {"F16", 2}, [PINION__BF16] = {"BF16", 2},
    [PINION__I64] = {"I64", 8}, [PINION__I32] = {"I32", 4}, [PINION__U8] = {"U8", 1},
};

const char *pinion__dtype_name(enum pinion__dtype dtype)
{
    return dtypes[dtype].name;
}

size_t pinion__dtype_bytes(enum pinion__dtype dtype)
{
    return dtypes[dtype].bytes;
}

/* The data section and where messages say it is from. */
typedef struct source {
    const char *origin;
    const unsigned char *data;
    uint64_t bytes;
} source;

static int read_dtype(pinion_context *ctx, const source *from, const json_t *json, pinion__st_tensor *tensor)
{
    int status = PINION_OK;
    const char *name = json_string_value(json_object_get(json, "dtype"));
    PINION_FAIL_IF(!name, PINION_EFORMAT, "%s: tensor %s has no \"dtype\"", from->origin,
                   pinion__quote(tensor->name).text);
    for (int i = 0; i < PINION__DTYPE_COUNT; i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            tensor->dtype = (enum pinion__dtype)i;
            return PINION_OK;
        }
    PINION_FAIL_IF(true, PINION_EFORMAT, "%s: tensor %s is of the unknown type %s", from->origin,
                   pinion__quote(tensor->name).text, pinion__quote(name).text);
fail:
    return status;
}

/* Shape, and the bytes that it needs. */
static int read_shape(pinion_context *ctx, const source *from, const json_t *json, pinion__st_tensor *tensor)
{
    int status = PINION_OK;
    const json_t *shape = json_object_get(json, "shape");
    size_t rank = json_array_size(shape);
    PINION_FAIL_IF(!json_is_array(shape) || rank > sizeof tensor->shape / sizeof tensor->shape[0], PINION_EFORMAT,
                   "%s: tensor %s: expected a \"shape\" of at most 8 numbers", from->origin,
                   pinion__quote(tensor->name).text);
    tensor->bytes = dtypes[tensor->dtype].bytes;
    tensor->rank = (int)rank;
    bool empty = false;
    for (size_t i = 0; i < rank; i++) {
        const json_t *extent = json_array_get(shape, i);
        json_int_t value = json_is_integer(extent) ? json_integer_value(extent) : -1;
        PINION_FAIL_IF(value < 0, PINION_EFORMAT, "%s: tensor %s: its \"shape\" has an entry that is no size",
                       from->origin, pinion__quote(tensor->name).text);
        tensor->shape[i] = value;
        empty |= value == 0;
    }
    for (size_t i = 0; i < rank && !empty; i++) {
        uint64_t extent = (uint64_t)tensor->shape[i];
        PINION_FAIL_IF(extent > from->bytes / tensor->bytes, PINION_EFORMAT,
                       "%s: tensor %s: its shape needs more than the %llu bytes of data in the file", from->origin,
                       pinion__quote(tensor->name).text, (unsigned long long)from->bytes);
        tensor->bytes *= extent;
    }
    if (empty)
        tensor->bytes = 0;
fail:
    return status;
}

static int read_offsets(pinion_context *ctx, const source *from, const json_t *json, pinion__st_tensor *tensor)
{
    int status = PINION_OK;
    const json_t *offsets = json_object_get(json, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    PINION_FAIL_IF(json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end), PINION_EFORMAT,
                   "%s: tensor %s: expected \"data_offsets\" of two numbers", from->origin,
                   pinion__quote(tensor->name).text);
    json_int_t first = json_integer_value(begin), last = json_integer_value(end);
    PINION_FAIL_IF(first < 0 || last < first || (uint64_t)last > from->bytes, PINION_EFORMAT,
                   "%s: tensor %s: its offsets %lld to %lld lie outside the data, which has %llu bytes", from->origin,
                   pinion__quote(tensor->name).text, (long long)first, (long long)last,
                   (unsigned long long)from->bytes);
    PINION_FAIL_IF((uint64_t)(last - first) != tensor->bytes, PINION_EFORMAT,
                   "%s: tensor %s: its shape needs %llu bytes but its offsets span %lld", from->origin,
                   pinion__quote(tensor->name).text, (unsigned long long)tensor->bytes, (long long)(last - first));
    tensor->data = from->data + first;
fail:
    return status;
}

static int read_tensor(pinion_context *ctx, const source *from, const char *name, const json_t *json,
                       pinion__st_tensor *tensor)
{
    int status = PINION_OK;
    PINION_FAIL_IF(!json_is_object(json), PINION_EFORMAT, "%s: tensor %s is not described by an object", from->origin,
                   pinion__quote(name).text);
    PINION_TRY(pinion__copy_string(ctx, name, &tensor->name));
    PINION_TRY(read_dtype(ctx, from, json, tensor));
    PINION_TRY(read_shape(ctx, from, json, tensor));
    PINION_TRY(read_offsets(ctx, from, json, tensor));
fail:
    return status;
}

static int read_metadata(pinion_context *ctx, const source *from, json_t *json, pinion__st_file *file)
{
    int status = PINION_OK;
    const char *key;
    json_t *value;
    PINION_FAIL_IF(!json_is_object(json), PINION_EFORMAT, "%s: \"__metadata__\" is not an object", from->origin);
    PINION_TRY(pinion__alloc_zeroed(ctx, json_object_size(json), sizeof *file->metadata, "metadata", &file->metadata));
    json_object_foreach(json, key, value)
    {
        PINION_FAIL_IF(!json_is_string(value), PINION_EFORMAT, "%s: metadata %s is not a string", from->origin,
                       pinion__quote(key).text);
        pinion__st_pair *pair = &file->metadata[file->metadata_count++];
        PINION_TRY(pinion__copy_string(ctx, key, &pair->key));
        PINION_TRY(pinion__copy_string(ctx, json_string_value(value), &pair->value));
    }
fail:
    return status;
}

static int read_entries(pinion_context *ctx, const source *from, json_t *root, pinion__st_file *file)
{
    int status = PINION_OK;
    const char *key;
    json_t *value;
    PINION_TRY(pinion__alloc_zeroed(ctx, json_object_size(root), sizeof *file->tensors, "tensors", &file->tensors));
    json_object_foreach(root, key, value)
    {
        if (strcmp(key, "__metadata__") == 0)
            PINION_TRY(read_metadata(ctx, from, value, file));
        else
            PINION_TRY(read_tensor(ctx, from, key, value, &file->tensors[file->tensor_count++]));
    }
fail:
    return status;
}

static int compare_places(const void *a, const void *b)
{
    const pinion__st_tensor *first = a, *second = b;
    if (first->data != second->data)
        return first->data < second->data ? -1 : 1;
    if (first->bytes != second->bytes)
        return first->bytes < second->bytes ? -1 : 1;
    return strcmp(first->name, second->name);
}

static int compare_names(const void *a, const void *b)
{
    const pinion__st_tensor *const *first = a, *const *second = b;
    return strcmp((*first)->name, (*second)->name);
}

/* Puts tensors in the order of their data and checks that they cover it. */
static int check_cover(pinion_context *ctx, const source *from, pinion__st_file *file)
{
    int status = PINION_OK;
    uint64_t covered = 0;
    if (file->tensor_count > 0)
        qsort(file->tensors, file->tensor_count, sizeof *file->tensors, compare_places);
    for (size_t i = 0; i < file->tensor_count; i++) {
        const pinion__st_tensor *tensor = &file->tensors[i];
        uint64_t begin = (uint64_t)(tensor->data - from->data);
        PINION_FAIL_IF(begin < covered, PINION_EFORMAT, "%s: tensors %s and %s overlap", from->origin,
                       pinion__quote(file->tensors[i - 1].name).text, pinion__quote(tensor->name).text);
        PINION_FAIL_IF(begin > covered, PINION_EFORMAT, "%s: bytes %llu to %llu of the data belong to no tensor",
                       from->origin, (unsigned long long)covered, (unsigned long long)begin);
        covered = begin + tensor->bytes;
    }
    PINION_FAIL_IF(covered < from->bytes, PINION_EFORMAT, "%s: bytes %llu to %llu of the data belong to no tensor",
                   from->origin, (unsigned long long)covered, (unsigned long long)from->bytes);
fail:
    return status;
}

static int index_names(pinion_context *ctx, pinion__st_file *file)
{
    int status = PINION_OK;
    PINION_TRY(pinion__alloc(ctx, file->tensor_count + 1, sizeof *file->by_name, "tensors", &file->by_name));
    for (size_t i = 0; i < file->tensor_count; i++)
        file->by_name[i] = &file->tensors[i];
    qsort(file->by_name, file->tensor_count, sizeof *file->by_name, compare_names);
fail:
    return status;
}

static int read_header(pinion_context *ctx, const char *origin, const unsigned char *data, size_t bytes,
                       uint64_t *header, json_t **root)
{
    int status = PINION_OK;
    json_error_t error = {0};
    uint64_t length = 0;
    PINION_FAIL_IF(bytes < PREFIX, PINION_EFORMAT, "%s: %zu bytes are too few for a safetensors file", origin, bytes);
    for (int i = 0; i < PREFIX; i++)
        length |= (uint64_t)data[i] << (8 * i);
    PINION_FAIL_IF(length > bytes - PREFIX, PINION_EFORMAT,
                   "%s: its header would have %llu bytes, but the file has %zu", origin, (unsigned long long)length,
                   bytes);
    PINION_FAIL_IF(length > PINION__MAX_HEADER, PINION_EFORMAT,
                   "%s: its header has %llu bytes; at most %d are possible", origin, (unsigned long long)length,
                   PINION__MAX_HEADER);
    *root = json_loadb((const char *)data + PREFIX, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    PINION_FAIL_IF(!*root && json_error_code(&error) == json_error_out_of_memory, PINION_ENOMEM,
                   "out of memory: %llu bytes for the header of %s", (unsigned long long)length, origin);
    PINION_FAIL_IF(!*root, PINION_EFORMAT, "%s: its header is not JSON: %s", origin, pinion__quote(error.text).text);
    PINION_FAIL_IF(!json_is_object(*root), PINION_EFORMAT, "%s: its header is not a JSON object", origin);
    *header = length;
fail:
    return status;
}

/* Fills file from bytes that outlive it. */
static int parse(pinion_context *ctx, const char *origin, const unsigned char *data, size_t bytes, bool checked,
                 pinion__st_file *file)
{
    int status = PINION_OK;
    json_t *root = NULL;
    uint64_t header = 0;
    PINION_TRY(read_header(ctx, origin, data, bytes, &header, &root));
    source from = {origin, data + PREFIX + header, bytes - PREFIX - header};
    PINION_TRY(read_entries(ctx, &from, root, file));
    PINION_TRY(check_cover(ctx, &from, file));
    PINION_TRY(index_names(ctx, file));
    if (checked)
        PINION_TRY(pinion__st_check_sums(ctx, from.data, from.bytes, file));
fail:
    json_decref(root);
    return status;
}

static int open_file(pinion_context *ctx, const char *path, bool checked, pinion__st_file **out)
{
    int status = PINION_OK;
    pinion__st_file *file = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *file, "a safetensors file", &file));
    PINION_TRY(pinion__copy_string(ctx, path, &file->path));
    PINION_TRY(pinion__file_open(ctx, path, &file->file));
    PINION_TRY(parse(ctx, path, file->file.data, file->file.bytes, checked, file));
    *out = file;
    return PINION_OK;
fail:
    pinion__st_close(ctx, file);
    return status;
}

int pinion__st_open(pinion_context *ctx, const char *path, pinion__st_file **out)
{
    return open_file(ctx, path, true, out);
}

int pinion__st_open_unchecked(pinion_context *ctx, const char *path, pinion__st_file **out)
{
    return open_file(ctx, path, false, out);
}

int pinion__st_parse(pinion_context *ctx, const unsigned char *data, size_t bytes, const char *origin,
                     pinion__st_file **out)
{
    int status = PINION_OK;
    pinion__st_file *file = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *file, "a safetensors file", &file));
    PINION_TRY(pinion__copy_string(ctx, origin, &file->path));
    PINION_TRY(parse(ctx, origin, data, bytes, true, file));
    *out = file;
    return PINION_OK;
fail:
    pinion__st_close(ctx, file);
    return status;
}

void pinion__pairs_release(pinion_context *ctx, pinion__st_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pinion__release(ctx, pairs[i].key);
        pinion__release(ctx, pairs[i].value);
    }
    pinion__release(ctx, pairs);
}

void pinion__st_close(pinion_context *ctx, pinion__st_file *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->tensor_count; i++)
        pinion__release(ctx, file->tensors[i].name);
    pinion__release(ctx, file->tensors);
    pinion__release(ctx, file->by_name);
    pinion__pairs_release(ctx, file->metadata, file->metadata_count);
    pinion__release(ctx, file->path);
    pinion__file_close(&file->file);
    pinion__release(ctx, file);
}

const pinion__st_tensor *pinion__st_find(const pinion__st_file *file, const char *name)
{
    pinion__st_tensor key = {.name = (char *)name};
    const pinion__st_tensor *wanted = &key;
    const pinion__st_tensor **found =
        bsearch(&wanted, file->by_name, file->tensor_count, sizeof *file->by_name, compare_names);
    return found ? *found : NULL;
}

const char *pinion__st_get(const pinion__st_file *file, const char *key)
{
    for (size_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i].key, key) == 0)
            return file->metadata[i].value;
    return NULL;
}
