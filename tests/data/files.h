/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of data sets share: folders that vanish, files of every kind, contexts whose allocator fails on
 * demand, and comparing the sentence of a failure.
 */
#ifndef PINION_TESTS_DATA_FILES_H
#define PINION_TESTS_DATA_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pinion/pinion.h>

/* The folder of the running test, empty at its beginning; setup and teardown of cmocka. */
extern char test_folder[256];
int make_test_folder(void **state);
int remove_test_folder(void **state);

/* "FOLDER/" and the formatted rest; one of a few static buffers. */
const char *in_folder(const char *format, ...) __attribute__((format(printf, 1, 2)));

void make_folder(const char *path);
void write_bytes(const char *path, const void *data, size_t bytes);
/* The contents of a file; the caller frees. */
unsigned char *read_bytes(const char *path, size_t *bytes);
/* Flips all bits of one byte. */
void damage_byte(const char *path, size_t offset);
void cut_file(const char *path, size_t bytes);

/* Pixel (y, x) has channel c = (37 x + 91 y + 53 c + 7 x y) modulo 256. */
unsigned char pattern(int y, int x, int c);

enum png_kind { PNG_GREY, PNG_GREY_ALPHA, PNG_PALETTE, PNG_RGB, PNG_RGBA, PNG_RGB16, PNG_RGB_INTERLACED, PNG_RGB_TEXT };

enum { PNG_TEXT_BYTES = 4 << 20 };

/* The pattern; grey kinds take channel 0, alpha is 128. PNG_RGB_TEXT: with a zTXt chunk of PNG_TEXT_BYTES spaces. */
void write_png(const char *path, int w, int h, enum png_kind kind);

/* Repeats the first chunk of a type where it stands, until there are `count`. */
void repeat_png_chunk(const char *path, const char *type, int count);

enum jpeg_kind { JPEG_GREY, JPEG_RGB, JPEG_CMYK, JPEG_PROGRESSIVE };

/* A gentle slope of grey that JPEG keeps within a few levels: 60 + 2 x + 3 y. */
void write_jpeg(const char *path, int w, int h, enum jpeg_kind kind);

/* `records` records: record i has label (i + first) % 10 and, where a plane is 1024 bytes, bytes
 * (i + first + 31 * position + 40 * plane) % 256. */
void write_cifar(const char *path, int records, int first);

/* A whole data set: data_batch_1.bin and data_batch_2.bin of `records` each, test_batch.bin of 3 records. */
void write_cifar_folder(int records);

/* A context whose allocator counts blocks, adds up the bytes asked for, and fails the `fail_at`-th call (from 1; 0:
 * none). */
typedef struct test_memory {
    long calls, live, fail_at, bytes;
} test_memory;

pinion_context *create_context(test_memory *memory);

/* `status` is `code`, and the context's sentence the formatted text. */
void expect_failure(const pinion_context *ctx, int status, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
