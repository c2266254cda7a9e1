/* SPDX-License-Identifier: Apache-2.0
 *
 * Data sets: indexed images with labels, cut into a training and a test part.
 */
#ifndef PINION_DATA_H
#define PINION_DATA_H

#include <pinion/context.h>
#include <pinion/shape.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pinion_dataset pinion_dataset;

enum pinion_part { PINION_PART_TRAIN, PINION_PART_TEST };

/* Augmentations of training samples, or'ed together. */
enum pinion_augment {
    PINION_AUGMENT_NONE = 0,
    PINION_AUGMENT_CROP =
        1, /* pad by an eighth of the shorter side with black (4 pixels at 32x32), crop at a random place */
    PINION_AUGMENT_FLIP = 2 /* mirror left-right with probability 1/2 */
};

typedef struct pinion_dataset_options {
    pinion_shape image; /* images:DIR only: size that images are resized and centre-cropped to; 0: 224x224x3 */
    uint64_t seed;      /* synthetic only; 0: 1 */
} pinion_dataset_options;

typedef struct pinion_dataset_info {
    const char *spec; /* borrowed, as are the names */
    pinion_shape image;
    int classes;
    const char *const *class_names;
    int64_t train_count, test_count; /* test_count 0: there is no test part */
    float mean[3], std[3];           /* per channel, of pixels scaled to [0,1] */
    unsigned augment;                /* what training uses unless told otherwise */
} pinion_dataset_info;

/* Opens SPEC: "cifar10:DIR" (data_batch_*.bin and test_batch.bin, 3073-byte records), "images:DIR" (a folder a class,
 * or DIR/train and DIR/test with a folder a class each), "synthetic". options may be NULL. Checked here:
 * every record of cifar10, the header of every image; an image's pixels are checked when its sample is read, by
 * pinion_dataset_read or by training and evaluation. PINION_EINVAL: not a SPEC; PINION_EFORMAT, here or when reading:
 * the sentence names file, record or image, what was found and what was expected. *out is set on success only. */
int pinion_dataset_open(pinion_context *ctx, const char *spec, const pinion_dataset_options *options,
                        pinion_dataset **out);
void pinion_dataset_destroy(pinion_dataset *dataset);
pinion_dataset_info pinion_dataset_get_info(const pinion_dataset *dataset);

/* A user's own data. read: writes h*w*c bytes (RGB or grey, row-major, interleaved) of sample `index` of `part` and its
 * label, returns 0 or a negative code. Called by threads that load batches ahead of training and evaluation, and by the
 * caller's own thread in pinion_dataset_read and while a trainer is created; never twice at a time for one data set, so
 * it needs no lock of its own, but it must not call pinion_dataset_read of the same data set. */
typedef struct pinion_dataset_source {
    pinion_dataset_info info; /* spec is a name for messages; strings and arrays are copied */
    int (*read)(void *user, enum pinion_part part, int64_t index, unsigned char *pixels, int *label);
    void (*destroy)(void *user); /* called once, with the data set's end; not when creating it fails; may be NULL */
    void *user;
} pinion_dataset_source;

int pinion_dataset_create(pinion_context *ctx, const pinion_dataset_source *source, pinion_dataset **out);

/* Reads one sample, without augmentation or normalisation: h*w*c bytes and the label. PINION_EINVAL: no such sample;
 * PINION_EFORMAT: damaged; a user's `read`: its own code. Any thread, but a context holds one sentence at a time. */
int pinion_dataset_read(pinion_dataset *dataset, enum pinion_part part, int64_t index, unsigned char *pixels,
                        int *label);

/* Decodes a PNG or JPEG, resizes its shorter side to the longer of size.h, size.w, crops the centre. pixels:
 * size.h*size.w*3 bytes. The orientation that EXIF tells is not applied. PINION_EINVAL: a size out of range;
 * PINION_EFORMAT: damaged, over 100 million pixels, or so thin that the longer side would be resized to over 2^24. */
int pinion_image_read(pinion_context *ctx, const char *path, pinion_shape size, unsigned char *pixels);

#ifdef __cplusplus
}
#endif
#endif
