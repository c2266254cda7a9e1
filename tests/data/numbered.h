/* SPDX-License-Identifier: Apache-2.0
 *
 * A data set whose samples are numbered, and loaders of it that must not fail.
 */
#ifndef PINION_TESTS_DATA_NUMBERED_H
#define PINION_TESTS_DATA_NUMBERED_H

#include "data/loader.h"
#include "files.h"

enum { COUNT = 23, H = 16, W = 24, PIXELS = H * W * 3 };

/* How it is read; reads that overlap fail the test. */
typedef struct numbered {
    int64_t fail_at; /* -1: never */
    unsigned sleep_us;
    int reading;
} numbered;

/* Sample i: pixel (y, x) is (i, 100 + y, 200 + x), its label i; the test part's is (50 + i, …). Normalised values are
 * the bytes. */
extern pinion_context *ctx;
extern pinion_dataset *dataset;
extern numbered reader;

/* Setup and teardown of cmocka. */
int numbered_open(void **state);
int numbered_close(void **state);

pinion__loader *numbered_loader(const pinion__loader_options *options);
pinion__batch numbered_next(pinion__loader *loader);

/* The byte that a normalised value was. */
int byte_of(float value);

#endif
