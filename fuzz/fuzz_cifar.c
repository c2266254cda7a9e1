/* SPDX-License-Identifier: Apache-2.0
 *
 * CIFAR-10 files: any bytes as a file of records and as a file of class names. What is accepted must be readable.
 */
#include "base/context.h"
#include "data/cifar10.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_records(pinion_context *ctx, const uint8_t *data, size_t size)
{
    int64_t count = 0;
    if (pinion__cifar10_check(ctx, "file", data, size, &count) < 0)
        return;
    if ((size_t)count * PINION__CIFAR10_RECORD != size)
        abort();
    unsigned char pixels[3 * PINION__CIFAR10_PLANE];
    for (int64_t i = 0; i < count; i++) {
        int label = pinion__cifar10_unpack(data + (size_t)i * PINION__CIFAR10_RECORD, pixels);
        if (label < 0 || label >= PINION__CIFAR10_CLASSES)
            abort();
    }
}

static void read_names(pinion_context *ctx, const uint8_t *data, size_t size)
{
    pinion__cifar10_names names;
    memset(names, 1, sizeof names);
    if (pinion__cifar10_parse_names(ctx, "file", data, size, names) < 0)
        return;
    for (int i = 0; i < PINION__CIFAR10_CLASSES; i++)
        if (!memchr(names[i], '\0', sizeof names[i]) || names[i][0] == '\0')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pinion_context_options options = {.threads = 1};
    pinion_context *ctx;
    if (pinion_context_create(&options, &ctx) < 0)
        return 0;
    read_records(ctx, data, size);
    read_names(ctx, data, size);
    pinion_context_destroy(ctx);
    return 0;
}
