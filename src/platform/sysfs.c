/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the kernel's text files (platform/sysfs.h). Numbers are read digit by digit: the C library's functions follow
 * the locale of the program and take "inf" and "0x" for numbers.
 */
#include "platform/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool pinion__sysfs_path(char out[PINION__SYSFS_PATH], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(out, PINION__SYSFS_PATH, format, arguments);
    va_end(arguments);
    return length >= 0 && length < PINION__SYSFS_PATH;
}

int pinion__sysfs_word(const char *path, char out[PINION__SYSFS_WORD])
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return errno;
    ssize_t length = read(file, out, PINION__SYSFS_WORD - 1);
    int error = length < 0 ? errno : 0;
    close(file);
    if (error == 0) {
        out[length] = '\0';
        out[strcspn(out, "\n")] = '\0';
    }
    return error;
}

static const char *take_digits(const char *at, double *value, int *count)
{
    for (*count = 0; *at >= '0' && *at <= '9'; at++, ++*count)
        *value = 10 * *value + (*at - '0');
    return at;
}

int pinion__sysfs_number(const char *path, double *out)
{
    char text[PINION__SYSFS_WORD] = "";
    int error = pinion__sysfs_word(path, text), whole, places = 0;
    if (error != 0)
        return error;
    double value = 0;
    const char *at = text + (text[0] == '-');
    at = take_digits(at, &value, &whole);
    if (*at == '.')
        at = take_digits(at + 1, &value, &places);
    if (whole == 0 || *at != '\0')
        return EINVAL;
    while (places-- > 0)
        value /= 10;
    *out = text[0] == '-' ? -value : value;
    return 0;
}

int pinion__sysfs_each(const char *folder, const char *prefix, int (*visit)(void *user, const char *path), void *user)
{
    int status = 0;
    DIR *entries = opendir(folder);
    if (!entries)
        return 0;
    for (const struct dirent *entry; status == 0 && (entry = readdir(entries));) {
        char path[PINION__SYSFS_PATH];
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            pinion__sysfs_path(path, "%s/%s", folder, entry->d_name))
            status = visit(user, path);
    }
    closedir(entries);
    return status;
}
