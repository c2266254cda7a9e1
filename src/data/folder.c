/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing folders.
 */
#include "data/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static int add_entry(pinion_context *ctx, DIR *stream, const char *name, pinion__folder *folder)
{
    int status = PINION_OK;
    PINION_TRY(pinion__grow(ctx, &folder->entries, &folder->capacity, folder->count + 1, sizeof *folder->entries,
                            "the names in a folder"));
    pinion__entry *entry = &folder->entries[folder->count];
    *entry = (pinion__entry){0};
    PINION_TRY(pinion__copy_string(ctx, name, &entry->name));
    folder->count++;
    struct stat info;
    entry->is_folder = fstatat(dirfd(stream), name, &info, 0) == 0 && S_ISDIR(info.st_mode);
fail:
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const pinion__entry *)a)->name, ((const pinion__entry *)b)->name);
}

int pinion__folder_list(pinion_context *ctx, const char *path, pinion__folder *out)
{
    int status = PINION_OK;
    pinion__folder folder = {0};
    DIR *stream = opendir(path);
    PINION_FAIL_IF(!stream, PINION_EFORMAT, "%s: cannot be opened: %s", path, strerror(errno));
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        PINION_FAIL_IF(!entry && errno, PINION_EFORMAT, "%s: cannot be read: %s", path, strerror(errno));
        if (!entry)
            break;
        if (entry->d_name[0] != '.')
            PINION_TRY(add_entry(ctx, stream, entry->d_name, &folder));
    }
    closedir(stream);
    if (folder.count > 1)
        qsort(folder.entries, folder.count, sizeof *folder.entries, by_name);
    *out = folder;
    return PINION_OK;
fail:
    if (stream)
        closedir(stream);
    pinion__folder_release(ctx, &folder);
    *out = folder;
    return status;
}

void pinion__folder_release(pinion_context *ctx, pinion__folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        pinion__release(ctx, folder->entries[i].name);
    pinion__release(ctx, folder->entries);
    *folder = (pinion__folder){0};
}

int pinion__path_join(pinion_context *ctx, const char *folder, const char *name, char **out)
{
    size_t head = strlen(folder), tail = strlen(name) + 1;
    char *path;
    int status = pinion__alloc(ctx, head + 1 + tail, 1, "a path", &path);
    if (status < 0)
        return status;
    memcpy(path, folder, head);
    path[head] = '/';
    memcpy(path + head + 1, name, tail);
    *out = path;
    return PINION_OK;
}

bool pinion__has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), wanted = strlen(suffix);
    return length >= wanted && strcasecmp(name + length - wanted, suffix) == 0;
}
