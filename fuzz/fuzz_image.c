/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG and JPEG: any bytes as an image, decoded and fitted. Nothing may leak, whatever the decoders run into.
 */
#include "base/context.h"
#include "data/image.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger ones are decoded by the same code, only slower. */
enum { MAX_PIXELS = 1 << 18, SIDE = 16 };

static void read_image(pinion_context *ctx, const uint8_t *data, size_t size)
{
    pinion__image image = {0};
    if (pinion__image_decode(ctx, "file", data, size, PINION__IMAGE_HEADER, &image) < 0)
        return;
    if (image.w < 1 || image.h < 1 || image.pixels)
        abort();
    if ((int64_t)image.w * image.h > MAX_PIXELS)
        return;
    if (pinion__image_decode(ctx, "file", data, size, PINION__IMAGE_PIXELS, &image) < 0)
        return;
    unsigned char fitted[SIDE * SIDE * 3];
    if (pinion__image_fit(ctx, "file", &image, (pinion_shape){SIDE, SIDE, 3}, fitted) < 0)
        abort();
    pinion__release(ctx, image.pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pinion_context_options options = {.threads = 1};
    pinion_context *ctx;
    if (pinion_context_create(&options, &ctx) < 0)
        return 0;
    read_image(ctx, data, size);
    if (atomic_load(&ctx->live_bytes) != 0)
        abort();
    pinion_context_destroy(ctx);
    return 0;
}
