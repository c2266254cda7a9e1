/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG through libpng. Its errors come by longjmp: everything that lives across one is in the struct `reader`, and the
 * functions that call setjmp have no locals of their own that change. Memory comes from the context.
 */
#include "data/image.h"

#include <png.h>
#include <string.h>

typedef struct reader {
    pinion_context *ctx;
    const char *path;
    const unsigned char *data;
    size_t left;
    png_structp png;
    png_infop info;
    pinion__image image;
    int status;
} reader;

static void on_error(png_structp png, png_const_charp message)
{
    reader *self = png_get_error_ptr(png);
    if (self->status == PINION_OK)
        self->status = pinion__fail(self->ctx, __FILE__, __LINE__, PINION_EFORMAT, "%s: is a damaged PNG: %s",
                                    self->path, message);
    png_longjmp(png, 1);
}

/* Warnings are about what does not change the pixels. */
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t bytes)
{
    reader *self = png_get_mem_ptr(png);
    void *block;
    int status = pinion__alloc(self->ctx, bytes, 1, "decoding a PNG", &block);
    if (status == PINION_OK)
        return block;
    self->status = status;
    return NULL;
}

static void on_free(png_structp png, png_voidp block)
{
    reader *self = png_get_mem_ptr(png);
    pinion__release(self->ctx, block);
}

static void on_read(png_structp png, png_bytep out, size_t bytes)
{
    reader *self = png_get_io_ptr(png);
    if (bytes > self->left)
        png_error(png, "the file ends early");
    memcpy(out, self->data, bytes);
    self->data += bytes;
    self->left -= bytes;
}

/* libpng's transformations to 8-bit RGB; the size is checked before anything is allocated for it. */
static void read_header(reader *self)
{
    png_structp png = self->png;
    png_set_read_fn(png, self, on_read);
    /* All but IHDR, PLTE, tRNS, IDAT and IEND: texts and profiles may unfold to megabytes a chunk, for nothing. */
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(png, self->info);
    self->status = pinion__image_check_size(self->ctx, self->path, png_get_image_width(png, self->info),
                                            png_get_image_height(png, self->info));
    if (self->status < 0)
        return;
    self->image.w = (int)png_get_image_width(png, self->info);
    self->image.h = (int)png_get_image_height(png, self->info);
    png_set_scale_16(png);
    png_set_expand(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
}

static void read_pixels(reader *self)
{
    png_structp png = self->png;
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, self->info);
    size_t stride = (size_t)self->image.w * 3;
    if (png_get_rowbytes(png, self->info) != stride)
        png_error(png, "its pixels are not RGB after conversion");
    self->status = pinion__image_allocate(self->ctx, self->path, self->image.w, self->image.h, &self->image.pixels);
    if (self->status < 0)
        return;
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < self->image.h; y++)
            png_read_row(png, self->image.pixels + (size_t)y * stride, NULL);
    /* The last chunks carry the checksum of the pixels. */
    png_read_end(png, NULL);
}

static void decode(reader *self, enum pinion__image_depth depth)
{
    if (setjmp(png_jmpbuf(self->png)))
        return;
    read_header(self);
    if (self->status == PINION_OK && depth == PINION__IMAGE_PIXELS)
        read_pixels(self);
}

int pinion__png_decode(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                       enum pinion__image_depth depth, pinion__image *out)
{
    reader self = {.ctx = ctx, .path = path, .data = data, .left = bytes};
    self.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &self, on_error, on_warning, &self, on_malloc, on_free);
    self.info = self.png ? png_create_info_struct(self.png) : NULL;
    if (self.info)
        decode(&self, depth);
    else if (self.status == PINION_OK)
        self.status = pinion__fail(ctx, __FILE__, __LINE__, PINION_EFAILED, "%s: libpng cannot be used", path);
    png_destroy_read_struct(&self.png, &self.info, NULL);
    if (self.status < 0)
        pinion__release(ctx, self.image.pixels);
    else
        *out = self.image;
    return self.status;
}
