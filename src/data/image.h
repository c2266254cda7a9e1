/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding images into interleaved RGB bytes, and fitting them to a network's input. Grey becomes RGB, 16 bits become
 * 8, transparency is dropped, colour profiles, gamma and EXIF orientation are passed over: what torchvision's loader
 * does. Decoders work on memory; `path` only names the image in messages.
 */
#ifndef PINION_DATA_IMAGE_H
#define PINION_DATA_IMAGE_H

#include "base/context.h"
#include <pinion/shape.h>

enum { PINION__MAX_IMAGE_PIXELS = 100 * 1000 * 1000, PINION__MAX_RESIZED_SIDE = 1 << 24 };

typedef struct pinion__image {
    int w, h;
    unsigned char *pixels; /* h*w*3 bytes; NULL: only the header was read */
} pinion__image;

enum pinion__image_depth { PINION__IMAGE_HEADER, PINION__IMAGE_PIXELS };

/* By the first bytes: a PNG or a JPEG. PINION_EFORMAT: neither, damaged, too large. The caller releases out->pixels. */
int pinion__image_decode(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                         enum pinion__image_depth depth, pinion__image *out);

/* The same of a file. */
int pinion__image_load(pinion_context *ctx, const char *path, enum pinion__image_depth depth, pinion__image *out);

/* The two decoders behind it; data begins with the format's signature. */
int pinion__png_decode(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                       enum pinion__image_depth depth, pinion__image *out);
int pinion__jpeg_decode(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                        enum pinion__image_depth depth, pinion__image *out);

/* Space for the pixels of a w x h image, whose size is checked. */
int pinion__image_allocate(pinion_context *ctx, const char *path, int w, int h, unsigned char **pixels);
int pinion__image_check_size(pinion_context *ctx, const char *path, int64_t w, int64_t h);

/* Resizes the shorter side to the longer of size.h and size.w and crops the centre: h*w*3 bytes into pixels.
 * PINION_EFORMAT: so thin that its longer side would be over PINION__MAX_RESIZED_SIDE. */
int pinion__image_fit(pinion_context *ctx, const char *path, const pinion__image *image, pinion_shape size,
                      unsigned char *pixels);

/* Load and fit. */
int pinion__image_read(pinion_context *ctx, const char *path, pinion_shape size, unsigned char *pixels);

#endif
