/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in a folder: names sorted byte by byte, so that the order does not depend on the file system.
 */
#ifndef PINION_DATA_FOLDER_H
#define PINION_DATA_FOLDER_H

#include "base/context.h"

typedef struct pinion__entry {
    char *name;
    bool is_folder; /* itself or through a link */
} pinion__entry;

typedef struct pinion__folder {
    pinion__entry *entries;
    size_t count, capacity;
} pinion__folder;

/* Lists a folder without hidden entries. PINION_EFORMAT: missing, unreadable, not a folder. On failure *out is empty.
 */
int pinion__folder_list(pinion_context *ctx, const char *path, pinion__folder *out);
void pinion__folder_release(pinion_context *ctx, pinion__folder *folder);

/* "folder/name" in a new string. */
int pinion__path_join(pinion_context *ctx, const char *folder, const char *name, char **out);

/* Does a name end in this suffix, whatever the case of its letters? */
bool pinion__has_suffix(const char *name, const char *suffix);

#endif
