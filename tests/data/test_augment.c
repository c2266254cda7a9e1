/* SPDX-License-Identifier: Apache-2.0
 *
 * Augmentation: what it draws, and what becomes of the pixels.
 */
#include "data/augment.h"
#include "numbered.h"

#include <stdlib.h>

/* Every pixel is the one at the drawn offset, or black outside. */
static void test_transform(void **state)
{
    (void)state;
    pinion__normaliser normaliser;
    pinion_dataset_info info = pinion_dataset_get_info(dataset);
    info.mean[1] = 0.5f;
    pinion__normaliser_init(&normaliser, &info);
    unsigned char pixels[PIXELS];
    int label;
    assert_int_equal(pinion_dataset_read(dataset, PINION_PART_TRAIN, 9, pixels, &label), PINION_OK);
    float out[PIXELS];
    for (int top = -2; top <= 2; top++)
        for (int left = -2; left <= 2; left++)
            for (int flip = 0; flip < 2; flip++) {
                pinion__transform transform = {top, left, flip};
                pinion__transform_apply(&transform, &normaliser, info.image, pixels, out);
                for (int y = 0; y < H; y++)
                    for (int x = 0; x < W; x++) {
                        int row = y + top, column = (flip ? W - 1 - x : x) + left;
                        bool inside = row >= 0 && row < H && column >= 0 && column < W;
                        const float *pixel = out + (y * W + x) * 3;
                        assert_int_equal(byte_of(pixel[0]), inside ? 9 : 0);
                        assert_int_equal(byte_of(pixel[1] + 127.5f), inside ? 100 + row : 0);
                        assert_int_equal(byte_of(pixel[2]), inside ? 200 + column : 0);
                    }
            }
}

/* Offsets are uniform over the nine places of a 32x32 image, flips even, all independent of the epoch before. */
static void test_draws(void **state)
{
    (void)state;
    enum { DRAWS = 20000, PLACES = 9 };
    int top[PLACES] = {0}, left[PLACES] = {0}, flips = 0, repeated = 0;
    pinion_shape image = {32, 40, 3};
    for (int i = 0; i < DRAWS; i++) {
        pinion__transform drawn = pinion__transform_draw(image, PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP, 1, 4, i);
        pinion__transform later = pinion__transform_draw(image, PINION_AUGMENT_CROP | PINION_AUGMENT_FLIP, 1, 5, i);
        assert_true(drawn.top >= -4 && drawn.top <= 4 && drawn.left >= -4 && drawn.left <= 4);
        top[drawn.top + 4]++;
        left[drawn.left + 4]++;
        flips += drawn.flip;
        repeated += drawn.top == later.top && drawn.left == later.left && drawn.flip == later.flip;
    }
    /* Five standard deviations. */
    for (int place = 0; place < PLACES; place++) {
        assert_true(abs(top[place] - DRAWS / PLACES) < 222);
        assert_true(abs(left[place] - DRAWS / PLACES) < 222);
    }
    assert_true(abs(flips - DRAWS / 2) < 354);
    assert_true(abs(repeated - DRAWS / 162) < 56);

    pinion__transform none = pinion__transform_draw(image, PINION_AUGMENT_NONE, 1, 4, 7);
    assert_true(none.top == 0 && none.left == 0 && !none.flip);
    for (int i = 0; i < 50; i++) {
        pinion__transform crop = pinion__transform_draw(image, PINION_AUGMENT_CROP, 1, 4, i);
        pinion__transform flip = pinion__transform_draw(image, PINION_AUGMENT_FLIP, 1, 4, i);
        assert_true(!crop.flip && flip.top == 0 && flip.left == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_transform, numbered_open, numbered_close),
        cmocka_unit_test(test_draws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
