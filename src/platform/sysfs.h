/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's small text files (/sys): one number or one word each. They are opened for every reading, since a driver
 * may go away between two of them. Nothing is allocated but what opening a folder takes.
 */
#ifndef PINION_PLATFORM_SYSFS_H
#define PINION_PLATFORM_SYSFS_H

#include <stdbool.h>

enum { PINION__SYSFS_PATH = 320, PINION__SYSFS_WORD = 48 };

/* Makes a path; false: it is too long, which no path below /sys is. */
bool pinion__sysfs_path(char out[PINION__SYSFS_PATH], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The decimal number that a file holds, and nothing else. Returns 0 or an errno; EINVAL: it holds something else. */
int pinion__sysfs_number(const char *path, double *out);

/* The first line of a file, cut to fit. Returns 0 or an errno. */
int pinion__sysfs_word(const char *path, char out[PINION__SYSFS_WORD]);

/* Calls visit(user, path) for each entry of a folder that begins with `prefix`, in no order, until one returns
 * non-zero, which is passed on. A folder that cannot be opened has no entries. */
int pinion__sysfs_each(const char *folder, const char *prefix, int (*visit)(void *user, const char *path), void *user);

#endif
