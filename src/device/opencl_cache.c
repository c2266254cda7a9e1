/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of built programs. Layout: "pinion opencl 1\n", key, hash of the binary, its length (hexadecimal, a line
 * each), the binary. base/file.h replaces files atomically and lets one writer at a time.
 */
#include "device/opencl_cache.h"
#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MAX_PATH = 512, MAX_HEADER = 160 };
static const uint64_t starts[2] = {UINT64_C(0xcbf29ce484222325), UINT64_C(0x84222325cbf29ce4)};

static uint64_t hash(uint64_t start, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        start = (start ^ at[i]) * UINT64_C(0x100000001b3);
    return (start ^ bytes) * UINT64_C(0x100000001b3); /* so that what is cut elsewhere differs */
}

pinion__opencl_key pinion__opencl_key_of(const pinion__opencl_device *device, const pinion__opencl_source *source,
                                         const char *options)
{
    pinion__opencl_key key;
    const char *words[] = {options, device->name, device->version, device->driver};
    for (int part = 0; part < 2; part++) {
        key.part[part] = starts[part];
        for (cl_uint i = 0; i < source->count; i++)
            key.part[part] = hash(key.part[part], source->texts[i], source->lengths[i]);
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            key.part[part] = hash(key.part[part], words[i], strlen(words[i]));
    }
    return key;
}

/* The path of a key's file in the cache's folder; false: there is no cache. */
static bool find_path(pinion__opencl_key key, char path[MAX_PATH])
{
    const char *given = getenv("PINION_OPENCL_CACHE"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = -1;
    if (given && strcmp(given, "off") == 0)
        return false;
    if (given && *given)
        length = snprintf(path, MAX_PATH, "%s", given);
    else if (cache && cache[0] == '/')
        length = snprintf(path, MAX_PATH, "%s/pinion/opencl", cache);
    else if (home && home[0] == '/')
        length = snprintf(path, MAX_PATH, "%s/.cache/pinion/opencl", home);
    if (length < 0 || length > MAX_PATH - 48)
        return false;
    snprintf(path + length, 48, "/%016" PRIx64 "%016" PRIx64 ".bin", key.part[0], key.part[1]);
    return true;
}

static int write_header(char header[MAX_HEADER], pinion__opencl_key key, const unsigned char *binary, size_t bytes)
{
    return snprintf(header, MAX_HEADER, "pinion opencl 1\n%016" PRIx64 "%016" PRIx64 "\n%016" PRIx64 "\n%zx\n",
                    key.part[0], key.part[1], hash(starts[0], binary, bytes), bytes);
}

/* Where the binary begins; 0: the file is damaged. The header must be the one that would be written. */
static size_t find_binary(const pinion__file *file, pinion__opencl_key key)
{
    size_t start = 0;
    if (file->bytes == 0)
        return 0;
    for (int lines = 0; lines < 4 && start < file->bytes && start < MAX_HEADER; start++)
        lines += file->data[start] == '\n';
    char header[MAX_HEADER];
    int length = write_header(header, key, file->data + start, file->bytes - start);
    return (size_t)length == start && memcmp(header, file->data, start) == 0 && start < file->bytes ? start : 0;
}

int pinion__opencl_cache_read(pinion_context *ctx, pinion__opencl_key key, unsigned char **out, size_t *bytes)
{
    int status = PINION_OK;
    pinion__file file = {0};
    char path[MAX_PATH];
    struct stat info;
    *out = NULL;
    if (!find_path(key, path) || stat(path, &info) != 0)
        return PINION_OK;
    status = pinion__file_open(ctx, path, &file);
    if (status == PINION_EFORMAT) {
        pinion__log(ctx, PINION_LOG_WARNING, "%s: the program is built again", pinion_context_error(ctx));
        return PINION_OK;
    }
    PINION_TRY(status);
    size_t start = find_binary(&file, key);
    if (start == 0) {
        pinion__log(ctx, PINION_LOG_WARNING, "%s: is damaged: the program is built again", path);
        goto fail;
    }
    *bytes = file.bytes - start;
    PINION_TRY(pinion__alloc(ctx, *bytes, 1, "an OpenCL program", out));
    memcpy(*out, file.data + start, *bytes);
fail:
    pinion__file_close(&file);
    return status;
}

/* Makes the folders of a path. What fails shows when the file is written. */
static void make_folders(const char *path)
{
    char folder[MAX_PATH];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return;
    }
}

void pinion__opencl_cache_write(pinion_context *ctx, pinion__opencl_key key, const unsigned char *binary, size_t bytes)
{
    int status = PINION_OK;
    char path[MAX_PATH], header[MAX_HEADER];
    pinion__writer *writer = NULL;
    if (!find_path(key, path))
        return;
    make_folders(path);
    int length = write_header(header, key, binary, bytes);
    PINION_TRY(pinion__writer_begin(ctx, path, &writer));
    PINION_TRY(pinion__writer_write(writer, header, (size_t)length));
    PINION_TRY(pinion__writer_write(writer, binary, bytes));
    status = pinion__writer_commit(writer);
    writer = NULL;
fail:
    pinion__writer_abort(writer);
    if (status < 0)
        pinion__log(ctx, PINION_LOG_WARNING, "%s: the built OpenCL program is not kept", pinion_context_error(ctx));
}
