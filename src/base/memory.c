/* SPDX-License-Identifier: Apache-2.0
 *
 * Available memory, from the texts in which Linux tells it. A limit may stand at any level of the tree of control
 * groups, so the way is walked from the process's own group up to the root.
 */
#include "base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 8192, PATH_MAX_BYTES = 4096 };

static bool read_number(const char *text, uint64_t *out)
{
    text += strspn(text, " \t");
    if (*text < '0' || *text > '9')
        return false;
    *out = strtoull(text, NULL, 10);
    return true;
}

/* The number behind `name` at the beginning of a line. */
static bool find_number(const char *text, const char *name, uint64_t *out)
{
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0)
            return read_number(line + length, out);
    }
    return false;
}

uint64_t pinion__memory_parse_meminfo(const char *text)
{
    uint64_t available, swap;
    if (!find_number(text, "MemAvailable:", &available))
        return UINT64_MAX;
    if (!find_number(text, "SwapFree:", &swap))
        swap = 0;
    return (available + swap) * 1024;
}

uint64_t pinion__memory_parse_group(const char *max, const char *current, const char *stat)
{
    uint64_t limit, used, active, inactive;
    if (!read_number(max, &limit) || !read_number(current, &used))
        return UINT64_MAX;
    if (!find_number(stat, "active_file ", &active))
        active = 0;
    if (!find_number(stat, "inactive_file ", &inactive))
        inactive = 0;
    uint64_t cached = active + inactive;
    used -= cached < used ? cached : used;
    return used < limit ? limit - used : 0;
}

/* Reads a small file, ended by a zero; "" where it cannot be read. */
static const char *read_text(const char *path, char *text)
{
    size_t bytes = 0;
    FILE *file = fopen(path, "re");
    if (file) {
        bytes = fread(text, 1, TEXT_MAX - 1, file);
        fclose(file);
    }
    text[bytes] = '\0';
    return text;
}

static uint64_t group_available(const char *group)
{
    static const char *const names[] = {"max", "current", "stat"};
    char text[3][TEXT_MAX], path[PATH_MAX_BYTES];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.%s", group, names[i]);
        read_text(path, text[i]);
    }
    return pinion__memory_parse_group(text[0], text[1], text[2]);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t pinion__memory_available_bytes(void)
{
    char text[TEXT_MAX];
    uint64_t available = pinion__memory_parse_meminfo(read_text("/proc/meminfo", text));
    read_text("/proc/self/cgroup", text);
    char *group = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!group)
        return available;
    group = strchr(group, '/');
    if (!group)
        return available;
    group[strcspn(group, "\n")] = '\0';
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        *end = '\0';
        available = least(available, group_available(group));
    }
    return available;
}
