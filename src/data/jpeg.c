/* SPDX-License-Identifier: Apache-2.0
 *
 * JPEG through libjpeg-turbo. As with PNG, what lives across a longjmp is in one struct. libjpeg goes on after damaged
 * data with a warning and grey pixels; here such a warning is an error.
 */
#include "data/image.h"

#include <setjmp.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>

/* A progressive file may repeat scans without end; encoders write about ten. */
enum { MAX_SCANS = 200 };

typedef struct reader {
    struct jpeg_error_mgr errors; /* first: libjpeg hands back a pointer to it */
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    pinion_context *ctx;
    const char *path;
    pinion__image image;
    int status;
} reader;

static void on_error(j_common_ptr jpeg)
{
    reader *self = (reader *)(void *)jpeg->err;
    if (self->status == PINION_OK) {
        char message[JMSG_LENGTH_MAX];
        jpeg->err->format_message(jpeg, message);
        bool memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
        self->status = pinion__fail(self->ctx, __FILE__, __LINE__, memory ? PINION_ENOMEM : PINION_EFORMAT,
                                    memory ? "%s: out of memory while decoding: %s" : "%s: is a damaged JPEG: %s",
                                    self->path, message);
    }
    longjmp(self->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;
    bool harmless = level >= 0 || code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
    if (!harmless)
        on_error(jpeg);
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
    reader *self = (reader *)(void *)jpeg->err;
    if (self->jpeg.input_scan_number <= MAX_SCANS)
        return;
    self->status = pinion__fail(self->ctx, __FILE__, __LINE__, PINION_EFORMAT,
                                "%s: is a damaged JPEG: more than %d scans", self->path, (int)MAX_SCANS);
    longjmp(self->jump, 1);
}

static void read_header(reader *self, const unsigned char *data, size_t bytes)
{
    jpeg_create_decompress(&self->jpeg);
    self->progress.progress_monitor = on_progress;
    self->jpeg.progress = &self->progress;
    jpeg_mem_src(&self->jpeg, data, (unsigned long)bytes);
    jpeg_read_header(&self->jpeg, TRUE);
    self->status = pinion__image_check_size(self->ctx, self->path, self->jpeg.image_width, self->jpeg.image_height);
    if (self->status < 0)
        return;
    J_COLOR_SPACE colours = self->jpeg.jpeg_color_space;
    if (colours != JCS_GRAYSCALE && colours != JCS_RGB && colours != JCS_YCbCr)
        self->status = pinion__fail(self->ctx, __FILE__, __LINE__, PINION_EFORMAT,
                                    "%s: is a JPEG of %d colour components: expected grey or RGB", self->path,
                                    self->jpeg.num_components);
    self->jpeg.out_color_space = JCS_RGB;
    self->image.w = (int)self->jpeg.image_width;
    self->image.h = (int)self->jpeg.image_height;
}

static void read_pixels(reader *self)
{
    self->status = pinion__image_allocate(self->ctx, self->path, self->image.w, self->image.h, &self->image.pixels);
    if (self->status < 0)
        return;
    jpeg_start_decompress(&self->jpeg);
    while (self->jpeg.output_scanline < self->jpeg.output_height) {
        JSAMPROW row = self->image.pixels + (size_t)self->jpeg.output_scanline * (size_t)self->image.w * 3;
        jpeg_read_scanlines(&self->jpeg, &row, 1);
    }
    jpeg_finish_decompress(&self->jpeg);
}

static void decode(reader *self, const unsigned char *data, size_t bytes, enum pinion__image_depth depth)
{
    if (setjmp(self->jump))
        return;
    read_header(self, data, bytes);
    if (self->status == PINION_OK && depth == PINION__IMAGE_PIXELS)
        read_pixels(self);
}

int pinion__jpeg_decode(pinion_context *ctx, const char *path, const unsigned char *data, size_t bytes,
                        enum pinion__image_depth depth, pinion__image *out)
{
    reader self = {.ctx = ctx, .path = path};
    self.jpeg.err = jpeg_std_error(&self.errors);
    self.errors.error_exit = on_error;
    self.errors.emit_message = on_message;
    self.errors.output_message = on_output;
    decode(&self, data, bytes, depth);
    jpeg_destroy_decompress(&self.jpeg);
    if (self.status < 0)
        pinion__release(ctx, self.image.pixels);
    else
        *out = self.image;
    return self.status;
}
