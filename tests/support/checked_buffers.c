/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of buffers and maps (checked_buffers.h).
 */
#include "support/checked_buffers.h"

#ifdef PINION__HAVE_OPENCL
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checked_record checked;

cl_int checked_refuse(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    if (checked.errors++ == 0) {
        vsnprintf(checked.sentence, sizeof checked.sentence, format, list);
        fprintf(stderr, "checked OpenCL: %s\n", checked.sentence);
    }
    va_end(list);
    return CL_INVALID_OPERATION;
}

checked_buffer *checked_find(cl_mem memory)
{
    for (int i = 0; i < checked.buffer_count; i++)
        if (checked.buffers[i].memory == memory)
            return &checked.buffers[i];
    return NULL;
}

const checked_buffer *checked_root(const checked_buffer *of)
{
    return of->parent ? of->parent : of;
}

const checked_map *checked_find_map(const checked_buffer *of, size_t offset, size_t bytes, bool any)
{
    for (int i = 0; i < CHECKED_MAPS; i++) {
        const checked_map *at = &checked.maps[i];
        if (!at->of || checked_root(at->of) != checked_root(of) || !(any || at->writes))
            continue;
        size_t first = at->of->origin + at->offset, begin = of->origin + offset;
        if (first < begin + bytes && begin < first + at->bytes)
            return at;
    }
    return NULL;
}

cl_int checked_unmapped(const checked_buffer *of, size_t offset, size_t bytes, bool any, const char *what)
{
    const checked_map *at = of ? checked_find_map(of, offset, bytes, any) : NULL;
    if (!of)
        return checked_refuse("%s: a buffer that there is not", what);
    if (at)
        return checked_refuse("%s uses bytes %zu to %zu, of which %zu to %zu are mapped%s", what, of->origin + offset,
                              of->origin + offset + bytes, at->of->origin + at->offset,
                              at->of->origin + at->offset + at->bytes, at->writes ? " for writing" : "");
    return CL_SUCCESS;
}

cl_mem checked_add(cl_mem memory, checked_buffer *parent, size_t origin, size_t bytes, cl_int *error)
{
    checked_buffer *into = NULL;
    for (int i = 0; i < checked.buffer_count && !into; i++)
        if (!checked.buffers[i].memory)
            into = &checked.buffers[i];
    if (!into && checked.buffer_count < CHECKED_BUFFERS)
        into = &checked.buffers[checked.buffer_count++];
    if (!into) {
        *error = CL_OUT_OF_RESOURCES;
        return NULL;
    }
    *into = (checked_buffer){.memory = memory, .parent = parent, .origin = origin, .bytes = bytes, .references = 1};
    if (parent) {
        parent->references++;
        into->shadow = parent->shadow + origin;
    } else {
        into->shadow = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
        memset(into->shadow, CHECKED_POISON, bytes);
    }
    return memory;
}

void checked_drop(checked_buffer *of)
{
    if (--of->references > 0)
        return;
    if (of->parent)
        checked_drop(of->parent);
    else
        free(of->shadow);
    of->memory = NULL;
}
#else
/* A file has at least one declaration. */
extern int checked_buffers_is_not_built;
#endif
