/* SPDX-License-Identifier: Apache-2.0
 *
 * The processor of the reference kernels: the specification of a whole network, on the calling thread.
 */
#include "device/processor.h"

static int run(pinion__processor *processor, pinion__body *body, const void *args)
{
    (void)processor;
    body(args);
    return PINION_OK;
}

static void destroy(pinion__processor *processor)
{
    pinion__release(processor->ctx, processor);
}

static const pinion__processor_class ref_class = {.kind = "ref", .run = run, .destroy = destroy};

int pinion__processor_create_ref(pinion_context *ctx, pinion__processor **out)
{
    int status = PINION_OK;
    pinion__processor *processor = NULL;
    PINION_TRY(pinion__alloc_zeroed(ctx, 1, sizeof *processor, "a processor", &processor));
    PINION_TRY(pinion__processor_init(ctx, processor, &ref_class, "ref"));
    processor->kernel_kind = PINION__PROCESSOR_REF;
    memcpy(processor->description, "reference kernels", sizeof "reference kernels");
    *out = processor;
    return PINION_OK;
fail:
    pinion__release(ctx, processor);
    return status;
}
