/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: reading whole ones, and replacing one atomically. A replaced file is written under the temporary
 * name PATH.partial in the same folder, synced, renamed over the old one, and the folder synced: after a crash at any
 * moment either the old or the new contents are there, whole. A temporary file is removed on failure. It is locked
 * (flock) while it is written: a second writer of the same file is refused.
 */
#ifndef PINION_BASE_FILE_H
#define PINION_BASE_FILE_H

#include "base/context.h"

/* The contents of a file. Files of up to 64 MiB are read into the context's memory: they stay as they were whatever
 * becomes of the file. Larger ones are mapped: they must not be shortened while they are open (SIGBUS). `data` is never
 * NULL for bytes > 0. */
typedef struct pinion__file {
    pinion_context *ctx;
    const unsigned char *data;
    size_t bytes;
    void *block;   /* read into */
    void *mapping; /* or mapped */
} pinion__file;

enum { PINION__FILE_MAX_READ = 64 << 20 };

/* PINION_EFORMAT: missing, unreadable, no regular file, shorter than its size; PINION_ENOMEM. Never waits for a writer.
 */
int pinion__file_open(pinion_context *ctx, const char *path, pinion__file *out);
void pinion__file_close(pinion__file *file);

typedef struct pinion__writer pinion__writer;

/* Begins replacing `path`. PINION_EIO: the folder is missing or not writable, or another writer is at it. */
int pinion__writer_begin(pinion_context *ctx, const char *path, pinion__writer **out);
int pinion__writer_write(pinion__writer *writer, const void *data, size_t bytes);
/* Syncs, renames, syncs the folder; ends the writer in every case (success or not). */
int pinion__writer_commit(pinion__writer *writer);
/* Removes the temporary file. NULL is accepted. */
void pinion__writer_abort(pinion__writer *writer);

/* Is the folder of `path` there and writable? A file PATH.probe.PID is made and removed; a writer of `path` is not
 * disturbed. PINION_EIO otherwise. */
int pinion__file_check_writable(pinion_context *ctx, const char *path);

#endif
