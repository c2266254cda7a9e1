/* SPDX-License-Identifier: Apache-2.0
 *
 * Making files for the tests of data sets.
 */
#include "files.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>

char test_folder[256];

int make_test_folder(void **state)
{
    (void)state;
    const char *temporary = getenv("TMPDIR");
    snprintf(test_folder, sizeof test_folder, "%s/pinion-data-XXXXXX", temporary ? temporary : "/tmp");
    return mkdtemp(test_folder) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

int remove_test_folder(void **state)
{
    (void)state;
    return nftw(test_folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *in_folder(const char *format, ...)
{
    static char buffers[8][1024];
    static unsigned next;
    char *buffer = buffers[next++ % 8];
    int head = snprintf(buffer, sizeof buffers[0], "%s/", test_folder);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer + head, sizeof buffers[0] - (size_t)head, format, arguments);
    va_end(arguments);
    return buffer;
}

void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0777), 0);
}

void write_bytes(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

unsigned char *read_bytes(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct stat info;
    assert_int_equal(fstat(fileno(file), &info), 0);
    *bytes = (size_t)info.st_size;
    unsigned char *data = malloc(*bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    fclose(file);
    return data;
}

void damage_byte(const char *path, size_t offset)
{
    size_t bytes;
    unsigned char *data = read_bytes(path, &bytes);
    assert_true(offset < bytes);
    data[offset] ^= 0xff;
    write_bytes(path, data, bytes);
    free(data);
}

void cut_file(const char *path, size_t bytes)
{
    assert_int_equal(truncate(path, (off_t)bytes), 0);
}

unsigned char pattern(int y, int x, int c)
{
    return (unsigned char)(37 * x + 91 * y + 53 * c + 7 * x * y);
}

static void fill_row(unsigned char *row, int y, int w, enum png_kind kind)
{
    for (int x = 0; x < w; x++)
        switch (kind) {
        case PNG_GREY:
        case PNG_PALETTE:
            *row++ = pattern(y, x, 0);
            break;
        case PNG_GREY_ALPHA:
            *row++ = pattern(y, x, 0);
            *row++ = 128;
            break;
        case PNG_RGB16:
            for (int c = 0; c < 3; c++) {
                *row++ = pattern(y, x, c);
                *row++ = pattern(y, x, c);
            }
            break;
        default:
            for (int c = 0; c < 3; c++)
                *row++ = pattern(y, x, c);
            if (kind == PNG_RGBA)
                *row++ = 128;
        }
}

static void set_palette(png_structp png, png_infop info)
{
    png_color palette[256];
    for (int i = 0; i < 256; i++)
        palette[i] = (png_color){(png_byte)i, (png_byte)(i + 53), (png_byte)(i + 106)};
    png_set_PLTE(png, info, palette, 256);
}

static void set_text(png_structp png, png_infop info)
{
    char *text = malloc(PNG_TEXT_BYTES + 1), key[] = "Comment";
    assert_non_null(text);
    memset(text, ' ', PNG_TEXT_BYTES);
    text[PNG_TEXT_BYTES] = '\0';
    png_text entry = {
        .compression = PNG_TEXT_COMPRESSION_zTXt, .key = key, .text = text, .text_length = PNG_TEXT_BYTES};
    png_set_text(png, info, &entry, 1);
    free(text);
}

void write_png(const char *path, int w, int h, enum png_kind kind)
{
    static const int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_PALETTE,
                                  PNG_COLOR_TYPE_RGB,  PNG_COLOR_TYPE_RGBA,       PNG_COLOR_TYPE_RGB,
                                  PNG_COLOR_TYPE_RGB,  PNG_COLOR_TYPE_RGB};
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, kind == PNG_RGB16 ? 16 : 8, colours[kind],
                 kind == PNG_RGB_INTERLACED ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (kind == PNG_PALETTE)
        set_palette(png, info);
    if (kind == PNG_RGB_TEXT)
        set_text(png, info);
    png_write_info(png, info);
    int passes = png_set_interlace_handling(png);
    unsigned char *row = calloc((size_t)w, 8);
    assert_non_null(row);
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < h; y++) {
            fill_row(row, y, w, kind);
            png_write_row(png, row);
        }
    free(row);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    assert_int_equal(fclose(file), 0);
}

void repeat_png_chunk(const char *path, const char *type, int count)
{
    size_t bytes, at = 8;
    unsigned char *data = read_bytes(path, &bytes);
    while (at + 12 <= bytes && memcmp(data + at + 4, type, 4) != 0)
        at += 12 + ((size_t)data[at] << 24 | (size_t)data[at + 1] << 16 | (size_t)data[at + 2] << 8 | data[at + 3]);
    assert_true(at + 12 <= bytes);
    size_t chunk = 12 + ((size_t)data[at + 1] << 16 | (size_t)data[at + 2] << 8 | data[at + 3]);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, at, file), at);
    for (int i = 1; i < count; i++)
        assert_int_equal(fwrite(data + at, 1, chunk, file), chunk);
    assert_int_equal(fwrite(data + at, 1, bytes - at, file), bytes - at);
    assert_int_equal(fclose(file), 0);
    free(data);
}

void write_jpeg(const char *path, int w, int h, enum jpeg_kind kind)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    int channels = kind == JPEG_GREY ? 1 : kind == JPEG_CMYK ? 4 : 3;
    jpeg.image_width = (JDIMENSION)w;
    jpeg.image_height = (JDIMENSION)h;
    jpeg.input_components = channels;
    jpeg.in_color_space = kind == JPEG_GREY ? JCS_GRAYSCALE : kind == JPEG_CMYK ? JCS_CMYK : JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (kind == JPEG_PROGRESSIVE)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    unsigned char *row = malloc((size_t)w * (size_t)channels);
    assert_non_null(row);
    for (int y = 0; y < h; y++) {
        for (int i = 0; i < w * channels; i++)
            row[i] = (unsigned char)(60 + 2 * (i / channels) + 3 * y);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    free(row);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    assert_int_equal(fclose(file), 0);
}

void write_cifar(const char *path, int records, int first)
{
    size_t bytes = (size_t)records * 3073;
    unsigned char *data = malloc(bytes + 1);
    assert_non_null(data);
    for (int i = 0; i < records; i++) {
        unsigned char *record = data + (size_t)i * 3073;
        record[0] = (unsigned char)((i + first) % 10);
        for (int position = 0; position < 3072; position++)
            record[1 + position] = (unsigned char)(i + first + 31 * position + 40 * (position / 1024));
    }
    write_bytes(path, data, bytes);
    free(data);
}

void write_cifar_folder(int records)
{
    write_cifar(in_folder("data_batch_1.bin"), records, 0);
    write_cifar(in_folder("data_batch_2.bin"), records, records);
    write_cifar(in_folder("test_batch.bin"), 3, 100);
}

static void *test_alloc(void *user, size_t bytes, size_t alignment)
{
    test_memory *memory = user;
    long call = __atomic_add_fetch(&memory->calls, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&memory->bytes, (long)bytes, __ATOMIC_SEQ_CST);
    void *block = NULL;
    if (call == memory->fail_at || posix_memalign(&block, alignment, bytes) != 0)
        return NULL;
    __atomic_add_fetch(&memory->live, 1, __ATOMIC_SEQ_CST);
    return block;
}

static void test_release(void *user, void *block)
{
    test_memory *memory = user;
    if (block)
        __atomic_sub_fetch(&memory->live, 1, __ATOMIC_SEQ_CST);
    free(block);
}

pinion_context *create_context(test_memory *memory)
{
    pinion_context_options options = pinion_context_options_default();
    if (memory) {
        options.alloc = test_alloc;
        options.release = test_release;
        options.alloc_user = memory;
    }
    options.threads = 1;
    pinion_context *ctx;
    assert_int_equal(pinion_context_create(&options, &ctx), PINION_OK);
    return ctx;
}

void expect_failure(const pinion_context *ctx, int status, int code, const char *format, ...)
{
    char expected[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    assert_string_equal(pinion_context_error(ctx), expected);
    assert_int_equal(status, code);
}
