/* SPDX-License-Identifier: Apache-2.0
 *
 * Augmentation and normalisation of one sample.
 */
#include "data/augment.h"
#include "base/random.h"

enum { RIM_SHARE = 8 };

void pinion__normaliser_init(pinion__normaliser *self, const pinion_dataset_info *info)
{
    for (int c = 0; c < info->image.c; c++)
        for (int byte = 0; byte < 256; byte++)
            self->value[c][byte] = ((float)byte / 255.0f - info->mean[c]) / info->std[c];
}

pinion__transform pinion__transform_draw(pinion_shape image, unsigned augment, uint64_t seed, int64_t epoch,
                                         int64_t sample)
{
    uint32_t drawn[4];
    pinion__random4(seed, PINION__RANDOM_AUGMENT, (uint32_t)epoch, (uint64_t)sample, drawn);
    pinion__transform result = {0};
    if (augment & PINION_AUGMENT_CROP) {
        int pad = (image.h < image.w ? image.h : image.w) / RIM_SHARE;
        uint32_t places = 2 * (uint32_t)pad + 1;
        /* The bias of the modulus is below 2^-22 for sides up to 4096. */
        result.top = (int)(drawn[0] % places) - pad;
        result.left = (int)(drawn[1] % places) - pad;
    }
    if (augment & PINION_AUGMENT_FLIP)
        result.flip = drawn[2] >> 31;
    return result;
}

/* pixel NULL: black */
static void put_pixel(const pinion__normaliser *normaliser, int channels, const unsigned char *pixel, float *out)
{
    for (int c = 0; c < channels; c++)
        out[c] = normaliser->value[c][pixel ? pixel[c] : 0];
}

void pinion__transform_apply(const pinion__transform *self, const pinion__normaliser *normaliser, pinion_shape image,
                             const unsigned char *pixels, float *out)
{
    for (int y = 0; y < image.h; y++) {
        int row = y + self->top;
        for (int x = 0; x < image.w; x++) {
            int column = (self->flip ? image.w - 1 - x : x) + self->left;
            bool inside = row >= 0 && row < image.h && column >= 0 && column < image.w;
            const unsigned char *pixel =
                inside ? pixels + ((size_t)row * (size_t)image.w + (size_t)column) * (size_t)image.c : NULL;
            put_pixel(normaliser, image.c, pixel, out);
            out += image.c;
        }
    }
}
