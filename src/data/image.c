/* SPDX-License-Identifier: Apache-2.0
 *
 * Images of any supported format.
 */
#include "data/image.h"
#include "base/file.h"
#include "data/dataset.h"

#include <string.h>

int pinion__image_check_size(pinion_context *ctx, const char *path, int64_t w, int64_t h)
{
    int status = PINION_OK;
    PINION_FAIL_IF(w < 1 || h < 1 || w > PINION__MAX_IMAGE_PIXELS / h, PINION_EFORMAT,
                   "%s: %lld x %lld pixels: expected 1 to %d in all", path, (long long)w, (long long)h,
                   (int)PINION__MAX_IMAGE_PIXELS);
fail:
    return status;
}

int pinion__image_allocate(pinion_context *ctx, const char *path, int w, int h, unsigned char **pixels)
{
    int status = PINION_OK;
    PINION_TRY(pinion__image_check_size(ctx, path, w, h));
    PINION_TRY(pinion__alloc(ctx, (size_t)w * (size_t)h, 3, "the pixels of an image", pixels));
fail:
    return status;
}

int pinion__image_decode(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                         enum pinion__image_depth depth, pinion__image *out)
{
    static const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, jpeg[] = {0xff, 0xd8, 0xff};
    int status = PINION_OK;
    bool is_png = bytes >= sizeof png && memcmp(data, png, sizeof png) == 0;
    bool is_jpeg = bytes >= sizeof jpeg && memcmp(data, jpeg, sizeof jpeg) == 0;
    PINION_FAIL_IF(bytes == 0, PINION_EFORMAT, "%s: is empty: expected a PNG or JPEG image", path);
    PINION_FAIL_IF(!is_png && !is_jpeg, PINION_EFORMAT,
                   "%s: is no image: expected the signature of PNG or JPEG at its beginning", path);
    if (is_png)
        PINION_TRY(pinion__png_decode(ctx, path, data, bytes, depth, out));
    else
        PINION_TRY(pinion__jpeg_decode(ctx, path, data, bytes, depth, out));
fail:
    return status;
}

int pinion__image_load(pinion_context *ctx, const char *path, enum pinion__image_depth depth, pinion__image *out)
{
    int status = PINION_OK;
    pinion__file file = {0};
    PINION_TRY(pinion__file_open(ctx, path, &file));
    PINION_TRY(pinion__image_decode(ctx, path, file.data, file.bytes, depth, out));
fail:
    pinion__file_close(&file);
    return status;
}

int pinion__image_read(pinion_context *ctx, const char *path, pinion_shape size, unsigned char *pixels)
{
    int status = PINION_OK;
    pinion__image image = {0};
    PINION_TRY(pinion__image_load(ctx, path, PINION__IMAGE_PIXELS, &image));
    PINION_TRY(pinion__image_fit(ctx, path, &image, size, pixels));
fail:
    pinion__release(ctx, image.pixels);
    return status;
}

int pinion_image_read(pinion_context *ctx, const char *path, pinion_shape size, unsigned char *pixels)
{
    if (!ctx)
        return PINION_EINVAL;
    int status = PINION_OK;
    PINION_FAIL_IF(!path || !pixels, PINION_EINVAL, "reading an image needs a path and a place for its pixels");
    PINION_FAIL_IF(size.h < 1 || size.w < 1 || size.h > PINION__MAX_IMAGE_SIDE || size.w > PINION__MAX_IMAGE_SIDE ||
                       size.c != 3,
                   PINION_EINVAL, "%s: to be read as %dx%dx%d: expected sides of 1 to %d and 3 channels", path, size.h,
                   size.w, size.c, (int)PINION__MAX_IMAGE_SIDE);
    PINION_TRY(pinion__image_read(ctx, path, size, pixels));
fail:
    return status;
}
