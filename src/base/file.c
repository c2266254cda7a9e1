/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading whole files and replacing files atomically.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int pinion__file_open(pinion_context *ctx, const char *path, pinion__file *out)
{
    int status = PINION_OK;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    PINION_FAIL_IF(descriptor < 0, PINION_EFORMAT, "%s: cannot be opened: %s", path, strerror(errno));

    struct stat info;
    PINION_FAIL_IF(fstat(descriptor, &info) != 0, PINION_EFORMAT, "%s: cannot be read: %s", path, strerror(errno));
    PINION_FAIL_IF(!S_ISREG(info.st_mode), PINION_EFORMAT, "%s: is not a regular file", path);

    pinion__file file = {.bytes = (size_t)info.st_size};
    if (file.bytes > 0) {
        file.mapping = mmap(NULL, file.bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
        PINION_FAIL_IF(file.mapping == MAP_FAILED, PINION_EFORMAT, "%s: cannot be read: %s", path, strerror(errno));
        file.data = file.mapping;
    }
    *out = file;
fail:
    if (descriptor >= 0)
        close(descriptor);
    return status;
}

void pinion__file_close(pinion__file *file)
{
    if (file->mapping)
        munmap(file->mapping, file->bytes);
    *file = (pinion__file){0};
}

enum { BUFFER_BYTES = 1 << 16 };

struct pinion__writer {
    pinion_context *ctx;
    char *path, *temporary, *folder;
    int descriptor;
    size_t used;
    unsigned char buffer[BUFFER_BYTES];
};

/* Gives a test the chance to fail or end the process at an operation. */
static int ask_hook(pinion_context *ctx, const char *operation, const char *path)
{
    return ctx->io_hook ? ctx->io_hook(ctx->io_hook_user, operation, path) : 0;
}

static int folder_of(pinion_context *ctx, const char *path, char **out)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return pinion__copy_string(ctx, ".", out);
    int status = pinion__copy_string(ctx, path, out);
    if (status == PINION_OK)
        (*out)[slash == path ? 1 : slash - path] = '\0';
    return status;
}

static void writer_release(pinion__writer *writer)
{
    pinion_context *ctx = writer->ctx;
    if (writer->descriptor >= 0)
        close(writer->descriptor);
    pinion__release(ctx, writer->path);
    pinion__release(ctx, writer->temporary);
    pinion__release(ctx, writer->folder);
    pinion__release(ctx, writer);
}

int pinion__writer_begin(pinion_context *ctx, const char *path, pinion__writer **out)
{
    int status = PINION_OK;
    pinion__writer *writer = NULL;
    PINION_TRY(pinion__alloc(ctx, 1, sizeof *writer, "a file writer", &writer));
    *writer = (pinion__writer){.ctx = ctx, .descriptor = -1};
    PINION_TRY(pinion__copy_string(ctx, path, &writer->path));
    PINION_TRY(folder_of(ctx, path, &writer->folder));

    /* One fixed name a file: what a killed process left there is overwritten by the next save. */
    static const char suffix[] = ".partial";
    size_t length = strlen(path);
    PINION_TRY(pinion__alloc(ctx, length + sizeof suffix, 1, "a file name", &writer->temporary));
    memcpy(writer->temporary, path, length);
    memcpy(writer->temporary + length, suffix, sizeof suffix);
    writer->descriptor = open(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    PINION_FAIL_IF(writer->descriptor < 0, PINION_EIO, "%s: cannot be written: %s", path, strerror(errno));
    *out = writer;
    return PINION_OK;
fail:
    if (writer)
        writer_release(writer);
    return status;
}

static int flush(pinion__writer *writer)
{
    pinion_context *ctx = writer->ctx;
    int status = PINION_OK;
    for (size_t done = 0; done < writer->used;) {
        int refused = ask_hook(ctx, "write", writer->path);
        PINION_FAIL_IF(refused, PINION_EIO, "%s: cannot be written: %s", writer->path, strerror(refused));
        ssize_t count = write(writer->descriptor, writer->buffer + done, writer->used - done);
        PINION_FAIL_IF(count < 0 && errno != EINTR, PINION_EIO, "%s: cannot be written: %s", writer->path,
                       strerror(errno));
        done += count > 0 ? (size_t)count : 0;
    }
    writer->used = 0;
fail:
    return status;
}

int pinion__writer_write(pinion__writer *writer, const void *data, size_t bytes)
{
    const unsigned char *from = data;
    while (bytes > 0) {
        size_t room = BUFFER_BYTES - writer->used;
        size_t part = bytes < room ? bytes : room;
        memcpy(writer->buffer + writer->used, from, part);
        writer->used += part;
        from += part;
        bytes -= part;
        if (writer->used == BUFFER_BYTES) {
            int status = flush(writer);
            if (status < 0)
                return status;
        }
    }
    return PINION_OK;
}

static int sync_folder(pinion_context *ctx, const char *folder)
{
    int status = PINION_OK;
    int refused = ask_hook(ctx, "sync", folder);
    PINION_FAIL_IF(refused, PINION_EIO, "%s: cannot be synced: %s", folder, strerror(refused));
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return PINION_OK; /* a folder that may be written but not read cannot be synced */
    int failed = fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS ? errno : 0;
    close(descriptor);
    PINION_FAIL_IF(failed, PINION_EIO, "%s: cannot be synced: %s", folder, strerror(failed));
fail:
    return status;
}

int pinion__writer_commit(pinion__writer *writer)
{
    pinion_context *ctx = writer->ctx;
    int status = PINION_OK;
    PINION_TRY(flush(writer));
    int refused = ask_hook(ctx, "sync", writer->path);
    PINION_FAIL_IF(refused, PINION_EIO, "%s: cannot be synced: %s", writer->path, strerror(refused));
    PINION_FAIL_IF(fsync(writer->descriptor) != 0, PINION_EIO, "%s: cannot be synced: %s", writer->path,
                   strerror(errno));
    int failed = close(writer->descriptor) != 0 ? errno : 0;
    writer->descriptor = -1;
    PINION_FAIL_IF(failed, PINION_EIO, "%s: cannot be written: %s", writer->path, strerror(failed));

    refused = ask_hook(ctx, "rename", writer->path);
    PINION_FAIL_IF(refused, PINION_EIO, "%s: cannot be replaced: %s", writer->path, strerror(refused));
    PINION_FAIL_IF(rename(writer->temporary, writer->path) != 0, PINION_EIO, "%s: cannot be replaced: %s", writer->path,
                   strerror(errno));
    status = sync_folder(ctx, writer->folder);
    writer_release(writer);
    return status;
fail:
    pinion__writer_abort(writer);
    return status;
}

void pinion__writer_abort(pinion__writer *writer)
{
    if (!writer)
        return;
    unlink(writer->temporary);
    writer_release(writer);
}

int pinion__file_check_writable(pinion_context *ctx, const char *path)
{
    int status = PINION_OK;
    pinion__writer *writer;
    struct stat info;
    PINION_FAIL_IF(stat(path, &info) == 0 && S_ISDIR(info.st_mode), PINION_EIO,
                   "%s: is a folder: expected the name of a file", path);
    PINION_TRY(pinion__writer_begin(ctx, path, &writer));
    pinion__writer_abort(writer);
fail:
    return status;
}
