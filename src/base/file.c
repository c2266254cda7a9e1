/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading whole files and replacing files atomically.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(pinion_context *ctx, const char *path, int descriptor, pinion__file *file)
{
    int status = PINION_OK;
    unsigned char *block = NULL;
    PINION_TRY(pinion__alloc(ctx, file->bytes, 1, path, &block));
    for (size_t done = 0; done < file->bytes;) {
        ssize_t count = read(descriptor, block + done, file->bytes - done);
        PINION_FAIL_IF(count < 0 && errno != EINTR, PINION_EFORMAT, "%s: cannot be read: %s", path, strerror(errno));
        PINION_FAIL_IF(count == 0, PINION_EFORMAT, "%s: ends after %zu of its %zu bytes", path, done, file->bytes);
        done += count > 0 ? (size_t)count : 0;
    }
    file->data = file->block = block;
    block = NULL;
fail:
    pinion__release(ctx, block);
    return status;
}

static int map_all(pinion_context *ctx, const char *path, int descriptor, pinion__file *file)
{
    int status = PINION_OK;
    void *mapping = mmap(NULL, file->bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    PINION_FAIL_IF(mapping == MAP_FAILED, errno == ENOMEM ? PINION_ENOMEM : PINION_EFORMAT, "%s: cannot be read: %s",
                   path, strerror(errno));
    file->data = file->mapping = mapping;
fail:
    return status;
}

int pinion__file_open(pinion_context *ctx, const char *path, pinion__file *out)
{
    int status = PINION_OK;
    /* Without O_NONBLOCK, opening a pipe waits for its writer. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    PINION_FAIL_IF(descriptor < 0, errno == ENOMEM ? PINION_ENOMEM : PINION_EFORMAT, "%s: cannot be opened: %s", path,
                   strerror(errno));

    struct stat info;
    PINION_FAIL_IF(fstat(descriptor, &info) != 0, PINION_EFORMAT, "%s: cannot be read: %s", path, strerror(errno));
    PINION_FAIL_IF(!S_ISREG(info.st_mode), PINION_EFORMAT, "%s: is not a regular file", path);
    PINION_FAIL_IF((uintmax_t)info.st_size > SIZE_MAX, PINION_ENOMEM, "%s: is larger than the address space", path);

    pinion__file file = {.ctx = ctx, .bytes = (size_t)info.st_size};
    if (file.bytes > PINION__FILE_MAX_READ)
        PINION_TRY(map_all(ctx, path, descriptor, &file));
    else if (file.bytes > 0)
        PINION_TRY(read_all(ctx, path, descriptor, &file));
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
    if (file->block)
        pinion__release(file->ctx, file->block);
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

/* Does the temporary name still name the file that was opened? Its last writer may have renamed or removed it since. */
static bool is_named(const pinion__writer *writer)
{
    struct stat opened, named;
    return fstat(writer->descriptor, &opened) == 0 && lstat(writer->temporary, &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* Opens the temporary file and takes its lock, which lasts until the descriptor is closed. */
static int open_locked(pinion__writer *writer)
{
    enum { FLAGS = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, MAX_TRIES = 100 };
    pinion_context *ctx = writer->ctx;
    int status = PINION_OK;
    bool named = false;
    for (int tries = 0; !named; tries++) {
        writer->descriptor = open(writer->temporary, FLAGS, 0666);
        PINION_FAIL_IF(writer->descriptor < 0, PINION_EIO, "%s: cannot be written: %s", writer->path, strerror(errno));
        int failed;
        do
            failed = flock(writer->descriptor, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
        while (failed == EINTR);
        PINION_FAIL_IF(failed == EWOULDBLOCK || tries == MAX_TRIES, PINION_EIO,
                       "%s: is being written by another process", writer->path);
        /* Any other failure: a file system without locks, where two writers are not told apart. */
        named = failed || is_named(writer);
        if (!named)
            close(writer->descriptor);
    }
    PINION_FAIL_IF(ftruncate(writer->descriptor, 0) != 0, PINION_EIO, "%s: cannot be written: %s", writer->path,
                   strerror(errno));
fail:
    return status;
}

static int join(pinion_context *ctx, const char *path, const char *suffix, char **out)
{
    int status = PINION_OK;
    char *text = NULL;
    size_t length = strlen(path), more = strlen(suffix) + 1;
    PINION_TRY(pinion__alloc(ctx, length + more, 1, "a file name", &text));
    memcpy(text, path, length);
    memcpy(text + length, suffix, more);
    *out = text;
fail:
    return status;
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
    PINION_TRY(join(ctx, path, ".partial", &writer->temporary));
    PINION_TRY(open_locked(writer));
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

/* fsync that goes on after a signal; the errno of a failure, or 0. */
static int sync_descriptor(int descriptor)
{
    int failed;
    do
        failed = fsync(descriptor) != 0 ? errno : 0;
    while (failed == EINTR);
    return failed;
}

static int sync_folder(pinion_context *ctx, const char *folder)
{
    int status = PINION_OK;
    int refused = ask_hook(ctx, "sync", folder);
    PINION_FAIL_IF(refused, PINION_EIO, "%s: cannot be synced: %s", folder, strerror(refused));
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return PINION_OK; /* a folder that may be written but not read cannot be synced */
    int failed = sync_descriptor(descriptor);
    close(descriptor);
    PINION_FAIL_IF(failed && failed != EINVAL && failed != EROFS, PINION_EIO, "%s: cannot be synced: %s", folder,
                   strerror(failed));
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
    int failed = sync_descriptor(writer->descriptor);
    PINION_FAIL_IF(failed, PINION_EIO, "%s: cannot be synced: %s", writer->path, strerror(failed));

    /* The lock is held until after the rename: nobody else writes to what becomes the file. */
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
    char suffix[32], *probe = NULL;
    struct stat info;
    PINION_FAIL_IF(stat(path, &info) == 0 && S_ISDIR(info.st_mode), PINION_EIO,
                   "%s: is a folder: expected the name of a file", path);
    snprintf(suffix, sizeof suffix, ".probe.%ld", (long)getpid());
    PINION_TRY(join(ctx, path, suffix, &probe));
    int descriptor = open(probe, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    PINION_FAIL_IF(descriptor < 0, PINION_EIO, "%s: cannot be written: %s", path, strerror(errno));
    close(descriptor);
    unlink(probe);
fail:
    pinion__release(ctx, probe);
    return status;
}
