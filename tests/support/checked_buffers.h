/* SPDX-License-Identifier: Apache-2.0
 *
 * Which buffers there are, what of them is mapped, and what was done with them that must not be: the record of a
 * checked OpenCL (checked_opencl.h), which calls all of this with its lock held.
 */
#ifndef TESTS_SUPPORT_CHECKED_BUFFERS_H
#define TESTS_SUPPORT_CHECKED_BUFFERS_H

#include "support/checked_opencl.h"

#ifdef PINION__HAVE_OPENCL
enum { CHECKED_POISON = 0xff, CHECKED_BUFFERS = 8192, CHECKED_MAPS = 4096 };

typedef struct checked_buffer {
    cl_mem memory; /* NULL: released */
    struct checked_buffer *parent;
    size_t origin, bytes; /* in the parent */
    unsigned char *shadow;
    int references; /* sub-buffers hold their parent */
} checked_buffer;

typedef struct checked_map {
    checked_buffer *of; /* NULL: free */
    size_t offset, bytes;
    bool writes;
} checked_map;

extern struct checked_record {
    checked_buffer buffers[CHECKED_BUFFERS];
    int buffer_count;
    checked_map maps[CHECKED_MAPS];
    int errors;
    char sentence[512]; /* of the first */
} checked;

/* Counts an error, keeps its sentence, and gives the code that a call fails with. */
cl_int checked_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* NULL: there is no such buffer. */
checked_buffer *checked_find(cl_mem memory);
const checked_buffer *checked_root(const checked_buffer *of);

/* A buffer, or a piece of one, with references to its parent; NULL where there are too many. */
cl_mem checked_add(cl_mem memory, checked_buffer *parent, size_t origin, size_t bytes, cl_int *error);
void checked_drop(checked_buffer *of);

/* The map of some of these bytes that stands in the way: any, or only one that writes. */
const checked_map *checked_find_map(const checked_buffer *of, size_t offset, size_t bytes, bool any);
/* Refuses where there is one. */
cl_int checked_unmapped(const checked_buffer *of, size_t offset, size_t bytes, bool any, const char *what);
#endif

#endif
