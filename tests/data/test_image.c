/* SPDX-License-Identifier: Apache-2.0
 *
 * Single images: every kind of PNG and JPEG, damage at every place, and resizing against PIL's results.
 */
#include "base/context.h"
#include "data/image.h"
#include "files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pinion_context *ctx;
static test_memory memory;

static int setup(void **state)
{
    memory = (test_memory){0};
    ctx = create_context(&memory);
    return make_test_folder(state);
}

static int teardown(void **state)
{
    pinion_context_destroy(ctx);
    assert_int_equal(memory.live, 0);
    return remove_test_folder(state);
}

static void test_png_kinds(void **state)
{
    (void)state;
    for (int kind = PNG_GREY; kind <= PNG_RGB_TEXT; kind++) {
        const char *path = in_folder("image.png");
        write_png(path, 13, 9, (enum png_kind)kind);
        pinion__image image = {0};
        assert_int_equal(pinion__image_load(ctx, path, PINION__IMAGE_PIXELS, &image), PINION_OK);
        assert_int_equal(image.w, 13);
        assert_int_equal(image.h, 9);
        bool grey = kind == PNG_GREY || kind == PNG_GREY_ALPHA;
        for (int y = 0; y < 9; y++)
            for (int x = 0; x < 13; x++)
                for (int c = 0; c < 3; c++)
                    assert_int_equal(image.pixels[(y * 13 + x) * 3 + c], pattern(y, x, grey ? 0 : c));
        pinion__release(ctx, image.pixels);
    }
}

static void test_jpeg_kinds(void **state)
{
    (void)state;
    static const enum jpeg_kind kinds[] = {JPEG_GREY, JPEG_RGB, JPEG_PROGRESSIVE};
    for (int k = 0; k < 3; k++) {
        const char *path = in_folder("image.jpg");
        write_jpeg(path, 30, 20, kinds[k]);
        pinion__image image = {0};
        assert_int_equal(pinion__image_load(ctx, path, PINION__IMAGE_PIXELS, &image), PINION_OK);
        assert_int_equal(image.w, 30);
        assert_int_equal(image.h, 20);
        for (int y = 0; y < 20; y++)
            for (int x = 0; x < 30; x++)
                for (int c = 0; c < 3; c++)
                    assert_true(abs(image.pixels[(y * 30 + x) * 3 + c] - (60 + 2 * x + 3 * y)) <= 4);
        pinion__release(ctx, image.pixels);
    }
    const char *path = in_folder("image.jpg");
    unsigned char pixels[32 * 32 * 3];
    write_jpeg(path, 30, 20, JPEG_CMYK);
    expect_failure(ctx, pinion_image_read(ctx, path, (pinion_shape){32, 32, 3}, pixels), PINION_EFORMAT,
                   "%s: is a JPEG of 4 colour components: expected grey or RGB", path);
}

static void test_header_only(void **state)
{
    (void)state;
    const char *png = in_folder("image.png"), *jpeg = in_folder("image.jpg");
    write_png(png, 40, 30, PNG_RGB);
    write_jpeg(jpeg, 50, 60, JPEG_RGB);
    pinion__image image = {0};
    assert_int_equal(pinion__image_load(ctx, png, PINION__IMAGE_HEADER, &image), PINION_OK);
    assert_int_equal(image.w, 40);
    assert_int_equal(image.h, 30);
    assert_null(image.pixels);
    assert_int_equal(pinion__image_load(ctx, jpeg, PINION__IMAGE_HEADER, &image), PINION_OK);
    assert_int_equal(image.w, 50);
    assert_int_equal(image.h, 60);
    assert_null(image.pixels);
}

static int read_image(const char *path)
{
    unsigned char pixels[16 * 16 * 3];
    return pinion_image_read(ctx, path, (pinion_shape){16, 16, 3}, pixels);
}

static void test_no_image(void **state)
{
    (void)state;
    const char *path = in_folder("image.png");
    expect_failure(ctx, read_image(path), PINION_EFORMAT, "%s: cannot be opened: No such file or directory", path);
    write_bytes(path, "", 0);
    expect_failure(ctx, read_image(path), PINION_EFORMAT, "%s: is empty: expected a PNG or JPEG image", path);
    write_bytes(path, "GIF89a and so on", 16);
    expect_failure(ctx, read_image(path), PINION_EFORMAT,
                   "%s: is no image: expected the signature of PNG or JPEG at its beginning", path);
    expect_failure(ctx, read_image(test_folder), PINION_EFORMAT, "%s: is not a regular file", test_folder);

    unsigned char pixels[3];
    expect_failure(ctx, pinion_image_read(ctx, path, (pinion_shape){1, 1, 1}, pixels), PINION_EINVAL,
                   "%s: to be read as 1x1x1: expected sides of 1 to 4096 and 3 channels", path);
    expect_failure(ctx, pinion_image_read(ctx, path, (pinion_shape){1, 4097, 3}, pixels), PINION_EINVAL,
                   "%s: to be read as 1x4097x3: expected sides of 1 to 4096 and 3 channels", path);
    expect_failure(ctx, pinion_image_read(ctx, NULL, (pinion_shape){1, 1, 3}, pixels), PINION_EINVAL,
                   "reading an image needs a path and a place for its pixels");
    expect_failure(ctx, pinion_image_read(ctx, path, (pinion_shape){1, 1, 3}, NULL), PINION_EINVAL,
                   "reading an image needs a path and a place for its pixels");
    assert_int_equal(pinion_image_read(NULL, path, (pinion_shape){1, 1, 3}, pixels), PINION_EINVAL);
}

static void test_png_damage(void **state)
{
    (void)state;
    const char *path = in_folder("image.png");
    write_png(path, 40, 30, PNG_RGB);
    size_t bytes;
    unsigned char *whole = read_bytes(path, &bytes);
    cut_file(path, 20);
    expect_failure(ctx, read_image(path), PINION_EFORMAT, "%s: is a damaged PNG: the file ends early", path);
    /* Cut anywhere, the last checksum and the end mark included. */
    for (size_t length = 8; length < bytes; length += 3) {
        write_bytes(path, whole, length);
        assert_int_equal(read_image(path), PINION_EFORMAT);
    }
    /* A byte of the compressed pixels: found by the checksum of its chunk, if not before. */
    for (size_t at = 60; at < bytes - 16; at += 7) {
        write_bytes(path, whole, bytes);
        damage_byte(path, at);
        assert_int_equal(read_image(path), PINION_EFORMAT);
    }
    write_bytes(path, whole, bytes);
    assert_int_equal(read_image(path), PINION_OK);
    damage_byte(path, bytes - 14); /* in the checksum of the pixels */
    expect_failure(ctx, read_image(path), PINION_EFORMAT, "%s: is a damaged PNG: IDAT: CRC error", path);
    free(whole);
}

static void test_jpeg_damage(void **state)
{
    (void)state;
    const char *path = in_folder("image.jpg");
    write_jpeg(path, 40, 30, JPEG_RGB);
    size_t bytes;
    unsigned char *whole = read_bytes(path, &bytes);
    cut_file(path, 30);
    expect_failure(ctx, read_image(path), PINION_EFORMAT, "%s: is a damaged JPEG: Premature end of JPEG file", path);
    for (size_t length = 3; length < bytes; length += 3) {
        write_bytes(path, whole, length);
        assert_int_equal(read_image(path), PINION_EFORMAT);
    }
    /* Bytes behind the end are none of the image's. */
    unsigned char *longer = calloc(bytes + 5, 1);
    assert_non_null(longer);
    memcpy(longer, whole, bytes);
    write_bytes(path, longer, bytes + 5);
    assert_int_equal(read_image(path), PINION_OK);
    free(longer);
    free(whole);
}

/* A header that promises more than memory holds is refused before anything is allocated for it. */
static void test_size_limit(void **state)
{
    (void)state;
    const char *path = in_folder("image.jpg");
    write_jpeg(path, 40, 30, JPEG_RGB);
    size_t bytes;
    unsigned char *data = read_bytes(path, &bytes);
    for (size_t i = 0; i + 8 < bytes; i++)
        if (data[i] == 0xff && data[i + 1] == 0xc0)
            memset(data + i + 5, 0xea, 4);
    write_bytes(path, data, bytes);
    free(data);
    expect_failure(ctx, read_image(path), PINION_EFORMAT, "%s: 60138 x 60138 pixels: expected 1 to 100000000 in all",
                   path);
}

/* A hundred compressed texts of megabytes each cost nothing. */
static void test_png_texts(void **state)
{
    (void)state;
    const char *path = in_folder("image.png");
    write_png(path, 16, 16, PNG_RGB_TEXT);
    repeat_png_chunk(path, "zTXt", 100);
    memory.bytes = 0;
    assert_int_equal(read_image(path), PINION_OK);
    assert_in_range(memory.bytes, 16 * 16 * 3, 1 << 20);
}

static void expect_fit(int h, int w, int to_h, int to_w, const unsigned char *expected)
{
    unsigned char source[48 * 48 * 3], fitted[48 * 48 * 3];
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int c = 0; c < 3; c++)
                source[(y * w + x) * 3 + c] = pattern(y, x, c);
    pinion__image image = {.w = w, .h = h, .pixels = source};
    assert_int_equal(pinion__image_fit(ctx, "file", &image, (pinion_shape){to_h, to_w, 3}, fitted), PINION_OK);
    int exact = 0, values = to_h * to_w * 3;
    for (int i = 0; i < values; i++) {
        assert_true(abs(fitted[i] - expected[i]) <= 1);
        exact += fitted[i] == expected[i];
    }
    assert_true(exact >= values * 3 / 4);
}

/* Expected: PIL 10.4, Image.resize(…, BILINEAR) of the pattern with the shorter side as torchvision's Resize takes it,
 * then torchvision's CenterCrop. */
static void test_fit(void **state)
{
    (void)state;
    static const unsigned char smaller[] = {106, 131, 143, 120, 135, 146, 126, 124, 134, 115, 130, 137,
                                            123, 134, 130, 140, 141, 132, 141, 128, 126, 127, 129, 127,
                                            115, 147, 122, 128, 130, 113, 144, 134, 127, 124, 132, 109,
                                            131, 105, 146, 132, 117, 138, 122, 121, 128, 128, 124, 132};
    static const unsigned char upright[] = {122, 125, 144, 129, 118, 121, 134, 117, 132, 163, 114, 138, 118, 151, 112,
                                            124, 122, 150, 134, 109, 112, 106, 151, 100, 88,  131, 166, 98,  146, 111,
                                            96,  148, 85,  96,  149, 96,  144, 107, 158, 99,  136, 125, 114, 165, 92};
    static const unsigned char larger[] = {
        9,   62,  115, 28,  81,  134, 46,  99,  152, 65,  118, 171, 83,  136, 189, 102, 155, 208, 32,  85,  138, 52,
        105, 158, 71,  124, 161, 91,  144, 149, 110, 147, 152, 130, 135, 172, 79,  132, 185, 100, 153, 206, 121, 174,
        179, 142, 195, 104, 163, 168, 77,  185, 94,  99,  125, 162, 167, 148, 153, 190, 155, 160, 165, 146, 183, 92,
        153, 158, 67,  176, 85,  90,  172, 177, 86,  196, 105, 110, 173, 82,  119, 101, 106, 111, 78,  115, 120, 103,
        108, 145, 195, 184, 45,  220, 81,  70,  182, 43,  96,  79,  68,  121, 41,  94,  147, 66,  119, 172};
    static const unsigned char oblong[] = {128, 127, 125, 129, 126, 132, 128, 123, 127, 123, 125, 128, 126, 128, 131,
                                           120, 132, 123, 125, 137, 124, 127, 126, 124, 115, 135, 118, 129, 128, 123,
                                           124, 125, 134, 122, 136, 130, 125, 134, 132, 130, 135, 125, 127, 134, 125};
    static const unsigned char odd[] = {128, 130, 128, 132, 133, 129, 130, 124, 126, 127, 128, 131, 130, 122, 126,
                                        124, 127, 124, 123, 139, 125, 125, 127, 126, 120, 133, 123, 125, 133, 130,
                                        126, 136, 131, 132, 133, 128, 141, 124, 134, 132, 127, 124, 163, 101, 99};
    expect_fit(9, 13, 4, 4, smaller);
    expect_fit(23, 10, 5, 3, upright);
    expect_fit(3, 4, 6, 6, larger);
    expect_fit(31, 40, 3, 5, oblong);
    expect_fit(40, 31, 5, 3, odd);
}

/* An image of the right size is not changed. */
static void test_fit_same(void **state)
{
    (void)state;
    const char *path = in_folder("image.png");
    write_png(path, 20, 20, PNG_RGB);
    unsigned char pixels[20 * 20 * 3];
    assert_int_equal(pinion_image_read(ctx, path, (pinion_shape){20, 20, 3}, pixels), PINION_OK);
    for (int i = 0; i < 20 * 20 * 3; i++)
        assert_int_equal(pixels[i], pattern(i / 60, i / 3 % 20, i % 3));
}

/* One pixel wide and very long: sizes stay in bounds. */
static void test_fit_extreme(void **state)
{
    (void)state;
    const char *path = in_folder("image.png");
    write_png(path, 1, 3000, PNG_RGB);
    unsigned char pixels[16 * 16 * 3];
    assert_int_equal(pinion_image_read(ctx, path, (pinion_shape){16, 16, 3}, pixels), PINION_OK);
    write_png(path, 3000, 1, PNG_GREY);
    assert_int_equal(pinion_image_read(ctx, path, (pinion_shape){16, 16, 3}, pixels), PINION_OK);
}

/* So thin that the resized side would leave the range of ints. */
static void test_fit_too_thin(void **state)
{
    (void)state;
    const char *path = in_folder("image.png");
    unsigned char *pixels = malloc((size_t)4096 * 4096 * 3);
    assert_non_null(pixels);
    write_png(path, 1, 524292, PNG_RGB);
    expect_failure(ctx, pinion_image_read(ctx, path, (pinion_shape){4096, 4096, 3}, pixels), PINION_EFORMAT,
                   "%s: 1 x 524292 pixels, resized to a shorter side of 4096: the longer side is 2147500032: "
                   "expected at most 16777216",
                   path);
    write_png(path, 4097, 1, PNG_GREY);
    expect_failure(ctx, pinion_image_read(ctx, path, (pinion_shape){16, 4096, 3}, pixels), PINION_EFORMAT,
                   "%s: 4097 x 1 pixels, resized to a shorter side of 4096: the longer side is 16781312: "
                   "expected at most 16777216",
                   path);
    write_png(path, 4096, 1, PNG_GREY);
    assert_int_equal(pinion_image_read(ctx, path, (pinion_shape){16, 4096, 3}, pixels), PINION_OK);
    free(pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_png_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jpeg_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_header_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_image, setup, teardown),
        cmocka_unit_test_setup_teardown(test_png_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jpeg_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_png_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fit_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fit_extreme, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fit_too_thin, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
