/* SPDX-License-Identifier: Apache-2.0
 *
 * Which processors this machine has.
 */
#include "device/device.h"

#include <pinion/device.h>
#include <string.h>

int pinion__processors_discover(pinion_context *ctx, pinion__processors *list)
{
    int status = PINION_OK;
    pinion__processors found = {.count = 0};
    PINION_TRY(pinion__processor_create_cpu(ctx, ctx->threads, &found.at[0]));
    found.count = 1;
    *list = found;
fail:
    return status;
}

void pinion__processors_fini(pinion__processors *list)
{
    for (int i = 0; i < list->count; i++)
        pinion__processor_destroy(list->at[i]);
    list->count = 0;
}

bool pinion__processors_share_cores(const pinion__processor *a, const pinion__processor *b)
{
    uint64_t common = 0;
    for (int i = 0; i < 4; i++)
        common |= a->core_mask[i] & b->core_mask[i];
    return common != 0;
}

static pinion_processor_info describe(const pinion__processors *list, int index)
{
    const pinion__processor *processor = list->at[index];
    pinion_processor_info info = {.cores = processor->cores};
    memcpy(info.name, processor->name, sizeof info.name);
    memcpy(info.description, processor->description, sizeof info.description);
    const char *isa = pinion__isa_name(processor->isa);
    memcpy(info.isa, isa, strnlen(isa, sizeof info.isa - 1));
    for (int other = 0; other < list->count; other++)
        if (other != index && pinion__processors_share_cores(processor, list->at[other]))
            info.shares_cores_with |= 1 << other;
    return info;
}

int pinion_processors_list(pinion_context *ctx, pinion_processor_info *entries, int capacity, int *count)
{
    if (!ctx)
        return PINION_EINVAL;
    int status = PINION_OK;
    PINION_FAIL_IF(!count || capacity < 0 || (capacity > 0 && !entries), PINION_EINVAL,
                   "pinion_processors_list: expected an array for its capacity and somewhere to put the count");
    pinion__processors list;
    PINION_TRY(pinion__processors_discover(ctx, &list));
    for (int i = 0; i < list.count && i < capacity; i++)
        entries[i] = describe(&list, i);
    *count = list.count;
    pinion__processors_fini(&list);
fail:
    return status;
}
