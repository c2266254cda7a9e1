/* SPDX-License-Identifier: Apache-2.0
 *
 * Which processors this machine has.
 */
#include "device/cores.h"
#include "device/memory.h"
#ifdef PINION__HAVE_OPENCL
#include "device/opencl.h"
#endif

#include <pinion/device.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef PINION__HAVE_OPENCL
/* Adds the OpenCL devices that work. */
static void discover_opencl(pinion_context *ctx, pinion__processors *list)
{
    pinion__opencl *opencl;
    if (pinion__opencl_get(ctx, &opencl) < 0) {
        pinion__log(ctx, PINION_LOG_INFO, "%s", pinion_context_error(ctx));
        return;
    }
    for (int i = 0; i < opencl->device_count && list->count < PINION__MAX_PROCESSORS; i++)
        if (pinion__processor_create_opencl(ctx, i, 0, &list->at[list->count]) == PINION_OK)
            list->count++;
        else
            pinion__log(ctx, PINION_LOG_WARNING, "%s", pinion_context_error(ctx));
}
#endif

/* Where there are several kinds of cores, each as a processor. */
static int discover_clusters(pinion_context *ctx, pinion__processors *list)
{
    int status = PINION_OK;
    pinion__cores cores;
    PINION_TRY(pinion__cores_find(ctx, &cores));
    for (int c = 0; c < cores.clusters && cores.clusters > 1 && list->count < PINION__MAX_PROCESSORS; c++) {
        const pinion__core *members[sizeof cores.at / sizeof cores.at[0]];
        int count = 0;
        for (int i = 0; i < cores.count; i++)
            if (cores.at[i].cluster == c)
                members[count++] = &cores.at[i];
        char name[32];
        snprintf(name, sizeof name, "cpu:%d", c);
        PINION_TRY(pinion__processor_create_cpu_on(ctx, name, members, count, &list->at[list->count]));
        list->count++;
    }
fail:
    return status;
}

int pinion__processors_discover(pinion_context *ctx, pinion__processors *list)
{
    int status = PINION_OK;
    pinion__processors found = {.count = 0};
    PINION_TRY(pinion__processor_create_cpu(ctx, ctx->threads, &found.at[0]));
    found.count = 1;
    PINION_TRY(discover_clusters(ctx, &found));
#ifdef PINION__HAVE_OPENCL
    discover_opencl(ctx, &found);
#endif
    *list = found;
    return PINION_OK;
fail:
    pinion__processors_fini(&found);
    return status;
}

void pinion__processor_fail(pinion__processor *processor, int code, const char *format, ...)
{
    int none = 0;
    if (!atomic_compare_exchange_strong(&processor->failure, &none, code))
        return;
    char sentence[PINION__SENTENCE_MAX];
    va_list list;
    va_start(list, format);
    vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    pinion__fail(processor->ctx, __FILE__, __LINE__, code, "processor '%s': %s", processor->name, sentence);
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
    snprintf(info.kind, sizeof info.kind, "%s", processor->class_->kind);
    if (processor->kernel_kind == PINION__PROCESSOR_CPU)
        snprintf(info.isa, sizeof info.isa, "%s", pinion__isa_name(processor->isa));
    snprintf(info.memory, sizeof info.memory, "%s", processor->domain ? processor->domain->name : "host");
    info.copies = processor->domain && processor->domain->copies;
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
