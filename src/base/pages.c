/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages that go back to the system, by Linux' madvise; which of them are in memory tells mincore. Both want whole pages
 * of the machine, which may be larger than PINION__PAGE.
 */
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The whole pages within: from so many bytes on. */
typedef struct range {
    size_t from, bytes;
} range;

static size_t page_bytes(void)
{
    long bytes = sysconf(_SC_PAGESIZE);
    return bytes > 0 ? (size_t)bytes : PINION__PAGE;
}

static range whole_pages(const void *begin, size_t bytes)
{
    const size_t page = page_bytes(), past = (uintptr_t)begin % page, from = past ? page - past : 0;
    return (range){from, bytes > from ? (bytes - from) / page * page : 0};
}

static size_t count_resident(const unsigned char *begin, size_t bytes)
{
    unsigned char there[1024];
    const size_t page = page_bytes(), most = page * sizeof there;
    size_t count = 0;
    for (size_t at = 0; at < bytes; at += most) {
        const size_t some = bytes - at < most ? bytes - at : most;
        if (mincore((void *)(begin + at), some, there) != 0)
            return 0;
        for (size_t i = 0; i < some / page; i++)
            count += there[i] & 1;
    }
    return count * page;
}

size_t pinion__pages_give_back(void *begin, size_t bytes)
{
    const range pages = whole_pages(begin, bytes);
    unsigned char *from = (unsigned char *)begin + pages.from;
    const size_t resident = count_resident(from, pages.bytes);
    return pages.bytes > 0 && madvise(from, pages.bytes, MADV_DONTNEED) == 0 ? resident : 0;
}

size_t pinion__pages_resident(const void *begin, size_t bytes)
{
    const range pages = whole_pages(begin, bytes);
    return count_resident((const unsigned char *)begin + pages.from, pages.bytes);
}
