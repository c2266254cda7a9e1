/* SPDX-License-Identifier: Apache-2.0
 *
 * From the bytes of a sample to a network's input: crop, flip, normalise. What is drawn depends on (seed, epoch,
 * sample) alone.
 */
#ifndef PINION_DATA_AUGMENT_H
#define PINION_DATA_AUGMENT_H

#include <pinion/data.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Value of each byte in each channel: (byte/255 - mean) / std. */
typedef struct pinion__normaliser {
    float value[3][256];
} pinion__normaliser;

void pinion__normaliser_init(pinion__normaliser *self, const pinion_dataset_info *info);

typedef struct pinion__transform {
    int top, left; /* where in the sample the crop begins; negative: in the black rim */
    bool flip;     /* mirrored left-right */
} pinion__transform;

/* augment: enum pinion_augment. Offsets are uniform in -pad … pad with pad an eighth of the shorter side. */
pinion__transform pinion__transform_draw(pinion_shape image, unsigned augment, uint64_t seed, int64_t epoch,
                                         int64_t sample);

void pinion__transform_apply(const pinion__transform *self, const pinion__normaliser *normaliser, pinion_shape image,
                             const unsigned char *pixels, float *out);

#endif
