/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: reading whole ones, and replacing one atomically. A replaced file is written under the temporary
 * name PATH.partial in the same folder, synced, renamed over the old one, and the folder synced: after a crash at any
 * moment either the old or the new contents are there, whole. A temporary file is removed on failure.
 */
#ifndef PINION_BASE_FILE_H
#define PINION_BASE_FILE_H

#include "base/context.h"

/* A file mapped (or read) into memory for reading. `data` is never NULL for bytes > 0. */
typedef struct pinion__file {
    const unsigned char *data;
    size_t bytes;
    void *mapping;
} pinion__file;

/* PINION_EFORMAT: missing, unreadable, a folder. */
int pinion__file_open(pinion_context *ctx, const char *path, pinion__file *out);
void pinion__file_close(pinion__file *file);

typedef struct pinion__writer pinion__writer;

/* Begins replacing `path`. PINION_EIO: the folder is missing or not writable. */
int pinion__writer_begin(pinion_context *ctx, const char *path, pinion__writer **out);
int pinion__writer_write(pinion__writer *writer, const void *data, size_t bytes);
/* Syncs, renames, syncs the folder; ends the writer in every case (success or not). */
int pinion__writer_commit(pinion__writer *writer);
/* Removes the temporary file. NULL is accepted. */
void pinion__writer_abort(pinion__writer *writer);

/* Is the folder of `path` there and writable (a probe file is made and removed)? PINION_EIO otherwise. */
int pinion__file_check_writable(pinion_context *ctx, const char *path);

#endif
