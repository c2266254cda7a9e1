/* SPDX-License-Identifier: Apache-2.0
 *
 * What is the same in all domains.
 */
#include "device/memory.h"

int pinion__memory_create(pinion__domain *domain, size_t bytes, pinion__memory **out)
{
    return domain->class_->create(domain, bytes, out);
}

void pinion__memory_destroy(pinion__memory *memory)
{
    if (memory)
        memory->domain->class_->destroy(memory);
}

int pinion__memory_span(pinion__memory *memory, size_t offset, size_t bytes, pinion__span *out)
{
    return memory->domain->class_->span(memory, offset, bytes, out);
}

void pinion__hand_over(const void *args)
{
    const pinion__hand_over_args *of = args;
    if (of->from != of->to)
        of->memory->domain->class_->hand_over(of->memory, of->by, &of->span, of->bytes, of->from, of->to, of->contents);
}
