/* SPDX-License-Identifier: Apache-2.0
 *
 * How the CPU kernels of this folder that walk whole tensors cut their loops into items of pinion__parallel. A cut
 * depends on shapes alone, never on the number of workers: partial results are combined item by item, so this is what
 * makes results the same bits for any number of threads.
 */
#ifndef PINION_KERNEL_CPU_CUT_H
#define PINION_KERNEL_CPU_CUT_H

#include <stddef.h>

/* Elements of an item: large against the cost of claiming it, small against a second-level cache. */
enum { PINION__CUT_ELEMENTS = 32768 };

/* Units (pixels, samples, rows) 0 … units-1 in items of `each`, the last one shorter. */
typedef struct pinion__cut {
    size_t units, each, items;
} pinion__cut;

static inline pinion__cut pinion__cut_units(size_t units, size_t elements_of_unit)
{
    size_t each = elements_of_unit < PINION__CUT_ELEMENTS ? PINION__CUT_ELEMENTS / elements_of_unit : 1;
    return (pinion__cut){.units = units, .each = each, .items = (units + each - 1) / each};
}

static inline size_t pinion__cut_first(const pinion__cut *cut, size_t item)
{
    return item * cut->each;
}

/* One past the item's last unit. */
static inline size_t pinion__cut_end(const pinion__cut *cut, size_t item)
{
    size_t end = (item + 1) * cut->each;
    return end < cut->units ? end : cut->units;
}

#endif
